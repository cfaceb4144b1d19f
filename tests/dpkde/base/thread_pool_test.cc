#include "dpkde/base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace dpkde {
namespace {

constexpr size_t kHuge = std::numeric_limits<size_t>::max();

TEST(ThreadPoolTest, HasTheThreadsThatWereAskedFor) {
  EXPECT_GE(ThreadPool::HardwareThreads(), 1);
  EXPECT_EQ(ThreadPool().threads(), ThreadPool::HardwareThreads());
  EXPECT_EQ(ThreadPool(0).threads(), ThreadPool::HardwareThreads());
  EXPECT_EQ(ThreadPool(1).threads(), 1);
  EXPECT_EQ(ThreadPool(5).threads(), 5);
}

class ThreadPoolLoopTest : public ::testing::TestWithParam<int> {};

TEST_P(ThreadPoolLoopTest, CoversEveryIndexOnceInChunksOfAtMostTheGrain) {
  ThreadPool pool(GetParam());
  for (const size_t count : {0, 1, 2, 7, 64, 1000}) {
    for (const size_t grain : {size_t{0}, size_t{1}, size_t{3}, size_t{64}, size_t{1000}, kHuge}) {
      std::vector<std::atomic<int>> visits(count);
      std::atomic<bool> well_formed{true};
      pool.ParallelFor(count, grain, [&](size_t begin, size_t end, int worker) {
        const bool fine = begin < end && end <= count && end - begin <= std::max<size_t>(grain, 1) && worker >= 0 &&
                          worker < pool.threads();
        if (!fine) {
          well_formed = false;
          return;
        }
        for (size_t i = begin; i < end; ++i) ++visits[i];
      });
      EXPECT_TRUE(well_formed) << count << " " << grain;
      EXPECT_TRUE(std::all_of(visits.begin(), visits.end(), [](const auto& n) { return n == 1; }))
          << count << " " << grain;
    }
  }
}

TEST_P(ThreadPoolLoopTest, NoTwoConcurrentCallsShareAWorker) {
  ThreadPool pool(GetParam());
  std::vector<std::atomic<int>> busy(pool.threads());
  std::atomic<bool> shared{false};
  pool.ParallelFor(2000, 1, [&](size_t, size_t, int worker) {
    if (++busy[worker] != 1) shared = true;
    std::this_thread::yield();
    --busy[worker];
  });
  EXPECT_FALSE(shared);
}

TEST_P(ThreadPoolLoopTest, WritesOfTheBodyAreSeenAfterTheLoop) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> values(10000);
  for (int round = 1; round <= 50; ++round) {
    pool.ParallelFor(values.size(), 97, [&](size_t begin, size_t end, int) {
      for (size_t i = begin; i < end; ++i) values[i] += static_cast<int64_t>(i);
    });
    ASSERT_EQ(values.back(), 9999 * round);
    ASSERT_EQ(values[1], round);
  }
}

TEST_P(ThreadPoolLoopTest, ConcurrentLoopsAllEnd) {
  ThreadPool pool(GetParam());
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        pool.ParallelFor(100, 9, [&](size_t begin, size_t end, int) { sum += static_cast<int64_t>(end - begin); });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 4 * 100 * 100);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolLoopTest, ::testing::Values(1, 2, 3, 8));

TEST(ThreadPoolTest, UsesAllItsThreads) {
  // Each of the three chunks waits for the other two, which only three threads can satisfy.
  ThreadPool pool(3);
  std::atomic<int> arrived{0};
  std::atomic<int> workers{0};
  pool.ParallelFor(3, 1, [&](size_t, size_t, int worker) {
    workers |= 1 << worker;
    ++arrived;
    while (arrived < 3) std::this_thread::yield();
  });
  EXPECT_EQ(workers, 0b111);
}

TEST(ThreadPoolTest, OneThreadRunsInTheCallersAndInOrder) {
  ThreadPool pool(1);
  const std::thread::id caller = std::this_thread::get_id();
  std::vector<size_t> begins;
  pool.ParallelFor(10, 4, [&](size_t begin, size_t, int worker) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(worker, 0);
    begins.push_back(begin);
  });
  EXPECT_EQ(begins, (std::vector<size_t>{0, 4, 8}));
}

TEST(ThreadPoolTest, IndicesNearTheEndOfTheirRangeDoNotWrapAround) {
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    const size_t grain = kHuge - 1;
    std::atomic<int> calls{0};
    std::atomic<size_t> covered{0};
    pool.ParallelFor(kHuge, grain, [&](size_t begin, size_t end, int) {
      if (++calls > 2) std::abort();
      covered += end - begin;
    });
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(covered, kHuge);
  }
}

}  // namespace
}  // namespace dpkde
