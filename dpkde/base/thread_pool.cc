#include "dpkde/base/thread_pool.h"

#include <sched.h>

#include <algorithm>

namespace dpkde {

int ThreadPool::HardwareThreads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = HardwareThreads();
  for (int worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { WorkerMain(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(size_t count, size_t grain, absl::FunctionRef<void(size_t, size_t, int)> body) {
  absl::MutexLock loop_lock(&loop_mutex_);
  grain = std::max<size_t>(grain, 1);
  if (workers_.empty() || count <= grain) {
    for (size_t begin = 0; begin < count;) {
      const size_t end = begin + std::min(grain, count - begin);
      body(begin, end, 0);
      begin = end;
    }
    return;
  }
  Loop loop{count, grain, body};
  absl::MutexLock lock(&mutex_);
  loop_ = &loop;
  RunChunks(&loop, 0);
  loop_ = nullptr;  // no worker joins from here on
  mutex_.Await(absl::Condition(
      +[](Loop* running) { return running->running == 0; }, &loop));
}

void ThreadPool::RunChunks(Loop* loop, int worker) {
  ++loop->running;
  while (loop->next < loop->count) {
    const size_t begin = loop->next;
    const size_t end = begin + std::min(loop->grain, loop->count - begin);
    loop->next = end;
    mutex_.Unlock();
    loop->body(begin, end, worker);
    mutex_.Lock();
  }
  --loop->running;
}

void ThreadPool::WorkerMain(int worker) {
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(
        +[](ThreadPool* pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(pool->mutex_) {
          return pool->stopping_ || (pool->loop_ != nullptr && pool->loop_->next < pool->loop_->count);
        },
        this));
    if (stopping_) return;
    RunChunks(loop_, worker);
  }
}

}  // namespace dpkde
