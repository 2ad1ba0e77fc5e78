"""Measure how well hidden numbers of tokens are estimated, and what hiding them does to effects.

Usage: measure-sizes.py [--out FILE.json]

The tokens of 30 of the 92 LMs, chosen at random, are blanked. Reported are how many intervals of
90 % hold the hidden value: by family, date and number of parameters alone, for 20 choices of the
30; and, in fits of the default model, by how many posterior standard deviations of the shipped
posterior every overall effect and association moves. `typical` is the default, `estimated` gives
unknown sizes to the scores as parameters.
"""

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

import bayesmeta as bm
from bayesmeta.design.sizes import find_missing_sizes, tabulate_sizes
from bayesmeta.estimates.counterfactual import ASSOCIATION, EFFECT
from bayesmeta.estimates.predictions import estimate_sizes
from bayesmeta.whole_files import write_text

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"chains": 2, "tune": 500, "draws": 500, "seed": 1}
HIDDEN, CHOICES, CI_PROB = 30, 20, 0.9
FITS = (("typical", 1), ("typical", 2), ("estimated", 1))
KEYS = ["decision", "level", "reference"]


def hide_tokens(data, *, seed):
    """Blank the tokens of some LMs; give the tables and the hidden values by LM."""
    chosen = np.random.default_rng(seed).choice(len(data.lms), HIDDEN, replace=False)
    lms = data.lms.astype({"n_tokens": float})
    hidden = lms.iloc[chosen].set_index("lm")["n_tokens"]
    lms.loc[chosen, "n_tokens"] = np.nan
    return replace(data, lms=lms), hidden


def count_covered(found, hidden):
    """Count the intervals that hold their hidden value."""
    truth = hidden.loc[found["lm"]].to_numpy()
    return int(((found["lower"] <= truth) & (truth <= found["upper"])).sum())


def cover_by_facts(data, *, seed):
    """Count the intervals that hold their value where no score has a say."""
    blank, hidden = hide_tokens(data, seed=seed)
    return count_covered(tabulate_sizes(find_missing_sizes(blank.lms), ci_prob=CI_PROB), hidden)


def list_shifts(fit, reference, *, kind):
    """List by how many standard deviations of the reference every overall effect moves."""
    before, after = (bm.effects(one, kind=kind).table() for one in (reference, fit))
    both = before.merge(after, on=KEYS, suffixes=("", "_hidden"), validate="one_to_one")
    moved = (both["estimate_hidden"] - both["estimate"]) / both["sd"]
    return [
        {**row, "shift": round(float(shift), 2)}
        for row, shift in zip(both[KEYS].astype(str).to_dict("records"), moved, strict=True)
    ]


def measure(data, reference, *, unknown_numbers, seed):
    """Fit with hidden tokens."""
    blank, hidden = hide_tokens(data, seed=seed)
    spec = bm.ModelSpec(unknown_numbers=unknown_numbers)
    fit = bm.fit(blank, spec, **SETTINGS, progress=False)
    shifts = {kind: list_shifts(fit, reference, kind=kind) for kind in (EFFECT, ASSOCIATION)}
    return {
        "unknown_numbers": unknown_numbers,
        "hidden_by_seed": seed,
        "covered": count_covered(estimate_sizes(fit, ci_prob=CI_PROB), hidden),
        **{f"largest_{kind}_shift": find_largest(rows) for kind, rows in shifts.items()},
        "shifts": shifts,
    }


def find_largest(rows):
    """Find the largest shift in either direction."""
    return max(abs(row["shift"]) for row in rows)


def main():
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "sizes.json")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    data, reference = bm.load_dataset(), bm.load_reference_fit()
    covered = [cover_by_facts(data, seed=seed) for seed in range(1, CHOICES + 1)]
    fits = [measure(data, reference, unknown_numbers=o, seed=seed) for o, seed in FITS]
    record = {
        "data_checksum": data.checksum,
        "spec_checksum": bm.ModelSpec().checksum,
        "hidden": HIDDEN,
        "ci_prob": CI_PROB,
        **SETTINGS,
        "covered_by_facts": covered,
        "fits": fits,
    }
    write_text(arguments.out, text=json.dumps(record, indent=1) + "\n")
    print(covered, [{k: v for k, v in fit.items() if k != "shifts"} for fit in fits])


if __name__ == "__main__":
    main()
