#!/usr/bin/env python3
"""doctor.py PROGRAM: what doctor says in surroundings that are made up, and that it says the same as
text and as JSON."""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

# Of a build with everything; "kernels": of one with kernels only.
PARTS = ["soapstone", "compiler", "processor", "AVX2", "AVX-512", "AVX-512 BF16", "AMX", "memory", "limits",
         "Kokkos", "oneDNN", "MPI", "window", "Graphviz", "SQLite", "GPU", "mpirun", "Slurm", "iproute2", "Python",
         "PyTorch", "Fashion-MNIST", "cache folder", "cost database", "local cluster"]
KERNELS_ONLY = {"oneDNN", "MPI", "Slurm", "Fashion-MNIST"}


class Doctor:
    def __init__(self, program, place):
        self.program, self.place = program, place
        self.asked = 0

    def __call__(self, before=(), **environment):
        """The parts by name, in an environment of these variables alone."""
        base = {"PATH": str(self.place / "nothing"), "HOME": str(self.place / "home")}
        base.update({name: str(value) for name, value in environment.items()})
        command = [*before, self.program, "doctor"]
        text = subprocess.run(command, env=base, capture_output=True, text=True)
        document = subprocess.run([*command, "--json"], env=base, capture_output=True, text=True)
        for done in (text, document):
            if done.returncode != 0 or done.stderr:
                sys.exit(f"{base}: exit code {done.returncode}: {done.stderr}")
        checks = json.loads(document.stdout)["checks"]
        lines = text.stdout.splitlines()[1:]
        expect(len(lines) == len(checks), f"{len(lines)} lines of text, {len(checks)} checks in JSON")
        for line, check in zip(lines, checks):
            for value in ("ok" if check["ok"] else "--", check["name"], check["gives"]):
                expect(value in line, f"`{value}` is not in the line: {line}")
            # What changes from one call to the next is left out of the comparison.
            expect(re.sub(r"[\d.]+ \w+ available", "", check["found"]) in
                   re.sub(r"[\d.]+ \w+ available", "", line), f"`{check['found']}` is not in: {line}")
        self.asked += 1
        return {check["name"]: check for check in checks}


def expect(condition, what):
    if not condition:
        sys.exit(what)


def expect_part(parts, name, ok, *found):
    if name not in parts and "not built in" in parts["Kokkos"]["found"] and name in KERNELS_ONLY:
        return
    part = parts[name]
    expect(part["ok"] is ok, f"{part}: ok={ok} expected")
    for text in found:
        expect(text in part["found"], f"{part}: `{text}` expected")


def make_program(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="soapstone-doctor-") as made:
        place = pathlib.Path(made)
        (place / "nothing").mkdir()
        (place / "home").mkdir()
        doctor = Doctor(program, place)

        nothing = doctor()
        has_kernels = "not built in" not in nothing["Kokkos"]["found"]
        expect(list(nothing) == [part for part in PARTS if has_kernels or part not in KERNELS_ONLY],
               f"parts: {list(nothing)}")
        for name, advice in [("compiler", "build-essential"), ("mpirun", "openmpi-bin"),
                             ("Slurm", "no srun"), ("iproute2", "package iproute2"),
                             ("Python", "package python3"), ("PyTorch", "package python3-torch"),
                             ("GPU", "no CUDA backend"), ("cost database", "soapstone profile"),
                             ("local cluster", "soapstone clusters local")]:
            expect_part(nothing, name, False, advice)
        expect_part(nothing, "cache folder", True, str(place / "home/.cache/soapstone"), "not made yet")
        expect(list((place / "home").iterdir()) == [], "looking changes nothing")
        for part in nothing.values():
            expect(part["gives"] and part["found"], f"{part} says nothing")
        for name in ("soapstone", "SQLite"):
            expect(re.search(r"\d+\.\d+", nothing[name]["found"]), f"{nothing[name]}: a version is expected")
        if has_kernels:
            expect(re.search(r"\d+\.\d+.*SERIAL", nothing["Kokkos"]["found"]), f"{nothing['Kokkos']}")

        # Programs that answer.
        tools = place / "tools"
        make_program(tools, "mpirun", "echo 'mpirun (Made Up) 9.8.7'; echo second line")
        make_program(tools, "srun", "")
        make_program(tools, "c++", "echo 77.1")
        make_program(tools, "cmake", "echo cmake version 9.9")
        make_program(tools, "ip", "")
        make_program(tools, "tc", "")
        make_program(tools, "nvidia-smi", "echo 'Made Up GPU, 555.44'")
        make_program(tools, "python3", "echo '3.99.1 8.7.6+cpu'")
        there = doctor(PATH=tools)
        for name, text in [("mpirun", "mpirun (Made Up) 9.8.7"), ("compiler", "77.1, cmake version 9.9"),
                           ("iproute2", "tools/tc"), ("Python", "3.99.1"), ("PyTorch", "8.7.6+cpu"),
                           ("Slurm", "in no job")]:
            expect_part(there, name, True, text)
        expect_part(there, "GPU", False, "Made Up GPU, 555.44", "no CUDA backend")
        expect("second line" not in there["mpirun"]["found"], f"{there['mpirun']}")

        # A job of Slurm, a Python without torch and one that does not run, programs that may not run.
        make_program(tools, "python3", "echo '3.99.1 '")
        job = doctor(PATH=tools, SLURM_JOB_ID=4711, SLURM_JOB_NUM_NODES=2, SLURM_JOB_NODELIST="node[1-2]")
        expect_part(job, "Slurm", True, "4711", "node[1-2]")
        expect_part(job, "Python", True, "3.99.1")
        expect_part(job, "PyTorch", False, "package python3-torch")
        make_program(tools, "python3", "exit 1")
        make_program(tools, "nvidia-smi", "exit 9")
        (tools / "mpirun").chmod(0o644)
        broken = doctor(PATH=tools)
        expect_part(broken, "Python", False, "does not run")
        expect_part(broken, "PyTorch", False)
        expect_part(broken, "mpirun", False, "not on PATH")
        expect_part(broken, "GPU", False)

        # Data sets: where it looked.
        expect_part(doctor(SOAPSTONE_DATA=place / "elsewhere"), "Fashion-MNIST", False,
                    str(place / "elsewhere"), "dataset-fashion-mnist", "SOAPSTONE_DATA")

        # The cache folder and what is in it.
        cache = place / "cache"
        folder = cache / "soapstone"
        folder.mkdir(parents=True)
        empty = doctor(XDG_CACHE_HOME=cache)
        expect_part(empty, "cache folder", True, str(folder), "0 B")
        (folder / f"local-{os.uname().nodename}-3.toml").write_text("x" * 1000)
        (folder / f"local-another-host-5.toml").touch()
        (folder / "costs.sqlite").write_text("this is no database, and long enough to tell\n" * 100)
        full = doctor(XDG_CACHE_HOME=cache)
        expect_part(full, "local cluster", True, "as 3 ranks")
        expect_part(full, "cost database", False, "costs.sqlite")
        (folder / "costs.sqlite").unlink()
        shutil.rmtree(folder)
        folder.touch()
        expect_part(doctor(XDG_CACHE_HOME=cache), "cache folder", False, "is no folder")
        folder.unlink()
        if has_kernels:
            measured = subprocess.run([program, "profile", "mlp", "--batch", "8", "--ranks", "1", "--strategy",
                                       "single", "--time", "1ms", "--json"], capture_output=True, text=True,
                                      env=dict(os.environ, XDG_CACHE_HOME=str(cache)))
            expect(measured.returncode == 0, measured.stderr)
            with sqlite3.connect(folder / "costs.sqlite") as database:
                tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            expect(tables, "profile has made an empty database")
            count = json.loads(measured.stdout)
            found = doctor(XDG_CACHE_HOME=cache)
            expect_part(found, "cost database", True, "costs.sqlite", " costs and ", "KiB")
            expect(not re.search(r", 0 costs", found["cost database"]["found"]),
                   f"{found['cost database']} after {count}")

        # Limits and cores of the process.
        few = doctor(before=["/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh"])
        expect_part(few, "limits", False, "open files 64")
        expect_part(doctor(before=["/bin/sh", "-c", 'ulimit -n 512; exec "$@"', "sh"]), "limits", True,
                    "open files 512")
        if len(os.sched_getaffinity(0)) > 1:
            core = min(os.sched_getaffinity(0))
            one = doctor(before=[shutil.which("taskset"), "-c", str(core)])
            expect_part(one, "processor", one["processor"]["ok"], "1 allowed to this process")

        print(f"{doctor.asked} surroundings, {len(nothing)} parts")


if __name__ == "__main__":
    main()
