#ifndef TESTS_TESTING_SCRIPTED_BIT_SOURCE_H_
#define TESTS_TESTING_SCRIPTED_BIT_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "dpkde/noise/bit_source.h"

namespace dpkde {

// Hands out the words of a script one by one and throws when they are used up, so that a sampler that asks for more
// than was foreseen fails its test instead of running on. For paths too rare to be met by chance.
//
// Noise drawn from it is chosen by its caller: not differentially private.
class ScriptedBitSource final : public BitSource {
 public:
  explicit ScriptedBitSource(std::vector<uint64_t> script) : BitSource(1), script_(std::move(script)) {}

  // Words handed out.
  size_t used() const { return used_; }
  bool exhausted() const { return used_ == script_.size(); }

 private:
  void Refill(absl::Span<uint64_t> words) override {
    if (used_ == script_.size()) {
      throw std::out_of_range("the script of " + std::to_string(used_) + " words is used up");
    }
    words[0] = script_[used_++];
  }

  std::vector<uint64_t> script_;
  size_t used_ = 0;
};

}  // namespace dpkde

#endif  // TESTS_TESTING_SCRIPTED_BIT_SOURCE_H_
