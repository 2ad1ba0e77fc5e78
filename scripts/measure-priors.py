"""What the prior does to every claim: refits with each of the prior's scales halved and doubled.

Usage: measure-priors.py [--workers N] [--keep FOLDER] [--out FILE.csv]

The record has a row per prior and contrast, on the mean over benchmarks: median and 90 % interval
in percentage points, and the probability that the level helps. Power scaling, which needs no refit,
is `bayesmeta.prior_sensitivity`. Finished fits are kept, so that a run that was broken off goes on
where it stopped.
"""

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

import measuring
import pandas as pd
from keeping import compute_all, write_record

import bayesmeta as bm

SCALES = {
    "effects of decisions": ("beta_tau",),
    "surface": ("surface_tau",),
    "family effects": ("tau_family_log",),
    "residual": ("sigma",),
    "slopes of scale": ("kappa_tau_task", "kappa_tau_benchmark"),
}
"""Priors of scales by what they are the scale of."""

FACTORS = {"halved": 0.5, "doubled": 2.0}
SETTINGS = {"chains": 2, "cores": 1, "tune": 500, "draws": 500}


def rescale(priors, names, *, factor):
    """Multiply the medians of scales; one is stated by its logarithm."""
    values = {}
    for name in names:
        old = getattr(priors, name)
        if name == "tau_family_log":
            values[name] = old + math.log(factor)
        else:
            values[name] = (
                tuple(factor * part for part in old) if isinstance(old, tuple) else factor * old
            )
    return replace(priors, **values)


def compute(key):
    """Fit the default model, or one with another prior, and tabulate its effects."""
    spec = bm.ModelSpec()
    if key != "default":
        name, how = key.rsplit(" ", 1)
        priors = rescale(spec.priors, SCALES[name], factor=FACTORS[how])
        spec = replace(spec, priors=priors)
    fit = bm.fit(bm.load_dataset(), spec, seed=1, progress=False, **SETTINGS)
    return bm.effects(fit).table()


def main():
    """Run, write the record and print how far probabilities move."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=measuring.ROOT / "out" / "priors")
    parser.add_argument("--out", type=Path, default=measuring.ROOT / "data" / "priors.csv")
    arguments = parser.parse_args()
    keys = ["default", *(f"{name} {how}" for name in SCALES for how in FACTORS)]
    folder, workers = arguments.keep, arguments.workers
    tables = compute_all(compute, keys, folder=folder, workers=workers, label="refitting")
    columns = ["decision", "level", "reference", "estimate", "lower", "upper", "prob_helps"]
    parts = [t[columns].assign(prior=key) for key, t in tables.items()]
    record = pd.concat(parts, ignore_index=True).round(4)
    record.insert(0, "prior", record.pop("prior"))
    write_record(record, path=arguments.out)
    wide = record.pivot(index=columns[:3], columns="prior", values="prob_helps")
    print(wide[keys].round(2).to_string())
    print(f"wrote {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
