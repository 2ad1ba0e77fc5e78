"""Simulation-based calibration of the default model: fit data sets that the model makes itself.

Usage: calibrate.py [--n N] [--workers N] [--keep FOLDER] [--out FILE.npz]

Truths from the prior, scores given them with the real lms, benchmarks and gaps, and a fit for each
(see `bayesmeta.validation.calibration`). Every finished fit is kept in a file of its own, so that a
run that was broken off goes on where it stopped. The record holds the ranks of every parameter and
of the joint log density, and of which model and data they are; what they say is computed from it
(`bayesmeta.validation.records`) and printed.
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.progress import progress_bar
from bayesmeta.validation.calibration import Calibrator
from bayesmeta.validation.records import summarise_calibration

ROOT = Path(__file__).resolve().parents[1]
SEED = 1


def run(calibrator, k, *, folder):
    """Rank one truth, unless that is done, and keep what came out."""
    path = folder / f"{k:04d}.npz"
    if not path.exists():
        found = calibrator.rank(k)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(
            part, _n_draws=found.n_draws, _n_divergences=found.n_divergences, **found.ranks
        )
        part.replace(path)
    with np.load(path) as kept:
        return dict(kept)


def main():
    """Run, write the record and print what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=ROOT / "out" / "calibration")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "calibration.npz")
    arguments = parser.parse_args()
    data, spec = bm.load_dataset(), bm.ModelSpec()
    settings = [
        getattr(defaults, f"CALIBRATION_{name}") for name in ("CHAINS", "TUNE", "DRAWS", "THIN")
    ]
    identity = "-".join([spec.checksum[:12], data.checksum[:12], *map(str, settings), str(SEED)])
    folder = arguments.keep / f"{identity}-{arguments.n}"
    folder.mkdir(parents=True, exist_ok=True)
    calibrator = Calibrator(data, spec=spec, n=arguments.n, seed=SEED)
    found = {}
    with (
        ThreadPoolExecutor(arguments.workers) as executor,
        progress_bar("calibrating", total=arguments.n, unit="fits", shown=True) as report,
    ):
        futures = {
            executor.submit(run, calibrator, k, folder=folder): k for k in range(arguments.n)
        }
        for done, future in enumerate(as_completed(futures), start=1):
            found[futures[future]] = future.result()
            report(done, "")
    stacked = {name: np.stack([found[k][name] for k in sorted(found)]) for name in found[0]}
    n_draws, divergences = int(stacked.pop("_n_draws")[0]), stacked.pop("_n_divergences")
    header = {"spec_checksum": spec.checksum, "data_checksum": data.checksum, "n_draws": n_draws,
              "settings": settings, "seed": SEED}  # fmt: skip
    part = arguments.out.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        _header=json.dumps(header),
        _n_divergences=divergences,
        **{name: values.astype(np.uint16) for name, values in stacked.items()},
    )
    part.replace(arguments.out)
    print(summarise_calibration(arguments.out).to_string(index=False))
    print(f"wrote {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
