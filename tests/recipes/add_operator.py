#!/usr/bin/env python3
"""Follows "Add an operator" of CONTRIBUTING.md in a copy of the tree: the files of
tests/recipes/operator and one line in core/ops/all.def, nothing else. Builds the conformance suite
there and counts what it ran for the operator.

add_operator.py SOURCE COPY BUILD SETTING...   BUILD is relative to COPY; SETTINGs go to cmake

The copy is kept: a second run copies and compiles only what has changed.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

NAME, TYPE = "softsign", "Softsign"
IGNORED = re.compile(r"(\.|build)")  # first letters of folders that are no part of the tree


def expect(condition, what):
    if not condition:
        sys.exit(what)


def run(*command, **variables):
    print("+", *command, *(f"{name}={value}" for name, value in variables.items()), flush=True)
    done = subprocess.run([str(word) for word in command], env=dict(os.environ, **variables),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    expect(done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-20000:]}")
    return done.stdout


def files_of(folder, without=None):
    """Relative paths of a tree's files, without what was built."""
    found = set()
    for place, folders, files in os.walk(folder):
        here = pathlib.Path(place)
        if here == folder:
            folders[:] = [name for name in folders if not IGNORED.match(name)]
        folders[:] = [name for name in folders if here / name != without and name != "__pycache__"]
        found.update((here / name).relative_to(folder) for name in files)
    return found


def write(file, content):
    """Only what differs, so that no file looks newer than it is."""
    if file.is_file() and file.read_bytes() == content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def follow_recipe(source, copy):
    recipe = source / "tests/recipes/operator"
    added = {file.relative_to(recipe) for file in recipe.rglob("*") if file.is_file()}
    inside = copy.parts[:len(source.parts)] == source.parts
    tree = files_of(source, source / copy.parts[len(source.parts)] if inside else None)
    for file in sorted(added):
        expect(file not in tree, f"{file} is there already; the recipe needs an operator that is not")
    for file in files_of(copy) - tree - added if copy.is_dir() else ():
        (copy / file).unlink()
    changed = pathlib.Path("core/ops/all.def")
    for file in tree - {changed}:
        write(copy / file, (source / file).read_bytes())
        shutil.copymode(source / file, copy / file)
    for file in added:
        write(copy / file, (recipe / file).read_bytes())
    line = f"SOAPSTONE_OP({TYPE}, {NAME})\n"
    write(copy / changed, (source / changed).read_bytes() + line.encode())
    expected = {f"core/ops/{NAME}.hpp", f"kernels/ops/{NAME}/kokkos.cpp", f"kernels/ops/{NAME}/candidates.cpp",
                f"tests/support/reference/{NAME}.cpp", f"tests/ops/{NAME}_test.cpp"}
    expect({str(file) for file in added} == expected, f"the recipe names {sorted(expected)}")
    text = (source / "CONTRIBUTING.md").read_text()
    for file in [*expected, str(changed)]:
        generic = file.replace(NAME, "NAME")
        expect(generic in text, f"CONTRIBUTING.md does not name {generic}")
    print(f"{len(tree)} files copied, {len(added)} added, one line in {changed}: {line}", end="")


def cases_of(program, report, tests):
    """How often each suite ran, by its name."""
    run(program, f"--gtest_filter={tests}", f"--gtest_output=json:{report}")
    counts = collections.Counter()
    for suite in json.loads(report.read_text())["testsuites"]:
        for case in suite["testsuite"]:
            expect(case["status"] == "RUN" and case["result"] == "COMPLETED" and "failures" not in case,
                   f"{suite['name']}.{case['name']} did not pass: {case}")
            counts[suite["name"]] += 1
    return counts


def main():
    source, copy, build = (pathlib.Path(argument) for argument in sys.argv[1:4])
    settings = sys.argv[4:]
    build = copy / build
    follow_recipe(source, copy)

    log = build / "ccache.log"
    log.unlink(missing_ok=True)
    run("cmake", "-S", copy, "-B", build, "-G", "Ninja", "-DSOAPSTONE_ENABLE_MPI=OFF",
        "-DSOAPSTONE_ENABLE_BENCH=OFF", *settings)
    run("cmake", "--build", build, "-j", "2", "--target", "ops_tests", "core_tests", CCACHE_STATSLOG=str(log))
    if log.is_file():
        results = collections.Counter(line for line in log.read_text().splitlines() if not line.startswith("#"))
        print("compiler cache:", ", ".join(f"{count} {result}" for result, count in sorted(results.items())))

    # What the suite owes the operator: each of its tests for every shape; and the operator's own.
    text = (copy / f"tests/ops/{NAME}_test.cpp").read_text()
    shapes, own = len(re.findall(r"\{\.name = ", text)), len(re.findall(r"^TEST\(", text, re.M))
    expect(shapes >= 3 and own >= 1, f"{shapes} shapes, {own} tests of its own")
    wanted = collections.Counter({TYPE: own})
    parts = ["reference"] + ["kernel"] * ("-DSOAPSTONE_ENABLE_KERNELS=ON" in settings)
    for part in parts:
        suite = (copy / f"tests/support/conformance/{part}_conformance_test.cpp").read_text()
        for fixture in re.findall(r"^TEST_P\((\w+),", suite, re.M):
            wanted[f"{NAME}/{fixture}"] += shapes
    expect(len(wanted) == 2 + len(parts), f"the suite has {dict(wanted)}")
    counts = cases_of(build / "tests/ops_tests", build / "ops.json", f"{NAME}/*:{TYPE}.*")
    expect(counts == wanted, f"ran {dict(counts)}, expected {wanted}")
    # And its small example.
    small = cases_of(build / "tests/core_tests", build / "core.json", f"Ops.*:*/{NAME}")
    expect(small["Ops"] > 0 and sum(small.values()) > small["Ops"], f"ran {dict(small)}")

    schema = copy / "docs/schema/graph.schema.json"
    expect(f'"{NAME}"' not in schema.read_text(), f"{schema} knew {NAME} before")
    run(build / "tests/core_tests", "--gtest_filter=*Schema*", SOAPSTONE_UPDATE_SCHEMA="1")
    expect(f'"{NAME}"' in schema.read_text(), f"{schema} does not know {NAME}")
    run(build / "tests/core_tests", "--gtest_filter=*Schema*")

    print(f"{sum(counts.values())} cases of {NAME} ran in the conformance suite: {dict(counts)}; "
          f"{sum(small.values())} with its small example")


if __name__ == "__main__":
    main()
