#ifndef DPKDE_TOOLS_PROCESS_H_
#define DPKDE_TOOLS_PROCESS_H_

namespace dpkde {

// What a process with private data does before anything else; linked in, it happens before main and before the
// start-up code of any library:
//
// - It leaves no core dump, and processes of other users, or of the same without privileges, cannot look into it.
// - What would end it by std::terminate ends it by exit code 70 and a line on stderr: an exception that nobody can
//   catch, when memory runs out in start-up code or while another exception is being handled.
// - OpenBLAS starts no threads of its own, which it could neither do without nor get rid of (see StartBlasThreads).

// Called first in main: the default floating-point environment for all threads to come, and, where address space is
// limited, little of it for threads' heaps.
void PrepareProcess();

// Gives OpenBLAS a thread a CPU, or what OPENBLAS_NUM_THREADS says; one where address space is limited, or where not
// all of them can be started: it takes 128 MiB a thread, and waits for ever for what it does not get.
void StartBlasThreads();

// Ends the process at once, with nothing but standard output flushed. For when resources have run out: threads of a
// library may be waiting for memory, and an ordinary exit for them.
[[noreturn]] void EndProcess(int exit_code);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_PROCESS_H_
