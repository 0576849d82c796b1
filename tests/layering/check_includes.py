#!/usr/bin/env python3
"""Fails on an #include that the including file's room may not use.

Usage: check_includes.py REPOSITORY_ROOT

The tables below are the house's layering (docs/architecture.md, "Rooms"). Three kinds of rule:
a room includes only headers of itself and of the rooms listed for it; a third-party library belongs
to the rooms listed for it, some only in .cpp files and detail/ headers; what is in no table is
refused, so that a new dependency is a decision and not an accident.
"""

import re
import sys
from pathlib import Path

# Room -> rooms it may include besides itself. The longest matching path is the file's room.
ROOMS = {
    "core": set(),
    "simulator": {"core"},
    "search": {"core", "simulator"},
    "kernels": {"core"},
    "runtime": {"core", "kernels"},
    "importers": {"core"},
    "reports": {"core", "simulator"},
    "explorer_gui/model": {"core", "simulator", "search", "reports", "importers"},
    "explorer_gui/view": {"core", "explorer_gui/model"},
    "cli": {"core", "simulator", "search", "kernels", "runtime", "importers", "reports",
            "explorer_gui/model", "explorer_gui/view"},
}
# Free to include everything: nothing of the library includes them.
UNRULED = ("tests", "bench")
# Folders that hold no C++ of ours.
IGNORED = {"build", "docs", "cmake", "scripts", "samples"}

ANYWHERE = set(ROOMS)


class Library:
    """A third-party library: the includes that name it, its rooms, and whether it is private there
    (.cpp files and detail/ headers only; `files` narrows that to file names)."""

    def __init__(self, name, pattern, rooms, private=False, files=None):
        self.name = name
        self.pattern = re.compile(pattern)
        self.rooms = set(rooms)
        self.private = private
        self.files = re.compile(files) if files else None


LIBRARIES = [
    Library("fmt", r"fmt/", ANYWHERE),
    Library("nlohmann json", r"nlohmann/", ANYWHERE),
    Library("tl::expected", r"tl/", ANYWHERE),
    Library("toml++", r"toml\+\+/", {"core", "cli"}, private=True),
    Library("SQLite", r"sqlite3\.h$", {"simulator"}, private=True),
    Library("Kokkos", r"Kokkos_|impl/Kokkos", {"kernels", "runtime"}),
    Library("Random123", r"Random123/", {"kernels", "runtime"}, private=True),
    Library("oneDNN", r"(oneapi/dnnl/|dnnl)", {"kernels"}, private=True, files=r"onednn"),
    Library("cuDNN", r"cudnn", {"kernels"}, private=True, files=r"cudnn"),
    Library("cuBLAS", r"cublas", {"kernels"}, private=True, files=r"cublas|cuda"),
    Library("NCCL", r"nccl\.h$", {"runtime"}, private=True, files=r"nccl"),
    Library("CUDA", r"(cuda|cuda_[a-z0-9_]+|driver_types|nvrtc|curand[a-z_]*)\.h(pp)?$|cooperative_groups",
            {"kernels", "runtime"}, private=True, files=r"cuda|cudnn|cublas|nccl"),
    Library("MPI", r"(mpi|mpi-ext)\.h$", {"runtime"}, private=True, files=r"mpi"),
    Library("zlib", r"zlib\.h$", {"runtime"}, private=True),
    Library("OpenMP", r"omp\.h$", {"kernels", "runtime"}, private=True),
    Library("ONNX and protobuf", r"(onnx/|google/protobuf/)", {"importers"}, private=True),
    Library("Graphviz", r"graphviz/", {"reports"}, private=True),
    Library("ImGui", r"(im(gui|plot|node)[a-z0-9_]*\.h$|imgui|GLFW/|GL/)", {"explorer_gui/view"}, private=True),
    Library("libpng", r"png\.h$", {"explorer_gui/view"}, private=True),
    Library("CLI11", r"CLI/", {"cli"}),
    Library("a test library", r"(gtest|gmock|rapidcheck|benchmark)(/|\.h)", set()),
]

C_AND_POSIX = re.compile(
    r"^((assert|ctype|errno|fcntl|fenv|float|inttypes|limits|math|netdb|poll|pthread|sched|setjmp|signal"
    r"|spawn|stdarg|stddef|stdint|stdio|stdlib|string|time|unistd|dlfcn|immintrin|cpuid)\.h"
    r"|(sys|arpa|netinet|linux)/[a-z0-9_/]+\.h)$")
STANDARD = re.compile(r"^[a-z0-9_]+$")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")')
KOKKOS_VERSION_HOME = "kernels/kokkos_ext/"
SUFFIXES = {".hpp", ".h", ".cpp", ".cc", ".cu", ".cuh", ".def", ".inl"}


def room_of(path):
    """The room of a repository-relative path, or None."""
    rooms = [room for room in ROOMS if path.startswith(room + "/")]
    return max(rooms, key=len) if rooms else None


def is_private(path):
    return Path(path).suffix in {".cpp", ".cc", ".cu"} or "/detail/" in path


def why_not(path, target, quoted):
    """Why the file at `path` may not include `target`; None if it may."""
    room = room_of(path)
    target_room = room_of(target)
    if target_room:
        if not quoted:
            return 'headers of this repository are included with "quotes"'
        if target_room != room and target_room not in ROOMS[room]:
            allowed = ", ".join(sorted(ROOMS[room])) or "no other room"
            return f"{room} may use {allowed}, not {target_room}"
        if target_room != room and "/detail/" in target:
            return f"detail/ headers of {target_room} are its own"
        return None
    if target.split("/")[0] in UNRULED:
        return "nothing of the library includes tests or benchmarks"
    for library in LIBRARIES:
        if not library.pattern.match(target):
            continue
        if room not in library.rooms:
            allowed = ", ".join(sorted(library.rooms)) or "tests"
            return f"{library.name} belongs to {allowed}, not to {room}"
        if library.private and not is_private(path):
            return f"{library.name} is private: only .cpp files and detail/ headers of {room} include it"
        if library.files and not library.files.search(path[len(room):]):
            return f"{library.name} stands only in files whose path matches '{library.files.pattern}'"
        return None
    if quoted:
        return 'quoted includes are written from the repository\'s root, as in "core/graph.hpp"'
    if STANDARD.match(target) or C_AND_POSIX.match(target):
        return None
    return "no table of check_includes.py knows this header"


def check(root):
    """Returns (number of files read, list of violations)."""
    count = 0
    violations = []
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root).as_posix()
        top = path.split("/")[0]
        if file.suffix not in SUFFIXES or top in IGNORED or top.startswith((".", "build")):
            continue
        count += 1
        if top in UNRULED:
            continue
        if room_of(path) is None:
            violations.append(f"{path}:1: '{top}' is not a room of check_includes.py")
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                target = match.group(1) or match.group(2)
                reason = why_not(path, target, quoted=match.group(2) is not None)
                if reason:
                    violations.append(f"{path}:{number}: #include {target}: {reason}")
            if "KOKKOS_VERSION" in line and not path.startswith(KOKKOS_VERSION_HOME):
                violations.append(
                    f"{path}:{number}: only {KOKKOS_VERSION_HOME} asks for KOKKOS_VERSION")
    return count, violations


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    root = Path(arguments[1])
    count, violations = check(root)
    for violation in violations:
        print(violation)
    print(f"{count} files read, {len(violations)} violations")
    if count == 0:
        print(f"no source file under {root}: nothing was checked")
    return 1 if violations or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
