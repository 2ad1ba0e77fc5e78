"""Coverage of intervals where the truth is known: a grid of settings, many sets of scores in each.

Usage: measure-coverage.py [--n N] [--workers N] [--keep FOLDER] [--out FILE.csv]

Scores are drawn from chosen effects (see `bayesmeta.validation.recovery`), the default model is
fitted to them, and the 90 % interval of every default contrast is held against its truth. The
record has a row per setting, contrast and kind of target: the intervals there were, how many held
their truth, their mean width and the root mean square error of the estimate. Finished fits are
kept, so that a run that was broken off goes on where it stopped.
"""

import argparse
import sys
from pathlib import Path

import measuring
import numpy as np
import pandas as pd
from keeping import compute_all, compute_repeat, write_record

from bayesmeta.validation.recovery import CELLS, score_recovery


def compute(key):
    """Fit one set of scores of one cell."""
    return compute_repeat(score_recovery, CELLS, key)


def summarise(tables):
    """Sum up the fits of every cell by contrast and kind of target."""
    rows = []
    for key, table in tables.items():
        table = table.assign(
            width=table["upper"] - table["lower"], squared=(table["estimate"] - table["truth"]) ** 2
        )
        parts = table.groupby(["contrast", "by"], sort=False).agg(
            n=("covered", "size"), covered=("covered", "sum"), width=("width", "sum"),
            squared=("squared", "sum"),
        )  # fmt: skip
        rows.append(parts.reset_index().assign(cell=CELLS[int(key.split("-")[0])].name))
    sums = pd.concat(rows).groupby(["cell", "contrast", "by"], sort=False).sum().reset_index()
    sums["width"] = (sums["width"] / sums["n"]).round(3)
    sums["rmse"] = np.sqrt(sums.pop("squared") / sums["n"]).round(3)
    return sums


def main():
    """Run, write the record and print coverage by cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=12, help="sets of scores in each cell")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=measuring.ROOT / "out" / "coverage")
    parser.add_argument("--out", type=Path, default=measuring.ROOT / "data" / "coverage.csv")
    arguments = parser.parse_args()
    keys = [f"{cell}-{repeat}" for cell in range(len(CELLS)) for repeat in range(arguments.n)]
    folder, workers = arguments.keep, arguments.workers
    tables = compute_all(compute, keys, folder=folder, workers=workers, label="covering")
    record = summarise(tables)
    write_record(record, path=arguments.out)
    by = record.groupby(["cell", "by"], sort=False)[["covered", "n"]].sum()
    print((100 * by["covered"] / by["n"]).round(1).unstack().to_string())
    print(f"wrote {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
