"""Measure what a refit costs and whether short, warm-started chains can be trusted.

Usage: measure-refits.py [--out FILE.json]

All in one run, on one core, on the folds of two random splits of the bundled data:

- warm: compiled once, chains start at draws of a run given all scores (what `evaluate` does)
- cold: compiled once, the same short chains start where the prior says
- rebuild: the model is built and compiled anew for every fold
- reference: compiled once, long chains, for two folds; what warm chains should agree with
- places: all refits of twelve folds by `evaluate` in one process, in two threads, in two processes
  and by two Dask workers, with what each has to load and to start

The Monte Carlo error is the standard deviation over sampler seeds of a fold's mean absolute error.
"""

import argparse
import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

import bayesmeta as bm
from bayesmeta import defaults, jobs
from bayesmeta.crossvalidation import folds as crossvalidation
from bayesmeta.crossvalidation.schemes import build_folds
from bayesmeta.crossvalidation.scoring_rules import score_refit
from bayesmeta.inference.refit import Refitter
from bayesmeta.whole_files import write_text

ROOT = Path(__file__).resolve().parents[1]
SAMPLER_SEEDS = (11, 12, 13)
PLACE_SEEDS = 4
CACHE = "BAYESMETA_CACHE"
REBUILT_FOLDS, REFERENCE_FOLDS = 3, 2
LONG = {"chains": 4, "tune": 500, "draws": 500}


def score(refitter, fold, *, seed, **settings):
    """Refit and score: seconds, mean absolute error over benchmarks in points, predictions."""
    refit = refitter.refit(fold.train, seed=seed, **settings)
    scores = score_refit(refit, spec=refitter.spec, test=fold.test, seed=seed)
    benchmark = refit.design.outcomes.benchmark_index[fold.test]
    errors = [scores["abs_error"][benchmark == b].mean() for b in np.unique(benchmark)]
    return refit.seconds, 100 * float(np.mean(errors)), 100 * scores["estimate"]


def repeat(refitter, folds):
    """Refit every fold with several sampler seeds; arrays of shape (fold, seed) and predictions."""
    runs = [[score(refitter, fold, seed=seed) for seed in SAMPLER_SEEDS] for fold in folds]
    seconds = np.array([[run[0] for run in row] for row in runs])
    errors = np.array([[run[1] for run in row] for row in runs])
    return seconds, errors, [np.mean([run[2] for run in row], axis=0) for row in runs]


def summarise(seconds, errors):
    """Median seconds, and the Monte Carlo error pooled over folds."""
    return {
        "median_seconds": round(float(np.median(seconds)), 2),
        "mae": round(float(errors.mean()), 3),
        "mae_monte_carlo_sd": round(float(np.sqrt(errors.var(axis=1, ddof=1).mean())), 3),
    }


def rebuild(data, spec, fold):
    """Build, compile and sample one fold from nothing, as where no compiled graph can be kept."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {CACHE: folder}):
        started = time.perf_counter()
        Refitter(data, spec=spec, warm=False).refit(fold.train, seed=SAMPLER_SEEDS[0])
        return time.perf_counter() - started


def time_places(data, spec):
    """Time all refits of the same folds in every place, in seconds."""
    asked = {"models": ["default"], "specs": {"default": spec}, "scheme": "random",
             "seeds": PLACE_SEEDS, "progress": False}  # fmt: skip
    found = {}
    for name, place in PLACES.items():
        started = time.perf_counter()
        with place() as executor:
            bm.evaluate(data, **asked, executor=executor)
        found[name] = round(time.perf_counter() - started, 1)
        crossvalidation._refitters.clear()  # a place starts with nothing loaded
    return found


@contextlib.contextmanager
def open_dask():
    """Start two Dask workers here, and give what runs tasks on them."""
    from dask.distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
        yield client.get_executor(pure=False)


PLACES = {
    "one process": contextlib.nullcontext,
    "two threads": lambda: jobs.open_executor(workers=2),
    "two processes": lambda: jobs.open_executor(workers=2, processes=True),
    "two Dask workers": open_dask,
}


def main():
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "refits.json")
    arguments = parser.parse_args()
    data, spec = bm.load_dataset(experiments=False), bm.ModelSpec(experiments="ignored")
    folds = build_folds(data, scheme="random", seeds=range(2))
    rebuilt = [rebuild(data, spec, fold) for fold in folds[:REBUILT_FOLDS]]
    started = time.perf_counter()
    warm = Refitter(data, spec=spec)
    set_up = time.perf_counter() - started
    warm_seconds, warm_errors, predictions = repeat(warm, folds)
    cold = Refitter(data, spec=spec, warm=False)
    cold_seconds, cold_errors, _ = repeat(cold, folds)
    gaps, reference = [], []
    for fold, prediction in zip(folds[:REFERENCE_FOLDS], predictions, strict=False):
        _, error, estimate = score(cold, fold, seed=1, **LONG)
        reference.append(error)
        gaps.append(float(np.sqrt(np.mean((prediction - estimate) ** 2))))
    places = time_places(data, spec)
    record = {
        "folds": len(folds),
        "sampler_seeds": len(SAMPLER_SEEDS),
        "chains": defaults.REFIT_CHAINS,
        "tune": defaults.REFIT_TUNE,
        "draws": defaults.REFIT_DRAWS,
        "set_up_seconds": round(set_up, 1),
        "warm": summarise(warm_seconds, warm_errors),
        "cold": summarise(cold_seconds, cold_errors),
        "rebuild": {"median_seconds": round(float(np.median(rebuilt)), 2)},
        "reference": {
            **LONG,
            "mae": [round(error, 3) for error in reference],
            "warm_mae": [round(float(e), 3) for e in warm_errors[:REFERENCE_FOLDS].mean(axis=1)],
            "rms_difference_of_predictions": [round(gap, 3) for gap in gaps],
        },
        "places": places,
    }
    write_text(arguments.out, text=json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
