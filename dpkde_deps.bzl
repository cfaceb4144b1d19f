"""Every external repository that dpkde needs.

A consumer calls `dpkde_deps()` in its WORKSPACE after declaring whatever it brings itself: each repository is declared
with `maybe()`, so the consumer's Abseil or protobuf wins.

Two worlds, chosen by the environment variable DPKDE_SYSTEM_LIBS (see third_party/dependency.bzl):
  * unset: upstream archives are downloaded;
  * "1" (set by this repository's .bazelrc): Debian's packages serve everything but FAISS, which is always built from
    source, because Debian's binary is compiled for plain x86-64 and is several times slower.
OpenBLAS, OpenSSL and libpng come from the system in both worlds.
"""

load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")
load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//third_party:dependency.bzl", "dependency", "system_library")

def dpkde_deps():
    """Declares the libraries that dpkde's targets name. Skips what the caller has already declared."""

    # FAISS: verified here; Debian's source package carries the same bytes.
    maybe(
        http_archive,
        name = "faiss",
        build_file = Label("//third_party/faiss:faiss.BUILD"),
        sha256 = "3e4fac26d8c9e9008ecea4ae5fc414c658998fce4ba75835058b1a71d3516002",
        strip_prefix = "faiss-1.7.3",
        urls = ["https://github.com/facebookresearch/faiss/archive/refs/tags/v1.7.3.tar.gz"],
    )

    # GoogleTest: verified here; Debian's source package carries the same bytes.
    maybe(
        dependency,
        name = "com_google_googletest",
        sha256 = "81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2",
        strip_prefix = "googletest-release-1.12.1",
        system_build_files = {Label("//third_party/googletest:system.BUILD"): "BUILD.bazel"},
        url = "https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz",
    )

    # The archives below carry their upstream's published hash; the download itself was not tried here.
    maybe(
        dependency,
        name = "com_google_absl",
        sha256 = "91ac87d30cc6d79f9ab974c51874a704de9c2647c40f6932597329a282217ba8",
        strip_prefix = "abseil-cpp-20220623.1",
        system_build_files = {
            Label("//third_party/absl:system.BUILD"): "BUILD.bazel",
            Label("//third_party/absl:absl.bzl"): "absl.bzl",
        },
        system_packages = [
            "absl/" + package
            for package in [
                "base",
                "cleanup",
                "container",
                "flags",
                "functional",
                "memory",
                "numeric",
                "status",
                "strings",
                "synchronization",
                "time",
                "types",
            ]
        ],
        system_package_build_file = Label("//third_party/absl:system_package.BUILD"),
        url = "https://github.com/abseil/abseil-cpp/archive/refs/tags/20220623.1.tar.gz",
    )
    maybe(
        dependency,
        name = "com_google_protobuf",
        sha256 = "22fdaf641b31655d4b2297f9981fa5203b2866f8332d3c6333f6b0107bb320de",
        strip_prefix = "protobuf-21.12",
        system_build_files = {Label("//third_party/protobuf:system.BUILD"): "BUILD.bazel"},
        system_links = {"/usr/bin/protoc": "protoc_binary"},
        url = "https://github.com/protocolbuffers/protobuf/archive/v21.12.tar.gz",
    )
    maybe(
        dependency,
        name = "boost",
        build_file = Label("//third_party/boost:boost.BUILD"),
        sha256 = "afff36d392885120bcac079148c177d1f6f7730ec3d47233aa51b0afa4db94a5",
        strip_prefix = "boost_1_74_0",
        system_build_files = {Label("//third_party/boost:system.BUILD"): "BUILD.bazel"},
        url = "https://archives.boost.io/release/1.74.0/source/boost_1_74_0.tar.gz",
    )
    maybe(
        dependency,
        name = "com_google_highway",
        sha256 = "566fc77315878473d9a6bd815f7de78c73734acdcb745c3dde8579560ac5440e",
        strip_prefix = "highway-1.0.3",
        system_build_files = {Label("//third_party/highway:system.BUILD"): "BUILD.bazel"},
        url = "https://github.com/google/highway/archive/refs/tags/1.0.3.tar.gz",
    )
    maybe(
        dependency,
        name = "com_github_google_benchmark",
        sha256 = "6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7",
        strip_prefix = "benchmark-1.7.1",
        system_build_files = {Label("//third_party/google_benchmark:system.BUILD"): "BUILD.bazel"},
        url = "https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz",
    )

    # From the system in both worlds.
    for name in ["openblas", "openssl", "libpng"]:
        maybe(
            system_library,
            name = name,
            system_build_file = Label("//third_party/%s:system.BUILD" % name),
        )

def dpkde_bazel_deps():
    """Serves Bazel's embedded tools from Debian's packages, for builds of this repository without internet.

    A consumer with internet does not call this.
    """
    native.local_repository(name = "rules_cc", path = "third_party/rules_cc")
    native.local_repository(name = "remote_coverage_tools", path = "third_party/remote_coverage_tools")
    native.local_repository(name = "rules_java", path = "/usr/share/bazel/rules/java")
    native.local_repository(name = "rules_proto", path = "/usr/share/bazel/rules/proto")
    native.local_repository(name = "bazel_skylib", path = "/usr/share/bazel/tools/skylib")
    native.local_repository(name = "platforms", path = "/usr/share/bazel/platforms")
