"""One repository rule for both worlds: a system library under the canonical label, or the upstream archive.

The idea is TensorFlow's third_party/systemlibs: the labels in BUILD files never change, only what stands behind them.
"""

def _dependency_impl(ctx):
    if ctx.os.environ.get("DPKDE_SYSTEM_LIBS", "") != "1":
        ctx.download_and_extract(
            ctx.attr.url,
            sha256 = ctx.attr.sha256,
            stripPrefix = ctx.attr.strip_prefix,
        )
        if ctx.attr.build_file:
            ctx.symlink(ctx.attr.build_file, "BUILD.bazel")
        return

    for label, path in ctx.attr.system_build_files.items():
        ctx.symlink(label, path)
    for package in ctx.attr.system_packages:
        ctx.symlink(ctx.attr.system_package_build_file, package + "/BUILD.bazel")
    for target, path in ctx.attr.system_links.items():
        if not ctx.path(target).exists:
            fail("%s is missing; install the package that provides it" % target)
        ctx.symlink(target, path)
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)

dependency = repository_rule(
    implementation = _dependency_impl,
    attrs = {
        "build_file": attr.label(doc = "BUILD file for an upstream archive that has none."),
        "sha256": attr.string(mandatory = True),
        "strip_prefix": attr.string(),
        "system_build_files": attr.label_keyed_string_dict(doc = "File of this repository -> path in the new one."),
        "system_links": attr.string_dict(doc = "Absolute path of the system -> path in the new repository."),
        "system_package_build_file": attr.label(doc = "The BUILD file of each of system_packages."),
        "system_packages": attr.string_list(doc = "Packages of the upstream layout to imitate."),
        "url": attr.string(mandatory = True),
    },
    environ = ["DPKDE_SYSTEM_LIBS"],
)

def _system_library_impl(ctx):
    ctx.symlink(ctx.attr.system_build_file, "BUILD.bazel")
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)

# A library that comes from the system in both worlds.
system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {"system_build_file": attr.label(mandatory = True)},
)
