#ifndef DPKDE_BASE_VERSION_H_
#define DPKDE_BASE_VERSION_H_

namespace dpkde {

// Semantic version of the library and its tools.
inline constexpr char kDpkdeVersion[] = "0.1.0";

}  // namespace dpkde

#endif  // DPKDE_BASE_VERSION_H_
