#!/usr/bin/env bash
# Searches a strategy for two ranks of this machine, trains by it, and on one device for comparison.
source "$(dirname "$0")/common.sh"
need MPI 'training on two ranks'
need mpirun 'training on two ranks'
need Fashion-MNIST 'this training'
model=(fashion-cnn --batch 64)

say "1. A search needs to know the machine. This measures it as a cluster of two devices that share its \
cores, and writes what it found as a file that you can read and edit."
soapstone clusters local --ranks 2 --out local.toml >/dev/null
grep -E '^(peak|memory|bandwidth|latency)' local.toml

say "2. The search tries 300 changes of a strategy and simulates the step of each. \`conv1…pool2 n=2 on \
0-1\` reads: these operators are cut in two along the samples (n), one part on each device; \`i\` and \
\`o\` cut a linear layer's inputs or outputs. \`…\` at the end: open ranked.json for the rest."
soapstone search "${model[@]}" --cluster local.toml --budget 300 --seed 1 --top 3 --out ranked.json

say "3. So far the kernels' times came from a formula, the roofline. This measures those that the best \
strategy needs, and predicts its step again."
soapstone profile "${model[@]}" --cluster local.toml --strategy ranked.json#1 --time 10ms
soapstone simulate "${model[@]}" --cluster local.toml --strategy ranked.json#1

say "4. Train 24 steps by that strategy. Soapstone starts the two ranks itself, under mpirun."
soapstone train "${model[@]}" --data fashion-mnist --cluster local.toml --strategy ranked.json#1 \
  --steps 24 --no-evaluate --metrics two-ranks.jsonl

say "5. The same training on one device, with the same seed."
soapstone train "${model[@]}" --data fashion-mnist --strategy single --steps 24 --no-evaluate \
  --metrics one-device.jsonl

check 'the strategy changed where the work is done, and not what is learnt' <<'PYTHON'
import json

def losses(file):
    return [r["loss"] for r in map(json.loads, open(file)) if r["kind"] == "step"]

two, one = losses("two-ranks.jsonl"), losses("one-device.jsonl")
print("step   two ranks   one device")
for step in (1, 8, 16, 24):
    print(f"{step:4}   {two[step - 1]:9.6f}   {one[step - 1]:10.6f}")
assert len(two) == len(one) == 24
# Sums of f32 in another order: the difference is of the last digits, and grows a little with the steps.
assert all(abs(a - b) < 1e-3 * b for a, b in zip(two, one)), "the losses differ"
assert two[-1] < 0.7 * two[0], "nothing was learnt"
PYTHON

check 'the best strategy uses both devices, and is predicted to be no slower than data parallelism' <<'PYTHON'
import json

ranked = json.load(open("ranked.json"))
best = ranked["strategies"][0]
times = {s["origin"]: s["step_time_ns"] / 1e6 for s in reversed(ranked["strategies"])}
print(f"best {best['step_time_ns'] / 1e6:.1f} ms, data parallelism {times['data-parallel']:.1f} ms")
assert {d for op in best["strategy"]["ops"].values() for d in op["devices"]} == {0, 1}
assert best["step_time_ns"] / 1e6 <= times["data-parallel"]
PYTHON
finish
