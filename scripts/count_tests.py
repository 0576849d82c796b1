#!/usr/bin/env python3
"""Counts the tests that ctest executed, names the skipped ones with their reasons, and holds a floor.

Usage: count_tests.py CTEST_JUNIT_XML MINIMUM
"""

import re
import sys
import xml.etree.ElementTree as ET


def skip_reason(case):
    """What the test printed beside GoogleTest's "Skipped", or ctest's own word for it."""
    output = case.findtext("system-out") or ""
    match = re.search(r": Skipped\n(.+)", output)
    if match:
        return match.group(1).strip()
    skipped = case.find("skipped")
    return skipped.get("message", "no reason given") if skipped is not None else "not run"


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    minimum = int(sys.argv[2])
    cases = ET.parse(sys.argv[1]).getroot().findall("testcase")
    executed = [case for case in cases if case.get("status") in ("run", "fail")]
    skipped = [case for case in cases if case not in executed]
    for case in skipped:
        print(f"skipped: {case.get('name')}: {skip_reason(case)}")
    print(f"{len(executed)} tests executed, {len(skipped)} skipped, floor {minimum}")
    if len(executed) < minimum:
        print(f"only {len(executed)} tests were executed, below the floor of {minimum} (scripts/test.sh)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
