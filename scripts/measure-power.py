"""Power: how often real effects of decisions that vary inside families are called identified.

Usage: measure-power.py [--n N] [--workers N] [--keep FOLDER] [--out FILE.csv]

Scores are drawn from chosen effects, with four decisions that every lm takes for itself (see
`POWER_CELLS` in `bayesmeta.validation.recovery`), and the default model is fitted to them. The
record has a row per setting, contrast, kind of target and size of the true effect: the effects
there were, those with P(helps) above 0.95 or below 0.05, those called identified, and those called
identified with the wrong sign. Finished fits are kept, so that a run that was broken off goes on
where it stopped.
"""

import argparse
import sys
from pathlib import Path

import measuring
import numpy as np
import pandas as pd
from keeping import compute_all, compute_repeat, write_record

from bayesmeta.validation.placebo import CERTAIN
from bayesmeta.validation.recovery import POWER_CELLS, score_verdicts

SIZES = (0.0, 0.5, 1.0, 2.0, 4.0, np.inf)
"""Bounds of true effects that are counted together, in percentage points."""


def compute(key):
    """Fit one set of scores of one cell."""
    return compute_repeat(score_verdicts, POWER_CELLS, key)


def summarise(tables):
    """Count by cell, contrast, kind of target and size."""
    rows = []
    for key, table in tables.items():
        probability, identified = table["prob_helps"], table["verdict"] == "identified"
        wrong = identified & ((probability > 0.5) != (table["truth"] > 0))
        size = pd.cut(table["truth"].abs(), SIZES, labels=SIZES[:-1], right=False)
        table = table.assign(
            n=1,
            beyond=(probability > CERTAIN) | (probability < 1 - CERTAIN),
            identified=identified,
            wrong_sign=wrong,
            at_least=size.astype(float),
            cell=POWER_CELLS[int(key.split("-")[0])].name,
        )
        rows.append(table)
    group = ["cell", "decision", "level", "reference", "by", "at_least"]
    counts = ["n", "beyond", "identified", "wrong_sign"]
    return pd.concat(rows).groupby(group, sort=False)[counts].sum().reset_index()


def main():
    """Run, write the record and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10, help="sets of scores in each cell")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=measuring.ROOT / "out" / "power")
    parser.add_argument("--out", type=Path, default=measuring.ROOT / "data" / "power.csv")
    arguments = parser.parse_args()
    keys = [f"{cell}-{n}" for cell in range(len(POWER_CELLS)) for n in range(arguments.n)]
    folder, workers = arguments.keep, arguments.workers
    record = summarise(compute_all(compute, keys, folder=folder, workers=workers, label="planting"))
    write_record(record, path=arguments.out)
    sums = record.groupby(["by", "at_least"])[["n", "beyond", "identified", "wrong_sign"]].sum()
    print((100 * sums.div(sums["n"], axis=0)).round(1).assign(n=sums["n"]).to_string())
    print(f"wrote {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
