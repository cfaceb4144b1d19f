#ifndef DPKDE_TOOLS_RUN_TOOLS_H_
#define DPKDE_TOOLS_RUN_TOOLS_H_

namespace dpkde {

// The two tools: what main does, and returns.
int RunDpkdeBuild(int argc, char** argv);
int RunDpkdeQuery(int argc, char** argv);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_RUN_TOOLS_H_
