#!/usr/bin/env bash
# Trains what docs/results.md reports, each by a searched strategy of two ranks with one thread each.
# Usage: scripts/results.sh [RESULTS FOLDER] [fashion|language|translation ...]; default: results, all.
# Needs Debian's wordnet-base (language) and libreoffice-l10n-de (translation) beside what scripts/setup.sh
# installs. What a folder holds already of local.toml is kept; everything else is made again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
results=${1:-results}
(($# > 0)) && shift
what=("$@")
(($# > 0)) || what=(fashion language translation)

# All that may be missing is told before the hours of work.
refuse() { printf 'results: %s\n' "$1" >&2; exit 2; }
for one in "${what[@]}"; do
  case $one in
    fashion) ;;
    language) [[ -e /usr/share/wordnet/data.noun ]] || refuse 'language needs the package wordnet-base' ;;
    translation)
      [[ -d /usr/lib/libreoffice/program/resource/de ]] || refuse 'translation needs the package libreoffice-l10n-de'
      ;;
    *) refuse "unknown training $one; accepted: fashion, language, translation" ;;
  esac
done

scripts/setup.sh
cmake --preset release
cmake --build --preset release -j 2 --target soapstone_cli
soapstone=$PWD/build/release/bin/soapstone
mkdir -p "$results"
[[ -f $results/local.toml ]] || "$soapstone" clusters local --ranks 2 --out "$results/local.toml"

# train_by_search NAME MODEL ARGUMENTS... -- TRAINING ARGUMENTS...
train_by_search() {
  local name=$1 model=()
  shift
  while [[ $1 != -- ]]; do
    model+=("$1")
    shift
  done
  shift
  "$soapstone" search "${model[@]}" --cluster "$results/local.toml" --budget 10s --seed 1 \
    --out "$results/$name.json"
  "$soapstone" train "${model[@]}" --cluster "$results/local.toml" --ranks 2 --threads 1 \
    --strategy "$results/$name.json#1" --seed 1 --metrics "$results/$name.jsonl" \
    --checkpoint "$results/$name.ck" "$@" 2>&1 | tee "$results/$name.log"
}

curve() {
  local baseline
  baseline=$(sed -n 's/^unigram baseline.*: \([0-9.]*\) nats.*/\1/p' "$results/$1.log")
  python3 scripts/plot_metrics.py "$results/$1.jsonl" "$results/$1.svg" --title "$2" \
    ${baseline:+--baseline "$baseline"}
}

for one in "${what[@]}"; do
  case $one in
    fashion)
      train_by_search fashion-cnn fashion-cnn --batch 128 -- \
        --data fashion-mnist --epochs 5 --lr 0.05 --lr-schedule cosine
      curve fashion-cnn 'fashion-cnn on Fashion-MNIST'
      ;;
    language)
      gpt=(gpt --batch 16 --layers 4 --hidden 128 --heads 4 --seq 64 --positions 64 --vocab 1024
        --dropout 0)
      train_by_search gpt "${gpt[@]}" -- --data wordnet --epochs 1 --optimizer adamw --lr 0.002 \
        --warm-up 100 --lr-schedule cosine --clip-norm 1
      curve gpt 'gpt, 4 layers of 128, on the glosses of WordNet'
      "$soapstone" generate "${gpt[@]}" --data wordnet --checkpoint "$results/gpt.ck" --count 5 |
        tee "$results/gpt.txt"
      ;;
    translation)
      nmt=(nmt --batch 32 --layers 1 --hidden 192 --embedding 192 --seq 20 --chunk 20
        --vocab 2048)
      train_by_search nmt "${nmt[@]}" -- --data gettext --epochs 10 --optimizer adamw --lr 0.002 \
        --lr-schedule cosine --clip-norm 1
      curve nmt 'nmt, one layer of 192, on the messages of LibreOffice'
      "$soapstone" generate "${nmt[@]}" --data gettext --checkpoint "$results/nmt.ck" --count 12 |
        tee "$results/nmt.txt"
      ;;
  esac
done
