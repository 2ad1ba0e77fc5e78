"""Forest plots: effects alone, before their prior, within families, or beside experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import UNDISCLOSED, Decision, know_facts
from bayesmeta.errors import QueryError, listing, shorten
from bayesmeta.estimates.answer_words import name_decision
from bayesmeta.estimates.contrasts import Effects
from bayesmeta.estimates.question import (
    BY,
    LM_FAMILY,
    UNITS,
    Statement,
    Substitution,
    format_level,
)
from bayesmeta.plots.figure import Drawn, Layout, check_given, drawn_from
from bayesmeta.plots.layout import Page, balance
from bayesmeta.plots.look import COLUMN_WIDTH, FAINT, PAGE_WIDTH, PALE, PALEST, pt
from bayesmeta.plots.marks import (
    draw_dots,
    draw_intervals,
    draw_zero,
    interval_words,
    label_rows,
    measure,
    printable,
    short,
    write_number,
)
from bayesmeta.tables.wording import name_few, readable, signed

_VERDICT_STYLE: dict[str, dict[str, Any]] = {
    defaults.SUPPORTED: {"color": "#0072B2", "marker": "o"},
    defaults.CONFLICTING: {"color": "#D55E00", "marker": "X"},
    defaults.ASSOCIATION_ONLY: {"color": "#E69F00", "marker": "s"},
    defaults.PRIOR_DOMINATED: {"color": FAINT, "marker": "D", "markerfacecolor": "white"},
}
_NO_VERDICT = {"": {"color": "#0072B2", "marker": "o"}}
EFFECTS_BY = "bm.effects or bm.substitutions"

_ROW_HEIGHT, _PANEL_ROW = 0.122, 0.105
"""Inches of a row, and of one in small multiples."""

_REST = 0.72
"""Inches above and below the rows of a forest."""

_SMALL = 4.5
"""Inches below which a figure has small letters."""

_LEAST, _MARGINS = 0.505, 0.09
"""Share of the width that labels and columns of numbers leave to the data; margins in inches."""

_PANELS = 5
"""Panels in a row of small multiples."""


@drawn_from(Effects, pd.DataFrame, made_by=f"{EFFECTS_BY}, or their .table(),")
def forest(
    effects: Effects | pd.DataFrame,
    *,
    ci_prob: float = defaults.CI_PROB,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw medians and intervals of effects, one row per contrast, with their numbers.

    Contrasts stand below the name of their decision, benchmarks below that of their task family;
    several contrasts on several targets are drawn as small multiples, a panel per target. The band
    holds differences of less than half a point, `defaults.EQUIVALENCE`.

    Parameters
    ----------
    effects
        Effects; or a table of one's own, with a row per effect: `label`, `estimate`, `lower`,
        `upper`, and, where it has them, `group`, `inner_lower`, `inner_upper`, `verdict`,
        `prob_helps` and `units`. What `.table()` gives is such a table.
    ci_prob
        Probability of the equal-tailed interval; a table has intervals of its own.

    Returns
    -------
    Drawn
        The figure and the table drawn, top to bottom: that of the effects, with `inner_lower` and
        `inner_upper`, the `group` and `label` of every row, and the numbers of `lms` and
        `lm_families` at the level, or that record a number or can make a substitution.

    Raises
    ------
    QueryError
        If a table lacks a column or has numbers that are none, or there are several contrasts on
        so many targets that no page holds their panels.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.effects(bm.load_reference_fit(), "norm")
    >>> drawn = forest(found)
    >>> len(drawn.table)
    2
    >>> own = pd.DataFrame({"label": ["A", "B"], "estimate": [1, 2], "lower": 0, "upper": 3})
    >>> forest(own, order="effect").table["label"].tolist()
    ['B', 'A']
    """
    page = Page(how)
    if isinstance(effects, pd.DataFrame):
        table = read_table(effects)
        return _draw_forest(page, table, note=_explain(table, page.inner(1.0)))
    table = _tabulate(effects, page, ci_prob=ci_prob)
    note = [*_describe(effects), *_explain(table, page.inner(ci_prob), ci_prob)]
    if table["target"].nunique() > 1 and len(effects.contrasts) > 1:
        return _draw_multiples(page, table, effects, note=note)
    return _draw_forest(page, table, note=note, counted=_describe_counts(effects))


@drawn_from(Effects, made_by=EFFECTS_BY)
def prior_posterior(
    effects: Effects,
    *,
    prior: Effects,
    ci_prob: float = defaults.CI_PROB,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw what was believed of effects before the data behind what is believed after them.

    A prior interval far wider than most is cut, and an arrowhead marks where.

    Parameters
    ----------
    effects
        Effects of a fit on one target, or one contrast on many targets.
    prior
        The same effects of draws from the prior (`sample_prior`).
    ci_prob
        Probability of the intervals, which are equal-tailed.

    Returns
    -------
    Drawn
        The figure and the table drawn, top to bottom: that of a forest, with `prior_lower`,
        `prior_upper` and `narrowed`, the share of the prior interval's width that is gone.

    Raises
    ------
    QueryError
        If there are several contrasts on several targets, or the two are not of the same.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> prior = bm.sample_prior(fit.dataset, fit.spec, draws=50)
    >>> drawn = prior_posterior(bm.effects(fit, "norm"), prior=bm.effects(prior, "norm"))
    >>> len(drawn.table)
    2
    """
    check_given("plot.prior_posterior", prior, Effects, made_by="bm.effects of bm.sample_prior")
    if effects.draws.indexes["contrast"].tolist() != prior.draws.indexes["contrast"].tolist() or (
        effects.by != prior.by
    ):
        asked, other = (listing(c.label for c in one.contrasts) for one in (effects, prior))
        raise QueryError(
            f"effects and prior are of different questions: {asked} by {effects.by}, and {other} "
            f"by {prior.by}. Allowed: the same contrasts and targets. Call effects in the same way "
            "for both."
        )
    check_one_way(effects)
    page = Page(how)
    table = _tabulate(effects, page, ci_prob=ci_prob, prior=prior)
    note = [*_describe(effects), *_explain(table, page.inner(ci_prob), ci_prob)]
    return _draw_forest(page, table, note=[*note, "Grey bars: before the data."])


def check_one_way(effects: Effects) -> None:
    """Refuse several contrasts on several targets, where rows can name one of them."""
    if effects.draws.sizes["target"] > 1 and len(effects.contrasts) > 1:
        raise QueryError(
            f"this figure shows one target or one contrast, not {len(effects.contrasts)} contrasts "
            f"on {effects.draws.sizes['target']} targets. Ask for one contrast, such as "
            f"'{effects.contrasts[0].label}', or by overall; an atlas shows many on many."
        )


# ---- the table drawn


def _tabulate(
    effects: Effects, page: Page, *, ci_prob: float, prior: Effects | None = None
) -> pd.DataFrame:
    """Build the table drawn: effects, what is counted, and the group and label of every row."""
    table = page.tabulate(effects.table, ci_prob)
    if prior is not None:
        before = prior.table(ci_prob=ci_prob)
        narrowed = (table["upper"] - table["lower"]) / (before["upper"] - before["lower"])
        table = table.assign(
            prior_lower=before["lower"], prior_upper=before["upper"], narrowed=1 - narrowed
        )
    counts = {
        (c.decision, format_level(c.level), format_level(c.reference)): n
        for c, n in zip(effects.contrasts, effects.counts, strict=True)
    }
    asked = [*zip(table["decision"], table["level"], table["reference"], strict=True)]
    lms, families = zip(*(counts[key] for key in asked), strict=True)
    table = table.assign(lms=lms, lm_families=families)
    if effects.draws.sizes["target"] > 1:
        pairs, order = group_targets(effects)
        names = effects.draws["target"].values[order]
        place = {str(name): k for k, name in enumerate(names)}
        if any(group for group, _ in pairs):
            tasks = dict(zip(effects.draws["target"].values,
                             effects.draws["task_family"].values, strict=True))  # fmt: skip
            table["task_family"] = table["target"].map(tasks)
        named = dict(zip(map(str, names), pairs, strict=True))
        table["group"], table["label"] = zip(*table["target"].map(named), strict=True)
        table = table.iloc[np.argsort(table["target"].map(place), kind="stable")]
        if len(effects.contrasts) == 1:
            return table.reset_index(drop=True)
        table = table.assign(panel=table["label"])
    table = table[table["level"] != UNDISCLOSED].reset_index(drop=True)
    return name_rows(table, known=find_known(effects))


def find_known(effects: Effects) -> dict[str, Decision]:
    """Find the decisions of effects, declared ones included, by name."""
    return know_facts() | {c.decision: c.about for c in effects.contrasts}


def name_rows(table: pd.DataFrame, *, known: Mapping[str, Decision] | None = None) -> pd.DataFrame:
    """Give every row of a table of contrasts its group and its label."""
    asked = zip(table["decision"], table["level"], table["reference"], strict=True)
    named = [name_contrast(*row, known=known) for row in asked]
    shared = {
        group: len({one.reference for one in named if one.group == group}) == 1
        for group in {one.group for one in named}
    }
    return table.assign(
        group=[one.heading if shared[one.group] else one.group for one in named],
        label=[one.short if shared[one.group] else one.item for one in named],
    )


_NEEDED = ("label", "estimate", "lower", "upper")


def read_table(given: pd.DataFrame) -> pd.DataFrame:
    """Read a table of one's own, or what `.table()` gave, as rows to draw."""
    table = given.reset_index(drop=True)
    if "label" not in table and {"decision", "level", "reference"} <= {*table}:
        table = _name_given(table)
    lacking = [name for name in _NEEDED if name not in table]
    if lacking or table.empty:
        said = f"has no column {listing(lacking)}" if lacking else "has no row"
        raise QueryError(
            f"the table given to plot.forest {said}. Allowed: a row per effect with "
            f"{listing(_NEEDED)}, and, if there are, group, inner_lower, inner_upper, verdict, "
            "prob_helps, units; or what .table() of effects gives."
        )
    table["label"] = table["label"].astype(str)
    numbers = [name for name in (*_NEEDED[1:], "inner_lower", "inner_upper") if name in table]
    for name in numbers:
        table[name] = pd.to_numeric(table[name], errors="coerce")
        for row in np.flatnonzero(~np.isfinite(table[name].to_numpy(float))):
            raise QueryError(
                f"{name} of '{shorten(table.at[row, 'label'])}' (row {row} of the table) is "
                f"{shorten(given[name].iloc[row])}. Allowed: a finite number. Leave the row out, "
                "or fill it in."
            )
    for row in np.flatnonzero((table["lower"] > table["estimate"]) |
                              (table["estimate"] > table["upper"])):  # fmt: skip
        ends = ", ".join(f"{name} {table.at[row, name]:g}" for name in _NEEDED[1:])
        raise QueryError(
            f"the interval of '{shorten(table.at[row, 'label'])}' (row {row} of the table) does "
            f"not hold its estimate: {ends}. Allowed: lower <= estimate <= upper."
        )
    return table.fillna({"group": "", "verdict": ""})


def _name_given(table: pd.DataFrame) -> pd.DataFrame:
    """Name the rows of a table of effects by contrast, or by target where one was asked."""
    one = len(table.drop_duplicates(["decision", "level", "reference"])) == 1
    if one and "target" in table and table["target"].nunique() > 1:
        return table.assign(label=[readable(str(name)) for name in table["target"]])
    if "target" in table and table["target"].nunique() > 1:
        raise QueryError(
            "the table given to plot.forest has several contrasts on several targets. Allowed: one "
            "of them. Give the effects themselves, or rows of one target."
        )
    kept = table[table["level"] != UNDISCLOSED].reset_index(drop=True)
    return name_rows(kept)


def group_targets(effects: Effects) -> tuple[list[tuple[str, str]], list[int]]:
    """Bring benchmarks of a task family together.

    Parameters
    ----------
    effects
        Effects on several targets.

    Returns
    -------
    list of tuple of str
        Task family, blank for what is no benchmark, and name of every target, in their new order.
    list of int
        Where each of them stands among the targets.
    """
    names = [str(name) for name in effects.draws["target"].values]
    if "task_family" not in effects.draws.coords:
        shown = names if effects.by == LM_FAMILY else [readable(name) for name in names]
        return [("", name) for name in shown], list(range(len(names)))
    tasks = [readable(str(name)) for name in effects.draws["task_family"].values]
    labels = [str(name) for name in effects.draws["label"].values]
    order = sorted(range(len(tasks)), key=lambda k: (tasks.index(tasks[k]), k))
    return [(tasks[k], labels[k]) for k in order], order


class Named(NamedTuple):
    """The words of a contrast: its group, itself in it, and both where the reference is shared."""

    group: str
    item: str
    heading: str
    short: str
    reference: str


def name_contrast(
    decision: str, level: str, reference: str, *, known: Mapping[str, Decision] | None = None
) -> Named:
    """Name a decision, of those that are known, and what is compared in it.

    Examples
    --------
    >>> name_contrast("attention", "gqa", "mha")[:4]
    ('attention', 'gqa vs mha', 'attention (vs mha)', 'gqa')
    >>> name_contrast("code_share", "18", "8")[2:4]
    ('code share (%)', '18 vs 8')
    >>> name_contrast("code_share", "+10", "web_share")[:2]
    ('code', '+10 points from web')
    """
    known = know_facts() if known is None else known
    name, about = name_decision(decision, known), known.get(decision)
    if reference.endswith("_share"):
        donor = name_decision(reference.removesuffix("_share"), known)
        group, item = name.removesuffix(" share"), f"{level} points from {donor}"
        return Named(group, item, f"{group}, {level} points from", donor, level)
    if about is not None and about.kind == "categorical":
        return Named(name, f"{level} vs {reference}", f"{name} (vs {reference})", level, reference)
    unit = " %" if about is not None and about.kind == "share" else ""
    item = f"{level} vs {reference}"
    heading = f"{name} ({unit.strip()})" if unit else name
    return Named(name, f"{item}{unit}", heading, item, heading)


def head_groups(pairs: Sequence[tuple[str, str]], *, joint: str = ": ") -> list[str]:
    """Name the group of every row, or column, where it begins; a group without a name nowhere."""
    labels = []
    for k, (group, item) in enumerate(pairs):
        begins = group and (k == 0 or pairs[k - 1][0] != group)
        labels.append(f"{group}{joint}{item}" if begins else item)
    return labels


# ---- words


_MEASURED = {"association": "association", "effect": "effect", "new_setting": "effect"}


def say_axis(table: pd.DataFrame) -> str:
    """Write quantity and unit of a table of effects."""
    units = {*table["units"]} if "units" in table else set()
    kinds = {*table["kind"]} if "kind" in table else set()
    what = _MEASURED.get(kinds.pop(), "estimate") if len(kinds) == 1 else "estimate"
    return f"{what} ({units.pop()})" if len(units) == 1 else what


def _describe(effects: Effects) -> list[str]:
    """Say of what these are effects."""
    among = f", averaged over {name_few(effects.among)}" if effects.among else ""
    where = " over all benchmarks" if effects.by in ("overall", LM_FAMILY) else ""
    kind = {
        "association": "Associations with",
        "effect": "Effects on",
        "new_setting": "Effects in a new setting on",
    }[effects.kind]
    scale = "the score" if effects.draws.attrs["units"] == UNITS else "latent values"
    one = effects.draws.sizes["target"] > 1 and len(effects.contrasts) == 1
    asked = f" of {name_statement(effects.contrasts[0])}" if one else ""
    first, _, rest = kind.partition(" ")
    return [f"{first}{asked} {rest} {scale}{where}{among}."]


def name_statement(contrast: Statement) -> str:
    """Write a contrast in one line, without underscores."""
    sides = (format_level(contrast.level), format_level(contrast.reference))
    named = name_contrast(contrast.decision, *sides, known={contrast.decision: contrast.about})
    return f"{named.group}: {named.item}"


def _explain(table: pd.DataFrame, inner: float | None, ci_prob: float | None = None) -> list[str]:
    """Say what marks and lines are."""
    if ci_prob is None:  # a table of one's own
        given = {*table["ci_prob"]} if "ci_prob" in table else set()
        ci_prob = given.pop() if len(given) == 1 else None
        words = "intervals as given" if ci_prob is None else interval_words(
            ci_prob, noun="intervals"
        )  # fmt: skip
    else:
        words = interval_words(ci_prob, inner=inner, noun="intervals")
    band = f"; band: within {defaults.EQUIVALENCE:g} points of zero" if has_band(table) else ""
    return [f"Marks: medians; lines: {words}{band}."]


def has_band(table: pd.DataFrame) -> bool:
    """Say whether all effects are in percentage points."""
    return "units" in table and {*table["units"]} == {UNITS}


def _describe_counts(effects: Effects) -> str:
    """Say which LMs and families are counted, or how many there are."""
    contrast = effects.contrasts[0]
    is_swap = isinstance(contrast, Substitution)
    if effects.draws.sizes["target"] == 1:
        which = "that can give as much" if is_swap else "at the level, or that record the number"
        return f"LMs and families: {which}."
    lms, families = effects.counts[0]
    counted = f"{lms} LMs of {families} families"
    if is_swap:
        return f"{counted} can give as much."
    is_level = contrast.about.kind == "categorical"
    return f"{counted} {f'have {format_level(contrast.level)}' if is_level else 'record it'}."


def favoured(table: pd.DataFrame) -> tuple[str, str]:
    """Say what lies on either side of zero: the levels, where all rows share them."""
    facts = ["decision", "reference", "level"]
    asked = [*table[facts].drop_duplicates().to_numpy()] if {*facts} <= {*table} else []
    if len(asked) == 1 and not str(asked[0][1]).endswith("_share"):
        unit = " %" if str(asked[0][0]).endswith("_share") else ""
        return f"favours {asked[0][1]}{unit}", f"favours {asked[0][2]}{unit}"
    return ("lower score", "higher score") if has_band(table) else ("lower", "higher")


# ---- rows


class Rows(NamedTuple):
    """Where rows and headings stand, from the top, which is the highest place, down to zero."""

    places: NDArray[np.float64]
    headings: list[tuple[float, str]]
    top: float


def place_rows(groups: Sequence[str], *, step: float = 1.0) -> Rows:
    """Place rows one below the other, groups of them below a heading.

    Examples
    --------
    >>> place_rows(["a", "a", ""]).places.tolist()
    [2.0, 1.0, 0.0]
    >>> place_rows(["a", "a", ""]).headings
    [(3.0, 'a')]
    """
    place, places, headings = 0.0, [], []
    for k, group in enumerate(groups):
        if group and (k == 0 or groups[k - 1] != group):
            headings.append((place, group))
            place += 1
        places.append(place)
        place += step
    top = place - step
    return Rows(top - np.array(places), [(top - at, text) for at, text in headings], top)


def label_groups(
    axes: Axes, rows: Rows, labels: Sequence[str], *, size: float, room: float
) -> float:
    """Write labels and bold headings left of the axes; return how many inches they take.

    Parameters
    ----------
    axes, rows, labels
        Where, and what.
    size
        Points of the letters, where labels then leave the data their share.
    room
        Inches that labels may take.
    """
    wide = measure(labels, size)
    size, wide = size * min(1.0, room / wide), min(wide, room) + 4 / 72
    headings = [text for _, text in rows.headings]
    places = [*rows.places, *(place for place, _ in rows.headings)]
    label_rows(axes, places, [*labels, *headings], fontsize=pt(size), ha="left")
    axes.tick_params(axis="y", pad=pt(72 * wide))
    for text in axes.get_yticklabels()[len(labels) :]:
        text.set_fontweight("bold")
    axes.spines["left"].set_visible(False)
    return wide


def _list_columns(table: pd.DataFrame) -> dict[str, list[str]]:
    """Texts of the columns of numbers that a table can have, the most wanted first."""
    ends = table[["estimate", "lower", "upper"]].to_numpy(float)
    digits = 1 if np.abs(ends).max() >= 0.95 else 2
    found = {
        "median [interval]": [
            f"{signed(middle, digits)} [{signed(low, digits)}, {signed(high, digits)}]"
            for middle, low, high in ends
        ]
    }
    if "prob_helps" in table:
        found["P(helps)"] = [short(p) for p in table["prob_helps"]]
    if "lms" in table and len({*zip(table["lms"], table["lm_families"], strict=True)}) > 1:
        found["LMs"] = [str(n) for n in table["lms"]]
        found["families"] = [str(n) for n in table["lm_families"]]
    return found


def write_columns(
    axes: Axes, rows: Rows, columns: Mapping[str, Sequence[str]], *, size: float, room: float
) -> list[str]:
    """Write columns of numbers right of the axes, as many as there is room for; say which."""
    edge, written = 0.06, []
    for heading, texts in columns.items():
        wide = measure([heading, *texts], size)
        if edge + wide > room:
            break
        written.append(heading)
        places = [rows.top + 1.0, *rows.places]
        for place, text in zip(places, [heading, *texts], strict=True):
            write_number(axes, text, (1, place), xytext=(pt(72 * (edge + wide / 2)), 0), size=size,
                         textcoords="offset points", ha="center", va="center_baseline")  # fmt: skip
        edge += wide + 0.1
    return written


# ---- drawing


def _draw_forest(
    page: Page, table: pd.DataFrame, *, note: Sequence[str], counted: str = ""
) -> Drawn:
    """Draw one panel of rows."""
    table, groups, labels = _arrange(page, table)
    rows = place_rows(groups)
    lines = rows.top + 1.6
    (axes,) = page.panels(width=COLUMN_WIDTH, height=_REST + _ROW_HEIGHT * lines)
    is_small = page.inches(COLUMN_WIDTH) < _SMALL
    size = 6.0 if is_small else 6.5
    if "prior_lower" in table:
        _draw_prior(axes, table, rows.places)
    draw_rows(axes, table, rows.places, label=page.label)
    room = (1 - _LEAST) * page.inches(COLUMN_WIDTH) - _MARGINS
    taken = label_groups(axes, rows, labels, size=size, room=0.9 * room)
    room -= taken
    numbers = 5.2 if is_small else 6.0
    columns = _list_columns(table)
    written = write_columns(axes, rows, columns, size=numbers, room=room)
    if "LMs" in written or "LMs" not in columns:
        note = [*note, counted] if counted else note
    axes.set_ylim(-0.8, rows.top + 1.6)
    _write_sides(axes, favoured(table), width=page.inches(COLUMN_WIDTH) - taken)
    handles, names = axes.get_legend_handles_labels()
    if len(handles) > 1 or names != [""]:
        page.legend(handles, names, ncols=4, pad=0.2, gap=0.7, handlelength=1.4)
    return page.finish(table, xlabel=say_axis(table), note=note)


def _arrange(
    page: Page, table: pd.DataFrame, *, inline: bool = False
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Bring rows into the order asked for; return them with their groups and labels."""
    keys = [name for name in ("label", "level", "target") if name in table]
    groups = [str(group) for group in table.get("group", pd.Series("", table.index))]
    pairs = _name_whole(table, groups)
    whole = [f"{group}: {item}" if group else item for group, item in pairs]
    own = [[*map(str, row)] for row in table[keys].itertuples(index=False)]
    order = page.arrange([(*row, name) for row, name in zip(own, whole, strict=True)],
                         table["estimate"])  # fmt: skip
    if page.is_reordered:
        shown, groups = whole, [""] * len(whole)
    elif inline:
        shown, groups = head_groups(pairs), [""] * len(whole)
    else:
        shown = [row[0] for row in own]
    labels = [page.label(*own[k], whole[k], shown=shown[k], most=44) for k in order]
    headed = [page.label(groups[k], most=44) if groups[k] else "" for k in order]
    return table.iloc[order].reset_index(drop=True), headed, labels


def _name_whole(table: pd.DataFrame, groups: Sequence[str]) -> list[tuple[str, str]]:
    """Name rows so that each can stand alone: by decision and sides, or group and label."""
    facts = ["decision", "level", "reference"]
    known = {*facts} <= {*table} and bool(table[facts].notna().all(axis=None))
    if not known or ("target" in table and table["target"].nunique() > 1):
        return [*zip(groups, table["label"], strict=True)]
    return [name_contrast(*row)[:2] for row in table[facts].itertuples(index=False)]


def draw_rows(axes: Axes, table: pd.DataFrame, y: NDArray[np.float64], *, label: Any) -> None:
    """Draw zero, the band of what is practically the same, and every row by its verdict."""
    if has_band(table):
        axes.axvspan(-defaults.EQUIVALENCE, defaults.EQUIVALENCE, color=PALEST, linewidth=0,
                     zorder=-2)  # fmt: skip
    draw_zero(axes, zorder=-1)
    marker, line = (2.2, 0.8) if "prior_lower" in table else (3.0, 0.8)
    verdicts = table["verdict"] if "verdict" in table else pd.Series("", table.index)
    for verdict in dict.fromkeys([*_VERDICT_STYLE, *verdicts]):
        style = {**_VERDICT_STYLE, **_NO_VERDICT}.get(verdict, _NO_VERDICT[""])
        which = (verdicts == verdict).to_numpy()
        if which.any():
            draw_intervals(axes, table[which], y[which], size=marker, line=line,
                           edge=0.22 * marker, label=label(verdict) if verdict else "",
                           **style)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))


def _draw_prior(axes: Axes, table: pd.DataFrame, y: NDArray[np.float64]) -> None:
    """Draw prior intervals as bars behind what comes later; cut those far wider than most."""
    axes.use_sticky_edges = False
    reach = table[["prior_lower", "prior_upper"]].abs().max(axis=1)
    shown = table[["lower", "upper"]].abs().to_numpy().max()
    end = max(shown, 1.4 * float(np.quantile(reach, 0.75)))
    low, high = (table[f"prior_{side}"].clip(-end, end) for side in ("lower", "upper"))
    axes.barh(y, high - low, left=low, height=0.7, color=PALE, label="prior", zorder=-1.5)
    for side, marker, cut in ((-end, "<", table["prior_lower"] < -end),
                              (end, ">", table["prior_upper"] > end)):  # fmt: skip
        if cut.any():
            draw_dots(axes, np.full(int(cut.sum()), side), y[cut.to_numpy()], marker, size=3.0,
                      color=FAINT, clip_on=False)  # fmt: skip


def _write_sides(axes: Axes, sides: tuple[str, str], *, width: float) -> None:
    """Write below the axis what lies on either side of zero."""
    low, high = axes.get_xlim()
    if low >= 0 or high <= 0:
        return
    texts = (f"\N{LEFTWARDS ARROW} {sides[0]}", f"{sides[1]} \N{RIGHTWARDS ARROW}")
    if sum(measure([text], 6) for text in texts) > 0.55 * width:
        texts = ("\N{LEFTWARDS ARROW} lower", "higher \N{RIGHTWARDS ARROW}")
    for text, at, side in zip(texts, (0, 1), ("left", "right"), strict=True):
        axes.annotate(printable(text, most=60), (at, 0), xytext=(0, pt(-17)), ha=side, va="top",
                      xycoords="axes fraction", textcoords="offset points", fontsize=pt(6),
                      annotation_clip=False)  # fmt: skip
    axes.xaxis.labelpad = pt(11)


def _draw_multiples(
    page: Page, table: pd.DataFrame, effects: Effects, *, note: Sequence[str]
) -> Drawn:
    """Draw a panel per target, with axes that all share."""
    if effects.by not in BY:
        raise QueryError(
            f"a forest by '{effects.by}' of {len(effects.contrasts)} contrasts would have "
            f"{effects.draws.sizes['target']} panels. Allowed: {listing(BY)}, or one contrast."
        )
    targets = list(dict.fromkeys(table["panel"]))
    columns = balance(len(targets), min(_PANELS, max(2, int(page.inches(PAGE_WIDTH) / 1.2))))
    first, _, names = _arrange(page, table[table["panel"] == targets[0]], inline=True)
    y = np.arange(len(first))[::-1].astype(float)
    height = (_PANEL_ROW * (len(y) + 0.6) + 0.42) * -(-len(targets) // columns) + 0.4
    panels = page.panels(len(targets), columns=columns, width=PAGE_WIDTH, height=height,
                         sharex=True, sharey=page.is_own)  # fmt: skip
    keys = ["decision", "level", "reference"]
    for axes, target in zip(panels, targets, strict=True):
        part = first[keys].merge(table[table["panel"] == target], on=keys, how="left")
        draw_rows(axes, part, y, label=page.label)
        label_rows(axes, y, names, fontsize=pt(6))
        axes.set_ylim(-0.7, len(y) - 0.3)
        axes.tick_params(axis="x", labelbottom=True)
        axes.set_title(page.label(target), loc="left")
    known: dict[str, Any] = {}
    for axes in panels:
        known |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    names = [page.label(name) for name in _VERDICT_STYLE if page.label(name) in known]
    page.legend([known[name] for name in names], names, ncols=4, pad=0.2, gap=0.9)
    return page.finish(table, xlabel=say_axis(table), note=note)
