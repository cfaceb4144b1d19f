#include "dpkde/io/temporary_names.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <utility>

namespace dpkde {

struct TemporaryName::Entry {
  int folder;
  std::string name;
  Kind kind;
  pid_t owner;
};

namespace {

// Everything that the signal handler reads is lock-free.
std::atomic<const TemporaryName::Entry*> entries[512];
std::atomic<int> pauses{0};
std::atomic<int> waiting_signal{0};
std::atomic<void (*)()> last_words_function{nullptr};

void RemoveAll(TemporaryName::Kind kind) {
  for (const auto& slot : entries) {
    const TemporaryName::Entry* const entry = slot.load();
    if (entry == nullptr || entry->kind != kind || entry->owner != getpid()) continue;
    unlinkat(entry->folder, entry->name.c_str(), kind == TemporaryName::kFolder ? AT_REMOVEDIR : 0);
  }
}

void EndBySignal(int signal_number) {
  if (pauses.load() > 0) {
    waiting_signal.store(signal_number);
    return;
  }
  const int interrupted_errno = errno;
  RemoveAll(TemporaryName::kFile);
  RemoveAll(TemporaryName::kFolder);
  if (auto* const last_words = last_words_function.load()) last_words();
  errno = interrupted_errno;
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

}  // namespace

TemporaryName::TemporaryName(int folder, std::string name, Kind kind)
    : entry_(new Entry{folder, std::move(name), kind, getpid()}) {
  for (auto& slot : entries) {
    const Entry* free = nullptr;
    if (slot.compare_exchange_strong(free, entry_.get())) return;
  }
}

TemporaryName::TemporaryName(TemporaryName&&) noexcept = default;

TemporaryName::~TemporaryName() {
  if (entry_ == nullptr) return;  // moved from
  for (auto& slot : entries) {
    const Entry* own = entry_.get();
    if (slot.compare_exchange_strong(own, nullptr)) return;
  }
}

SignalPause::SignalPause() { ++pauses; }

SignalPause::~SignalPause() {
  if (--pauses > 0) return;
  if (const int signal_number = waiting_signal.exchange(0); signal_number != 0) raise(signal_number);
}

void RemoveTemporaryNamesOnSignals(void (*last_words)()) {
  last_words_function.store(last_words);
  for (const int signal_number : {SIGHUP, SIGINT, SIGTERM}) {
    struct sigaction action = {};
    if (sigaction(signal_number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = EndBySignal;
    action.sa_flags = SA_RESTART | SA_NODEFER;  // not deferred: the handler ends with the signal itself
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, nullptr);
  }
}

}  // namespace dpkde
