#ifndef DPKDE_BASE_THREAD_POOL_H_
#define DPKDE_BASE_THREAD_POOL_H_

#include <cstddef>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace dpkde {

// A fixed set of threads for loops over ranges.
//
//   ThreadPool pool(ThreadPool::HardwareThreads());
//   pool.ParallelFor(rows, 256, [&](size_t begin, size_t end, int worker) { ... });
//
// The caller is one of the workers, so a pool of one thread starts none. Which worker takes which chunk is not
// determined; a body whose result must not depend on it writes to places chosen by the index, or adds integers.
//
// Thread-safe: concurrent loops run one after the other. A body must not start a loop on the same pool.
class ThreadPool {
 public:
  // `threads` >= 1, the caller included; 0 means HardwareThreads().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The number of CPUs that this process may run on, at least 1.
  static int HardwareThreads();

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

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
  };

  void WorkerMain(int worker);
  void RunChunks(Loop* loop, int worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex loop_mutex_;  // held by the thread whose loop is running
  absl::Mutex mutex_;
  Loop* loop_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> workers_;
};

}  // namespace dpkde

#endif  // DPKDE_BASE_THREAD_POOL_H_
