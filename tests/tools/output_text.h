#ifndef TESTS_TOOLS_OUTPUT_TEXT_H_
#define TESTS_TOOLS_OUTPUT_TEXT_H_

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

// What the tools print, taken apart.

namespace dpkde {

// Of an object, such as a line of .jsonl.
inline google::protobuf::Struct ParseJson(const std::string& text) {
  google::protobuf::Struct json;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(text, &json).ok()) << text;
  return json;
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  EXPECT_EQ(lines.back(), "") << "the last line has no end";
  lines.pop_back();
  return lines;
}

}  // namespace dpkde

#endif  // TESTS_TOOLS_OUTPUT_TEXT_H_
