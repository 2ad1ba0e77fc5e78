"""Figures of held-out errors: every model's, and what is gained by knowing more than scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesmeta import defaults
from bayesmeta.crossvalidation.scoreboard import Scoreboard
from bayesmeta.data.dataset import Dataset
from bayesmeta.data.load import load_dataset
from bayesmeta.errors import QueryError, listing, shorten
from bayesmeta.plots.figure import Drawn, Layout, check_given, check_known, drawn_from
from bayesmeta.plots.forests import head_groups
from bayesmeta.plots.layout import Page
from bayesmeta.plots.look import COLUMN_WIDTH, FAINT, PAGE_WIDTH, pt
from bayesmeta.plots.marks import (
    draw_dots,
    draw_intervals,
    draw_zero,
    interval_words,
    label_rows,
    printable,
)
from bayesmeta.tables.wording import readable

_SCHEME_STYLE: dict[str, dict[str, Any]] = {
    "random": {"color": "#56B4E9", "marker": "o", "markerfacecolor": "white"},
    "leave-family-out": {"color": "#0072B2", "marker": "o"},
    "largest": {"color": "#D55E00", "marker": "s"},
    "leave-benchmark-out": {"color": "#009E73", "marker": "D"},
}
_SCHEME_NAMES = {
    "random": "random thirds of the LMs",
    "leave-family-out": "unseen LM families",
    "largest": "largest LMs",
    "leave-benchmark-out": "unseen benchmarks",
}
_PAIRS: dict[tuple[str, str], str] = {
    ("full", "scale"): "Bayesian model (full over scale)",
    ("xgboost-all", "xgboost-scale"): "trees (xgboost-all over xgboost-scale)",
}
_PAIR_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "marker": "o"},
    {"color": "#D55E00", "marker": "s", "markerfacecolor": "white"},
    {"color": "#009E73", "marker": "D"},
    {"color": "#CC79A7", "marker": "^", "markerfacecolor": "white"},
)
_MODEL_NAMES = {
    "full": "full model",
    "scale": "scale",
    "scale+family": "scale + family",
    "scale+family-dummies": "scale + family dummies",
    "xgboost-all": "XGBoost, all facts",
    "xgboost-scale": "XGBoost, scale",
    "ols": "least squares",
}
_INTERVALS = (
    f"{interval_words(defaults.CI_PROB, noun='intervals')}, LM families drawn with replacement"
)
_GAIN_SCHEMES = ("random", "leave-family-out")
_FAR, _FARTHEST = -60.0, -100.0
"""Percent at which the axis of gains ends, whatever intervals do, and whatever estimates do."""

_ROW = 0.22
"""Height of a row in inches."""


@drawn_from(Scoreboard, made_by="bm.evaluate or bm.load_scoreboard")
def scoreboard(
    board: Scoreboard,
    *,
    schemes: Sequence[str] = ("random", "leave-family-out"),
    models: Sequence[str] | None = None,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw the mean absolute error of every model, one row per model and a mark per scheme.

    Parameters
    ----------
    board
        Scores.
    schemes
        Schemes to show, where they were run.
    models
        Models to show, top to bottom; if left out, all but the training median, which is so far
        off that nothing else could be told apart, the best on the last scheme first.

    Returns
    -------
    Drawn
        The figure and the means drawn.

    Raises
    ------
    QueryError
        If none of the schemes or models was scored.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = scoreboard(bm.load_scoreboard())
    >>> sorted(drawn.table["scheme"].unique())
    ['leave-family-out', 'random']
    """
    means = board.means()
    table = means[means["scheme"].isin(list(schemes))]
    if models is None:
        last = table[table["scheme"] == table["scheme"].iloc[-1]] if len(table) else table
        models = [m for m in last.sort_values("mae")["model"] if m != "median"]
    table = table[table["model"].isin(list(models))].reset_index(drop=True)
    if table.empty:
        scored = [listing(dict.fromkeys(means[column])) for column in ("scheme", "model")]
        raise QueryError(
            f"nothing of {listing(schemes)} and {listing(models)} was scored. Allowed schemes: "
            f"{scored[0]}; models: {scored[1]}."
        )
    page, models = Page(how), list(models)
    shown = [name for name in _SCHEME_STYLE if name in set(table["scheme"])]
    errors = table[table["scheme"] == shown[-1]].set_index("model")["mae"].reindex(models)
    order = page.arrange([(name, _MODEL_NAMES.get(name, name)) for name in models], errors)
    models = [models[k] for k in order]
    (axes,) = page.panels(width=COLUMN_WIDTH, height=0.55 + 0.24 * len(models))
    for k, scheme in enumerate(shown):
        part = table[table["scheme"] == scheme].set_index("model").reindex(models)
        height = np.arange(len(models))[::-1] + 0.22 * ((len(shown) - 1) / 2 - k)
        draw_intervals(axes, part, height, size=3.2, line=1.0, edge=0.8, middle="mae",
                       label=page.label(scheme, shown=_SCHEME_NAMES[scheme]),
                       **_SCHEME_STYLE[scheme])  # fmt: skip
    names = [page.label(name, shown=_MODEL_NAMES.get(name, name)) for name in models]
    label_rows(axes, np.arange(len(models))[::-1], names)
    page.legend(ncols=2, pad=0.2, gap=2)
    return page.finish(
        table,
        xlabel="mean absolute error (percentage points)",
        note=[f"Means over benchmarks; lines: {_INTERVALS}."],
    )


@drawn_from(Scoreboard, made_by="bm.evaluate or bm.load_scoreboard")
def gains(
    board: Scoreboard,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    schemes: Sequence[str] | None = None,
    data: Dataset | None = None,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw by how much the held-out error falls when more than scale is known, by benchmark.

    A panel per scheme; benchmarks stand below the name of their task family, above the mean over
    all of them. An arrowhead marks an interval, or a gain, that goes on beyond the axis.

    Parameters
    ----------
    board
        Scores.
    pairs
        Up to four pairs of models, the one whose gain is drawn first; if left out, those of `full`
        over `scale` and of `xgboost-all` over `xgboost-scale` that were scored.
    schemes
        Schemes to show; if left out, those of `random` and `leave-family-out` that were run.
    data
        Tables with the labels and task families of the benchmarks; the bundled ones if left out.

    Returns
    -------
    Drawn
        The figure and the gains drawn, top to bottom, as `Scoreboard.gains` gives them, with the
        `label` and `task_family` of every benchmark.

    Raises
    ------
    QueryError
        If a scheme or model was not scored, or nothing of both.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = gains(bm.load_scoreboard(), schemes=["random"])
    >>> drawn.table["label"].tolist()[:2]
    ['ANLI', 'XNLI']
    """
    if data is not None:
        check_given("plot.gains", data, Dataset, made_by="bm.load_dataset or bm.read_dataset")
    chosen, shown = _choose_pairs(board, pairs), _choose_schemes(board, schemes)
    table = _tabulate_gains(board, chosen, shown, data=data)
    page, rows = Page(how), list(dict.fromkeys(table["benchmark"]))
    first = table[table["model"] == chosen[0][0]].drop_duplicates("benchmark")
    facts = first.set_index("benchmark").reindex(rows)
    names = [(name, str(label)) for name, label in zip(rows, facts["label"], strict=True)]
    rows = [rows[k] for k in page.arrange(names, facts["gain"])]
    panels = page.panels(len(shown), columns=len(shown), width=PAGE_WIDTH, sharex=True,
                         sharey=page.is_own, height=0.55 + _ROW * len(rows))  # fmt: skip
    left = _left_end(table)
    for axes, scheme in zip(panels, shown, strict=True):
        title = _SCHEME_NAMES.get(scheme, printable(scheme))
        axes.set_title(page.label(scheme, shown=title), loc="left")
        draw_zero(axes, zorder=0)
        if rows[-1] == "mean":
            axes.axhline(0.5, color=FAINT, linewidth=pt(0.4), zorder=0)
        part = table[(table["scheme"] == scheme) & table["benchmark"].isin(rows)]
        for k, pair in enumerate(chosen):
            mine = part[(part["model"] == pair[0]) & (part["over"] == pair[1])]
            height = np.array([len(rows) - 1.0 - rows.index(name) for name in mine["benchmark"]])
            shift = 0.34 * ((len(chosen) - 1) / 2 - k)
            label = _PAIRS.get(pair, printable(f"{pair[0]} over {pair[1]}", most=60))
            _draw_gains(axes, mine, height + shift, left=left, label=label, style=_PAIR_STYLES[k])
    return _finish_gains(page, rows, table, left=left)


def _choose_pairs(
    board: Scoreboard, pairs: Sequence[tuple[str, str]] | None
) -> list[tuple[str, str]]:
    known = [str(name) for name in board.cells["model"].unique()]
    if pairs is None:
        chosen = [pair for pair in _PAIRS if {*pair} <= {*known}]
        if not chosen:
            raise QueryError(
                f"of {listing(known)}, no model is a usual one over another. Name pairs of them, "
                f"such as pairs=[('{known[0]}', '{known[-1]}')]."
            )
        return chosen
    given = [] if isinstance(pairs, str) else list(pairs)
    whole = all(not isinstance(pair, str) and len(pair) == 2 for pair in given)
    chosen = list(dict.fromkeys((str(p[0]), str(p[1])) for p in given)) if whole else []
    if not 0 < len(chosen) <= len(_PAIR_STYLES):
        raise QueryError(
            f"pairs is {shorten(pairs)}. Allowed: one to {len(_PAIR_STYLES)} pairs of models, such "
            "as [('full', 'scale')]."
        )
    check_known("model", (name for pair in chosen for name in pair), known, said="was not scored")
    return chosen


def _choose_schemes(board: Scoreboard, schemes: Sequence[str] | None) -> list[str]:
    run = [str(name) for name in board.cells["scheme"].unique()]
    if schemes is None:
        return [name for name in _GAIN_SCHEMES if name in run] or run[:2]
    chosen = list(dict.fromkeys([schemes] if isinstance(schemes, str) else schemes))
    check_known("scheme", chosen, run, said="was not run")
    if not chosen:
        raise QueryError(f"no scheme was named. Allowed: one or more of {listing(run)}.")
    return chosen


def _tabulate_gains(
    board: Scoreboard,
    pairs: Sequence[tuple[str, str]],
    schemes: Sequence[str],
    *,
    data: Dataset | None,
) -> pd.DataFrame:
    """Build the table drawn: benchmarks of a task family together, the mean last."""
    found = pd.concat([board.gains(model, over=over) for model, over in pairs])
    found = found[found["scheme"].isin(schemes) & found["gain"].notna()]
    if found.empty:
        raise QueryError(
            f"no scheme of {listing(schemes)} scored both models of a pair. Name others; "
            "Scoreboard.means() lists what was scored."
        )
    facts = (data if data is not None else load_dataset()).benchmarks.set_index("benchmark")
    names = found["benchmark"]
    tasks = names.map(facts["task_family"]).fillna("")
    found = found.assign(
        label=names.map(facts["label"]).fillna(names).mask(names == "mean", "mean over benchmarks"),
        task_family=tasks,
        ci_prob=defaults.CI_PROB,
    )
    rank = np.where(names == "mean", len(tasks), pd.factorize(tasks)[0])
    order = np.lexsort([rank, found["scheme"].map([*schemes].index)])
    return found.iloc[order].reset_index(drop=True)


def _left_end(table: pd.DataFrame) -> float:
    """Where the axis begins, so that no interval far out presses the others together."""
    gain, lower = table[["gain", "lower"]].where(np.isfinite).min()  # NaN where none is finite
    return max(_FARTHEST, min(max(_FAR, min(0.0, gain, lower) - 3), min(0.0, gain) - 3))


def _draw_gains(
    axes: Axes, part: pd.DataFrame, height: Any, *, left: float, label: str, style: dict[str, Any]
) -> None:
    gain = part["gain"].to_numpy(float)
    inside = gain >= left
    ends = part[["lower", "upper"]].to_numpy(float)
    error = np.abs(np.clip(ends, left, None).T - gain)
    axes.errorbar(gain[inside], height[inside], xerr=error[:, inside], linestyle="none",
                  markersize=pt(3.2), elinewidth=pt(1.0), markeredgewidth=pt(0.8), label=label,
                  **style)  # fmt: skip
    beyond = (ends[:, 0] < left) | ~inside
    if not beyond.any():  # an empty line that is not clipped would take room
        return
    draw_dots(axes, np.full(beyond.sum(), left), height[beyond], "<", size=4,
              color=style["color"], clip_on=False, zorder=5)  # fmt: skip


def _finish_gains(page: Page, rows: Sequence[str], table: pd.DataFrame, *, left: float) -> Drawn:
    """Add what panels share: names of rows, legend, labels and note."""
    facts = table.drop_duplicates("benchmark").set_index("benchmark").loc[[*rows]]
    named = [page.label(str(name), shown=str(text)) for name, text in facts["label"].items()]
    tasks = [printable(readable(task)) if task else "" for task in facts["task_family"]]
    labels = named if page.is_reordered else head_groups([*zip(tasks, named, strict=True)])
    for axes in page.axes:
        axes.set_yticks(np.arange(len(rows))[::-1], labels)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlim(left=left)
        axes.tick_params(axis="y", length=0)
    page.legend(*page.axes[0].get_legend_handles_labels(), ncols=2, pad=0.2, gap=2)
    usual = {*zip(table["model"], table["over"], strict=True)} <= {*_PAIRS}
    other = "that of scale alone" if usual else "that of the model named second"
    return page.finish(
        table,
        xlabel=f"reduction of the held-out mean absolute error (% of {other})",
        note=[f"Positive: better; lines: {_INTERVALS}."],
    )
