#ifndef TESTS_BENCHMARKS_LEXICOGRAPHER_FILES_H_
#define TESTS_BENCHMARKS_LEXICOGRAPHER_FILES_H_

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace dpkde {

// WordNet sorts its glosses by topic into so many files, 0 to 44.
inline constexpr int kLexicographerFiles = 45;

// The file of each gloss, of ids like "noun:00001740", as `dictionary` says, the folder of data.noun, ... Ends the
// program if one is in none.
inline std::vector<int> LexicographerFilesOf(const std::vector<std::string>& ids, const std::string& dictionary) {
  std::map<std::string, int> file_of;
  for (const char* part : {"noun", "verb", "adj", "adv"}) {
    std::ifstream file(absl::StrCat(dictionary, "/data.", part));
    std::string line;
    while (std::getline(file, line)) {
      if (line.size() < 11 || line[0] == ' ') continue;
      file_of[absl::StrCat(part, ":", line.substr(0, 8))] = std::atoi(line.substr(9, 2).c_str());
    }
  }
  std::vector<int> files;
  for (const std::string& id : ids) {
    if (file_of.count(id) == 0) {
      std::fprintf(stderr, "gloss %s is in no data file of %s\n", id.c_str(), dictionary.c_str());
      std::exit(1);
    }
    files.push_back(file_of[id]);
  }
  return files;
}

}  // namespace dpkde

#endif  // TESTS_BENCHMARKS_LEXICOGRAPHER_FILES_H_
