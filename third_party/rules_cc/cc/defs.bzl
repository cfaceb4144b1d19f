"""A shim that stands in for rules_cc without internet: forwards to Bazel's native rules."""

cc_binary = native.cc_binary
cc_flags_supplier = native.cc_flags_supplier if hasattr(native, "cc_flags_supplier") else None
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_alias = native.cc_toolchain_alias
cc_toolchain_suite = native.cc_toolchain_suite
compiler_flag = native.compiler_flag if hasattr(native, "compiler_flag") else None
fdo_prefetch_hints = native.fdo_prefetch_hints
fdo_profile = native.fdo_profile
objc_import = native.objc_import
objc_library = native.objc_library
