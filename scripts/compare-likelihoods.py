"""Compare the likelihoods of the default model by leave-one-out scores and by calibration.

Usage: compare-likelihoods.py [--out FILE.json] [--fits FOLDER]

Fits both data versions with every likelihood, one after the other, and keeps each fit in a file
named by its spec and settings, so that a run that was broken off goes on where it stopped.

Leave-one-out densities come from Pareto-smoothed importance sampling (Vehtari et al. 2017,
https://doi.org/10.1007/s11222-016-9696-4), and so do the leave-one-out probabilities of a lower
score (PIT), which are uniform where the predictive distribution is true. Densities are comparable:
the probability of a count is spread over the step between two counts. Look at R-hat in the record
first: leave-one-out scores of chains that disagree mean nothing.
"""

import argparse
import json
import warnings
from pathlib import Path

import arviz as az
import numpy as np

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.model import pointwise_log_likelihood, pointwise_probability
from bayesmeta.model.spec import OPTIONS

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("corrected", "as-published")
SETTINGS = {"chains": 2, "tune": 400, "draws": 400, "seed": 1}
COUNTS = "beta-binomial"


def find_fit(data, spec, *, folder):
    """Load the fit that an earlier run left, or make and keep it."""
    name = "-".join(str(value) for value in SETTINGS.values())
    path = folder / f"{spec.likelihood}-{data.checksum[:12]}-{spec.checksum[:12]}-{name}.nc"
    if not path.exists():
        print(f"fitting {path.stem}", flush=True)
        bm.fit(data, spec, **SETTINGS, cores=1, progress=False).save(path)
    return bm.load_fit(path)


def leave_one_out(fit):
    """Of every score: log density, Pareto k, and PIT, left out and in sample; each (obs,)."""
    arguments = {"design": fit.design, "spec": fit.spec}
    density = pointwise_log_likelihood(fit.parameters, **arguments)
    tree = az.from_dict(
        {"posterior": {"alpha": fit.parameters["alpha"]}, "log_likelihood": {"y": density}}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # high k is recorded
        loo = az.loo(tree, var_name="y", pointwise=True)
    below = pointwise_probability(fit.parameters, **arguments)
    log_weight = loo.log_weights.transpose("chain", "draw", ...).values
    weight = np.exp(log_weight - log_weight.max(axis=(0, 1)))
    return {
        "density": np.asarray(loo.elpd_i),
        "k": np.asarray(loo.pareto_k),
        "pit": (weight * below).sum(axis=(0, 1)) / weight.sum(axis=(0, 1)),
        "pit_in_sample": below.mean(axis=(0, 1)),
    }


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


def summarise(found, best, rows):
    """Figures of one likelihood on some of the scores; differences are to the best one."""
    part = {name: values[rows] for name, values in found.items()}
    elpd, se = total(part["density"])
    difference, difference_se = total((found["density"] - best["density"])[rows])
    return {
        "n_scores": int(rows.sum()),
        "elpd": elpd,
        "elpd_se": se,
        "difference": difference,
        "difference_se": difference_se,
        "pareto_k_bad": int((part["k"] > defaults.PARETO_K_MAX).sum()),
        "pit_kolmogorov": round(kolmogorov(part["pit"]), 3),
        "pit_coverage": coverage(part["pit"]),
        "in_sample_coverage": coverage(part["pit_in_sample"]),
    }


def compare(version, *, folder):
    """Fit one data version with every likelihood; figures by likelihood and kind of score."""
    data = bm.load_dataset(version=version)
    fits = {
        name: find_fit(data, bm.ModelSpec(likelihood=name), folder=folder)
        for name in OPTIONS["likelihood"]
    }
    found = {name: leave_one_out(fit) for name, fit in fits.items()}
    outcomes = fits[COUNTS].design.outcomes
    accuracy = outcomes.is_logistic[outcomes.benchmark_index]
    kinds = {
        "all": np.ones(len(accuracy), bool),
        "accuracy": accuracy,
        "exact counts": outcomes.is_count,
        "other accuracy": accuracy & ~outcomes.is_count,
        "brier": ~accuracy,
    }
    out = {}
    for name, fit in fits.items():
        checks = bm.check(fit).values
        out[name] = {
            "seconds": fit.provenance["seconds"],
            "rhat_max": round(checks["rhat_max"], 3),
            "ess_bulk_min": round(checks["ess_bulk_min"]),
            "divergences": checks["divergences"],
        }
    for kind, rows in kinds.items():
        best = max(found.values(), key=lambda one: one["density"][rows].sum())
        for name, one in found.items():
            out[name][kind] = summarise(one, best, rows)
    return out


def main():
    """Fit, compare, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "likelihoods.json")
    parser.add_argument("--fits", type=Path, default=ROOT / "out" / "likelihoods")
    arguments = parser.parse_args()
    arguments.fits.mkdir(parents=True, exist_ok=True)
    record = {"settings": SETTINGS, "spec_checksum": bm.ModelSpec().checksum}
    for version in VERSIONS:
        record[version] = compare(version, folder=arguments.fits)
        print(json.dumps(record[version], indent=2), flush=True)
        arguments.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
