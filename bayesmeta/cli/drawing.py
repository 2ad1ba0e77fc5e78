"""From the options of `plot` to a figure: one function per kind that needs more than one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bayesmeta.errors import QueryError, listing, shorten, suggest

if TYPE_CHECKING:
    from bayesmeta.inference import Fit
    from bayesmeta.plots import Drawn

__all__ = ["POSTERIOR", "RECORDED", "Asked", "draw_posterior", "draw_record", "list_hindrances"]

_STATEMENT = "code_share: 20 > 5"
_CODE = "code"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of one call say."""

    decisions: Sequence[str]
    by: str | None
    along: str | None
    statements: Sequence[str]
    target: str | None
    multiverse: Path | None
    version: str
    ci_prob: float

    @property
    def names(self) -> list[str] | None:
        """Decisions and statements whose effects are drawn; None for all."""
        return [*self.decisions, *self.statements] or None

    @property
    def decision(self) -> str | None:
        """The decision of a figure that shows one."""
        return _take_one("--decision", self.decisions)

    @property
    def statement(self) -> str | None:
        """The statement of a figure that shows one."""
        return _take_one("--statement", self.statements)


def _take_one(option: str, given: Sequence[str]) -> str | None:
    if len(given) > 1:
        raise QueryError(
            f"{option} is given {len(given)} times, and this figure shows one. Allowed more than "
            "once with: forest, atlas, prior-posterior."
        )
    return given[0] if given else None


def list_hindrances(fit: Fit) -> dict[str, str]:
    """Say of every kind of figure that a fit does not allow why that is so."""
    from bayesmeta.effects.estimands import knows_sizes

    reasons = {
        "ladders": None if _has_ladder(fit) else "no family of this fit's data varies in its share "
        "of code",
        "tradeoff": None if _CODE in fit.design.task_families else "no benchmark of this fit has "
        "the task family 'code'; in Python bm.plot.tradeoff(bm.curve(fit).tradeoff(gain=NAME)) "
        "draws what another one gains",
        "scaling": None if knows_sizes(fit) else "this fit's model has no scale",
    }  # fmt: skip
    return {kind: reason for kind, reason in reasons.items() if reason is not None}


def _has_ladder(fit: Fit) -> bool:
    from bayesmeta.effects import ladders

    try:
        ladders(fit, _STATEMENT, by="overall")
    except QueryError:
        return False
    return True


def draw_posterior(kind: str, fit: Fit, asked: Asked) -> Drawn:
    """Draw a figure of a fit."""
    return POSTERIOR[kind](fit, asked)


def draw_record(kind: str, asked: Asked) -> Drawn:
    """Draw a figure of what is recorded."""
    return RECORDED[kind](asked)


def _forest(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.effects import effects

    found = effects(fit, asked.names, by=asked.by or "overall")
    return plots.forest(found, ci_prob=asked.ci_prob)


def _atlas(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.effects import effects

    found = effects(fit, asked.names, by=asked.by or "benchmark")
    return plots.atlas(found, ci_prob=asked.ci_prob)


def _prior_posterior(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.effects import effects
    from bayesmeta.inference import sample_prior

    prior = sample_prior(fit.dataset, fit.spec)
    before, after = (effects(one, asked.names, by=asked.by or "overall") for one in (prior, fit))
    return plots.prior_posterior(after, prior=before, ci_prob=asked.ci_prob)


def _curve(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.effects import curve

    found = curve(fit, asked.decision or "code_share", by=asked.by or "task_family")
    return plots.curve(found, ci_prob=asked.ci_prob)


def _tradeoff(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.effects import curve

    reason = list_hindrances(fit).get("tradeoff")
    if reason is not None:
        raise QueryError(f"plot tradeoff shows what code tasks gain, and {reason}.")
    found = curve(fit, asked.decision or "code_share", by="task_family")
    return plots.tradeoff(found, ci_prob=asked.ci_prob)


def _scaling(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots

    return plots.scaling(fit, along=asked.along or "compute", ci_prob=asked.ci_prob)


def _evidence(fit: Fit, asked: Asked) -> Drawn:
    """Draw an evidence card; that of the fit's first decision where nothing is named."""
    from bayesmeta import plots
    from bayesmeta.effects.estimands import default_contrasts, list_decisions

    statement, target, design = asked.statement, asked.target, fit.design
    if statement is None:
        known = list_decisions(fit)
        first = default_contrasts(fit, decision=known[0])[0].label
        statement = _STATEMENT if "code_share" in known else first
    if target not in (None, "overall", *design.benchmarks, *design.task_families):
        allowed = ("overall", *design.benchmarks, *design.task_families)
        raise QueryError(
            f"target '{shorten(target)}' is not in this fit.{suggest(target, allowed)} Allowed: "
            f"{listing(allowed)}."
        )
    return plots.evidence(
        fit,
        statement,
        benchmark=target if target in design.benchmarks else None,
        task_family=target if target in design.task_families else None,
        ci_prob=asked.ci_prob,
    )


def _calibration(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots

    return plots.calibration(fit, ci_prob=asked.ci_prob)


def _ppc(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots

    return plots.ppc(fit, ci_prob=asked.ci_prob)


def _ladders(fit: Fit, asked: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.effects import ladders

    found = ladders(fit, asked.statement or _STATEMENT, by=asked.by or "task_family")
    return plots.ladders(found, ci_prob=asked.ci_prob)


def _scoreboard(asked: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.evaluation import load_scoreboard

    return plots.scoreboard(load_scoreboard(asked.version))


def _gains(asked: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.evaluation import load_scoreboard

    return plots.gains(load_scoreboard(asked.version))


def _ranks(_: Asked) -> Drawn:
    from bayesmeta import plots
    from bayesmeta.evaluation.validation import read_ranks

    ranks, header = read_ranks()
    return plots.ranks(ranks, n_draws=header["n_draws"])


def _specification_curve(asked: Asked) -> Drawn:
    """Draw a specification curve; the first one where none is named."""
    from bayesmeta import plots
    from bayesmeta.evaluation import load_multiverse

    found = load_multiverse(asked.multiverse)
    statement, target = asked.statement, asked.target
    if statement is None and target is None:
        statement, target = found.asked[0]
    return plots.specification_curve(
        found, statement=statement, target=target, ci_prob=asked.ci_prob
    )


POSTERIOR: dict[str, Callable[[Fit, Asked], Drawn]] = {
    "forest": _forest,
    "atlas": _atlas,
    "curve": _curve,
    "tradeoff": _tradeoff,
    "scaling": _scaling,
    "evidence": _evidence,
    "calibration": _calibration,
    "ppc": _ppc,
    "prior-posterior": _prior_posterior,
    "ladders": _ladders,
}
"""Figures of a fit."""

RECORDED: dict[str, Callable[[Asked], Drawn]] = {
    "scoreboard": _scoreboard,
    "gains": _gains,
    "ranks": _ranks,
    "specification-curve": _specification_curve,
}
"""Figures of records."""
