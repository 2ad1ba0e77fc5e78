"""Measure whether what LMs write narrows what is not known of their training mix.

Usage: measure-missing.py [--out FILE.json]

The disclosed mixes of one family at a time are hidden, and the missing facts are inferred
without any score: from the prior alone, and from the prior and the free generations. Reported are
the width of the 90 % interval of the code and web shares of the hidden mix, whether it holds the
truth, and the absolute error of the posterior mean, all in percentage points. A family whose LMs
read different mixes counts with its average.
"""

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import nutpie
import pymc as pm

import bayesmeta as bm
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.model.blocks import build_fact_model
from bayesmeta.model.spec import build_design_for
from bayesmeta.whole_files import write_text

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"chains": 2, "tune": 500, "draws": 1000, "seed": 1}
SHARES = ("code_share", "web_share")
CI_PROB = 0.9


def list_families(data):
    """List the families that disclose all their mixes and whose generations are known."""
    design = build_design_for(
        data, spec=bm.ModelSpec(unknown_numbers="estimated", generations="measured")
    )
    hidden = {data.lms["lm_family"][row] for row in design.mix.rows}
    measured = dict.fromkeys(data.lms["lm_family"][row] for row in design.generations.rows)
    return [family for family in measured if family not in hidden]


def infer_mixes(data, *, spec):
    """Draw complete mixes given everything but the scores, shape (draw, lm, domain)."""
    design = build_design_for(data, spec=spec)
    model = build_fact_model(design, spec=spec)
    if design.generations is None:
        n = SETTINGS["chains"] * SETTINGS["draws"]
        draws = pm.draw(model["mix_unknown"], draws=n, random_seed=SETTINGS["seed"])
        return design.mix, design.mix.complete(draws)
    compiled = nutpie.compile_pymc_model(model, var_names=["mix_unknown"])
    tree = nutpie.sample(compiled, **SETTINGS, cores=1, progress_bar=False, save_warmup=False)
    draws = tree["posterior"]["mix_unknown"].transpose("chain", "draw", ...).values
    return design.mix, design.mix.complete(draws.reshape(-1, *draws.shape[2:]))


def score(draws, truth):
    """Width of the interval, whether it holds the truth, error of the mean; in points."""
    lower, upper = np.quantile(draws, [(1 - CI_PROB) / 2, (1 + CI_PROB) / 2])
    return {
        "width": round(100 * float(upper - lower), 1),
        "covered": bool(lower <= truth <= upper),
        "error": round(100 * float(abs(draws.mean() - truth)), 1),
    }


def measure(data, family):
    """Hide one family's mixes and infer them twice; one row for every share."""
    members = np.flatnonzero(data.lms["lm_family"] == family)
    truth = build_design_for(data, spec=bm.ModelSpec()).mix
    lms = data.lms.copy()
    lms.loc[members, list(MIX_COLUMNS)] = np.nan
    rows = {share: {"family": family, "share": share} for share in SHARES}
    for name in ("measured", "ignored"):
        spec = bm.ModelSpec(unknown_numbers="estimated", generations=name)
        mix, draws = infer_mixes(replace(data, lms=lms), spec=spec)
        for share, row in rows.items():
            known = truth.known[members, truth.domains.index(share)].mean()
            found = draws[:, members, mix.domains.index(share)].mean(axis=1)
            row["truth"] = round(100 * float(known), 1)
            row[name] = score(found, known)
    return list(rows.values())


def summarise(rows, share, name):
    """Average one share's rows."""
    part = [row[name] for row in rows if row["share"] == share]
    return {
        "mean_width": round(float(np.mean([row["width"] for row in part])), 1),
        "coverage": round(float(np.mean([row["covered"] for row in part])), 2),
        "mean_absolute_error": round(float(np.mean([row["error"] for row in part])), 1),
    }


def main():
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "missing.json")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    data = bm.load_dataset(experiments=False)
    rows = [row for family in list_families(data) for row in measure(data, family)]
    record = {
        "families": len(rows) // len(SHARES),
        "ci_prob": CI_PROB,
        **SETTINGS,
        "summary": {
            share: {name: summarise(rows, share, name) for name in ("measured", "ignored")}
            for share in SHARES
        },
        "rows": rows,
    }
    write_text(arguments.out, text=json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["summary"], indent=2))


if __name__ == "__main__":
    main()
