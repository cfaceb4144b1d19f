#include "dpkde/base/thread_pool.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <system_error>

#include "dpkde/base/float_environment.h"

namespace dpkde {
namespace {

// Address space that a thread must leave to others beside its stack: where that is limited, threads alone would take
// all of it, and the work would be out of memory.
constexpr size_t kSpareBytes = size_t{128} << 20;

bool LeavesSpace() {
  void* const space = mmap(nullptr, kSpareBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return space != MAP_FAILED && munmap(space, kSpareBytes) == 0;
}

}  // namespace

int ThreadPool::HardwareThreads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(int threads) : threads_(threads > 0 ? threads : HardwareThreads()) {}

ThreadPool::~ThreadPool() {
  {
    const Lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

int ThreadPool::ThreadsToBeHad(int threads) {
  ThreadPool pool(threads);
  pool.StartWorkers(pool.threads_ - 1);
  return static_cast<int>(pool.workers_.size()) + 1;
}

void ThreadPool::StartWorkers(size_t wanted) {
  try {
    while (workers_.size() < wanted && LeavesSpace()) {
      const int worker = static_cast<int>(workers_.size()) + 1;
      workers_.emplace_back([this, worker] { WorkerMain(worker); });
    }
  } catch (const std::system_error&) {  // no thread to be had
  } catch (const std::bad_alloc&) {
  }
}

void ThreadPool::ParallelFor(size_t count, size_t grain, absl::FunctionRef<void(size_t, size_t, int)> body) {
  const Lock loop_lock(loop_mutex_);
  grain = std::max<size_t>(grain, 1);
  const size_t chunks = count / grain + (count % grain != 0);
  if (chunks > 1) StartWorkers(std::min<size_t>(threads_, chunks) - 1);
  Loop loop{count, grain, body};
  Lock lock(mutex_);
  if (chunks > 1 && !workers_.empty()) {
    loop_ = &loop;
    work_.notify_all();
  }
  RunChunks(loop, 0, lock);
  loop_ = nullptr;  // no worker joins from here on
  idle_.wait(lock, [&] { return loop.running == 0; });
  if (loop.exception != nullptr) std::rethrow_exception(loop.exception);
}

void ThreadPool::RunChunks(Loop& loop, int worker, Lock& lock) {
  ++loop.running;
  while (loop.next < loop.count) {
    const size_t begin = loop.next;
    const size_t end = begin + std::min(loop.grain, loop.count - begin);
    loop.next = end;
    lock.unlock();
    std::exception_ptr exception;
    try {
      const DefaultFloatEnvironment environment;
      loop.body(begin, end, worker);
    } catch (...) {
      exception = std::current_exception();
    }
    lock.lock();
    if (exception == nullptr) continue;
    loop.next = loop.count;
    if (loop.exception == nullptr) loop.exception = exception;
  }
  if (--loop.running == 0) idle_.notify_one();
}

void ThreadPool::WorkerMain(int worker) {
  Lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stopping_ || (loop_ != nullptr && loop_->next < loop_->count); });
    if (stopping_) return;
    RunChunks(*loop_, worker, lock);
  }
}

}  // namespace dpkde
