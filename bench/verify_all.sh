#!/usr/bin/env bash
# Trains small models by 200 random strategies each on 2 to 6 ranks and on one device, in double
# precision, and prints the worst relative differences.
# Usage: bench/verify_all.sh build/release/bin/soapstone [BACKEND...]; default: local mpi.
set -euo pipefail
soapstone=$1
shift
(($# > 0)) || set -- local mpi
status=0
for backend in "$@"; do
  for model in mlp inception-block transformer-block; do
    for ranks in 2 3 4 5 6; do
      "$soapstone" verify "$model" --backend "$backend" --ranks "$ranks" --random 40 --steps 20 \
        --seed "$ranks" 2>/dev/null || status=1
    done
  done
done
exit "$status"
