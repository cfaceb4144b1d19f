"""Compile flags of dpkde's own targets."""

# Not in .bazelrc, which a consumer's build does not read.
#   -march=x86-64-v3     the oldest CPU that is supported; faster kernels dispatch at run time (Highway)
#   -ffp-contract=off    stored randomness and accumulated integers must not depend on what a compiler fuses
DPKDE_COPTS = [
    "-std=c++17",
    "-march=x86-64-v3",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
]
