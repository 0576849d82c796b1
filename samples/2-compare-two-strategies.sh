#!/usr/bin/env bash
# Simulates AlexNet by two strategies on a described cluster of 16 P100, and finds out why one is faster.
source "$(dirname "$0")/common.sh"
model=(alexnet --batch 64 --cluster p100-4x4)

say "1. Data parallelism: every device has all weights and a sixteenth of the samples. The trace keeps \
when each device did what."
soapstone simulate "${model[@]}" --strategy data-parallel --trace data-parallel.json

say "2. The experts' strategy (Krizhevsky's \"one weird trick\"): the same for the convolutions, but the \
linear layers are cut along their outputs (o=16), so that each device has a sixteenth of their weights."
soapstone simulate "${model[@]}" --strategy expert --trace expert.json

say "3. Compare the two, operator by operator. Both traces are predictions, so that diff calls them first \
and second; \`waiting\` is the time that devices spend waiting for others."
soapstone diff data-parallel.json expert.json --rows 8
soapstone diff data-parallel.json expert.json --json >diff.json

say "4. The same as pages to look at: open expert/index.html in a browser, or read expert/summary.md."
soapstone report "${model[@]}" --strategy expert --out expert
soapstone report "${model[@]}" --strategy data-parallel --out data-parallel >/dev/null

check 'why: data parallelism spends the step on adding up the gradients of fc6, fc7 and fc8' <<'PYTHON'
import csv, json

diff = json.load(open("diff.json"))["diff"]
first, second = (diff["step"][k] / 1e6 for k in ("predicted_ns", "measured_ns"))
print(f"a step takes {first:.1f} ms by data parallelism and {second:.1f} ms by the experts' strategy")
assert first > 5 * second
tops = [label["name"] for label in diff["labels"][:3]]
assert all(top.endswith("gradient all-reduce") for top in tops), tops

def moved(folder):  # MiB between devices, and of it for the linear layers
    table = csv.DictReader(open(f"{folder}/ops.csv"))
    rows = {r["operator"]: int(r["moved_bytes"]) / 2**20 for r in table}
    return sum(rows.values()), sum(rows[fc] for fc in ("fc6", "fc7", "fc8"))

(all_first, linear_first), (all_second, linear_second) = moved("data-parallel"), moved("expert")
print(f"data parallelism moves {all_first:.0f} MiB, {linear_first:.0f} of them for fc6, fc7 and fc8;")
print(f"the experts' strategy {all_second:.0f} MiB, {linear_second:.0f} of them for these")
assert linear_first > 0.9 * all_first and linear_second < linear_first / 50
PYTHON
say "In words: the three linear layers hold 96 % of AlexNet's weights and do little of its work. Copies of \
them must agree after every step, which moves their gradients through the network. Cut along their \
outputs they have no copies: what moves instead is their inputs, and the gradients of these, less than a \
fiftieth of that."
finish
