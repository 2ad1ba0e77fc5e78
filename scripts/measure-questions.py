"""Measure how long questions take: as a whole process, and of a posterior that is loaded.

Usage: measure-questions.py [--out FILE.json] [--runs N] [--base FOLDER]

- `process`: `bayesmeta query` against an interpreter that only imports numpy, pandas and xarray,
  one after the other in turn, so that what else the machine does slows down both.
- `loaded`: questions of the shipped posterior in one process, and the table of all decisions on
  all benchmarks. What all questions share is computed before the first is timed.

`--base` names a checkout of an earlier version: its numbers are taken in turn with those of this
one, each in processes of its own, and `ratios` are of this version to that one. Without it the
numbers of that version in the record that stands are kept, where there are any.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import measuring
import numpy as np

import bayesmeta as bm
from bayesmeta.jobs import count_processors

STATEMENTS = (
    "attention: gqa > mha", "position_embedding: rotary > learned", "code_share: 20 > 5",
    "swap web_share -> code_share by 10", "n_tokens: 2e12 > 1e12",
)  # fmt: skip
YARDSTICK = "import numpy, pandas, xarray"
RECORDED = ("bayesmeta", "numpy", "pandas", "xarray", "scipy", "h5py")

LOADED = """
import json, sys, time
import bayesmeta as bm

statements, runs = json.loads(sys.argv[1])
fit = bm.load_reference_fit()
bm.query(fit, statements[0])
bm.effects(fit, by="benchmark").table()

questions = {s: lambda s=s: bm.query(fit, s) for s in statements}
questions["table"] = lambda: bm.effects(fit, by="benchmark").table()
found = dict.fromkeys(questions, float("inf"))
for _ in range(runs):
    for name, ask in questions.items():
        start = time.perf_counter()
        ask()
        found[name] = min(found[name], time.perf_counter() - start)
print(json.dumps(found))
"""
"""Runs in this version and in the earlier one: public names alone. The best of some runs counts.
The questions take turns, so that none finds its own answer of the run before kept."""


def time_process(*words, root):
    """Seconds of an interpreter with these arguments, from start to end."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(root)}
    # Python looks for modules in the present folder first.
    subprocess.run(
        [sys.executable, *words], env=environment, cwd=root, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - start


def ask_loaded(*, root, runs):
    """Seconds of every question, and of the table, of a posterior that is loaded."""
    run = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps([STATEMENTS, runs])],
        env={**os.environ, "PYTHONPATH": str(root)}, cwd=root, stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    return json.loads(run.stdout.splitlines()[-1])


def measure_processes(*, roots, runs):
    """Median seconds of the yardstick and of a question, of each version, taken in turn."""
    commands = {"imports": ("-c", YARDSTICK)}
    places = {"imports": roots["this"]}
    for version, root in roots.items():
        name = "query" if version == "this" else f"query_{version}"
        commands[name] = ("-m", "bayesmeta.cli", "query", STATEMENTS[0])
        places[name] = root
    taken = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, words in commands.items():
            taken[name].append(time_process(*words, root=places[name]))
    # The first of each reads its files from the disk.
    return {f"{name}_seconds": float(np.median(times[1:])) for name, times in taken.items()}


def measure_loaded(*, roots, runs):
    """Median over three processes of each version of the best seconds of every question."""
    taken = {version: [] for version in roots}
    for _ in range(3):
        for version, root in roots.items():
            taken[version].append(ask_loaded(root=root, runs=runs))
    return {
        version: {name: float(np.median([one[name] for one in found])) for name in found[0]}
        for version, found in taken.items()
    }


def compare(process, loaded):
    """Divide what a question takes by the yardstick, and by what it took before."""
    ratios = {"query_to_imports": process["query_seconds"] / process["imports_seconds"]}
    if "base" in loaded:
        ratios |= {name: loaded["this"][name] / seconds for name, seconds in loaded["base"].items()}
    return {name: round(value, 3) for name, value in ratios.items()}


def main():
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=measuring.ROOT / "data" / "questions.json")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--base", type=Path, help="checkout of an earlier version")
    arguments = parser.parse_args()
    roots = {"this": measuring.ROOT}
    if arguments.base is not None:
        roots["base"] = arguments.base.resolve(strict=True)
    header = measuring.build_machine(RECORDED) | {"processors": count_processors()}
    process = measure_processes(roots=roots, runs=arguments.runs)
    loaded = measure_loaded(roots=roots, runs=arguments.runs)
    if "base" not in loaded and arguments.out.exists():
        kept = json.loads(arguments.out.read_text(encoding="utf-8"))["loaded"].get("base")
        loaded |= {"base": kept} if kept else {}
    record = {
        "spec_checksum": bm.ModelSpec().checksum,
        "data_checksum": bm.load_dataset().checksum,
        **header,
        "runs": arguments.runs,
        "process": {name: round(value, 3) for name, value in process.items()},
        "loaded": {
            version: {name: round(value, 5) for name, value in found.items()}
            for version, found in loaded.items()
        },
    }
    record["ratios"] = compare(record["process"], record["loaded"])
    measuring.write_record(arguments.out, record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
