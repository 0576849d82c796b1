# shellcheck shell=bash
# What the walk-throughs share. Each begins with: source "$(dirname "$0")/common.sh"
set -euo pipefail

samples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sample=$(basename "$0" .sh)

# A part is missing here: says so, leaves nothing, and ends with 77.
gone() {
  printf '%s: %s\n' "$sample" "$*" >&2
  [[ -z ${results:-} ]] || rmdir --ignore-fail-on-non-empty "$results"
  exit 77
}

# The program: $SOAPSTONE, else what was built in this checkout, else what is installed.
find_program() {
  local candidate
  for candidate in "${SOAPSTONE:-}" "$samples"/../build/{release,dev,ci}/bin/soapstone; do
    if [[ -n $candidate && -x $candidate ]]; then realpath "$candidate"; return; fi
  done
  command -v soapstone || true
}
[[ -z ${SOAPSTONE:-} || -x $SOAPSTONE ]] || gone "SOAPSTONE=$SOAPSTONE is no program"
program=$(find_program)
[[ -n $program ]] || gone "there is no soapstone: build it (cmake --preset release && cmake --build \
--preset release --target soapstone_cli), install it, or set SOAPSTONE to the program"
command -v python3 >/dev/null || gone 'python3 is missing; it checks the results'

# Everything is written into one folder, the first argument; default: one below the temporary folder.
# Measured costs go there too, so that nothing of yours changes.
(($# <= 1)) || { printf 'usage: %s [FOLDER FOR RESULTS]\n' "$0" >&2; exit 2; }
results=${1:-$(mktemp -d "${TMPDIR:-/tmp}/soapstone-$sample-XXXXXX")}
mkdir -p "$results"
cd "$results"
results=$PWD
export XDG_CACHE_HOME=$PWD/cache

say() { printf '\n%s\n' "$*" | fmt -w 100; }

# Runs soapstone and shows the command line, also where the output goes elsewhere.
exec 3>&1
soapstone() {
  printf '\n$ soapstone %s\n' "$*" >&3
  "$program" "$@"
}

# need PART WHY: ends the walk-through where `soapstone doctor` does not find a part.
need() {
  local why
  why=$("$program" doctor --json | python3 -c '
import json, sys
found = {c["name"]: c for c in json.load(sys.stdin)["checks"]}.get(sys.argv[1])
if not found or not found["ok"]:
    print(found["found"] if found else "not built in")
    sys.exit(1)' "$1") ||
    gone "$2 needs $1: $why; \`soapstone doctor\` lists what is there"
}

# check SENTENCE: runs the Python program on stdin; what it prints is shown, and a failed assert ends
# the walk-through.
check() {
  printf '\nCheck: %s.\n' "$1"
  python3 - || { printf '%s: this does not hold: %s\n' "$sample" "$1" >&2; exit 1; }
}

finish() { say "Done. All files lie in $results."; }
