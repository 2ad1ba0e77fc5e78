"""Check the default model by many fits: the records that VALIDATION.md shows and explains.

Usage: validate.py CHECK [--n N] [--workers N] [--keep FOLDER] [--out FILE]

- calibration: simulation-based; truths from the prior, scores and contrasts given them with the
  real LMs, arms, benchmarks and gaps, and a fit for each (`bayesmeta.validation.calibration`). The
  record holds the ranks of every parameter and of the joint log density.
- coverage: data drawn from chosen effects and biases (`bayesmeta.validation.recovery`); N sets of
  data in each setting. The record has a row per setting, contrast, kind of target, and kind,
  association or effect: the 90 % intervals there were, how many held their truth, their mean width,
  the root mean square error.
- power: the same where four decisions vary within families. The record has a row per setting,
  contrast, kind of target and size of the true effect: the effects there were, those with P(helps)
  above 0.95 or below 0.05, those called supported, and those of them with the wrong sign.
- placebo: N random permutations of the decisions over families, and inside groups of experiments
  (`bayesmeta.validation.placebo`).
  The record has a row per permutation, contrast and kind of target, counted likewise.
- priors: refits with each of the prior's scales halved and doubled. The record has a row per prior
  and contrast, on the mean over benchmarks. Power scaling, which needs no refit, is
  `bayesmeta.prior_sensitivity`.
- multiverse: four statements of the paper whose data these are, in N specifications
  (`bayesmeta.multiverse`); a row per specification and statement.

Every record says of which model and data it is. Finished fits are kept, so that a run that was
broken off goes on where it stopped.
"""

import argparse
import json
import math
import sys
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

import bayesmeta as bm
from bayesmeta import defaults, jobs
from bayesmeta.inference.refit import Refitter
from bayesmeta.jobs import progress_bar
from bayesmeta.validation.calibration import Calibrator
from bayesmeta.validation.placebo import fit_placebo, tabulate_placebo
from bayesmeta.validation.records import summarise_calibration
from bayesmeta.validation.recovery import (
    POWER_SETTINGS,
    SETTINGS,
    build_truth,
    score_recovery,
    score_verdicts,
)
from bayesmeta.whole_files import atomic, write_text

ROOT = Path(__file__).resolve().parents[1]
SEED = 1
DIGITS = 4
"""Decimals of what is kept of a fit."""

SIZES = (0.0, 0.5, 1.0, 2.0, 4.0, np.inf)
"""Bounds of true effects that are counted together, in percentage points."""

SCALES = {
    "effects of decisions": ("beta_tau",),
    "surface": ("surface_tau",),
    "family effects": ("tau_family_log",),
    "residual": ("sigma",),
    "slopes of scale": ("kappa_tau_task", "kappa_tau_benchmark"),
    "bias of associations": ("bias_ratio",),
    "effects by study": ("study_ratio",),
}
"""Priors of scales by what they are the scale of."""

FACTORS = {"halved": 0.5, "doubled": 2.0}
FIT_SETTINGS = {"chains": 2, "cores": 1, "tune": 300, "draws": 300}
CONTRAST = ["decision", "level", "reference"]
COUNTS = ["n", "beyond", defaults.SUPPORTED]

STATEMENTS = [
    "position_embedding: rotary > learned",
    "code_share: 20 > 5",
    ("code_share: 20 > 5", "code"),
    ("web_share: +10 from code_share", "truthfulqa"),
]

NPZ = jobs.Form(
    ".npz",
    lambda path: dict(np.load(path)),
    lambda path, arrays: np.savez_compressed(path, **arrays),
)


def identify():
    """Say of which model and data a record is."""
    data, spec = bm.load_dataset(), bm.ModelSpec()
    return {"spec_checksum": spec.checksum[:12], "data_checksum": data.checksum[:12]}


def compute(function, tasks, *, arguments, label, form=jobs.CSV, settings=()):
    """Compute what is not kept yet, in processes, with a folder for every model and settings."""
    folder = arguments.keep / "-".join([*identify().values(), *map(str, settings)])
    folder.mkdir(parents=True, exist_ok=True)
    keep = jobs.Folder(folder, form=form)
    with (
        jobs.open_executor(workers=arguments.workers, processes=True) as executor,
        progress_bar(label, total=len(tasks), unit="fits", shown=True) as report,
    ):
        return jobs.run(function, tasks, executor=executor, keep=keep, report=report)


def write(record, *, arguments):
    """Write a table with what identifies it in front, so that a changed model makes it stale."""
    front = pd.DataFrame(identify(), index=record.index)
    text = pd.concat([front, record], axis=1).to_csv(index=False)
    write_text(arguments.out, text=text)


def shares(record, by, *, digits, counts=COUNTS):
    """Tabulate shares in percent, with the number that they are of."""
    sums = record.groupby(by, sort=False)[counts].sum()
    return (100 * sums.div(sums["n"], axis=0)).round(digits).assign(n=sums["n"]).to_string()


@lru_cache(maxsize=1)
def prepare_calibrator(n):
    """Draw the truths and compile the model, once per process."""
    return Calibrator(bm.load_dataset(), spec=bm.ModelSpec(), n=n, seed=SEED)


def rank(k, n):
    """Fit the scores of one truth, and rank it."""
    found = prepare_calibrator(n).rank(k)
    counts = {"_n_draws": found.n_draws, "_n_divergences": found.n_divergences}
    return {name: np.asarray(value) for name, value in {**counts, **found.ranks}.items()}


def check_calibration(arguments):
    """Rank truths, and record all ranks."""
    data, spec, n = bm.load_dataset(), bm.ModelSpec(), arguments.n
    settings = [
        getattr(defaults, f"CALIBRATION_{name}") for name in ("CHAINS", "TUNE", "DRAWS", "THIN")
    ]
    tasks = {f"{k:04d}": (k, n) for k in range(n)}
    found = compute(rank, tasks, arguments=arguments, label="calibrating", form=NPZ,
                    settings=[*settings, SEED, n])  # fmt: skip
    stacked = {name: np.stack([one[name] for one in found.values()]) for name in found["0000"]}
    n_draws, divergences = int(stacked.pop("_n_draws")[0]), stacked.pop("_n_divergences")
    header = {"spec_checksum": spec.checksum, "data_checksum": data.checksum, "n_draws": n_draws,
              "settings": settings, "seed": SEED}  # fmt: skip
    ranks = {name: values.astype(np.uint16) for name, values in stacked.items()}
    with atomic(arguments.out) as part:
        np.savez_compressed(part, _header=json.dumps(header), _n_divergences=divergences, **ranks)
    return summarise_calibration(arguments.out).to_string(index=False)


@lru_cache(maxsize=1)
def prepare_truth(setting):
    """Choose the truth of a setting and compile the model for it, once per process."""
    truth = build_truth(bm.load_dataset(), setting=setting)
    return truth, Refitter(truth.seen, spec=bm.ModelSpec(), warm=False)


def fit_repeat(score, setting, seed):
    """Fit one set of scores in one setting."""
    truth, refitter = prepare_truth(setting)
    return score(refitter, truth, seed=seed).round(DIGITS)


def fit_all(score, settings, *, arguments, label):
    """Fit many sets of scores in every setting; all tables below each other, with its name."""
    keys = [(k, repeat) for k in range(len(settings)) for repeat in range(arguments.n)]
    tasks = {f"{k}-{repeat}": (settings[k], 1000 * k + repeat) for k, repeat in keys}
    found = compute(partial(fit_repeat, score), tasks, arguments=arguments, label=label)
    return pd.concat([table.assign(cell=tasks[key][0].name) for key, table in found.items()])


def check_coverage(arguments):
    """Hold intervals against known truths."""
    fits = fit_all(score_recovery, SETTINGS, arguments=arguments, label="covering")
    fits = fits.assign(n=1, width=fits["upper"] - fits["lower"],
                       squared=(fits["estimate"] - fits["truth"]) ** 2)  # fmt: skip
    columns = ["n", "covered", "width", "squared"]
    groups = ["cell", "contrast", "kind", "tried", "by"]
    record = fits.groupby(groups, sort=False)[columns].sum().reset_index()
    record["width"] = (record["width"] / record["n"]).round(3)
    record["rmse"] = np.sqrt(record.pop("squared") / record["n"]).round(3)
    write(record, arguments=arguments)
    return shares(record, ["cell", "kind", "tried", "by"], digits=1, counts=["n", "covered"])


def count_verdicts(fits):
    """Mark what would be read as a discovery, and what is called supported."""
    p = fits["prob_helps"]
    beyond = (p > defaults.CERTAIN) | (p < 1 - defaults.CERTAIN)
    supported = fits["verdict"] == defaults.SUPPORTED
    return fits.assign(n=1, beyond=beyond, **{defaults.SUPPORTED: supported})


def check_power(arguments):
    """Count real effects within families that are seen."""
    fits = fit_all(score_verdicts, POWER_SETTINGS, arguments=arguments, label="planting")
    fits, counts = count_verdicts(fits), [*COUNTS, "wrong_sign"]
    wrong = fits[defaults.SUPPORTED] & ((fits["prob_helps"] > 0.5) != (fits["truth"] > 0))
    size = pd.cut(fits["truth"].abs(), SIZES, labels=SIZES[:-1], right=False).astype(float)
    fits = fits.assign(wrong_sign=wrong, at_least=size)
    groups = ["cell", *CONTRAST, "by", "at_least"]
    record = fits.groupby(groups, sort=False)[counts].sum().reset_index()
    write(record, arguments=arguments)
    ordered = record.sort_values(["by", "at_least"])
    return shares(ordered, ["by", "at_least"], digits=1, counts=counts)


def fit_permuted(seed):
    """Fit one random permutation."""
    fit = fit_placebo(bm.load_dataset(), spec=bm.ModelSpec(), seed=seed)
    return tabulate_placebo(fit).round(DIGITS)


def check_placebo(arguments):
    """Count what is found where nothing is."""
    tasks = {str(seed): (seed,) for seed in range(1, arguments.n + 1)}
    found = compute(fit_permuted, tasks, arguments=arguments, label="permuting")
    fits = count_verdicts(pd.concat([t.assign(deal=int(key)) for key, t in found.items()]))
    record = fits.groupby(["deal", *CONTRAST, "by"], sort=False)[COUNTS].sum().reset_index()
    write(record, arguments=arguments)
    return shares(record, "by", digits=2)


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


def fit_rescaled(names, factor):
    """Fit the default model with another prior, and tabulate its effects."""
    spec = bm.ModelSpec()
    spec = replace(spec, priors=rescale(spec.priors, names, factor=factor))
    fit = bm.fit(bm.load_dataset(), spec, seed=SEED, progress=False, **FIT_SETTINGS)
    return bm.effects(fit).table().round(DIGITS)


def check_priors(arguments):
    """Say what other scales of the prior do to every probability."""
    tasks = {"default": ((), 1.0)}
    tasks |= {f"{name} {how}": (scales, factor)
              for name, scales in SCALES.items() for how, factor in FACTORS.items()}  # fmt: skip
    found = compute(fit_rescaled, tasks, arguments=arguments, label="refitting")
    record = pd.concat([table.assign(prior=key) for key, table in found.items()])
    columns = ["prior", *CONTRAST, "estimate", "lower", "upper", "prob_helps"]
    record = record[columns].reset_index(drop=True)
    write(record, arguments=arguments)
    wide = record.pivot(index=CONTRAST, columns="prior", values="prob_helps")
    return wide[list(tasks)].round(2).to_string()


def check_multiverse(arguments):
    """Ask four findings under the choices that analysts make differently."""
    arguments.keep.parent.mkdir(parents=True, exist_ok=True)
    with jobs.open_executor(workers=arguments.workers, processes=True) as executor:
        found = bm.multiverse(
            bm.load_dataset(), STATEMENTS, n=arguments.n, executor=executor, out=arguments.keep
        )
    write(found.table().round(DIGITS), arguments=arguments)
    parts = found.influence().round(2), found.summary(by="data").round(2)
    return "\n".join([*(part.to_string() for part in parts), repr(found)])


CHECKS = {
    "calibration": (check_calibration, 200),
    "coverage": (check_coverage, 12),
    "power": (check_power, 10),
    "placebo": (check_placebo, 60),
    "priors": (check_priors, None),
    "multiverse": (check_multiverse, defaults.SPECIFICATIONS),
}
"""Every check with its number of truths, sets of scores, permutations or specifications."""


def main():
    """Run, write the record and print what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--n", type=int, help="truths, sets of scores, permutations, ...")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder of finished fits; out/CHECK if left out")
    parser.add_argument("--out", type=Path, help="the record; in data/ if left out")
    arguments = parser.parse_args()
    check, ending = arguments.check, ".npz" if arguments.check == "calibration" else ".csv"
    run, n = CHECKS[check]
    arguments.n = arguments.n or n
    arguments.keep = arguments.keep or ROOT / "out" / check
    arguments.out = arguments.out or ROOT / "data" / f"{check}{ending}"
    if arguments.out.suffix != ending:
        parser.error(f"--out is {arguments.out}. Allowed: a file ending in {ending}.")
    print(run(arguments))
    print(f"wrote {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
