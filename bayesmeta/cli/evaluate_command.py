"""Commands that refit, or show what refits gave: evaluate, scoreboard, validation."""

from pathlib import Path
from typing import Unpack

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import (
    POINTS,
    Parts,
    Refits,
    Shown,
    command,
    keep,
    list_parts,
    load_data,
    refitting,
    say,
    split_names,
)
from bayesmeta.errors import QueryError, listing, unknown

RECORD = "scoreboard.csv"
_PAIRS = {
    "full": "scale", "xgboost-all": "xgboost-scale", "scale+family-dummies": "xgboost-scale"
}  # fmt: skip
"""Models whose errors are compared, the richer one first."""


@command("evaluate")
def evaluate_command(
    fmt: str,
    data_dir: Path | None = None,
    *,
    scheme: str = "random",
    models: str | None = None,
    seeds: str = str(defaults.EVALUATION_SEEDS),
    version: str = "corrected",
    **refits: Unpack[Refits],
) -> Shown | list[Shown]:
    """Cross-validation: models and baselines on held-out LMs.

    Parameters
    ----------
    scheme : NAMES
        One or more, with commas: random, leave-family-out, largest, leave-benchmark-out; or
        leave-study-out alone, which predicts controlled experiments.
    models : NAMES
        With commas: full, scale, scale+family, median, ols, xgboost-scale, xgboost-all,
        scale+family-dummies, or spec files in TOML or JSON; full and scale if left out. Under
        leave-study-out full, no-effect, associations, experiments-alone; all if left out.
    seeds : N|A-B
        Seeds 0 to N - 1, or A to B.
    """
    out, schemes = refits["out"], split_names(scheme)
    data = load_data(data_dir, version=version)
    with refitting(refits, what="folds") as executor:
        names = None if models is None else split_names(models)
        numbers = _read_seeds(seeds)
        board = bm.evaluate(data, names, scheme=schemes, seeds=numbers, executor=executor, out=out)
    keep(board, None if out is None else out / RECORD)
    parts = _name_parts(board)
    if fmt == "table":
        return list_parts(parts)
    title, table = next(iter(parts.values()))
    return Shown(table, f"{title}.")


@command("scoreboard")
def scoreboard_command(
    fmt: str, *, part: str = "all", scheme: str | None = None, version: str = "corrected"
) -> Shown | list[Shown]:
    """The recorded cross-validation of the bundled data.

    Parameters
    ----------
    part : --show PART
        {means, benchmarks, studies, differences, gains, leakage}; all of them in a table if left
        out. Benchmarks are of scores of LMs, studies of leave-study-out.
    scheme : NAME
        Only of this scheme, such as leave-study-out; of all but that one if left out.
    """
    from bayesmeta.crossvalidation.schemes import LEAVE_STUDY_OUT

    of_studies = scheme == LEAVE_STUDY_OUT
    if of_studies and version == "as-published":
        raise QueryError(
            f"--scheme {LEAVE_STUDY_OUT} is recorded of corrected facts alone. Leave "
            "--data-version out."
        )
    board = bm.load_study_scoreboard() if of_studies else bm.load_scoreboard(version)
    parts = _name_parts(board)
    if part not in (*parts, "all"):
        raise unknown(QueryError, "--show", part, [*parts, "all"])
    if scheme is not None and isinstance(board, bm.Scoreboard):
        schemes = list(board.cells["scheme"].unique())
        if scheme not in schemes:
            raise unknown(QueryError, "--scheme", scheme, [*schemes, LEAVE_STUDY_OUT])
        parts = {
            name: (title, table[table["scheme"] == scheme] if "scheme" in table else table)
            for name, (title, table) in parts.items()
        }
    if fmt == "table":
        return list_parts(parts if part == "all" else {part: parts[part]})
    if part == "all":
        part = next(iter(parts))
        say(f"note: {part} alone; --show gives the others: {listing(parts)}")
    title, table = parts[part]
    return Shown(table, f"{title}.")


@command("validation")
def validation_command(check: str) -> Shown:
    """Validation: calibration, coverage, placebo, power, priors.

    Parameters
    ----------
    check : CHECK
        {calibration, coverage, placebo, power, priors}, as recorded.
    """
    return Shown(bm.load_validation(check))


def _read_seeds(text: str) -> int | range:
    first, dash, last = text.partition("-")
    if dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        return range(int(first), int(last) + 1)
    if not text.isdecimal() or int(text) < 1:
        raise QueryError(
            f"--seeds '{text}' is no number of seeds. Allowed: a whole number from 1 up, such as "
            "50 for the seeds 0 to 49, or two with a dash, such as 10-49."
        )
    return int(text)


def _name_parts(board: "bm.Scoreboard | bm.StudyScoreboard") -> Parts:
    """Give title and table of every summary, the most condensed last."""
    import pandas as pd

    if isinstance(board, bm.StudyScoreboard):
        units = f"{POINTS}; coverage and right signs in percent"
        return {
            "studies": (f"Scores by study ({units})", board.table()),
            "means": (
                f"Means over studies ({units}), with standard errors between studies, _se, and "
                "Monte Carlo standard errors, _mcse",
                board.means(),
            ),
        }
    first = str(board.cells["model"].iloc[0])
    models = set(board.cells["model"])
    ci = f"{100 * defaults.CI_PROB:g} % intervals over LM families"
    gains = [
        board.gains(model, over=over) for model, over in _PAIRS.items() if {model, over} <= models
    ]
    parts = {
        "benchmarks": (f"Errors by benchmark ({POINTS}; coverage in percent)", board.table()),
        "gains": (
            f"Gain: error below that of another model, in percent of the latter; {ci}",
            pd.concat(gains) if gains else pd.DataFrame(),
        ),
        "differences": (
            f"Difference in mean error from {first} ({POINTS}; negative: better); {ci}",
            board.differences(first).drop(columns="reference"),
        ),
        "leakage": (
            f"Leakage: error on unseen families less that on random splits ({POINTS}); {ci}",
            board.leakage(),
        ),
        "means": (f"Means over benchmarks ({POINTS}; coverage in percent); {ci}", board.means()),
    }
    return {name: part for name, part in parts.items() if len(part[1])}
