#!/usr/bin/env bash
# Runs a walk-through with an empty home folder, in which it must leave nothing.
# Usage: run_sample.sh SCRIPT FOLDER. Exit code: the script's; its 77 is a counted skip.
set -uo pipefail
script=$1 folder=$2
rm -rf "$folder"
mkdir -p "$folder/home"
export HOME=$folder/home
status=0
"$script" "$folder/results" 2>"$folder/stderr.txt" || status=$?
cat "$folder/stderr.txt" >&2
if ((status == 77)); then
  printf '%s: Skipped\n%s\n' "$(basename "$script")" "$(tail -n 1 "$folder/stderr.txt")"
fi
if [[ -n "$(ls -A "$HOME")" ]]; then
  printf 'run_sample: %s left these in the home folder: %s\n' "$script" "$(ls -A "$HOME")" >&2
  exit 1
fi
exit "$status"
