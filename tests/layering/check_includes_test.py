#!/usr/bin/env python3
"""The layering checker must find what is planted, and leave alone what is allowed."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import check_includes


def run(files):
    """Runs the checker over a tree made of {path: text}; returns (exit code, output)."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = check_includes.main(["check_includes.py", folder])
        return code, output.getvalue()


class CheckIncludes(unittest.TestCase):
    def refused(self, path, line, reason):
        code, output = run({path: f"#pragma once\n{line}\n"})
        self.assertEqual(code, 1, output)
        self.assertIn(f"{path}:2: ", output)
        self.assertIn(reason, output)

    def accepted(self, path, line):
        code, output = run({path: line + "\n"})
        self.assertEqual(code, 0, output)
        self.assertIn("1 files read, 0 violations", output)

    def test_core_stays_free_of_devices_and_windows(self):
        for header in ("Kokkos_Core.hpp", "cuda_runtime.h", "mpi.h", "imgui.h", "dnnl.hpp",
                       "oneapi/dnnl/dnnl.hpp", "nccl.h", "sqlite3.h"):
            for path in ("core/graph.hpp", "core/graph.cpp", "core/detail/graph.hpp"):
                self.refused(path, f"#include <{header}>", "not to core")

    def test_a_room_uses_only_the_rooms_listed_for_it(self):
        self.refused("core/plan.cpp", '#include "simulator/simulate.hpp"', "not simulator")
        self.refused("simulator/engine.cpp", '#include "search/mcmc.hpp"', "not search")
        self.refused("simulator/engine.hpp", '#include "kernels/catalog.hpp"', "not kernels")
        self.refused("search/mcmc.cpp", '#include "runtime/executor.hpp"', "not runtime")
        self.refused("kernels/catalog.cpp", '#include "runtime/executor.hpp"', "not runtime")
        self.refused("runtime/executor.cpp", '#include "simulator/simulate.hpp"', "not simulator")
        self.refused("explorer_gui/model/view_model.cpp", '#include "kernels/catalog.hpp"', "not kernels")
        self.refused("explorer_gui/view/window.cpp", '#include "simulator/simulate.hpp"', "not simulator")
        self.accepted("search/mcmc.cpp", '#include "simulator/simulate.hpp"')
        self.accepted("runtime/executor.cpp", '#include "kernels/catalog.hpp"')
        self.accepted("cli/main.cpp", '#include "runtime/executor.hpp"')
        self.accepted("explorer_gui/view/window.cpp", '#include "explorer_gui/model/timeline.hpp"')

    def test_no_public_header_shows_a_private_library(self):
        self.refused("runtime/mpi/backend.hpp", "#include <mpi.h>", "MPI is private")
        self.refused("runtime/nccl/backend.hpp", "#include <nccl.h>", "NCCL is private")
        self.refused("kernels/cuda/stream.hpp", "#include <cuda_runtime.h>", "CUDA is private")
        self.refused("explorer_gui/view/window.hpp", "#include <imgui.h>", "ImGui is private")
        self.refused("simulator/database.hpp", "#include <sqlite3.h>", "SQLite is private")
        self.refused("core/graph.hpp", "#include <gtest/gtest.h>", "a test library belongs to tests")
        self.accepted("runtime/mpi/backend.cpp", "#include <mpi.h>")
        self.accepted("runtime/detail/mpi_check.hpp", "#include <mpi.h>")
        self.accepted("explorer_gui/view/window.cpp", "#include <imgui.h>")
        self.accepted("kernels/launch.hpp", "#include <Kokkos_Core.hpp>")

    def test_a_vendor_stands_in_its_own_file(self):
        self.refused("kernels/ops/softmax/kokkos.cpp", "#include <dnnl.hpp>", "stands only in files")
        self.refused("runtime/executor.cpp", "#include <mpi.h>", "stands only in files")
        self.accepted("kernels/ops/softmax/onednn.cpp", "#include <dnnl.hpp>")
        self.accepted("kernels/ops/softmax/cudnn.cpp", "#include <cudnn.h>")

    def test_includes_are_written_from_the_root(self):
        self.refused("core/graph.cpp", '#include "graph.hpp"', "repository's root")
        self.refused("core/graph.cpp", '#include "../core/graph.hpp"', "repository's root")
        self.refused("core/graph.cpp", "#include <core/graph.hpp>", "quotes")
        self.refused("cli/main.cpp", '#include "core/detail/graph.hpp"', "its own")
        self.refused("core/graph.cpp", '#include "tests/support/oracle.hpp"', "tests")
        self.accepted("core/graph.cpp", '#include "core/detail/graph.hpp"')
        self.accepted("core/op.hpp", '#include "core/ops/all.def"')

    def test_an_unknown_library_or_room_is_refused(self):
        self.refused("core/graph.cpp", "#include <boost/graph.hpp>", "no table")
        self.accepted("core/graph.cpp", "#include <vector>")
        self.accepted("core/graph.cpp", "#  include <sys/stat.h>")
        code, output = run({"utils/strings.hpp": ""})
        self.assertEqual(code, 1, output)
        self.assertIn("'utils' is not a room", output)

    def test_only_kokkos_ext_asks_for_the_kokkos_version(self):
        self.refused("kernels/launch.hpp", "#if KOKKOS_VERSION < 40000", "kokkos_ext")
        self.accepted("kernels/kokkos_ext/atomics.hpp", "#if KOKKOS_VERSION < 40000")

    def test_an_empty_tree_does_not_pass(self):
        code, output = run({})
        self.assertEqual(code, 1)
        self.assertIn("nothing was checked", output)


if __name__ == "__main__":
    unittest.main()
