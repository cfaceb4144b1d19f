// Releases that were made to harm whoever reads them (tests/testdata/hostile) are refused at once.
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/refusal.h"

namespace dpkde {
namespace {

TEST(HostileReleaseTest, RefusesWhatHungOrTookEverything) {
  const Folder folder;
  const std::string queries = folder.Write("queries.csv", "0,0\n");
  for (const char* name : {"release_hang_expsum_bw_5e-324", "release_hang_lattice_bw_1e300", "release_slow_expsum_2e20",
                           "release_slow_orthogonal_d4095"}) {
    const std::string path = absl::StrCat("tests/testdata/hostile/", name);
    ExpectRefusal(RunCommand("dpkde_query", {"describe", path}), "dpkde_query", 3, {path, "is not a valid release"});
    ExpectRefusal(RunCommand("dpkde_query", {"density", "--release=" + path, "--queries=" + queries}), "dpkde_query", 3,
                  {path, "is not a valid release"});
  }
  const std::string path = "tests/testdata/hostile/classifier_segv_spline_narrow_bandwidth";
  ExpectRefusal(RunCommand("dpkde_query", {"classify", "--release=" + path, "--queries=" + queries}), "dpkde_query", 3,
                {path, "is not a valid classifier", "cells of a spline grid"});
}

}  // namespace
}  // namespace dpkde
