#!/usr/bin/env python3
"""completion.py bash|zsh|fish PROGRAM: completes command lines in a shell that runs the generated
script, and compares with what the program's own help and lists say."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM = None


def soapstone(*arguments):
    return subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, text=True).stdout


# Sets the words of the line as readline would, calls the function that `complete` registered, and
# prints what it answers.
BASH = r"""
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
function=$(complete -p soapstone); function=${function#*-F }; function=${function%% *}
"$function"
printf '%s\n' "${COMPREPLY[@]}"
"""

# A shell of its own that completes what is typed, with compadd replaced by one that tells its
# matches (-O fills an array with those that match) between two marks.
ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1= RPS1= PS2=; unsetopt zle_bracketed_paste 2>/dev/null; autoload -Uz compinit; fpath=($1 \$fpath)"
zpty -w z 'compinit -u -D'
zpty -w z 'compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
  local -a found; builtin compadd -O found "$@"
  local m; for m in $found; do print -r -- "@match@$m@"; done
  builtin compadd "$@"
}'
zpty -w z 'zle -C told complete-word tell; tell() { _main_complete; print -r -- @done@; compstate[insert]=; }; bindkey "^I" told'
zpty -w z 'print @rea""dy@'
zpty -r -m z out '*@ready@*'
zpty -w -n z "$2"$'\t'
zpty -r -m z out '*@done@*'
print -r -- $out
zpty -d z
"""


def complete(shell, folder, words):
    """The answers to a TAB after these words; the last one may be begun or empty."""
    if shell == "bash":
        done = subprocess.run(["bash", "-c", BASH, "bash", folder / "soapstone", *words],
                              cwd=folder / "here", capture_output=True, text=True)
        if done.stderr:
            sys.exit(f"bash says: {done.stderr}")
        return sorted(filter(None, done.stdout.splitlines()))
    line = " ".join(words).replace(" = ", "=").replace("= ", "=")
    if shell == "fish":
        done = subprocess.run(["fish", "--no-config", "-c", f'source {folder / "soapstone.fish"}; complete -C "{line}"'],
                              cwd=folder / "here", capture_output=True, text=True,
                              env=dict(os.environ, HOME=str(folder)))
        if done.stderr:
            sys.exit(f"fish says: {done.stderr}")
        return sorted(answer.split("\t")[0] for answer in done.stdout.splitlines())
    done = subprocess.run(["zsh", "-f", "-c", ZSH, "zsh", folder, line], cwd=folder / "here",
                          capture_output=True, text=True, timeout=60)
    return sorted(set(re.findall(r"@match@(.*?)@", done.stdout)))


def options_in(help_text):
    """'--name' -> what the help says of its value ('a|b', 'INT'), or None."""
    found = {}
    for names, values in re.findall(r"^  ((?:-\w,)?--[\w-]+(?:,--[\w-]+)*)(?: ([^\s=]+))?", help_text, re.M):
        for name in names.split(","):
            found[name] = values or None
    return found


def main():
    global PROGRAM
    shell, PROGRAM = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="soapstone-completion-") as place:
        folder = pathlib.Path(place)
        (folder / "here/a folder").mkdir(parents=True)
        (folder / "here/graph.json").touch()
        name = {"bash": "soapstone", "zsh": "_soapstone", "fish": "soapstone.fish"}[shell]
        (folder / name).write_text(soapstone("completion", shell))
        asked = 0

        def expect(words, answers):
            nonlocal asked
            asked += 1
            # Shells differ in how they write a folder, and a blank in its name.
            got = sorted(answer.replace("\\", "").rstrip("/")
                         for answer in complete(shell, folder, ["soapstone", *words]))
            if got != sorted(answers):
                sys.exit(f"{shell}: soapstone {' '.join(words)}<TAB>: expected {sorted(answers)}, got {got}")

        whole = soapstone("--help")
        verbs = re.findall(r"^  ([a-z]+) ", whole[whole.index("Subcommands:"):], re.M)
        models = [model["name"] for model in json.loads(soapstone("models", "--json"))["models"]]
        presets = [cluster["name"] for cluster in json.loads(soapstone("clusters", "--json"))["clusters"]]
        here = ["a folder", "graph.json"]

        expect(["tr"], ["train"] if "train" in verbs else [])
        expect(["sim"], ["simulate"])
        if shell == "bash":  # every option of every verb; it is the quickest of the three
            expect([""], [*verbs, "-h", "--help", "--version"])
            for verb in verbs:
                options = options_in(soapstone(verb, "--help"))
                expect([verb, "--"], [option for option in options if option.startswith("--")])
                for option, values in options.items():
                    if values and re.fullmatch(r"[a-z0-9|-]+", values):
                        expect([verb, option, ""], values.split("|"))
            expect(["--help", "cl"], ["clusters"])
            expect(["search", "--cluster", "=", "p1"], ["p100-4x4"])
            expect(["search", "--cluster", "="], [*presets, "local", *here])
            expect(["search", "--batch=8", ""], [*models, *here])
            expect(["search", "--batch", "=", "8", ""], [*models, *here])
        expect(["search", "--clu"], ["--cluster"])
        expect(["search", ""], [*models, *here])
        expect(["search", "--batch", "8", "res"], [m for m in models if m.startswith("res")])
        expect(["search", "mlp", "--cluster", "p1"], ["p100-4x4"])
        expect(["search", "mlp", "--batch", ""], [])
        expect(["report", "mlp", "--out", ""], here[:1])
        expect(["completion", ""], ["bash", "zsh", "fish"])
        expect(["help", "sea"], ["search"])
        expect(["nonsense", ""], [])
        if "kernels" in verbs:
            ops = [op["op"] for op in json.loads(soapstone("kernels", "--json"))["kernels"]]
            expect(["kernels", "conv"], sorted({op for op in ops if op.startswith("conv")}))
            expect(["profile", "mlp", "--known", ""], ["check", "keep", "again"])
        if shell == "bash":
            expect(["search", "mlp", ""], [])
            expect(["diff", "graph.json", "gr"], ["graph.json"])
        print(f"{shell}: {asked} command lines completed")


if __name__ == "__main__":
    main()
