#!/usr/bin/env python3
"""manual.py SOURCE PROGRAM [man] [mandoc]: the manual page says all that the program offers, and the
formatters given have nothing to complain about."""
import pathlib
import re
import subprocess
import sys
import tempfile

SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "VERBS", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES",
            "EXAMPLES"]


def main():
    source, program, *formatters = sys.argv[1:]

    def soapstone(*arguments):
        return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout

    roff = soapstone("man")
    page = re.sub(r"\\f[BIR]", "", roff).replace("\\-", "-")  # words as a reader sees them
    plain = page.replace("\n", " ")
    faults = []
    found = re.findall(r"^\.SH (.*)$", page, re.M)
    if found != SECTIONS:
        faults.append(f"sections: {found}")

    whole = soapstone("--help")
    if soapstone("help") != whole:
        faults.append("`soapstone help` differs from `soapstone --help`")
    wrong = subprocess.run([program, "help", "serch"], capture_output=True, text=True)
    if wrong.returncode != 2 or "did you mean `search`?" not in wrong.stderr:
        faults.append(f"`soapstone help serch` says: {wrong.stderr}")
    verbs = re.findall(r"^  ([a-z]+) ", whole[whole.index("Subcommands:"):], re.M)
    told = re.findall(r"^\.SS ([a-z]+)$", page, re.M)
    if told != verbs:
        faults.append(f"verbs of the page: {told}; of the program: {verbs}")
    options = 0
    for verb in verbs:
        text = soapstone(verb, "--help")
        if soapstone("help", verb) != text:
            faults.append(f"`soapstone help {verb}` differs from `soapstone {verb} --help`")
        example = text[text.index("Example:") + len("Example:"):].strip()
        if example not in plain:
            faults.append(f"the example of {verb} is missing: {example}")
        section = page[page.index(f"\n.SS {verb}\n"):]
        section = section[:section.index("\n.S", 1)]
        of_models = text.find("\nHyper-parameters")
        for found in re.finditer(r"^  ((?:-\w,)?--[\w-]+(?:,--[\w-]+)*)", text, re.M):
            for name in found[1].split(","):
                options += 1
                # Those that all verbs or many models have stand once.
                once = 0 <= of_models < found.start() or name in ("-h", "--help", "--json")
                place = plain if once else section
                if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", place):
                    faults.append(f"{verb} {name} is missing")

    # Every variable that the program reads.
    told = re.findall(r"[A-Z][A-Z_*, ]+", page[page.index(".SH ENVIRONMENT"):page.index(".SH FILES")])
    prefixes = tuple(name.rstrip("*") for line in told for name in line.split(", "))
    for room in ("cli", "core", "importers", "kernels", "reports", "runtime", "search", "simulator"):
        for file in pathlib.Path(source, room).rglob("*.cpp"):
            for name in re.findall(r'getenv\("(\w+)"\)', file.read_text()):
                if not name.startswith(prefixes):
                    faults.append(f"{file}: reads {name}, which ENVIRONMENT does not tell")

    with tempfile.TemporaryDirectory(prefix="soapstone-manual-") as place:
        file = pathlib.Path(place, "soapstone.1")
        file.write_text(roff)
        for formatter in formatters:
            command = {"man": ["man", "--warnings", "-l", str(file)],
                       "mandoc": ["mandoc", "-Tlint", "-Wstyle", str(file)]}[formatter]
            done = subprocess.run(command, capture_output=True, text=True,
                                  env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})
            # The page belongs to a version, not to a date.
            complaints = [line for line in (done.stderr + (done.stdout if formatter == "mandoc" else ""))
                          .splitlines() if "missing date" not in line]
            faults += [f"{formatter}: {line}" for line in complaints]
            if formatter == "man" and "soapstone search" not in done.stdout:
                faults.append("man shows no page")
    print(f"{len(verbs)} verbs, {options} options; formatted by {' and '.join(formatters) or 'nothing'}")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
