"""A meta-analysis summed up: mean, heterogeneity, prediction interval, weights, new studies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing, shorten, unknown
from bayesmeta.estimates.summary import check_ci_prob, estimate_probability, quantiles
from bayesmeta.inference.fits import EffectSizeFit
from bayesmeta.model.predictor import Array
from bayesmeta.studies.study_design import build_columns, is_number, list_levels
from bayesmeta.studies.study_model import EffectSizeSpec
from bayesmeta.studies.study_table import EffectSizes
from bayesmeta.tables.frames import as_frame
from bayesmeta.tables.headed_columns import PROBABILITY, Column, head
from bayesmeta.tables.notebook import NotebookView, show_table, show_text, show_title
from bayesmeta.tables.wording import name_few, percent

if TYPE_CHECKING:
    import pandas as pd

_PROBABILITIES = {
    "prob_positive": PROBABILITY._replace(heading="P(> 0)"),
    "prob_rope": PROBABILITY._replace(heading="P(in ROPE)"),
}
MEAN = "mean effect"
"""What a summary calls it where there are no moderators."""

_THINNED = 200
"""Draws that weights are averaged over: they hardly vary."""


def effect_columns(spreads: Iterable[float], *names: str) -> dict[str, Column]:
    """Describe columns of effects, with decimals that show two digits of the smallest spread.

    Parameters
    ----------
    spreads
        Standard deviations, or other sizes of what differs, in the unit of the effects.
    *names
        Columns beside `estimate`, `sd`, `lower` and `upper`.

    Examples
    --------
    >>> effect_columns([0.2, 0.00013])["estimate"].digits, effect_columns([40.0])["sd"].digits
    (5, 3)
    """
    smallest = min((x for x in spreads if x > 0), default=1.0)
    digits = int(np.clip(1 - np.floor(np.log10(smallest)), 3, 12))
    return dict.fromkeys(("estimate", "sd", "lower", "upper", *names), Column(digits=digits))


@dataclass(frozen=True, eq=False, repr=False)
class PooledEffects(NotebookView):
    """What `summary` found.

    Parameters
    ----------
    table
        One row per quantity, with median, standard deviation, equal-tailed interval, and of
        effects the probability that they are positive and, where a ROPE was given, inside it.
    text
        What was analysed, under which priors.
    """

    table: pd.DataFrame
    text: str

    def __getitem__(self, quantity: str) -> Mapping[str, Any]:
        """Give one row by the name of its quantity."""
        names = self.table["quantity"].tolist()
        if quantity not in names:
            raise unknown(QueryError, "quantity", quantity, names)
        row = self.table.iloc[names.index(quantity)]
        return {str(name): value for name, value in row.items()}

    def _show_parts(self) -> Iterator[str]:
        yield show_title("PooledEffects")
        yield show_table(self.table, whole=".table")
        yield show_text(self.text)

    def __repr__(self) -> str:
        from bayesmeta.tables.text import format_table

        return f"{format_table(self.table)}\n\n{self.text}"


def summary(
    fit: EffectSizeFit,
    *,
    ci_prob: float = defaults.CI_PROB,
    rope: float | None = None,
    seed: int = defaults.SEED,
) -> PooledEffects:
    """Sum up a meta-analysis of effect sizes.

    I2 and H2 compare the heterogeneity, that of groups included, with the typical sampling variance
    (Higgins & Thompson 2002, https://doi.org/10.1002/sim.1186), draw by draw.

    Parameters
    ----------
    fit
        A fit of effect sizes.
    ci_prob
        Probability of the equal-tailed intervals.
    rope
        Half-width of the region of practical equivalence, in the unit of the effects.
    seed
        Seed of the effects of new studies.

    Returns
    -------
    PooledEffects
        Rows `mean effect` (under PET or PEESE that of a study without error); with moderators
        `mean effect at mean moderators`, `intercept` (the mean effect where every moderator is 0,
        or at its first level) and a coefficient of each; `effect in a new study` (in a new group,
        at mean moderators: the prediction interval), `tau`, `tau of GROUP`, `I2` in percent, `H2`,
        and relative probabilities of publication.

    Raises
    ------
    QueryError
        If it is no fit of effect sizes, or a number makes no sense.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame({"s": list("abc"), "y": [0.1, 0.3, 0.2], "se": [0.1, 0.2, 0.1]})
    >>> fit = bm.fit(bm.read_effect_sizes(frame, effect="y", se="se", study="s"))
    >>> summary(fit).table["quantity"].tolist()
    ['mean effect', 'effect in a new study', 'tau', 'I2', 'H2']
    """
    check_study_fit(fit, "summary")
    check_ci_prob(ci_prob)
    _check_rope(rope)
    import pandas as pd

    rows = [
        {"quantity": name, **_describe(values, ci_prob=ci_prob, rope=rope)}
        for name, values in _list_effects(fit, seed).items()
    ]
    rows += [
        {"quantity": name, **_describe(values, ci_prob=ci_prob, is_effect=False)}
        for name, values in _list_heterogeneity(fit).items()
    ]
    table = pd.DataFrame(rows)
    if rope is None:
        table = table.drop(columns="prob_rope")
    columns = effect_columns(table["sd"]) | _PROBABILITIES
    return PooledEffects(table=head(table, columns), text=_describe_fit(fit, ci_prob, rope))


def check_study_fit(fit: object, asked: str) -> None:
    """Refuse what is no fit of effect sizes."""
    if not isinstance(fit, EffectSizeFit):
        raise QueryError(
            f"{asked} was given {type(fit).__name__}. Allowed: a fit of effect sizes, as bm.fit "
            "makes it of what bm.read_effect_sizes read."
        )


def _check_rope(rope: float | None) -> None:
    is_number = isinstance(rope, int | float | np.number) and not isinstance(rope, bool)
    if rope is not None and not (is_number and 0 < rope < np.inf):
        raise QueryError(
            f"rope is {shorten(rope)}. Allowed: a positive number, the half-width of the region of "
            "practical equivalence in the unit of the effects."
        )


def _describe(
    values: Array, *, ci_prob: float, rope: float | None = None, is_effect: bool = True
) -> dict[str, float]:
    """Summarise draws of shape (chain, draw)."""
    lower, estimate, upper = quantiles(values, ci_prob=ci_prob)
    nothing = float("nan")
    positive = estimate_probability(values > 0).estimate if is_effect else nothing
    inside = nothing
    if rope is not None and is_effect:
        inside = estimate_probability(np.abs(values) <= rope).estimate
    return {
        "estimate": float(estimate), "sd": float(values.std()), "lower": float(lower),
        "upper": float(upper), "prob_positive": positive, "prob_rope": inside,
    }  # fmt: skip


def _list_effects(fit: EffectSizeFit, seed: int) -> dict[str, Array]:
    """Give the mean effect, coefficients, and the effect in a new study, shape (chain, draw)."""
    mean, name = mean_at_center(fit), name_mean(fit)
    found = {name: mean}
    if name != MEAN:
        found["intercept"] = fit.parameters["mu"]
    for j, name in enumerate(fit.design.moderators):
        found[name] = fit.parameters["gamma"][..., j]
    return found | {"effect in a new study": add_heterogeneity(fit, mean, seed=seed)}


def name_mean(fit: EffectSizeFit) -> str:
    """Name the mean effect in a summary; a regression on the error is no moderator here."""
    has_moderators = len(fit.design.moderators) > fit.design.n_bias
    return "mean effect at mean moderators" if has_moderators else MEAN


def mean_at_center(fit: EffectSizeFit) -> Array:
    """Mean effect at the mean of every moderator, shape (chain, draw)."""
    if not fit.design.moderators:
        return fit.parameters["mu"]
    return fit.parameters["mu"] + fit.parameters["gamma"] @ fit.design.center


def total_variance(fit: EffectSizeFit) -> Array:
    """Variance of true effects between studies and groups together, shape (chain, draw)."""
    shape = fit.parameters["mu"].shape
    own = np.square(fit.parameters.get("tau", np.zeros(shape)))
    groups = fit.parameters.get("tau_group", np.zeros((*shape, 0)))
    return own + np.square(groups).sum(axis=-1)


def add_heterogeneity(fit: EffectSizeFit, mean: Array, *, seed: int) -> Array:
    """Draw the effect of a new study in a new group about a mean, shape (chain, draw, ...)."""
    sd = np.sqrt(total_variance(fit))
    off = sd * np.random.default_rng(seed).standard_normal(sd.shape)
    return mean + off.reshape(*off.shape, *[1] * (mean.ndim - off.ndim))


def typical_variance(fit: EffectSizeFit) -> float:
    """Typical sampling variance of a study, by which I2 measures heterogeneity."""
    columns = fit.design.columns
    W = np.linalg.inv(fit.design.errors)
    P = W - W @ columns @ np.linalg.solve(columns.T @ W @ columns, columns.T @ W)
    return float((len(W) - columns.shape[1]) / np.trace(P))


def _list_heterogeneity(fit: EffectSizeFit) -> dict[str, Array]:
    from bayesmeta.studies.prior_conflict import list_scales

    found = list_scales(fit.parameters, fit.design)
    if found and len(fit.design.y) > fit.design.columns.shape[1]:
        ratio = total_variance(fit) / typical_variance(fit)
        found |= {"I2": 100 * ratio / (1 + ratio), "H2": 1 + ratio}
    if "omega" in fit.parameters:
        for j, step in enumerate(fit.draws["step"].values):
            found[f"published, p {step}"] = fit.parameters["omega"][..., j]
    return found


def _describe_fit(fit: EffectSizeFit, ci_prob: float, rope: float | None) -> str:
    """Say what was analysed, under which priors."""
    data, spec = fit.dataset, fit.spec
    parts = [f"{len(data.frame)} studies, {describe_model(spec)}."]
    if data.dropped:
        parts.append(f"{len(data.dropped)} left out, for want of a value: "
                     f"{name_few(data.dropped)}.")  # fmt: skip
    parts.append(fit.prior_report["stated"])
    parts.append(f"Medians and {percent(ci_prob, whole=False)} equal-tailed intervals.")
    if rope is not None:
        parts.append(f"ROPE: -{rope:g} to {rope:g}.")
    return " ".join(parts)


def describe_model(spec: EffectSizeSpec) -> str:
    """Name the model of a spec."""
    parts = ["common effect" if spec.tau == "none" else "random effects"]
    parts.append({"normal": "normal errors", "student-t": "Student-t errors",
                  "binomial": "exact binomial likelihood"}[spec.likelihood])  # fmt: skip
    if spec.small_study != "none":
        parts.append(f"{spec.small_study.upper()} regression")
    if spec.selection:
        steps = listing(f"{p:g}" for p in spec.selection)
        parts.append(f"publication selected by one-sided p values ({steps}; {spec.favoured})")
    return ", ".join(parts)


def study_table(fit: EffectSizeFit, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
    """List studies as they were measured, as they are believed to be, and by what they weigh.

    Parameters
    ----------
    fit
        A fit of effect sizes.
    ci_prob
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        `study`; `observed`, `observed_lower`, `observed_upper` by the standard error; `estimate`,
        `lower`, `upper` of the study's own effect; `weight` in the mean effect, in percent, where
        there are no moderators.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame({"s": list("abc"), "y": [0.1, 0.3, 0.2], "se": [0.1, 0.2, 0.1]})
    >>> fit = bm.fit(bm.read_effect_sizes(frame, effect="y", se="se", study="s"))
    >>> float(study_table(fit)["weight"].sum().round(6))
    100.0
    """
    import pandas as pd

    check_study_fit(fit, "study_table")
    check_ci_prob(ci_prob)
    from statistics import NormalDist

    design = fit.design
    lower, estimate, upper = quantiles(fit.parameters["theta"], ci_prob=ci_prob, axis=(0, 1))
    z = NormalDist().inv_cdf((1 + ci_prob) / 2)
    table = pd.DataFrame(
        {
            "study": list(design.studies),
            "observed": design.y,
            "observed_lower": design.y - z * design.se,
            "observed_upper": design.y + z * design.se,
            "estimate": estimate,
            "lower": lower,
            "upper": upper,
        }
    )
    if not design.moderators:
        table["weight"] = 100 * study_weights(fit)
    columns = effect_columns(design.se, "observed", "observed_lower", "observed_upper")
    return head(table, {**columns, "weight": Column(digits=1, unit="%")})


def study_weights(fit: EffectSizeFit) -> Array:
    """Share of every study in the mean effect, averaged over draws, shape (study,)."""
    design = fit.design
    tau = fit.parameters.get("tau", np.zeros(fit.shape)).ravel()
    groups = fit.parameters.get("tau_group", np.zeros((*fit.shape, 0)))
    groups = groups.reshape(len(tau), -1)
    n = len(design.y)
    total = np.zeros(n)
    rows = np.unique(np.linspace(0, len(tau) - 1, _THINNED).astype(int))
    for row in rows:
        M = design.errors + tau[row] ** 2 * np.eye(n)
        for level, scale in zip(design.groups, groups[row], strict=True):
            M = M + scale**2 * (level.index[:, None] == level.index)
        weight = np.linalg.solve(M, np.ones(n))
        total += weight / weight.sum()
    return total / len(rows)


def predict_effects(
    fit: EffectSizeFit,
    moderators: Any = None,
    *,
    ci_prob: float = defaults.CI_PROB,
    rope: float | None = None,
    seed: int = defaults.SEED,
) -> pd.DataFrame:
    """Predict the mean effect and the effect of a new study at values of the moderators.

    Parameters
    ----------
    fit
        A fit of effect sizes.
    moderators
        A frame of any library, or a dict of columns, with the moderators of the table, a row for
        each prediction; left out where there are none.
    ci_prob
        Probability of the intervals.
    rope
        Half-width of the region of practical equivalence, in the unit of the effects.
    seed
        Seed of the effects of new studies.

    Returns
    -------
    pandas.DataFrame
        The moderators; `estimate`, `lower`, `upper`, `prob_positive` (and `prob_rope`) of the mean
        effect; `new_lower`, `new_upper`, `new_positive` of the effect in a new study.

    Raises
    ------
    QueryError
        If a moderator is missing, not a number where it has to be one, or has an unknown level.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame(
    ...     {"s": list("abcd"), "y": [0.1, 0.3, 0.2, 0.5], "se": [0.1] * 4, "dose": [1, 2, 3, 4]}
    ... )
    >>> table = bm.read_effect_sizes(frame, effect="y", se="se", study="s", moderators=["dose"])
    >>> len(predict_effects(bm.fit(table), {"dose": [1, 5]}))
    2
    """
    check_study_fit(fit, "predict_effects")
    check_ci_prob(ci_prob)
    _check_rope(rope)
    frame = _read_values(fit.dataset, moderators)
    mean = mean_at(fit, frame)
    new = add_heterogeneity(fit, mean, seed=seed)
    rows = []
    for k in range(len(frame)):
        row = _describe(mean[..., k], ci_prob=ci_prob, rope=rope)
        study = _describe(new[..., k], ci_prob=ci_prob)
        row |= {"new_lower": study["lower"], "new_upper": study["upper"],
                "new_positive": study["prob_positive"]}  # fmt: skip
        rows.append(row)
    import pandas as pd

    table = pd.concat([frame.reset_index(drop=True), pd.DataFrame(rows)], axis=1)
    table = table.drop(columns=["sd", *(["prob_rope"] if rope is None else [])])
    columns = effect_columns((row["sd"] for row in rows), "new_lower", "new_upper")
    positive = PROBABILITY._replace(heading="P(new study > 0)")
    return head(table, {**columns, **_PROBABILITIES, "new_positive": positive})


def mean_at(fit: EffectSizeFit, frame: pd.DataFrame) -> Array:
    """Mean effect at values of the moderators, shape (chain, draw, row)."""
    _, X = build_columns(fit.dataset, frame)
    mean = fit.parameters["mu"][..., None] + np.zeros(len(frame))
    if X.shape[1]:  # a regression on the error stands last, and is at a study without error
        mean = mean + fit.parameters["gamma"][..., : X.shape[1]] @ X.T
    return mean


def _read_values(data: EffectSizes, moderators: Any) -> pd.DataFrame:
    """Check values of moderators that are asked about."""
    import pandas as pd

    if moderators is None:
        if data.moderators:
            raise QueryError(
                f"moderators is left out, and the fit has {listing(data.moderators)}. Allowed: a "
                "value of each, such as predict_effects(fit, {'dose': [5, 10]})."
            )
        return pd.DataFrame(index=pd.RangeIndex(1))
    mend = "Such a table is {'dose': [5, 10]}."
    given = as_frame(moderators, what="moderators", mend=mend, error=QueryError)
    given = given.rename(columns=str)
    for name in data.moderators:
        if name not in given:
            raise unknown(
                QueryError, "moderator", name, data.moderators, said="is not among the values",
                mend="Add a value of each.",
            )  # fmt: skip
    for name in given:
        if name not in data.moderators:
            raise unknown(QueryError, "moderator", name, data.moderators or ["none"])
    return pd.DataFrame({name: _read_column(data, name, given[name]) for name in data.moderators})


def _read_column(data: EffectSizes, name: str, given: pd.Series) -> pd.Series:
    """Check values of one moderator."""
    import pandas as pd

    if is_number(data, name):
        values = pd.to_numeric(given, errors="coerce").astype(float)
        if not np.isfinite(values.to_numpy()).all():
            raise QueryError(f"moderator '{name}' is {given.tolist()}. Allowed: finite numbers.")
        return values
    for value in given.map(str):
        if value not in list_levels(data, name):
            raise unknown(QueryError, f"level of '{name}'", value, list_levels(data, name))
    return given.map(str)
