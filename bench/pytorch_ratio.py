#!/usr/bin/env python3
"""Times one training step of Soapstone and of PyTorch in the same run, and prints the ratio.

    bench/pytorch_ratio.py build/release/bin/soapstone [--dtype f32 bf16] [--models mlp …]

A Python that has PyTorch runs the other side (bench/pytorch_models.py): this one, or --python.
Both sides train with SGD and momentum 0.9 on synthetic inputs, the same numbers of parameters and of
threads, alone on the machine and in turns; PyTorch's allocator keeps its memory (GLIBC_TUNABLES
below), since a step is up to 1.7 times slower without. Times are of single steps after warming up:
the least of all rounds, and the least of the rounds' medians. The ratio is PyTorch's least time over
Soapstone's: above 1, Soapstone is faster. Both rates count the same operations, those of
`soapstone models`. A failed side is named with its last line, and the other models go on; exit code 1
then.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

KEPT_MEMORY = ("glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296"
               ":glibc.malloc.top_pad=268435456:glibc.malloc.hugetlb=1")
MODES = {"eager": ["eager"], "compile": ["compile"], "best": ["eager", "compile"]}

# Options that make a model of the zoo the one of bench/pytorch_models.py.
MODELS = {
    "mlp": ["--batch", "256"],  # and layers of 4096, see Soapstone.model
    "fashion-cnn": ["--batch", "128"],
    "alexnet": ["--batch", "64", "--dropout", "0"],
    "resnet-50": ["--batch", "16"],
    "inception-v3": ["--batch", "8", "--dropout", "0"],
    "bert-base": ["--batch", "8", "--seq", "128", "--dropout", "0"],
    "gpt2": ["--batch", "4", "--seq", "256", "--dropout", "0"],
    "rnnlm": ["--batch", "64"],
    "dlrm": ["--batch", "2048"],
}
# Of `soapstone train` besides.
TRAINING = {"dlrm": ["--table-optimizer", "sgd"]}


class Failed(Exception):
    pass


def run(command, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip() and "--help lists" not in line]
        lines = lines or ["nothing said"]
        raise Failed(f"{pathlib.Path(command[0]).name}: exit code {done.returncode}: {lines[-1].strip()}")
    return done.stdout


@dataclasses.dataclass
class Times:
    """Of a side, in nanoseconds; `mode` is empty for Soapstone."""
    least: float
    median: float
    mode: str = ""

    def best_with(self, other):
        faster = min(self, other, key=lambda times: times.least) if other else self
        return Times(faster.least, min(self.median, other.median) if other else self.median, faster.mode)


class Soapstone:
    """One model in one dtype."""

    def __init__(self, program, model, dtype, threads, folder):
        self.program, self.threads, self.steps = program, threads, 0
        self.name, self.dtype, self.folder = model, dtype, folder
        said = run([program, "models", *self.model("f32")])
        found = re.search(r"^(\d+) parameters, (\S+) GFLOP per step", said, re.MULTILINE)
        if not found:
            raise Failed("soapstone models: no line `… parameters, … GFLOP per step`")
        self.parameters, self.flops = int(found[1]), 1e9 * float(found[2])

    def model(self, dtype):
        """The arguments that say which model. 784-4096-4096-10 is the zoo's mlp with wider layers, a
        graph document."""
        zoo = [self.name, *MODELS[self.name], "--dtype", dtype]
        if self.name != "mlp":
            return zoo
        graph = json.loads(run([self.program, "models", *zoo, "--json"]))
        for op in graph["ops"]:
            if op["name"] in ("fc1", "fc2"):
                op["op"]["linear"]["out_features"] = [4096]
        path = self.folder / f"mlp-{dtype}.json"
        path.write_text(json.dumps(graph))
        return [str(path)]

    def train(self, steps):
        said = run([self.program, "train", *self.model(self.dtype), *TRAINING.get(self.name, []), "--data", "synthetic",
                    "--ranks", "1", "--threads", str(self.threads), "--strategy", "single", "--steps", str(steps),
                    "--lr", "0.01", "--no-evaluate", "--json"], {"OMP_PROC_BIND": "false"})
        report = json.loads(said)
        return Times(report["least_step_time_ns"], report["step_time_ns"])

    def measure(self, seconds):
        if self.steps == 0:
            self.steps = 5 + max(8, round(1e9 * seconds / self.train(4).median))  # 5 warm up
        return self.train(self.steps)


def pytorch(python, model, dtype, threads, seconds, mode, parameters):
    script = pathlib.Path(__file__).with_name("pytorch_models.py")
    said = run([python, str(script), model, "--dtype", dtype, "--mode", mode, "--threads", str(threads),
                "--seconds", str(seconds)], {"OMP_NUM_THREADS": str(threads), "GLIBC_TUNABLES": KEPT_MEMORY})
    report = json.loads(said.splitlines()[-1])
    if report["parameters"] != parameters:
        raise Failed(f"{model}: Soapstone has {parameters} parameters, the twin {report['parameters']}")
    return Times(report["least_ns"], report["median_ns"], mode), report["version"]


class Table:
    """Rows on the screen and, where asked for, in a Markdown file, as they come."""
    COLUMNS = [("model", 13), ("dtype", 6), ("soapstone ms", 17), ("PyTorch ms", 17), ("mode", 8), ("ratio", 6),
               ("soapstone GFLOP/s", 18), ("PyTorch GFLOP/s", 16)]

    def __init__(self, markdown):
        self.markdown = markdown
        if markdown:
            markdown.write_text("")
        self.put([name for name, _ in self.COLUMNS], ["---" for _ in self.COLUMNS])

    def put(self, cells, rule=None):
        print("".join(f"{cell:<{width}} " for cell, (_, width) in zip(cells, self.COLUMNS)).rstrip(), flush=True)
        if self.markdown:
            with self.markdown.open("a") as file:
                for row in [cells] + ([rule] if rule else []):
                    file.write("| " + " | ".join(row) + " |\n")


def row_of(model, dtype, ours, theirs, flops):
    def time(times):
        return f"{times.least / 1e6:.1f} / {times.median / 1e6:.1f}" if times else "failed"

    def rate(times):
        return f"{flops / times.least:.0f}" if times and flops else "–"
    ratio = f"{theirs.least / ours.least:.2f}" if ours and theirs else "–"
    return [model, dtype, time(ours), time(theirs), theirs.mode if theirs else "–", ratio, rate(ours), rate(theirs)]


def compare(arguments, model, dtype, folder, notes):
    """The row of a model; failures go to `notes`."""
    ours, theirs, flops = None, None, 0
    failed = set()

    def attempt(side, measure):
        if side in failed:
            return None
        try:
            return measure()
        except (Failed, OSError, ValueError, KeyError) as error:
            notes.append(f"{model} {dtype}: {side} failed: {error if isinstance(error, (Failed, OSError)) else repr(error)}")
            failed.add(side)
            return None

    soapstone = attempt("soapstone", lambda: Soapstone(arguments.soapstone, model, dtype, arguments.threads, folder))
    if soapstone is None:
        return row_of(model, dtype, None, None, 0)  # nothing says what PyTorch would have to equal
    for _ in range(arguments.rounds):
        times = attempt("soapstone", lambda: soapstone.measure(arguments.seconds))
        if times:
            ours = times.best_with(ours)
        for mode in MODES[arguments.mode]:
            found = attempt(f"PyTorch {mode}", lambda: pytorch(arguments.python, model, dtype, arguments.threads,
                                                               arguments.seconds, mode, soapstone.parameters))
            if found:
                theirs, arguments.version = found[0].best_with(theirs), found[1]
    if "soapstone" in failed:
        ours = None
    return row_of(model, dtype, ours, theirs, soapstone.flops)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("soapstone", help="the program")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL",
                        help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--dtype", nargs="+", choices=("f32", "bf16"), default=["f32"], help="default: f32")
    parser.add_argument("--mode", choices=MODES, default="eager",
                        help="of PyTorch; best: eager and compile, the faster one counts; default: eager")
    parser.add_argument("--rounds", type=int, default=3, help="in which both sides take turns; default: 3")
    parser.add_argument("--seconds", type=float, default=4, help="per side and round, at least 8 steps; default: 4")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--python", default=sys.executable, help="that has PyTorch; default: the one that runs this")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table here too")
    arguments = parser.parse_args()
    arguments.version = None

    notes = []
    table = Table(arguments.markdown)
    with tempfile.TemporaryDirectory() as folder:
        for dtype in arguments.dtype:
            for model in arguments.models:
                before = len(notes)
                table.put(compare(arguments, model, dtype, pathlib.Path(folder), notes))
                for note in notes[before:]:
                    print("  " + note, flush=True)
    last = f"Times: least / median of the steps. {arguments.threads} threads; PyTorch {arguments.version or 'did not run'}."
    print(last)
    if arguments.markdown:
        with arguments.markdown.open("a") as file:
            file.write("\n" + "\n\n".join([last] + notes) + "\n")
    return 1 if notes else 0


if __name__ == "__main__":
    sys.exit(main())
