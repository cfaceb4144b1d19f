#ifndef DPKDE_BASE_THREAD_POOL_H_
#define DPKDE_BASE_THREAD_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace dpkde {

// A bounded set of threads for loops over ranges.
//
//   ThreadPool pool(ThreadPool::HardwareThreads());
//   pool.ParallelFor(rows, 256, [&](size_t begin, size_t end, int worker) { ... });
//
// The caller is one of the workers, so a pool of one thread starts none. Others are started when a loop has chunks for
// them, and stay. Threads that cannot be started (a limit on processes or on memory) are done without: the loop is
// slower, and the next one tries again. Which worker takes which chunk is not determined; a body whose result must not
// depend on it writes to places chosen by the index, or adds integers.
//
// Bodies run under DefaultFloatEnvironment, whatever their thread or the caller has set, so that results do not depend
// on which thread computes them.
//
// Exceptions: what a body throws, out of memory for one, reaches the caller of ParallelFor once no body runs any more;
// chunks that have not begun by then are left out. Of several the first is kept.
//
// Thread-safe: concurrent loops run one after the other. A body must not start a loop on the same pool.
class ThreadPool {
 public:
  // At most `threads` >= 1, the caller included; 0 means HardwareThreads().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The number of CPUs that this process may run on, at least 1.
  static int HardwareThreads();

  // How many threads, at most `threads`, the caller included, can run at once now. For libraries that start threads of
  // their own and do not do with fewer.
  static int ThreadsToBeHad(int threads);

  // The bound, however many have been started.
  int threads() const { return threads_; }

  // Calls body(begin, end, worker) for disjoint chunks of at most `grain` indices that cover [0, count), with
  // 0 <= worker < threads(); no two concurrent calls share a worker. Returns when all have ended.
  void ParallelFor(size_t count, size_t grain, absl::FunctionRef<void(size_t, size_t, int)> body);

 private:
  struct Loop {
    size_t count;
    size_t grain;
    absl::FunctionRef<void(size_t, size_t, int)> body;
    size_t next = 0;
    int running = 0;
    std::exception_ptr exception = nullptr;
  };
  // std::mutex, not absl's: that one needs memory the first time a thread waits, and ends the process without.
  using Lock = std::unique_lock<std::mutex>;

  void StartWorkers(size_t wanted);
  void WorkerMain(int worker);
  // With `lock` on mutex_, which is released while a body runs.
  void RunChunks(Loop& loop, int worker, Lock& lock);

  const int threads_;
  std::mutex loop_mutex_;  // held by the thread whose loop is running
  std::mutex mutex_;       // of what follows, but for workers_, which the loop's thread has
  std::condition_variable work_, idle_;
  Loop* loop_ = nullptr;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace dpkde

#endif  // DPKDE_BASE_THREAD_POOL_H_
