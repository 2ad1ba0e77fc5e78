"""Run the commands that README.md, VALIDATION.md and the site show; put what they print below them.

Usage: refresh-docs.py [--check] [FILE...]

A block marked `console` is a transcript: lines that start with `$ ` are commands, the lines below
each are its output. `$ cat FILE` goes the other way: what stands below it is written to FILE, in an
empty folder in which the commands of all blocks run one after the other.
"""

import argparse
import contextlib
import difflib
import io
import re
import shlex
import sys
import tempfile
from pathlib import Path
from unittest import mock

from bayesmeta import cli

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "VALIDATION.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)

# All are answered from the shipped posterior or the tables: within seconds, without sampling.
QUICK = (
    "query", "evidence", "effects", "rank", "check", "curve", "tradeoff", "substitutions",
    "scoreboard", "validation", "data", "multiverse", "ladders", "influence", "claim", "whatif",
    "designs", "predict", "meta", "experiments", "list",
)  # fmt: skip


def run(command: str) -> str:
    """Run one `bayesmeta` command in this process; return all that it prints."""
    words = shlex.split(command)
    if words[0] != "bayesmeta" or words[1] not in QUICK:
        raise SystemExit(f"'{command}' cannot be refreshed. Allowed: bayesmeta {'|'.join(QUICK)}.")
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", words),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        contextlib.suppress(SystemExit),
    ):
        cli.main()
    # Trailing blanks pad a table's last column; an editor or a hook would strip them.
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


def refresh_step(step: re.Match[str]) -> str:
    """Refresh the output of one command, or write the file that it shows."""
    command, output = step["command"], step["output"]
    if command.startswith("cat "):
        path = Path(shlex.split(command)[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(output, encoding="utf-8")
    else:
        output = run(command)
    return f"$ {command}\n{output}"


def refresh(text: str) -> str:
    """Refresh every transcript of a Markdown text."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return BLOCK.sub(lambda block: STEP.sub(refresh_step, block[0]), text)


def main() -> None:
    """Rewrite the files, or with `--check` show what would change and exit with status 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, and leave the files alone")
    parser.add_argument("files", nargs="*", type=Path, default=DOCUMENTS)
    arguments = parser.parse_args()
    changed = False
    for path in arguments.files:
        old = path.read_text(encoding="utf-8")
        new = refresh(old)
        changed = changed or new != old
        if arguments.check:
            names = (path.name, f"{path.name} (refreshed)")
            lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names)
            sys.stdout.writelines(lines)
        elif new != old:
            path.write_text(new, encoding="utf-8")
            print(f"refreshed {path.name}")
    sys.exit(1 if changed and arguments.check else 0)


if __name__ == "__main__":
    main()
