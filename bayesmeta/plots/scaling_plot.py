"""The figure of scale: scores of the LMs, and the expected score, along compute, size or data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.design.sizes import fill_sizes
from bayesmeta.errors import QueryError, unknown
from bayesmeta.estimates.counterfactual import ASSOCIATION, POINTS, mean_score_at, to_points
from bayesmeta.estimates.summary import quantiles
from bayesmeta.inference.diagnostics import thin_fit
from bayesmeta.inference.fits import Fit
from bayesmeta.plots.figure import Drawn, Layout, check_known, drawn_from
from bayesmeta.plots.layout import Page, balance
from bayesmeta.plots.look import FAINT, INK, PAGE_WIDTH, pt
from bayesmeta.plots.marks import (
    draw_band,
    draw_dots,
    interval_words,
)

_FLOP = 6.0
"""Operations per parameter and token in training."""

ALONG = {
    "compute": "training compute (FLOP)",
    "n_params": "parameters",
    "n_tokens": "training tokens",
}
"""What scale may be, and how its axis is labelled."""

_N_GRID = 20
_MAX_DRAWS = 400
"""Points of a line, and posterior draws behind it: one every few of a full fit."""

_COLUMNS = 5
_SHOWN = 6
"""Families with a colour of their own, where none are named."""

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "D", "^", "v", "s", "P")


@drawn_from(Fit, made_by="bm.fit or bm.load_fit")
def scaling(
    fit: Fit,
    *,
    along: str = "compute",
    families: Sequence[str] | None = None,
    ci_prob: float = defaults.CI_PROB,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw scores against scale, with the score that the model expects, by benchmark.

    The line is the posterior median of the mean expected score over the LMs of the data, were all
    of them trained at that scale, all their other recorded facts and their families held as they
    are. Along compute, tokens per parameter are the median of the LMs.

    Parameters
    ----------
    fit
        A fit.
    along
        `compute`, `n_params` or `n_tokens`.
    families
        Up to six LM families that get colours; those with most LMs if left out.
    ci_prob
        Probability of the equal-tailed band of that mean.

    Returns
    -------
    Drawn
        The figure and what it shows: `what` is `score` or `expected`, with `benchmark`, `lm`,
        `lm_family`, `scale` in the unit of the axis, `estimate`, `lower` and `upper` in percentage
        points of the benchmark's own metric.

    Raises
    ------
    QueryError
        If the model has no scale, or `along` or a family is not known.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = scaling(bm.load_reference_fit(), families=["pythia", "codegen"])
    >>> drawn.table["what"].value_counts().to_dict()
    {'score': 1105, 'expected': 260}
    """
    if along not in ALONG:
        raise unknown(QueryError, "along", along, ALONG, mend="")
    if not fit.design.knows_sizes:
        raise QueryError(
            "this fit's model has no scale (scaling is 'none'). Fit one with "
            "ModelSpec(scaling='loglinear')."
        )
    page, shown = Page(how), _choose_families(fit, families)
    recorded = _tabulate_scores(fit, along=along)
    expected = _tabulate_expected(fit, along=along, ci_prob=ci_prob)
    design, outcomes = fit.design, fit.design.outcomes
    names = [*zip(design.benchmarks, design.benchmark_labels, strict=True)]
    means = recorded.groupby("benchmark")["estimate"].mean()
    order = page.arrange(names, [means[name] for name in design.benchmarks])
    columns = balance(len(order), _COLUMNS)
    panels = page.panels(len(order), columns=columns, width=PAGE_WIDTH, sharex=True,
                         height=0.6 + 1.25 * -(-len(order) // columns))  # fmt: skip
    chance = fit.dataset.benchmarks.set_index("benchmark")["chance"]
    for axes, k in zip(panels, order, strict=True):
        name, label = names[k]
        is_brier = not outcomes.is_logistic[k]
        _draw_panel(
            axes,
            scores=recorded[recorded["benchmark"] == name],
            line=expected[expected["benchmark"] == name],
            shown=shown,
            chance=POINTS * float(chance[name]),
            page=page,
        )
        if is_brier:
            axes.invert_yaxis()
        title = page.label(name, shown=label, most=14 if is_brier else 20)
        axes.set_title(f"{title} (Brier)" if is_brier else title, loc="left")
        axes.tick_params(axis="x", labelbottom=True)
    return _finish(page, fit, pd.concat([recorded, expected], ignore_index=True), along=along,
                   ci_prob=ci_prob)  # fmt: skip


def _choose_families(fit: Fit, families: Sequence[str] | None) -> list[str]:
    known = fit.design.lm_families
    if families is None:
        counts = np.bincount(fit.design.lm_family_index, minlength=len(known))
        return [known[k] for k in np.argsort(-counts, kind="stable")[:_SHOWN]]
    names = [families] if isinstance(families, str) else list(dict.fromkeys(families))
    check_known("lm family", names, known, said="is not in this fit's data")
    if len(names) > _SHOWN:
        raise QueryError(
            f"{len(names)} families were named, more than can be told apart. Allowed: up to "
            f"{_SHOWN}. Leave some out; they are drawn in grey."
        )
    return names


def _scale_of(fit: Fit, *, along: str) -> NDArray[np.float64]:
    """Scale of every lm of the data, shape (lm,)."""
    lms = fill_sizes(fit.dataset.lms)
    n_params, n_tokens = (lms[key].to_numpy(float) for key in ("n_params", "n_tokens"))
    return {"n_params": n_params, "n_tokens": n_tokens}.get(along, _FLOP * n_params * n_tokens)


def _tabulate_scores(fit: Fit, *, along: str) -> pd.DataFrame:
    design, outcomes = fit.design, fit.design.outcomes
    lm = outcomes.lm_index
    return pd.DataFrame(
        {
            "what": "score",
            "benchmark": np.array(design.benchmarks)[outcomes.benchmark_index],
            "lm": np.array(design.lms)[lm],
            "lm_family": np.array(design.lm_families)[design.lm_family_index[lm]],
            "scale": _scale_of(fit, along=along)[lm],
            "estimate": POINTS * outcomes.y,
        }
    )


def _settings_at(fit: Fit, *, along: str, scale: float) -> dict[str, float]:
    """Sizes that every lm is given at a point of the axis."""
    if along != "compute":
        return {along: scale}
    ratio = _tokens_per_parameter(fit)
    n_params = (scale / (_FLOP * ratio)) ** 0.5
    return {"n_params": n_params, "n_tokens": ratio * n_params}


def _tokens_per_parameter(fit: Fit) -> float:
    lms = fit.dataset.lms
    return float((lms["n_tokens"] / lms["n_params"]).median())


def _tabulate_expected(fit: Fit, *, along: str, ci_prob: float) -> pd.DataFrame:
    scale = _scale_of(fit, along=along)[np.unique(fit.design.outcomes.lm_index)]
    grid = np.geomspace(scale.min(), scale.max(), _N_GRID)
    thin = thin_fit(fit, draws=_MAX_DRAWS) if np.prod(fit.shape) > _MAX_DRAWS else fit
    at = [
        mean_score_at(
            thin, settings=_settings_at(fit, along=along, scale=float(x)), kind=ASSOCIATION
        )
        for x in grid
    ]
    own = np.stack(at) / to_points(np.ones(len(fit.design.benchmarks)), design=fit.design)
    lower, middle, upper = POINTS * quantiles(own, ci_prob=ci_prob, axis=(1, 2))
    n = len(fit.design.benchmarks)
    return pd.DataFrame(
        {
            "what": "expected",
            "benchmark": np.tile(fit.design.benchmarks, _N_GRID),
            "scale": np.repeat(grid, n),
            "estimate": middle.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "ci_prob": ci_prob,
        }
    )


def _draw_panel(
    axes: Axes,
    *,
    scores: pd.DataFrame,
    line: pd.DataFrame,
    shown: Sequence[str],
    chance: float,
    page: Page,
) -> None:
    axes.axhline(chance, color=FAINT, linewidth=pt(0.6), linestyle=":", zorder=0)
    rest = scores[~scores["lm_family"].isin(list(shown))]
    draw_dots(axes, rest["scale"], rest["estimate"], ".", size=3.2, color=FAINT, alpha=0.7,
              label="other families", zorder=1)  # fmt: skip
    for family, colour, marker in zip(shown, _COLOURS, _MARKERS, strict=False):
        part = scores[scores["lm_family"] == family]
        draw_dots(axes, part["scale"], part["estimate"], marker, size=2.9, color=colour, zorder=3,
                  label=page.label(family, most=20))  # fmt: skip
    draw_band(axes, line, "scale", color=INK, alpha=0.2, zorder=2)
    axes.plot(line["scale"], line["estimate"], color=INK, linewidth=pt(1), zorder=2,
              label="expected score")  # fmt: skip
    axes.set_xscale("log")
    axes.locator_params(axis="y", nbins=4)


def _finish(page: Page, fit: Fit, table: pd.DataFrame, *, along: str, ci_prob: float) -> Drawn:
    """Add what all panels share: legend, labels and note."""
    handles, labels = page.axes[0].get_legend_handles_labels()
    page.legend([*handles[1:], handles[0]], [*labels[1:], labels[0]], ncols=5)
    path = ""
    if along == "compute":
        path = (
            ", at 6 operations per parameter and token and "
            f"{_tokens_per_parameter(fit):.3g} tokens per parameter"
        )
    brier = "" if fit.design.outcomes.is_logistic.all() else (
        " Brier scores x 100: lower is better, on axes turned over."
    )  # fmt: skip
    return page.finish(
        table,
        xlabel=ALONG[along],
        ylabel="score (percentage points)",
        note=[f"Line: expected score, mean over the LMs as they are but for scale{path}; band: "
              f"{interval_words(ci_prob)}; dotted: chance.{brier}"],
    )  # fmt: skip
