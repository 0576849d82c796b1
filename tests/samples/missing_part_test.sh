#!/usr/bin/env bash
# A walk-through says what is missing: here a soapstone whose doctor does not find mpirun.
# Usage: missing_part_test.sh SOAPSTONE SAMPLES FOLDER
set -uo pipefail
soapstone=$1 samples=$2 folder=$3
rm -rf "$folder"
mkdir -p "$folder"
cat >"$folder/soapstone" <<FAKE
#!/bin/sh
if [ "\$1" != doctor ]; then echo "\$1 was asked for" >&2; exit 9; fi
echo '{"checks": [{"name": "MPI", "ok": true, "found": ""},
                  {"name": "mpirun", "ok": false, "found": "not on PATH; package openmpi-bin"}]}'
FAKE
chmod +x "$folder/soapstone"

# expect PROGRAM SENTENCE: exit code 77 and this sentence.
expect() {
  local said status=0
  said=$(SOAPSTONE=$1 "$samples/5-resume-under-another-number-of-ranks.sh" "$folder/results" 2>&1) || status=$?
  printf '%s\n' "$said"
  if ((status != 77)) || ! grep -qF -- "$2" <<<"$said"; then
    printf 'expected exit code 77, not %d, and: %s\n' "$status" "$2" >&2
    exit 1
  fi
}
expect "$folder/soapstone" 'training on several ranks needs mpirun: not on PATH; package openmpi-bin'
expect "$folder/none" "SOAPSTONE=$folder/none is no program"

# The real one has what its own doctor finds.
"$soapstone" doctor --json | grep -q '"name": "mpirun"'
