#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the benchmarks of a release build: a table on the screen, JSON beside the build.
# usage: bench/run.sh BUILD-DIRECTORY [--quick] [--only-commits] [--only-received] [--only-peers] [--only-joins] [--only-iroh] [--cpu]
set -eu
build=${1:?usage: bench/run.sh BUILD-DIRECTORY [--quick] [--only-commits] [--only-received] [--only-peers] [--only-joins] [--only-iroh] [--cpu]}
shift
"$build/bench/eidetica-bench" --json "$build/bench.json" "$@"
echo "written: $build/bench.json"
