#!/usr/bin/env python3
"""Does a model's step give PyTorch's loss and gradients, in double precision?

    parity.py MODEL DUMP_STEP      DUMP_STEP: the program pytorch_dump_step
    parity.py --complete DUMP_STEP MODEL…   has every model of the zoo a twin, and a test of its own?

Exit code 77, a skip, where PyTorch or torchvision is missing.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77
# What a difference of sums in another order may come to, relative to a tensor's largest value.
BOUND = 1e-9
# A tensor's largest value counts as at least this share of the largest of all: some gradients are
# zero but for rounding (a bias before batch_norm, say).
SMALLEST_SCALE = 1e-6

try:
    import torch
    import zoo
except ImportError as missing:
    print(f"parity.py: Skipped\n{missing} (python3-torch and python3-torchvision are needed)")
    sys.exit(SKIPPED)


def complete(dump_step, tested):
    zoo_models = set(subprocess.run([dump_step, "--models"], check=True, capture_output=True, text=True).stdout.split())
    wrong = 0
    for what, models in (("a twin in tests/pytorch/zoo.py", set(zoo.MODELS)),
                         ("a test in tests/pytorch/CMakeLists.txt", set(tested))):
        for name in sorted(zoo_models - models):
            print(f"{name} has not {what}")
            wrong += 1
        for name in sorted(models - zoo_models):
            print(f"{name} has {what}, but is no model of the zoo")
            wrong += 1
    print(f"{len(zoo_models)} models")
    return 1 if wrong or not zoo_models else 0


def read_tensors(folder, step):
    path = folder / "tensors"
    everything = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)

    def read(entry):
        dtype, size = {"f64": (torch.float64, 8), "i32": (torch.int32, 4)}[entry["dtype"]]
        end = entry["offset"] + size * math.prod(entry["shape"])
        return everything[entry["offset"]:end].view(dtype).view(entry["shape"])

    return {kind: {entry["name"]: read(entry) for entry in step[kind]}
            for kind in ("sources", "weights", "gradients", "after")}


def differences(ours, theirs):
    """(relative difference, name) of every tensor; not a number counts as infinite."""
    largest = max(float(t.abs().max()) for t in theirs.values())
    for name, b in theirs.items():
        difference = (ours[name] - b).abs().max()
        scale = max(float(b.abs().max()), SMALLEST_SCALE * largest)
        relative = float(difference) / scale if scale > 0 else float(difference)
        yield (relative if relative == relative else float("inf")), name


def compare(model, dump_step):
    twin, batch, parameters = zoo.MODELS[model]
    with tempfile.TemporaryDirectory(prefix="soapstone-parity-") as name:
        folder = pathlib.Path(name)
        command = [dump_step, name, model, str(batch)] + [f"{key}={value}" for key, value in parameters.items()]
        code = subprocess.run(command).returncode
        if code != 0:
            print(f"{model}: exit code {code} of: {' '.join(command)}")
            return 1
        step = json.loads((folder / "step.json").read_text())
        read = read_tensors(folder, step)
    trained = set(read["gradients"])
    if trained & set(read["after"]) or trained | set(read["after"]) != set(read["weights"]):
        print(f"{model}: every weight must have a gradient, or be a state")
        return 1
    sources = {key: t.long() if t.dtype == torch.int32 else t for key, t in read["sources"].items()}
    weights = {key: t.requires_grad_(key in trained) for key, t in read["weights"].items()}
    loss = twin(step.get("parameters", {}), sources, weights)
    loss.backward()
    unused = [key for key in trained if weights[key].grad is None]
    if unused:
        print(f"{model}: the twin does not use {', '.join(sorted(unused))}")
        return 1

    found = [("loss", *pair) for pair in differences({"loss": torch.tensor(step["loss"])}, {"loss": loss.detach()})]
    found += [("gradient", *pair) for pair in differences(read["gradients"], {key: weights[key].grad for key in trained})]
    if read["after"]:
        found += [("state", *pair) for pair in differences(read["after"], {key: weights[key] for key in read["after"]})]
    failed = sorted((entry for entry in found if not entry[1] <= BOUND), key=lambda entry: -entry[1])
    worst = max(found, key=lambda entry: entry[1])
    print(f"{model}: loss {float(loss):.6f}, {len(trained)} gradients, {len(read['after'])} states; "
          f"worst difference {worst[1]:.2g} ({worst[0]} {worst[2]}), {BOUND:.0e} is allowed")
    for kind, relative, key in failed[:20]:
        print(f"  {kind} {key}: {relative:.3g}")
    if failed:
        print(f"{len(failed)} of {len(found)} differ; repeat: {sys.executable} {' '.join(sys.argv)}")
    return 1 if failed else 0


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    if sys.argv[1] == "--complete":
        return complete(sys.argv[2], sys.argv[3:])
    if sys.argv[1] not in zoo.MODELS:
        print(f"{sys.argv[1]} has no twin in {zoo.__file__}")
        return 1
    return compare(sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    sys.exit(main())
