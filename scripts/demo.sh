#!/usr/bin/env bash
# One run of everything: measures this machine, searches a strategy for two ranks, predicts its step,
# trains Fashion-MNIST with it, and shows prediction beside measurement, also as a page.
# Usage: scripts/demo.sh [RESULTS FOLDER]; default demo-results. Quick the second time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
results=${1:-demo-results}
model=(fashion-cnn --batch 128)
ranks=2
epochs=${SOAPSTONE_DEMO_EPOCHS:-5}

started=$SECONDS
step() { printf '== %s\n' "$*"; }

scripts/setup.sh
step 'configure: release'
cmake --preset release >build-demo.log 2>&1 || { cat build-demo.log; exit 1; }
rm -f build-demo.log
step 'build: soapstone'
cmake --build --preset release -j 2 --target soapstone_cli
soapstone=build/release/bin/soapstone
mkdir -p "$results"

step "measure: this machine as $ranks ranks"
"$soapstone" clusters local --ranks "$ranks" --out "$results/local.toml"
step 'measure: the kernels that the strategies of the model need'
"$soapstone" profile "${model[@]}" --cluster "$results/local.toml"
step 'search'
"$soapstone" search "${model[@]}" --cluster "$results/local.toml" --budget 10s --seed 1 --out "$results/ranked.json"
step 'measure: the kernels of the best strategies'
"$soapstone" profile "${model[@]}" --cluster "$results/local.toml" --strategy "$results/ranked.json#1"
step 'predict'
"$soapstone" simulate "${model[@]}" --cluster "$results/local.toml" --strategy "$results/ranked.json#1" \
  --trace "$results/predicted.json"
step "train: Fashion-MNIST, $epochs epochs on $ranks ranks"
"$soapstone" train "${model[@]}" --data fashion-mnist --cluster "$results/local.toml" --ranks "$ranks" \
  --strategy "$results/ranked.json#1" --epochs "$epochs" --metrics "$results/metrics.jsonl" \
  --trace "$results/measured.json"
step 'report'
"$soapstone" report "${model[@]}" --cluster "$results/local.toml" --strategy "$results/ranked.json#1" \
  --ranked "$results/ranked.json" --predicted "$results/predicted.json" --measured "$results/measured.json" \
  --metrics "$results/metrics.jsonl" --out "$results/report" >/dev/null
cat "$results/report/summary.md"
step "done in $((SECONDS - started)) s; everything lies in $results/"
step "open $(realpath "$results/report/index.html") in a browser"
