"""Commands that test what a statement rests on: influence, ladders, tipping."""

from typing import Unpack

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import POINTS, On, Shown, command, wrap


@command("influence")
def influence_command(
    fit: "bm.Fit",
    statement: str,
    *,
    families: list[str] | None = None,
    refit: bool = False,
    **on: Unpack[On],
) -> Shown:
    """What an association would be without each family of LMs.

    Parameters
    ----------
    refit
        Refit where importance weights cannot be trusted.
    """
    table = bm.leave_family_out(fit, statement, families=families, refit=refit, **on)
    where = on["benchmark"] or on["task_family"] or "all benchmarks"
    caption = (
        f"Association of {statement} on {where} without each LM family, in percentage points; "
        "move: by how many standard deviations it changes."
    )
    return Shown(table, caption, heading=f"{wrap(caption.rstrip('.'))}:")


@command("ladders")
def ladders_command(
    fit: "bm.Fit",
    statement: str = "code_share: 20 > 5",
    *,
    by: str = "task_family",
    families: list[str] | None = None,
    ci_prob: float = defaults.CI_PROB,
) -> Shown:
    """Within-family contrasts: families that varied it on purpose."""
    found = bm.ladders(fit, statement, by=by, families=families)
    table = found.table(ci_prob=ci_prob)
    return Shown(
        table,
        f"Effect of {statement} by LM families that vary it.",
        heading=f"{found}; {POINTS}, {100 * ci_prob:g} % intervals:",
        instead={"table": table.drop(columns=["ci_prob", "units"])},
    )


@command("tipping")
def tipping_command(
    fit: "bm.Fit", statement: str, *, part: str | None = None, **on: Unpack[On]
) -> Shown:
    """Tipping points: which missing data would turn an effect.

    Parameters
    ----------
    part : PART
        The statement's own if left out.
    """
    table = bm.tipping_point(fit, statement, part=part, **on)
    caption = f"Which missing shares, in % of training tokens, would turn {statement}."
    return Shown(table, caption)
