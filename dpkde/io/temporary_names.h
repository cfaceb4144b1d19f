#ifndef DPKDE_IO_TEMPORARY_NAMES_H_
#define DPKDE_IO_TEMPORARY_NAMES_H_

#include <memory>
#include <string>

namespace dpkde {

// A name in the file system that is removed when a signal ends the process, for as long as this object lives.
//
//   TemporaryName name(folder, ".dpkde-tmp-...");   // unlinkat(folder, ...) if SIGINT comes now
//
// Does nothing by itself: the program must have called RemoveTemporaryNamesOnSignals(). Removing the name in the usual
// course of things is up to the caller. Where names must change together with the file system, such as when a file is
// renamed, a SignalPause keeps signals out. A process can have 512 such names; more are not remembered.
//
// Thread-safe as a whole, not each object.
class TemporaryName {
 public:
  enum Kind { kFile, kFolder };  // folders are removed after all files, and only if they are empty

  // `folder`: an open folder that outlives this object, or AT_FDCWD. Children made by fork() do not remove it.
  TemporaryName(int folder, std::string name, Kind kind = kFile);
  ~TemporaryName();
  TemporaryName(TemporaryName&&) noexcept;
  TemporaryName& operator=(TemporaryName&&) = delete;

  struct Entry;

 private:
  std::unique_ptr<const Entry> entry_;
};

// While one lives, in any thread, a signal that would end the process waits.
class SignalPause {
 public:
  SignalPause();
  ~SignalPause();
  SignalPause(const SignalPause&) = delete;
  SignalPause& operator=(const SignalPause&) = delete;
};

// For main(): SIGHUP, SIGINT and SIGTERM remove every TemporaryName, call `last_words` (null: nothing), and then end
// the process as they would have done. Signals that are ignored stay so. `last_words` must be async-signal-safe.
void RemoveTemporaryNamesOnSignals(void (*last_words)());

}  // namespace dpkde

#endif  // DPKDE_IO_TEMPORARY_NAMES_H_
