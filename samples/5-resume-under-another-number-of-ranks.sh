#!/usr/bin/env bash
# Interrupts a training on two ranks and goes on with two, one and three, under other strategies.
source "$(dirname "$0")/common.sh"
need MPI 'training on several ranks'
need mpirun 'training on several ranks'
train=(train mlp --batch 96 --seed 3 --no-evaluate --threads 1)

say "1. The whole training, 20 steps on 2 ranks, for comparison."
soapstone "${train[@]}" --ranks 2 --steps 20 --metrics whole.jsonl

say "2. The same, but only 8 steps. A checkpoint holds the weights, the optimizer's state and the place \
in the data, and nothing of how the weights were cut."
soapstone "${train[@]}" --ranks 2 --steps 8 --metrics begin.jsonl --checkpoint training.ckpt

say "3. Go on to step 20 with the same two ranks,"
soapstone "${train[@]}" --ranks 2 --steps 20 --resume training.ckpt --metrics two.jsonl
say "with one,"
soapstone "${train[@]}" --ranks 1 --strategy single --steps 20 --resume training.ckpt --metrics one.jsonl
say "and with three that cut the weights. On a machine of two cores this is slow and says so."
soapstone "${train[@]}" --ranks 3 --strategy expert --steps 20 --resume training.ckpt --metrics three.jsonl

check 'the losses go on as if nothing had happened' <<'PYTHON'
import json

def losses(file):
    return {r["step"]: r["loss"] for r in map(json.loads, open(file)) if r["kind"] == "step"}

whole, begin = losses("whole.jsonl"), losses("begin.jsonl")
rest = {ranks: losses(f"{ranks}.jsonl") for ranks in ("one", "two", "three")}
print("step      whole        one        two      three rank(s)")
for step in (8, 9, 14, 20):
    known = [begin.get(step)] * 3 if step <= 8 else [rest[r][step] for r in ("one", "two", "three")]
    print(f"{step:4}  " + "  ".join(f"{loss:9.6f}" for loss in [whole[step], *known]))
assert sorted(begin) == list(range(1, 9)) and all(sorted(r) == list(range(9, 21)) for r in rest.values())
# The same ranks and strategy: the same bits.
assert begin | rest["two"] == whole
# Others add up in another order: the same but for the last digits of f32.
for ranks in ("one", "three"):
    worst = max(abs(loss / whole[step] - 1) for step, loss in rest[ranks].items())
    print(f"{ranks}: at most {worst:.1e} off")
    assert worst < 1e-5, ranks
assert abs(whole[20] / whole[8] - 1) > 1e-3, "these losses would be the same whatever was resumed"
PYTHON
finish
