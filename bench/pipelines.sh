#!/usr/bin/env bash
# Predicted and measured steps of five pipeline schedules between shaped hosts (scripts/shaped_hosts.sh).
#
#   bench/pipelines.sh PROGRAM [HOSTS] [RATE]
#
# With 2 hosts (the default) everything is real. With 3 or 4, which would share cores, computing is
# paced: costs of operators are measured on 2 hosts first. RATE: of each adapter, 1gbit by default.
# Exit code 77 where hosts cannot be made; else that of the first command that fails.
set -euo pipefail
(($# >= 1)) || { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2; }
program=$(realpath "$1")
hosts=${2:-2} rate=${3:-1gbit}
model=(gpt --layers 8 --hidden 256 --heads 8 --seq 64 --vocab 2000 --batch 16)
schedules=(gpipe 1f1b zb-h1 interleaved-1f1b,vp=2 zb-v)
# Interleaving wants a multiple of the ranks; there are 8 micro-batches.
((hosts == 3)) && schedules=(gpipe 1f1b zb-h1 zb-v)
strategy() { printf 'dp=1,pp=%s,micro_batch=2,schedule=%s' "$1" "$2"; }

# What follows runs on the first host, in a folder of its own.
case ${SOAPSTONE_PIPELINES:-} in
  costs)
    strategies=()
    for s in "${schedules[@]}"; do strategies+=(--strategy "$(strategy 2 "$s")"); done
    "$program" clusters local --ranks 2 --out 2.toml >/dev/null
    "$program" profile "${model[@]}" --cluster 2.toml --ranks 2 "${strategies[@]}" --known again \
      --database costs.sqlite >/dev/null
    exit
    ;;
  compare)
    pace=()
    if ((hosts > 2)); then
      pace=(--pace --database costs.sqlite)
      "$program" clusters local --ranks "$hosts" --out "$hosts.toml" >/dev/null
    fi
    for s in "${schedules[@]}"; do
      common=("${model[@]}" --cluster "$hosts.toml" --parallel "$(strategy "$hosts" "$s")")
      "$program" simulate "${common[@]}" --database costs.sqlite --trace predicted.json >/dev/null
      "$program" train "${common[@]}" --ranks "$hosts" --steps 20 --no-evaluate "${pace[@]}" \
        --trace measured.json >/dev/null
      printf '%s\n' "$(strategy "$hosts" "$s")"
      "$program" diff predicted.json measured.json | sed -n '1,3s/^/  /p'
    done
    exit
    ;;
esac

self=$(realpath "${BASH_SOURCE[0]}")
shaped=$(dirname "$self")/../scripts/shaped_hosts.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
SOAPSTONE_PIPELINES=costs "$shaped" -n 2 -r "$rate" -- "$self" "$program"
SOAPSTONE_PIPELINES=compare "$shaped" -n "$hosts" -r "$rate" -- "$self" "$program" "$hosts"
