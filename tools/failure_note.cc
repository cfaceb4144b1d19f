#include "dpkde/tools/failure_note.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace dpkde {
namespace {

// For the signal handler, which must not allocate. Paths may be long; what is beyond is cut.
char text[8192];
std::atomic<size_t> size{0};

}  // namespace

void NoteOnFailure(const std::string& note) {
  size = 0;
  const size_t kept = std::min(note.size(), sizeof(text));
  std::memcpy(text, note.data(), kept);
  size = kept;
}

absl::string_view FailureNote() { return absl::string_view(text, size); }

void PrintFailureNote() {
  if (size == 0) return;
  const char before[] = "interrupted; ";
  (void)!write(STDERR_FILENO, before, sizeof(before) - 1);
  (void)!write(STDERR_FILENO, text, size);
  (void)!write(STDERR_FILENO, "\n", 1);
}

}  // namespace dpkde
