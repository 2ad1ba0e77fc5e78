"""Compare the options of a spec by leave-one-out scores, calibration and held-out scores.

Usage: compare-options.py [--options NAME,NAME] [--out FILE.json] [--fits FOLDER]

Changes one option of the default spec at a time. For each value it records

- of fits to both data versions: leave-one-out densities by Pareto-smoothed importance sampling
  (Vehtari et al. 2017, https://doi.org/10.1007/s11222-016-9696-4), and the leave-one-out
  probabilities of a lower score (PIT), which are uniform where the predictive distribution is true.
  Look at R-hat first: leave-one-out scores of chains that disagree mean nothing;
- errors of held-out scores on random folds of the facts as published, on which choices are made;
- what the prior says of the effects of decisions, in points on a mid-range accuracy.

Fits and folds are kept in files named by their spec and settings, so that a run that was broken off
goes on where it stopped, and a value that is already in the record of the same spec is kept.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.crossvalidation.folds import Candidate, run_fold
from bayesmeta.crossvalidation.schemes import build_folds
from bayesmeta.model.blocks import build_model
from bayesmeta.model.spec import OPTIONS, build_design_for
from bayesmeta.whole_files import write_text

SPEC = bm.ModelSpec(experiments="ignored")
"""The model of LMs alone, whose options are compared."""

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("corrected", "as-published")
SETTINGS = {"chains": 2, "tune": 400, "draws": 400, "seed": 1}
FOLDS = {"version": "as-published", "scheme": "random", "seeds": 4}
COMPARED = ("likelihood", "shrinkage", "family_effects", "pooling", "interactions")
PRIOR_DRAWS, STEEPEST = 1000, 25.0
"""A mid-range accuracy above a floor of zero moves by 25 points for a latent unit."""

QUANTILES = (0.5, 0.9, 0.99)


def keep(path, make):
    """Read what an earlier run left, or make and keep it."""
    if not path.exists():
        print(f"computing {path.stem}", file=sys.stderr, flush=True)
        make(path)
    return path


def find_fit(data, spec, *, folder):
    """Load or make one fit."""
    name = "-".join(str(value) for value in SETTINGS.values())
    path = folder / f"{data.checksum[:12]}-{spec.checksum[:12]}-{name}.nc"
    keep(path, lambda path: bm.fit(data, spec, **SETTINGS, cores=1, progress=False).save(path))
    return bm.load_fit(path)


def find_folds(spec, *, folder):
    """Load or compute errors of held-out scores, one row for each."""
    data = bm.load_dataset(version=FOLDS["version"], experiments=False)

    def make(path):
        folds = build_folds(data, scheme=FOLDS["scheme"], seeds=range(FOLDS["seeds"]))
        rows = [run_fold(data, Candidate("model", spec), fold) for fold in folds]
        write_text(path, text=pd.concat(rows).to_csv(index=False))

    name = f"folds-{data.checksum[:12]}-{spec.checksum[:12]}-{FOLDS['scheme']}-{FOLDS['seeds']}.csv"
    return pd.read_csv(keep(folder / name, make))


def coverage(pit):
    """Share of outcomes inside central predictive intervals."""
    return {
        f"{prob:.0%}": round(float(np.mean(np.abs(pit - 0.5) <= prob / 2)), 3)
        for prob in defaults.SCORED_PROBS
    }


def kolmogorov(pit):
    """Largest distance between the distribution of values and the uniform one."""
    steps = np.arange(len(pit) + 1) / len(pit)
    ordered = np.sort(pit)
    return float(np.maximum(steps[1:] - ordered, ordered - steps[:-1]).max())


def total(values):
    """Sum and its standard error over scores."""
    return [round(float(values.sum()), 1), round(float(np.sqrt(len(values) * values.var())), 1)]


def summarise_fit(fit, default):
    """Diagnostics of a fit, and its leave-one-out figures against those of the default spec."""
    checks, found = bm.check(fit).values, bm.loo(fit).table
    outcomes = fit.design.outcomes
    accuracy = outcomes.is_logistic[outcomes.benchmark_index]
    gain = (found["log_density"] - bm.loo(default).table["log_density"]).to_numpy()
    in_sample = fit.probability_below()
    return {
        "seconds": fit.provenance["seconds"]["sample"],
        "rhat_max": round(checks["rhat_max"], 3),
        "ess_bulk_min": round(checks["ess_bulk_min"]),
        "divergences": checks["divergences"],
        "elpd": total(found["log_density"].to_numpy()),
        "gain": total(gain),
        "gain_accuracy": total(gain[accuracy]),
        "gain_brier": total(gain[~accuracy]),
        "pareto_k_bad": checks["pareto_k_bad"],
        "pit_kolmogorov": round(kolmogorov(found["pit"].to_numpy()), 3),
        "pit_coverage": coverage(found["pit"].to_numpy()),
        "in_sample_coverage": coverage(in_sample.mean(axis=(0, 1))),
    }


def summarise_folds(rows):
    """Errors of held-out scores, in points: means over benchmarks."""
    means = 100 * rows.groupby("benchmark")[["abs_error", "crps"]].mean().mean()
    return {
        "mae": round(float(means["abs_error"]), 3),
        "crps": round(float(means["crps"]), 3),
        "log_density": round(float(rows["log_density"].mean()), 3),
        "coverage": coverage(rows["pit"]),
    }


def prior_effects(spec):
    """Quantiles of what a switch between two levels, or one unit, does a priori, in points."""
    model = build_model(build_design_for(bm.load_dataset(experiments=False), spec=spec), spec=spec)
    with model:
        tree = pm.sample_prior_predictive(PRIOR_DRAWS, var_names=["beta"], random_seed=1)
    beta = tree["prior"]["beta"].transpose("chain", "draw", "benchmark", "term")
    levels = [str(name) for name in beta["term"].values if str(name).startswith("activation[")]
    switch = beta.sel(term=levels[0]) - beta.sel(term=levels[1])
    points = STEEPEST * np.abs(switch.values).ravel()
    return {
        **{f"{q:.0%}": round(float(np.quantile(points, q)), 2) for q in QUANTILES},
        "within_15": round(float(np.mean(points <= 15)), 3),
    }


def compare(option, value, *, folder):
    """Everything about one value of one option."""
    spec, default = bm.ModelSpec(**{"experiments": "ignored", option: value}), SPEC
    out = {"spec_checksum": spec.checksum, FOLDS["scheme"]: summarise_folds(
        find_folds(spec, folder=folder))}  # fmt: skip
    for version in VERSIONS:
        data = bm.load_dataset(version=version, experiments=False)
        fits = [find_fit(data, one, folder=folder) for one in (spec, default)]
        out[version] = summarise_fit(*fits)
    if option == "shrinkage":
        out["prior_effects"] = prior_effects(spec)
    return out


def main():
    """Compare, and write the record after every value."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--options", default=",".join(COMPARED))
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "options.json")
    parser.add_argument("--fits", type=Path, default=ROOT / "out" / "options")
    arguments = parser.parse_args()
    arguments.fits.mkdir(parents=True, exist_ok=True)
    default = dataclasses.asdict(SPEC)
    record = {
        "settings": SETTINGS,
        "folds": FOLDS,
        "spec_checksum": SPEC.checksum,
        "default": {name: default[name] for name in COMPARED},
        "options": {},
    }
    if arguments.out.exists():
        found = json.loads(arguments.out.read_text(encoding="utf-8"))
        same = all(found[key] == record[key] for key in record if key != "options")
        record["options"] = found["options"] if same else {}
    for option in arguments.options.split(","):
        for value in OPTIONS[option]:
            if value not in record["options"].get(option, {}):
                figures = compare(option, value, folder=arguments.fits)
                record["options"].setdefault(option, {})[value] = figures
                write_text(arguments.out, text=json.dumps(record, indent=2) + "\n")
            print(option, value, json.dumps(record["options"][option][value]), flush=True)


if __name__ == "__main__":
    main()
