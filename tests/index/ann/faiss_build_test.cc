#include <faiss/utils/utils.h>

#include <string>

#include "gtest/gtest.h"

namespace {

// A build for plain x86-64 is several times slower, and nothing else would say so.
TEST(FaissBuildTest, UsesAvx2AndTheOptimiser) {
  const std::string options = faiss::get_compile_options();
  EXPECT_NE(options.find("AVX2"), std::string::npos) << options;
  EXPECT_NE(options.find("OPTIMIZE"), std::string::npos) << options;
  EXPECT_EQ(options.find("GENERIC"), std::string::npos) << options;
}

}  // namespace
