#include "dpkde/tools/run_tools.h"

int main(int argc, char** argv) { return dpkde::RunDpkdeQuery(argc, argv); }
