#!/usr/bin/env bash
# Holds the graph of what is shipped against the dependency rule (BUILD.bazel at the root). Visibility says who may use a
# target; this test says that no visibility was widened too far.
#
#   proto <- dpkde <- index <- tools        (A <- B: B uses A)
#   base <- io, similarity, noise, privacy <- designs <- planner <- sketch <- classifier        (inside dpkde)
#
# Besides: FAISS is named by index/ann alone, index/ uses neither noise nor accumulators, and nothing that is shipped
# uses tests.
set -euo pipefail

# Reads a graph (lines like '"//a:b" -> "//c:d"') and prints one line for each edge that breaks the rule.
violations() {
  awk -F'"' '
    BEGIN {
      split("base:0 io:1 similarity:1 noise:1 privacy:1 designs:2 planner:3 sketch:4 classifier:5", ranks, " ")
      for (i in ranks) { split(ranks[i], pair, ":"); rank[pair[1]] = pair[2] }
    }

    # "//dpkde/base:sha256" is in the house dpkde and its room base.
    function house(label) { return label ~ /^@faiss\/\// ? "faiss" : label ~ /^@/ ? "outside" : part(label, 1) }
    function room(label) { return part(label, 2) }
    function part(label, i,  package, names) {
      package = substr(label, 3)
      sub(/:.*/, "", package)
      split(package, names, "/")
      return names[i]
    }
    function bad(reason) { print $2 " -> " $4 ": " reason }

    !/->/ { next }
    { uses[$2] = uses[$2] " " $4; from = house($2); to = house($4) }

    # The root package ("") holds package groups.
    from == "faiss" || from == "outside" || to == "outside" || to == "" { next }
    to == "tests" { bad("nothing that is shipped uses tests") }
    to == "faiss" && !(from == "index" && room($2) == "ann") { bad("only index/ann names FAISS") }
    from == "proto" && to != "proto" { bad("proto uses nothing of ours") }
    from == "dpkde" && to ~ /^(index|tools)$/ { bad("dpkde uses neither index nor tools") }
    from == "dpkde" && to == "dpkde" {
      if (!(room($2) in rank) || !(room($4) in rank)) bad("a room of dpkde that this test does not know")
      else if (rank[room($4)] > rank[room($2)]) bad(room($2) " stands below " room($4))
    }
    from == "index" && to == "tools" { bad("index does not use tools") }
    from == "index" && $4 ~ /^\/\/dpkde\/noise[:\/]/ { bad("index does not use noise") }

    END {
      # Accumulators hold raw sums: index/ may not reach them by any way.
      for (label in uses) if (house(label) == "index") queue[++last] = label
      for (first = 1; first <= last; ++first) {
        if (seen[queue[first]]++) continue
        if (queue[first] ~ /^\/\/dpkde\/sketch:accumulator$/) print "index reaches " queue[first]
        count = split(uses[queue[first]], next_labels, " ")
        for (i = 1; i <= count; ++i) queue[++last] = next_labels[i]
      }
    }'
}

failures=0
fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

readonly graph=$1
found=$(violations <"$graph")
[[ -z $found ]] || fail "the dependency rule is broken:"$'\n'"$found"

# The graph is the one that is meant: every house is in it.
for label in //proto: //dpkde/base: //dpkde/sketch:accumulator //index/ann: //tools: @faiss//:; do
  grep -q -- "\"$label.* -> \|-> \"$label" "$graph" || fail "$label is not in the graph"
done

# Negative controls: one wrong edge in the real graph is seen.
while read -r from to reason; do
  found=$({ cat "$graph"; echo "  \"$from\" -> \"$to\""; } | violations)
  [[ $found == *"$reason"* ]] || fail "$from -> $to was not seen (wanted: $reason; got: $found)"
done <<'CONTROLS'
//dpkde/similarity:similarity @faiss//:faiss only index/ann names FAISS
//tools:query_search @faiss//:faiss only index/ann names FAISS
//index/search:searcher @faiss//:faiss only index/ann names FAISS
//proto:density_proto //dpkde/base:sha256 proto uses nothing of ours
//dpkde/sketch:release //index/ann:vector_index dpkde uses neither index nor tools
//dpkde/io:file //tools:exit_code dpkde uses neither index nor tools
//dpkde/base:sha256 //dpkde/io:file base stands below io
//dpkde/designs:design //dpkde/sketch:release designs stands below sketch
//dpkde/noise:mechanism //dpkde/planner:planner noise stands below planner
//dpkde/helpers:helpers //dpkde/base:sha256 a room of dpkde that this test does not know
//index/ann:vector_index //tools:exit_code index does not use tools
//index/ann:vector_index //dpkde/noise:bit_source index does not use noise
//index/ann:vector_index //dpkde/sketch:accumulator index reaches //dpkde/sketch:accumulator
//index/ann:vector_index //tools:build_density index reaches //dpkde/sketch:accumulator
//tools:dpkde_query //tests/testing:seeded_bit_source nothing that is shipped uses tests
CONTROLS

# And right edges are let through.
while read -r from to; do
  found=$({ cat "$graph"; echo "  \"$from\" -> \"$to\""; } | violations)
  [[ -z $found ]] || fail "$from -> $to is allowed, but: $found"
done <<'CONTROLS'
//index/search:searcher //dpkde/sketch:release
//index/search:searcher //index/ann:vector_index
//tools:query_search //index/ann:vector_index
//tools:build_density //dpkde/noise:bit_source
//dpkde/classifier:classifier //dpkde/sketch:accumulator
//dpkde/noise:mechanism //dpkde/privacy:privacy_spec
CONTROLS

((failures == 0)) && echo "the graph keeps the dependency rule"
