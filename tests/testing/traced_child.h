#ifndef TESTS_TESTING_TRACED_CHILD_H_
#define TESTS_TESTING_TRACED_CHILD_H_

#include <functional>

namespace dpkde {

struct TracedRun {
  int status = 0;  // of waitpid
  // System calls of the main thread that change files or their names, or lock or sync them, as far as it came.
  int calls = 0;
};

// Runs `body` in a child, which it may turn into another program, and kills it as it enters call `last`, counted from
// 0: before that call has done anything. A negative `last`, or one that it does not reach, lets it end by itself. So an
// instant is an event, the same one on machines of any speed.
TracedRun RunUntilCall(int last, const std::function<void()>& body);

}  // namespace dpkde

#endif  // TESTS_TESTING_TRACED_CHILD_H_
