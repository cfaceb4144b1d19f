#include "tests/testing/traced_child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace dpkde {
namespace {

bool ChangesFiles(const user_regs_struct& registers) {
  switch (registers.orig_rax) {
    case SYS_openat:
      return (registers.rdx & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) != 0;
    case SYS_write:
    case SYS_pwrite64:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_flock:
    case SYS_ftruncate:
    case SYS_fallocate:
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_link:
    case SYS_linkat:
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_mkdir:
    case SYS_mkdirat:
      return true;
    default:
      return false;
  }
}

}  // namespace

TracedRun RunUntilCall(int last, const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0 || raise(SIGSTOP) != 0) _exit(126);
    body();
    _exit(127);
  }
  TracedRun run;
  if (child < 0 || waitpid(child, &run.status, 0) != child || !WIFSTOPPED(run.status)) std::abort();
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  int signal = 0;
  bool enters = false;  // stops come in pairs, at entering and leaving a call
  while (true) {
    ptrace(PTRACE_SYSCALL, child, nullptr, signal);
    if (waitpid(child, &run.status, 0) != child) std::abort();
    if (!WIFSTOPPED(run.status)) return run;
    signal = 0;
    if (WSTOPSIG(run.status) != (SIGTRAP | 0x80)) {
      // SIGTRAP follows exec; any other signal is the child's.
      if (WSTOPSIG(run.status) != SIGTRAP) signal = WSTOPSIG(run.status);
      continue;
    }
    enters = !enters;
    user_regs_struct registers;
    if (!enters || ptrace(PTRACE_GETREGS, child, nullptr, &registers) != 0 || !ChangesFiles(registers)) continue;
    if (run.calls++ == last) kill(child, SIGKILL);
  }
}

}  // namespace dpkde
