#!/usr/bin/env bash
# The C++ of README.md stands, line by line, in the file that is compiled and run as readme_example.
set -euo pipefail
readme=$1 example=$2
snippet=$(awk '/^```cpp$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$readme")
[[ -n $snippet ]] || { echo "README.md has no C++ example"; exit 1; }
[[ $(<"$example") == *"$snippet"* ]] || {
  echo "the example in README.md differs from $example:"
  diff <(printf '%s\n' "$snippet") "$example" | grep '^<' || true
  exit 1
}
# The control: a changed snippet is noticed.
[[ $(<"$example") != *"${snippet/kAddRemove/kReplace}"* ]] || { echo "this test cannot fail"; exit 1; }
