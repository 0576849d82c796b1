#!/usr/bin/env python3
"""Installs a build and looks at what came, in three steps that ctest runs one after another.

install.py install BUILD SOURCE PLACE    installs what is built under PLACE and moves it: nothing may
                                         remember where it was
install.py outside SOURCE PLACE SETTING...  configures, builds and runs tests/package/outside with
                                         CMAKE_PREFIX_PATH (and SETTINGs, how to compile)
install.py program SOURCE PLACE          the installed program does without the source tree

Nothing of Soapstone itself is built.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

EXPECTED = [
    "bin/soapstone",
    "include/soapstone/core/graph.hpp",
    "include/soapstone/core/version.hpp",
    "include/soapstone/core/ops/all.def",
    "include/soapstone/core/ops/all.hpp",
    "share/bash-completion/completions/soapstone",
    "share/doc/soapstone/LICENSE",
    "share/doc/soapstone/README.md",
    "share/doc/soapstone/docs/architecture.md",
    "share/doc/soapstone/docs/schema/graph.schema.json",
    "share/fish/vendor_completions.d/soapstone.fish",
    "share/man/man1/soapstone.1",
    "share/soapstone/samples/clusters/p100-4x4.toml",
    "share/zsh/site-functions/_soapstone",
]


def run(command, **options):
    print("+", *command, flush=True)
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(condition, what):
    if not condition:
        sys.exit(what)


def install(build, source, place):
    shutil.rmtree(place, ignore_errors=True)
    # --prefix and DESTDIR at once, then elsewhere.
    prefix = "/opt/soapstone-test"
    run(["cmake", "--install", build, "--prefix", prefix],
        env=dict(os.environ, DESTDIR=str(place / "stage")))
    expect(not pathlib.Path(prefix).exists(), f"DESTDIR was not honoured: {prefix} exists")
    (place / "stage" / prefix.lstrip("/")).rename(place / "moved")
    shutil.rmtree(place / "stage")

    moved = place / "moved"
    for file in EXPECTED:
        expect((moved / file).is_file(), f"{file} is not installed")
    rooms = [room for room in ("core", "simulator", "search", "reports", "importers", "kernels",
                              "runtime")
             if list(moved.rglob(f"libsoapstone_{room}.a"))]
    expect({"core", "simulator", "search", "reports", "importers"} <= set(rooms), f"only {rooms} are installed")
    for room in rooms:
        for header in (source / room).rglob("*.hpp"):
            name = header.relative_to(source)
            expect((moved / "include/soapstone" / name).is_file(), f"{name} is not installed")

    forbidden = [str(source).encode(), str(build).encode(), prefix.encode(), b"<SOAPSTONE"]
    count = 0
    for file in moved.rglob("*"):
        if not file.is_file():
            continue
        count += 1
        text = file.read_bytes()
        for word in forbidden:
            expect(word not in text, f"{file.relative_to(moved)} names {word.decode()}")
    print(f"{count} files, {len(rooms)} rooms; none names the source, the build or the first prefix")


def outside(source, place, settings):
    build = place / "outside"
    shutil.rmtree(build, ignore_errors=True)
    run(["cmake", "-S", source / "tests/package/outside", "-B", build, "-G", "Ninja",
         f"-DCMAKE_PREFIX_PATH={place / 'moved'}", *settings])
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("soapstone_DIR:"):
            expect(str(place / "moved") in line, f"another soapstone was found: {line}")
    run(["cmake", "--build", build, "-j", "2"])
    ran = 0
    for program in ("plan_a_step", "train_some_steps"):
        if (build / program).is_file():
            print(run([build / program], cwd=place), end="")
            ran += 1
    rooms = list((place / "moved").rglob("libsoapstone_runtime.a"))
    expect(ran == 1 + len(rooms), f"{ran} programs ran")


def program(source, place):
    """In an empty folder, without the variables that a developer may have set."""
    soapstone = place / "moved/bin/soapstone"
    empty = place / "empty"
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(empty), "OMP_NUM_THREADS": "2",
                   "OMP_PROC_BIND": "false"}

    def soapstone_says(*arguments):
        return run([soapstone, *arguments], cwd=empty, env=environment)

    names = [cluster["name"] for cluster in json.loads(soapstone_says("clusters", "--json"))["clusters"]]
    samples = place / "moved/share/soapstone/samples"
    for name in names:
        preset = json.loads(soapstone_says("clusters", name, "--json"))
        file = samples / "clusters" / f"{name}.toml"
        expect(file.is_file(), f"the preset {name} is not among the samples")
        expect(json.loads(soapstone_says("clusters", str(file), "--json")) == preset,
               f"{file} is not the preset {name}")
    expect(len(names) >= 2, f"presets: {names}")
    step = json.loads(soapstone_says("search", "mlp", "--cluster", "p100-4x4", "--budget", "20", "--json",
                                     "--out", "ranked.json"))["strategies"][0]["step_time_ns"]
    simulated = json.loads(soapstone_says("simulate", "mlp", "--cluster", "p100-4x4", "--strategy",
                                          "ranked.json#1", "--json"))["step_time_ns"]
    expect(step == simulated > 0, f"searched {step} ns, simulated {simulated} ns")
    soapstone_says("report", "mlp", "--cluster", "p100-4x4", "--out", "report")
    expect(list((empty / "report").glob("*.html")), "report wrote no page")
    print(f"{len(names)} presets, each equal to its sample; searched and simulated {step} ns")


def main():
    what, *arguments = sys.argv[1:]
    if what == "outside":
        outside(pathlib.Path(arguments[0]), pathlib.Path(arguments[1]), arguments[2:])
    else:
        {"install": install, "program": program}[what](*map(pathlib.Path, arguments))


if __name__ == "__main__":
    main()
