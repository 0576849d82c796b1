#!/usr/bin/env bash
# Makes the timelines of a predicted and of a measured step, in a file that Perfetto opens.
source "$(dirname "$0")/common.sh"
need MPI 'a measured trace of two ranks'
need mpirun 'a measured trace of two ranks'
model=(mlp --batch 128 --cluster local --ranks 2)

say "1. Train and keep the trace: the medians over the last 20 steps of when each task began and ended."
soapstone train "${model[@]}" --threads 1 --steps 40 --no-evaluate \
  --trace measured.json --trace-steps 20

say "2. The report simulates the same step and puts both timelines into report/trace.json. The prediction \
is rough: nothing was measured for it (walk-through 1 does that)."
soapstone report "${model[@]}" --measured measured.json --out report

say "3. Open https://ui.perfetto.dev in a browser and drag report/trace.json into it (it stays on your \
machine), or load it in Chrome's about://tracing. You see two processes, \`predicted\` and \`measured\`, \
with one track per device and lane. Each slice is a task: click it for its phase, bytes, FLOPs and how \
long it waited. Arrows lead from the device that came last to a transfer to those that waited for it. \
The counters \`bytes alive\` are the memory over the step. Keys: W and S zoom, A and D move, M marks a \
slice and its length."

check 'report/trace.json is what the Chrome trace event format asks for' <<'PYTHON'
import json
from collections import defaultdict

trace = json.load(open("report/trace.json"))
events = trace["traceEvents"]
assert trace["displayTimeUnit"] in ("ms", "ns")
required = {"X": {"name", "cat", "ts", "dur", "pid", "tid"}, "M": {"name", "pid", "args"},
            "C": {"name", "ts", "pid", "args"}, "s": {"name", "cat", "id", "ts", "pid", "tid"},
            "f": {"name", "cat", "id", "ts", "pid", "tid"}}
for e in events:
    assert e["ph"] in required, f"unknown phase: {e}"
    assert required[e["ph"]] <= set(e), f"fields are missing: {e}"
    assert e["ph"] == "M" or e["ts"] >= 0 and e.get("dur", 0) >= 0, f"time runs backwards: {e}"
    assert e["ph"] != "C" or all(isinstance(v, (int, float)) for v in e["args"].values()), e

# Every process and track has a name.
names = {(e["name"], e["pid"], e.get("tid")): e["args"]["name"]
         for e in events if e["ph"] == "M" and "name" in e["args"]}
processes = {pid: name for (kind, pid, _), name in names.items() if kind == "process_name"}
assert sorted(processes.values()) == ["measured", "predicted"], processes
slices = defaultdict(list)
for e in events:
    if e["ph"] == "X":
        slices[e["pid"], e["tid"]].append(e)
for (pid, tid), on_track in slices.items():
    track = names["thread_name", pid, tid]
    assert track.startswith("device "), track
    on_track.sort(key=lambda e: e["ts"])
    for a, b in zip(on_track, on_track[1:]):
        assert a["ts"] + a["dur"] <= b["ts"] + 1e-3, f"{track}: {a['name']} and {b['name']} overlap"
    print(f"{processes[pid]:9} {track}: {len(on_track)} slices")
tracks = {(processes[pid], names["thread_name", pid, tid]) for pid, tid in slices}
for process in processes.values():
    for device in range(2):
        assert (process, f"device {device} compute") in tracks, tracks
        assert (process, f"device {device} communication") in tracks, tracks

# Times are microseconds: the last slice ends with the step, which the trace gives in nanoseconds. Twice
# as much would be medians of different steps; a wrong unit is a factor of a thousand.
step = json.load(open("measured.json"))["step_time"] / 1e3
for pid, process in processes.items():
    end = max(e["ts"] + e["dur"] for (p, _), on in slices.items() if p == pid for e in on)
    print(f"{process}: the last slice ends after {end:.0f} us")
    assert process != "measured" or step / 2 < end < step * 2, f"the step took {step} us"

# Every arrow has one beginning and one end, in this order, each in a slice.
arrows = defaultdict(dict)
for e in events:
    if e["ph"] in "sf":
        assert e["ph"] not in arrows[e["id"]], f"twice: {e}"
        arrows[e["id"]][e["ph"]] = e
        track = slices[e["pid"], e["tid"]]
        assert any(x["ts"] <= e["ts"] < x["ts"] + x["dur"] for x in track), f"in no slice: {e}"
for id, ends in arrows.items():
    assert set(ends) == {"s", "f"}, f"arrow {id} has no end"
    assert ends["s"]["ts"] <= ends["f"]["ts"] and ends["s"]["pid"] == ends["f"]["pid"], ends
    assert ends["s"]["tid"] != ends["f"]["tid"], ends
print(f"{len(arrows)} arrows")
assert arrows, "two devices that wait for nothing"
PYTHON
finish
