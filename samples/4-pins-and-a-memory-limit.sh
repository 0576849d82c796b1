#!/usr/bin/env bash
# Searches with a part of the strategy prescribed, and with less memory than the best strategy needs.
source "$(dirname "$0")/common.sh"
search=(search alexnet --batch 64 --cluster p100-4x4 --budget 400 --seed 1 --top 3)

say "1. A free search. The budget is a number of proposals, so that you get the same answer as we did."
soapstone "${search[@]}" --out free.json

say "2. Say fc6 must stay data-parallel, because other code reads its whole weight. A pin is a strategy \
file that names this operator only: its axis n, the samples, is cut into 16 parts on devices 0 to 15."
cat >pins.json <<'JSON'
{
  "format": "soapstone.strategy/1",
  "graph": "alexnet",
  "ops": {
    "fc6": {"degrees": {"n": 16}, "devices": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]}
  }
}
JSON
cat pins.json
soapstone "${search[@]}" --pins pins.json --out pinned.json

say "3. A limit: other programs leave 84 MiB on each device. Strategies that need more are out; the list \
says so for the two that a search always begins with."
soapstone "${search[@]}" --memory-limit 84MiB --out limited.json

say "4. A limit that nothing can keep is refused, with the least that was seen."
status=0
soapstone "${search[@]}" --memory-limit 20MiB 2>error.txt || status=$?
tail -n 1 error.txt

check 'pins are kept, limits are kept, and both cost time' <<'PYTHON'
import json

def strategies(file):
    return json.load(open(file))["strategies"]

def found(file):  # without the two that every search lists for comparison
    return [s for s in strategies(file) if s["origin"] not in ("expert", "data-parallel")]

pin = json.load(open("pins.json"))["ops"]["fc6"]
free, pinned, limited = (found(f) for f in ("free.json", "pinned.json", "limited.json"))
for name, best in (("free", free[0]), ("pinned", pinned[0]), ("limited", limited[0])):
    print(f"{name:8} {best['step_time_ns'] / 1e6:5.2f} ms  {best['peak_memory_bytes'] / 2**20:6.1f} MiB  "
          f"fc6 {best['strategy']['ops']['fc6']['degrees']}")
assert free[0]["strategy"]["ops"]["fc6"] != pin
assert all(s["strategy"]["ops"]["fc6"] == pin for s in pinned)
assert pinned[0]["step_time_ns"] > free[0]["step_time_ns"]

limit = 84 * 2**20
assert free[0]["peak_memory_bytes"] > limit, "the limit changes nothing"
assert all(s["peak_memory_bytes"] <= limit for s in limited)
assert limited[0]["strategy"] != free[0]["strategy"] and limited[0]["step_time_ns"] > free[0]["step_time_ns"]
PYTHON
((status == 3)) || { echo "$sample: exit code $status instead of 3, refused" >&2; exit 1; }
grep -q 'the least that would do is' error.txt
rm error.txt
finish
