#!/usr/bin/env python3
"""Times one training step of Soapstone and of PyTorch in the same run, and prints the ratio.

    bench/pytorch_ratio.py build/release/bin/soapstone [--threads 2] [--rounds 3]

Needs PyTorch (pip install torch). Both sides train on synthetic inputs with SGD and momentum 0.9;
PyTorch runs channels-last, eager, its allocator kept warm (GLIBC_TUNABLES as below). Rounds
alternate between the two, and the best median of each side counts.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PYTORCH_STEP = """
import json, sys, time, torch
from torch import nn
model_name, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
torch.manual_seed(1)
if model_name == "fashion-cnn":
    model = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(batch, 1, 28, 28).to(memory_format=torch.channels_last)
elif model_name == "mlp":
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128),
                          nn.ReLU(), nn.Linear(128, 10))
    x = torch.randn(batch, 1, 28, 28)
else:
    sys.exit("no PyTorch twin of " + model_name)
y = torch.randint(0, 10, (batch,))
loss_function = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
def step():
    optimizer.zero_grad(set_to_none=True)
    loss = loss_function(model(x), y)
    loss.backward()
    optimizer.step()
for _ in range(20):
    step()
times = []
end = time.perf_counter() + 4
while time.perf_counter() < end or len(times) < 20:
    start = time.perf_counter()
    step()
    times.append(time.perf_counter() - start)
times.sort()
print(json.dumps({"version": torch.__version__, "median_ns": int(1e9 * times[len(times) // 2]),
                  "best_ns": int(1e9 * times[0])}))
"""


def pytorch(model, batch, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads),
                       GLIBC_TUNABLES="glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296"
                                      ":glibc.malloc.top_pad=268435456:glibc.malloc.hugetlb=1")
    out = subprocess.run([sys.executable, "-c", PYTORCH_STEP, model, str(batch), str(threads)],
                         check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(out)


def soapstone(program, model, batch, threads):
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder) / "trace.json"
        subprocess.run([program, "train", model, "--batch", str(batch), "--data", "synthetic", "--ranks", "1",
                        "--threads", str(threads), "--strategy", "single", "--steps", "200", "--no-evaluate",
                        "--trace", str(trace)], check=True, capture_output=True, text=True)
        return json.loads(trace.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("soapstone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["fashion-cnn", "mlp"])
    arguments = parser.parse_args()
    print(f"{'model':<14}{'batch':>6}{'soapstone ms':>14}{'pytorch ms':>12}{'ratio':>8}   (PyTorch's time / Soapstone's)")
    for model in arguments.models:
        batch = 128
        ours, theirs, version = [], [], ""
        for _ in range(arguments.rounds):
            ours.append(soapstone(arguments.soapstone, model, batch, arguments.threads)["step_time"])
            peer = pytorch(model, batch, arguments.threads)
            theirs.append(peer["median_ns"])
            version = peer["version"]
        print(f"{model:<14}{batch:>6}{min(ours) / 1e6:>14.2f}{min(theirs) / 1e6:>12.2f}{min(theirs) / min(ours):>8.2f}   PyTorch {version}")


if __name__ == "__main__":
    main()
