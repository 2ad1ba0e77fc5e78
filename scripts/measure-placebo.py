"""Placebo: how often the default model finds an effect of decisions dealt out at random.

Usage: measure-placebo.py [--n N] [--workers N] [--keep FOLDER] [--out FILE.csv]

Every deal gives families the decisions of other families (see `bayesmeta.validation.placebo`) and
is fitted anew. The record has a row per deal, contrast and kind of target: the targets there were,
those with P(helps) above 0.95 or below 0.05, and those of them that were called identified.
Finished fits are kept, so that a run that was broken off goes on where it stopped.
"""

import argparse
import sys
from pathlib import Path

import measuring
import pandas as pd
from keeping import compute_all, write_record

import bayesmeta as bm
from bayesmeta.validation.placebo import CERTAIN, fit_placebo, tabulate_placebo


def compute(key):
    """Fit one deal."""
    return tabulate_placebo(fit_placebo(bm.load_dataset(), spec=bm.ModelSpec(), seed=int(key)))


def summarise(tables):
    """Count by deal, contrast and kind of target."""
    rows = []
    for key, table in tables.items():
        probability = table["prob_helps"]
        beyond = (probability > CERTAIN) | (probability < 1 - CERTAIN)
        identified = table["verdict"] == "identified"
        table = table.assign(n=1, beyond=beyond, identified=identified, deal=int(key))
        group = ["deal", "decision", "level", "reference", "by"]
        rows.append(table.groupby(group, sort=False)[["n", "beyond", "identified"]].sum())
    return pd.concat(rows).reset_index()


def main():
    """Run, write the record and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=60, help="deals")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=measuring.ROOT / "out" / "placebo")
    parser.add_argument("--out", type=Path, default=measuring.ROOT / "data" / "placebo.csv")
    arguments = parser.parse_args()
    keys = [str(deal) for deal in range(1, arguments.n + 1)]
    folder, workers = arguments.keep, arguments.workers
    record = summarise(compute_all(compute, keys, folder=folder, workers=workers, label="dealing"))
    write_record(record, path=arguments.out)
    sums = record.groupby("by", sort=False)[["n", "beyond", "identified"]].sum()
    print((100 * sums.div(sums["n"], axis=0)).round(2).to_string())
    print(f"wrote {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
