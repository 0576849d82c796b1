#!/usr/bin/env python3
"""Runs every verb with --json and holds what it prints against docs/schema.

usage: validate_outputs.py PROGRAM SCHEMAS ranks|kernels|core
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

# In order: later commands read what earlier ones wrote.
CORE = [
    "models",
    "models mlp",
    "clusters",
    "clusters p100-4x4",
    "doctor",
    "search mlp --batch 8 --cluster p100-4x4 --budget 20 --out ranked.json",
    "search mlp --batch 8 --cluster p100-4x4 --budget 50ms --memory-limit 1GiB",
    "simulate mlp --batch 8 --cluster p100-4x4 --strategy ranked.json#1 --trace predicted.json --plan plan.json",
    "diff predicted.json predicted.json",
    "explain mlp --batch 8 --cluster p100-4x4 --strategy ranked.json#1 --trace predicted.json --what-if add:node "
    "--what-if op:*=free --against data-parallel --ranked ranked.json --spans 3",
    "report mlp --batch 8 --cluster p100-4x4 --strategy ranked.json#1 --ranked ranked.json --out report",
]
KERNELS = [
    "kernels",
    "profile mlp --batch 8 --ranks 1 --strategy single --time 1ms",
    "train mlp --batch 8 --steps 3 --trace measured.json",
    "train gpt --batch 2 --layers 1 --hidden 8 --heads 1 --seq 8 --positions 8 --vocab 256 --steps 2 "
    "--data text --data-folder plan.json --checkpoint gpt.ck",
    "generate gpt --batch 2 --layers 1 --hidden 8 --heads 1 --seq 8 --positions 8 --vocab 256 "
    "--data text --data-folder plan.json --checkpoint gpt.ck --count 2",
    "verify mlp --batch 8 --steps 2 --random 2",
]
RANKS = ["bench mlp --batch 8 --strategies 2 --steps 6 --rounds 2 --ranks 2"]


def schemas(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.schema.json")):
        schema = json.loads(path.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        found[schema["properties"]["format"]["const"]] = schema
    return found


def check(document, known, what):
    if document.get("format") not in known:
        sys.exit(f"{what}: no schema describes {document.get('format')}")
    errors = list(jsonschema.Draft202012Validator(known[document["format"]]).iter_errors(document))
    for error in errors:
        print(f"{what}: at /{'/'.join(map(str, error.absolute_path))}: {error.message}")
    if errors:
        sys.exit(1)
    return document["format"]


def main():
    program, folder, scope = sys.argv[1:]
    known = schemas(folder)
    commands = CORE + (KERNELS if scope != "core" else []) + (RANKS if scope == "ranks" else [])
    seen = set()
    with tempfile.TemporaryDirectory(prefix="soapstone-cli-") as place:
        environment = dict(os.environ, HOME=place, XDG_CACHE_HOME=place, OMP_NUM_THREADS="1")
        for command in commands:
            run = subprocess.run([program, *command.split(), "--json"], cwd=place, env=environment,
                                 capture_output=True, text=True, timeout=60)
            if run.returncode != 0:
                sys.exit(f"soapstone {command}: exit code {run.returncode}: {run.stderr}")
            seen.add(check(json.loads(run.stdout), known, f"soapstone {command}"))
        for path in sorted(pathlib.Path(place).glob("*.json")):
            seen.add(check(json.loads(path.read_text()), known, path.name))
    print(f"{len(commands)} outputs, {len(seen)} of {len(known)} formats: {', '.join(sorted(seen))}")
    if scope == "ranks":
        # Strategies stand inside ranked strategies; they have a file of their own where people write them.
        missing = set(known) - seen - {"soapstone.strategy/1"}
        if missing:
            sys.exit(f"no output has been seen of {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
