#!/usr/bin/env bash
# Writes the description of a cluster step by step, with the mistakes that everybody makes, and
# simulates on it.
source "$(dirname "$0")/common.sh"

# refused FILE WORD...: soapstone must refuse the file and say these words.
refused() {
  local file=$1 word
  shift
  if soapstone clusters "$file" 2>error.txt; then
    printf '%s: %s was accepted\n' "$sample" "$file" >&2
    exit 1
  fi
  cat error.txt
  for word in "$@"; do
    grep -qF -- "$word" error.txt && continue
    printf '%s: the error does not say: %s\n' "$sample" "$word" >&2
    exit 1
  done
  rm error.txt
}

say "1. A kind of device: what it can compute, hold and read. Every figure has a unit, and every table \
says where its figures come from. This one gives a rate without \"per second\":"
cat >wrong.toml <<'TOML'
name = "my-cluster"
description = "2 boxes of 2 cards each, 10 Gigabit Ethernet"

[[device_kind]]
name = "card"
peak = { f32 = "20 TFLOP" }
memory = "24 GB"
memory_bandwidth = "900 GB/s"
lanes = 2                     # a transfer can run beside a computation
launch_overhead = "5 us"      # from one kernel to the next
source = "the card's data sheet; the overhead is a guess"

[[node]]
device_kind = "card"
devices = 2

[node.interconnect]
kind = "pcie"
bandwidth = "12 GB/s"
latency = "5 us"
source = "measured with the vendor's bandwidth test"
TOML
cat wrong.toml
refused wrong.toml 'wrong.toml:6' 'device_kind[0].peak.f32' 'did you mean `TFLOP/s`'

say "2. The error names the line, the key, the value and what is accepted. Here is the next one: a \
bandwidth needs \"per second\" too."
sed 's|"20 TFLOP"|"20 TFLOP/s"|; s|"12 GB/s"|"12 GB"|' wrong.toml >wrong2.toml
refused wrong2.toml 'wrong2.toml:19' '"12 GB" is not accepted' 'GB/s'

say "3. And a time needs a unit; there is no default that could be the wrong one."
sed 's|"20 TFLOP"|"20 TFLOP/s"|; s|latency = "5 us"|latency = 5|' wrong.toml >wrong3.toml
refused wrong3.toml 'wrong3.toml:20' 'a time such as "5 us" is wanted'

say "4. Without mistakes one box is a cluster already. Simulate AlexNet on it:"
sed 's|"20 TFLOP"|"20 TFLOP/s"|' wrong.toml >one-box.toml
soapstone simulate alexnet --batch 64 --cluster one-box.toml
soapstone simulate alexnet --batch 64 --cluster one-box.toml --json >one-box.json

say "5. Two such boxes: \`count = 2\`. Boxes need a network between them:"
sed 's|^\[\[node\]\]|&\ncount = 2|' one-box.toml >two-boxes.toml
refused two-boxes.toml 'network' 'the network between 2 nodes is missing'
cat >>two-boxes.toml <<'TOML'

[network]
bandwidth = "10 Gbit/s"       # bits: 1.25 GB/s
latency = "30 us"
source = "the network card's name; the latency is measured with ping"
TOML
soapstone clusters two-boxes.toml

say "6. Is the second box worth its price? AlexNet on 4 devices, with the network as it is and ten times \
as fast:"
soapstone simulate alexnet --batch 64 --cluster two-boxes.toml
soapstone simulate alexnet --batch 64 --cluster two-boxes.toml --json >two-boxes.json
sed 's|"10 Gbit/s"|"100 Gbit/s"|' two-boxes.toml >fast-network.toml
soapstone simulate alexnet --batch 64 --cluster fast-network.toml
soapstone simulate alexnet --batch 64 --cluster fast-network.toml --json >fast-network.json
soapstone search alexnet --batch 64 --cluster two-boxes.toml --budget 300 --seed 1 --top 1 --out ranked.json

check 'by data parallelism two boxes on slow Ethernet are slower than one, by the best strategy faster' <<'PYTHON'
import json

step = {cluster: json.load(open(f"{cluster}.json"))["step_time_ns"] / 1e6
        for cluster in ("one-box", "two-boxes", "fast-network")}
best = json.load(open("ranked.json"))["strategies"][0]["step_time_ns"] / 1e6
# All gradients, 61,100,840 of 4 bytes, pass the network once each way: an all-reduce of 4 devices moves
# 2 · 3/4 of them over every link.
least = 61100840 * 4 * 1.5 / 1.25e9 * 1e3
print(f"one box {step['one-box']:.0f} ms, two boxes {step['two-boxes']:.0f} ms "
      f"(the gradients alone take {least:.0f} ms over 10 Gbit/s),")
print(f"with a faster network {step['fast-network']:.0f} ms, by the searched strategy on 10 Gbit/s {best:.0f} ms")
assert step["two-boxes"] > step["one-box"] and step["two-boxes"] > step["fast-network"]
assert 0.9 * least < step["two-boxes"] < 2 * least, "the network's bandwidth was not read as 10 Gbit/s"
assert best < step["one-box"]
PYTHON
finish
