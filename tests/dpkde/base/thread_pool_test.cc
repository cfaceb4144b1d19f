#include "dpkde/base/thread_pool.h"

#include <xmmintrin.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/limits.h"

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

// Those of this process that are alive.
size_t RunningThreads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

TEST(ThreadPoolTest, StartsNoMoreThreadsThanALoopHasChunks) {
  const size_t before = RunningThreads();  // a sanitizer has one of its own
  ThreadPool pool(1000);
  EXPECT_EQ(RunningThreads(), before);
  pool.ParallelFor(1, 1, [](size_t, size_t, int) {});
  EXPECT_EQ(RunningThreads(), before);
  pool.ParallelFor(100, 34, [](size_t, size_t, int) {});
  EXPECT_EQ(RunningThreads(), before + 2);
}

TEST_P(ThreadPoolLoopTest, WhatABodyThrowsReachesTheCallerAndTheOtherChunksAreLeftOut) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> begun{0};
    try {
      pool.ParallelFor(1000, 1, [&](size_t begin, size_t, int) {
        ++begun;
        if (begin == 3) throw std::out_of_range("three");
      });
      FAIL() << "nothing was thrown";
    } catch (const std::out_of_range& error) {
      EXPECT_STREQ(error.what(), "three");
    }
    EXPECT_GE(begun, 4);
    std::atomic<int> sum{0};
    pool.ParallelFor(1000, 1, [&](size_t, size_t, int) { ++sum; });
    ASSERT_EQ(sum, 1000) << "the pool must work afterwards";
  }
}

// Every thread throws at once, and each in its turn alone.
TEST(ThreadPoolTest, ExceptionsOfAnyWorkerReachTheCaller) {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  for (int thrower = -1; thrower < kThreads; ++thrower) {
    std::atomic<int> arrived{0};
    const auto loop = [&] {
      pool.ParallelFor(kThreads, 1, [&](size_t, size_t, int worker) {
        ++arrived;
        while (arrived < kThreads) std::this_thread::yield();
        if (thrower < 0 || worker == thrower) throw std::bad_alloc();
      });
    };
    EXPECT_THROW(loop(), std::bad_alloc) << thrower;
  }
}

TEST(ThreadPoolTest, NoChunkBeginsAfterAnExceptionButThoseThatRunEnd) {
  ThreadPool pool(2);
  std::atomic<bool> thrown{false}, ended{false};
  std::atomic<int> late{0};
  const auto loop = [&] {
    pool.ParallelFor(100, 1, [&](size_t begin, size_t, int) {
      if (begin > 1) {
        ++late;
        return;
      }
      if (begin == 0) {
        thrown = true;
        throw std::bad_alloc();
      }
      while (!thrown) std::this_thread::yield();
      ended = true;
    });
  };
  EXPECT_THROW(loop(), std::bad_alloc);
  EXPECT_TRUE(ended || late == 0);
  EXPECT_LT(late, 99);
}

// Sums 0 .. 999 by a pool of `threads` threads.
int SumBy(int threads) {
  ThreadPool pool(threads);
  std::atomic<int> sum{0};
  pool.ParallelFor(1000, 1, [&](size_t begin, size_t, int worker) {
    if (0 <= worker && worker < threads) sum += static_cast<int>(begin);
  });
  return sum;
}

TEST(ThreadPoolTest, WorksWithoutAnyThreadThatCanBeStarted) {
  EXPECT_EQ(ExitCodeOfChild([] {
              if (!ForbidThreads()) return 3;
              try {
                std::thread([] {}).join();
                return 4;  // the control
              } catch (const std::system_error&) {
              }
              return SumBy(64) == 499500 ? 0 : 5;
            }),
            0);
}

TEST(ThreadPoolTest, LeavesMemoryWhereAddressSpaceIsLimited) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes all address space";
  EXPECT_EQ(ExitCodeOfChild([] {
              LimitAddressSpace(size_t{600} << 20);
              ThreadPool pool(1000);
              bool has_memory = true;
              pool.ParallelFor(1000, 1, [&](size_t, size_t, int worker) {
                if (worker != 0) return;
                const std::vector<char> large(size_t{100} << 20);
                has_memory &= large.back() == 0;
              });
              return has_memory ? 0 : 3;
            }),
            0);
}

uint32_t Mode() { return _mm_getcsr() & ~_MM_EXCEPT_MASK; }

TEST_P(ThreadPoolLoopTest, BodiesRunUnderTheDefaultFloatEnvironment) {
  constexpr uint32_t kDefault = 0x1F80, kOdd = 0xFFC0;  // flushes, rounds towards zero
  for (const bool before : {true, false}) {
    if (before) _mm_setcsr(kOdd);
    ThreadPool pool(GetParam());
    _mm_setcsr(kOdd);
    std::atomic<int> bodies{0}, wrong{0};
    pool.ParallelFor(GetParam(), 1, [&](size_t, size_t, int) {
      if (Mode() != kDefault) ++wrong;
      ++bodies;
      while (bodies < GetParam()) std::this_thread::yield();  // so that every thread has one
    });
    EXPECT_EQ(Mode(), kOdd) << "what the caller has set must be as before";
    _mm_setcsr(kDefault);
    EXPECT_EQ(wrong, 0) << before;
  }
}

}  // namespace
}  // namespace dpkde
