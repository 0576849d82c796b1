#!/usr/bin/env bash
# Writes pictures of ten states of the explorer (docs/explorer.md) into a folder. Usage: scripts/screenshots.sh DIR [BUILD]
# BUILD (build/release, else build/ci) has the tests, which drive the window under an Xvfb of their
# own and stop where a picture is worth it.
set -euo pipefail
if (($# < 1 || $# > 2)); then
  printf 'screenshots: usage: scripts/screenshots.sh DIR [BUILD]\n' >&2
  exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${2:-}
for candidate in build/release build/ci; do
  [[ -n $build || ! -x $candidate/tests/explorer_gui/explorer_window_tests ]] || build=$candidate
done
tests=$build/tests/explorer_gui/explorer_window_tests
if [[ ! -x $tests ]]; then
  printf 'screenshots: %s is not there; build the tests first (scripts/test.sh), or name the build folder\n' \
    "$tests" >&2
  exit 1
fi
command -v Xvfb >/dev/null || { printf 'screenshots: there is no Xvfb; package xvfb\n' >&2; exit 3; }
SOAPSTONE_SCREENSHOTS=$folder OMP_PROC_BIND=false OMP_NUM_THREADS=2 \
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
  "$tests" --gtest_brief=1 --gtest_filter='Pictures*:*ATrainingOnTwoRanks*'
ls "$folder"/*.png
