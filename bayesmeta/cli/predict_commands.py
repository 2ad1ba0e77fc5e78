"""Commands about language models that are not in the data as asked: predict, whatif, designs."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import Shown, command, read_settings, say
from bayesmeta.errors import QueryError, listing

if TYPE_CHECKING:
    import pandas as pd

_HIGHER = "higher is better (a Brier score counts with a minus)"

_ARGUMENTS = ("fit", "lm", "by")
"""What the function is told beside the changes; no decision has such a name."""

_NAMES = ["extrapolates", "undisclosed"]
"""Columns that a table for reading leaves out where they are blank."""


@command("predict")
def predict_command(
    fit: "bm.Fit", table: Path, *, ci_prob: float = defaults.CI_PROB, seed: int = defaults.SEED
) -> Shown:
    """Expected scores of new LMs, trained already or not.

    Parameters
    ----------
    table : LMS.csv
        lm, lm_family, n_params, n_tokens; other facts.
    """
    found = bm.predict(fit, table, ci_prob=ci_prob, seed=seed)
    caption = "Expected scores, and where new observations would lie."
    intervals = "intervals of the expected score, and of a new observation"
    return _head(found.table(), caption, f"{100 * ci_prob:g} % {intervals}")


@command("whatif")
def whatif_command(
    fit: "bm.Fit",
    lm: str,
    changes: list[str],
    *,
    by: str = "benchmark",
    ci_prob: float = defaults.CI_PROB,
) -> Shown:
    """Expected scores of an LM with some of its facts changed.

    Parameters
    ----------
    lm : LM
        An LM of the data.
    changes : DECISION=LEVEL...
        One or more; also n_params=, n_tokens=.
    """
    found = bm.whatif(fit, lm, by=by, **_read_changes(changes))
    if found.extrapolates:
        say(f"warning: outside what the LMs of the data record: {listing(found.extrapolates)}")
    caption = f"{found.lm} with {found.label}; {_HIGHER}."
    intervals = f"{100 * ci_prob:g} % intervals of the difference"
    return _head(found.table(ci_prob=ci_prob), caption, intervals, said=("lm", "change", "by"))


@command("designs")
def designs_command(
    fit: "bm.Fit",
    table: Path,
    *,
    benchmarks: str | None = None,
    budget: float | None = None,
    ci_prob: float = defaults.CI_PROB,
    seed: int = defaults.SEED,
) -> Shown:
    """How probably each design is the best within a budget.

    Parameters
    ----------
    table : LMS.csv
        lm, lm_family, n_params, n_tokens; other facts.
    benchmarks : NAME[,NAME]
        All if left out.
    budget : FLOP
        Largest training compute.
    """
    names = None if benchmarks is None else benchmarks.split(",")
    found = bm.rank_designs(fit, table, benchmarks=names, budget=budget, seed=seed)
    if found.left_out:
        over = listing(f"{name} ({value:.3g} FLOP)" for name, value in found.left_out.items())
        say(f"left out, since over the budget of {budget:.3g} FLOP: {over}")
    caption = f"Mean over {len(found.benchmarks)} benchmarks; {_HIGHER}."
    intervals = f"{100 * ci_prob:g} % intervals"
    return _head(found.table(ci_prob=ci_prob), caption, intervals, said=("designs",))


def _read_changes(words: list[str]) -> dict[str, str]:
    """Split DECISION=LEVEL into names and levels."""
    form = "DECISION=LEVEL, such as position_embedding=learned or code_share=20"
    changes = read_settings(words, form=form)
    for name in changes:
        if name in _ARGUMENTS:
            raise QueryError(
                f"'{name}' is no fact that can be changed. Allowed: names of decisions, "
                "n_params and n_tokens, such as position_embedding=learned."
            )
    return changes


def _head(
    table: "pd.DataFrame", caption: str, intervals: str, *, said: Iterable[str] = ()
) -> Shown:
    """Put a table for reading below a heading, without what this says and columns that are blank.

    A caption needs no words on units and intervals: `format_table` adds them.
    """
    blank = [name for name in _NAMES if name in table and (table[name] == "").all()]
    reading = table.drop(columns=["ci_prob", "units", *said, *blank])
    if "training_flop" in reading:
        reading["training_flop"] = reading["training_flop"].map("{:.3g}".format)
    heading = f"{caption.rstrip('.')}; percentage points, {intervals}:"
    return Shown(table, caption, heading=heading, instead={"table": reading})
