#!/usr/bin/env bash
# What scripts rely on: exit codes and output of 'dpkde_build ledger' and of 'dpkde_query describe' on its files.
set -uo pipefail
readonly build=$PWD/$1 query=$PWD/$2
cd "$TEST_TMPDIR" || exit 1

failures=0
# expect CODE TEXT COMMAND...: the exit code, and a part of what is printed.
expect() {
  local code=$1 text=$2 output actual
  shift 2
  output=$("$@" 2>&1)
  actual=$?
  if [[ $actual != "$code" || $output != *"$text"* ]]; then
    echo "FAILED: $*: exit $actual (wanted $code), output (wanted: $text): $output"
    failures=$((failures + 1))
  fi
}
ledger() { "$build" ledger "$@"; }

expect 0 'left: epsilon = 1' ledger --ledger=pure --dataset=visits --budget_epsilon=1.0 --neighboring=add_remove
expect 0 'epsilon = 1, delta = 1e-6 (epsilon_delta), replace' \
  ledger --ledger=sums --dataset=visits --budget_epsilon=1 --budget_delta=0.000001 --neighboring=replace
expect 0 'left: mu^2 = 0.05602' ledger --ledger=gaussian --dataset=visits --budget_epsilon=1 --budget_delta=1e-6 \
  --neighboring=add_remove --composition=gaussian
expect 0 'left: rho = 0.02435' ledger --ledger=zcdp --dataset=visits --budget_epsilon=1 --budget_delta=1e-6 \
  --neighboring=add_remove --composition=zcdp
expect 0 'rho = 0.5 (zcdp)' ledger --ledger=rho --dataset=visits --budget_rho=0.5 --neighboring=add_remove
[[ -z $(ledger --quiet --ledger=quiet --dataset=visits --budget_rho=0.5 --neighboring=add_remove 2>&1) ]] ||
  expect 0 '--quiet prints nothing' false

# A declared budget stays, whatever is asked.
expect 1 'never changed' ledger --ledger=pure --dataset=visits --budget_epsilon=2 --neighboring=add_remove
expect 1 'never changed' ledger --ledger=pure --dataset=visits --budget_epsilon=-2 --neighboring=add_remove
expect 1 'not taken' ledger --overwrite --ledger=pure --dataset=visits --budget_epsilon=2 --neighboring=add_remove
expect 0 'budget: epsilon = 1 (pure), add_remove' "$query" describe pure

declare -r good=(--ledger=new --dataset=visits)
expect 1 '--ledger is missing' ledger --dataset=visits --budget_epsilon=1 --neighboring=replace
expect 1 '--dataset is missing' ledger --ledger=new --budget_epsilon=1 --neighboring=replace
expect 1 'printable' ledger --ledger=new --dataset='my visits' --budget_epsilon=1 --neighboring=replace
expect 1 'malformed' ledger "${good[@]}" --budget_epsilon=-1 --budget_delta=tiny --neighboring=replace
expect 1 '--composition must be one of' ledger "${good[@]}" --budget_epsilon=1 --composition=renyi
expect 1 'does not end with the name of a file' \
  ledger --ledger=missing/ --dataset=visits --budget_epsilon=1 --neighboring=replace
expect 4 '--budget_epsilon (or --budget_rho) is missing' ledger "${good[@]}" --neighboring=replace
expect 4 '--neighboring is missing' ledger "${good[@]}" --budget_epsilon=1
expect 4 '--neighboring must be' ledger "${good[@]}" --budget_epsilon=1 --neighboring=both
for bad in 0 -1 nan inf 1e-400 1001; do
  expect 4 '--budget_epsilon must' ledger "${good[@]}" --budget_epsilon=$bad --neighboring=replace
done
for bad in 0 -1e-6 1 nan; do
  expect 4 '--budget_delta must' ledger "${good[@]}" --budget_epsilon=1 --budget_delta=$bad --neighboring=replace
done
expect 4 '--budget_rho is not taken' ledger "${good[@]}" --budget_epsilon=1 --budget_rho=1 --composition=pure \
  --neighboring=replace
expect 4 '--budget_delta is missing' ledger "${good[@]}" --budget_epsilon=1 --composition=gaussian --neighboring=replace
expect 5 'does not exist' ledger --ledger=missing/new --dataset=visits --budget_epsilon=1 --neighboring=replace
[[ ! -e new ]] || expect 0 'a refused declaration leaves no file' false

expect 0 '"epsilon": "1"' "$query" describe --output_format=json pure
expect 0 '"remaining"' "$query" describe --output_format=json gaussian
head -c -1 pure >truncated
expect 3 'truncated: is truncated' "$query" describe truncated
expect 3 'is not a dpkde file' "$query" describe "$build"
expect 5 'does not exist' "$query" describe absent

((failures == 0)) && echo "the tools keep their word about ledgers"
