"""What a meta-analysis rests on: studies left out, heterogeneity by study, priors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesmeta import defaults
from bayesmeta.errors import DataError, QueryError
from bayesmeta.estimates.pooled_effects import check_study_fit, effect_columns, mean_at_center
from bayesmeta.estimates.summary import check_ci_prob, estimate_probability, quantiles
from bayesmeta.inference.fits import EffectSizeFit
from bayesmeta.inference.sample import fit as refit
from bayesmeta.jobs import progress_bar
from bayesmeta.model.predictor import Array
from bayesmeta.studies.study_cells import FEWEST
from bayesmeta.tables.headed_columns import PROBABILITY, Column, head

if TYPE_CHECKING:
    import pandas as pd

NONE = "none"
"""What the row of all studies leaves out."""


def leave_study_out(
    fit: EffectSizeFit,
    *,
    group: str | None = None,
    ci_prob: float = defaults.CI_PROB,
    progress: bool = True,
) -> pd.DataFrame:
    """Fit the table anew without each of its studies, or without each of the groups of a column.

    Parameters
    ----------
    fit
        A fit of effect sizes.
    group
        Column of groups whose studies are left out together; single studies if left out.
    ci_prob
        Probability of the intervals.
    progress
        Whether to show a progress bar.

    Returns
    -------
    pandas.DataFrame
        A row for all studies, then one without each: `left_out`; `estimate`, `lower`, `upper`,
        `prob_positive` of the mean effect (at mean moderators); `tau`, its median; `move`, by how
        many standard deviations the mean changes; `heterogeneity`, the study's share of Q in
        percent, the horizontal axis of Baujat et al. 2002 (https://doi.org/10.1002/sim.1221). A
        table that cannot be analysed without a study, such as one whose moderator is then constant,
        has no numbers there.

    Raises
    ------
    QueryError
        If there is no such column, or nothing would be left.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame({"s": list("abc"), "y": [0.1, 0.3, 0.2], "se": [0.1, 0.2, 0.1]})
    >>> fit = bm.fit(bm.read_effect_sizes(frame, effect="y", se="se", study="s"))
    >>> leave_study_out(fit, progress=False)["left_out"].tolist()
    ['none', 'a', 'b', 'c']
    """
    check_study_fit(fit, "leave_study_out")
    check_ci_prob(ci_prob)
    parts = _list_parts(fit, group)
    whole = mean_at_center(fit)
    share = heterogeneity_shares(fit)
    rows = [{"left_out": NONE, **_describe(fit, ci_prob), "move": 0.0, "heterogeneity": np.nan}]
    with progress_bar("refitting", total=len(parts), unit="studies", shown=progress) as report:
        for done, (name, members) in enumerate(parts.items(), start=1):
            row = {"left_out": name, "heterogeneity": 100 * share[members].sum()}
            left = _refit_without(fit, members)
            if left is not None:
                move = (mean_at_center(left).mean() - whole.mean()) / whole.std()
                row |= {**_describe(left, ci_prob), "move": float(move)}
            rows.append(row)
            report(done, "")
    import pandas as pd

    table = pd.DataFrame(rows)
    names = ["left_out", "estimate", "lower", "upper", "prob_positive", "tau", "move"]
    columns = effect_columns(((table["upper"] - table["lower"]) / 4).dropna(), "tau")
    columns |= {"move": Column(digits=2), "heterogeneity": Column("share of Q", 1, "%"),
                "prob_positive": PROBABILITY._replace(heading="P(> 0)")}  # fmt: skip
    return head(table[[*names, "heterogeneity"]], columns)


def _list_parts(fit: EffectSizeFit, group: str | None) -> dict[str, list[int]]:
    """Rows that are left out together, by name."""
    data = fit.dataset
    if group is None:
        parts = {name: [row] for row, name in enumerate(data.studies)}
    else:
        levels = {level.name: level for level in fit.design.groups}
        if group not in levels:
            raise QueryError(
                f"group '{group}' is no column of groups. Allowed: "
                f"{', '.join(levels) or 'none, the fit has none'}. Correct it or leave it out."
            )
        level = levels[group]
        parts = {
            label: np.flatnonzero(level.index == k).tolist() for k, label in enumerate(level.labels)
        }
    if len(parts) <= FEWEST:
        raise QueryError(
            f"{len(parts)} to leave out, one at a time: too few would be left. Allowed: at least "
            f"{FEWEST + 1}."
        )
    return parts


def _refit_without(fit: EffectSizeFit, rows: list[int]) -> EffectSizeFit | None:
    try:
        left = fit.dataset.leave_out(rows)
        chains, draws = fit.shape
        return refit(
            left, fit.spec, seed=defaults.SEED, chains=chains, draws=draws, progress=False,
            sampler=fit.provenance["sampler"],
        )  # fmt: skip
    except DataError:  # a moderator or a group that is nothing without these studies
        return None


def _describe(fit: EffectSizeFit, ci_prob: float) -> dict[str, float]:
    mean = mean_at_center(fit)
    lower, estimate, upper = quantiles(mean, ci_prob=ci_prob)
    tau = fit.parameters.get("tau", np.zeros(1))
    return {
        "estimate": float(estimate), "lower": float(lower), "upper": float(upper),
        "prob_positive": estimate_probability(mean > 0).estimate, "tau": float(np.median(tau)),
    }  # fmt: skip


def heterogeneity_shares(fit: EffectSizeFit) -> Array:
    """Share of every study in Q, the weighted squares about the common effect, shape (study,)."""
    design = fit.design
    columns, weight = design.columns, 1 / design.se**2
    beta = np.linalg.lstsq(columns / design.se[:, None], design.y / design.se, rcond=None)[0]
    part = weight * np.square(design.y - columns @ beta)
    return part / part.sum()


def sensitivity_to_priors(fit: EffectSizeFit) -> pd.DataFrame:
    """Say how far estimates move when the prior, or the data, counts twice.

    Parameters
    ----------
    fit
        A fit of effect sizes.

    Returns
    -------
    pandas.DataFrame
        One row per estimate: `estimate`, the median, in its own unit; `prior` and `likelihood`,
        standard deviations by which it moves (to first order) when either is squared; `reading`:
        which of them moves it by more than 0.3: `likelihood`, `both`, `prior` or `neither`. Moves
        of scales are on the log scale; the likelihood's counts what the prior pulls against.
    """
    import pandas as pd

    from bayesmeta.studies.prior_conflict import SHIFTED, list_scales, name_estimates

    check_study_fit(fit, "prior_sensitivity")
    flat = {name: x.reshape(-1, *x.shape[2:]) for name, x in fit.parameters.items()}
    density = fit.log_likelihood().sum(axis=-1).ravel()
    shifts, scales = fit.prior_report["shift"], list_scales(flat, fit.design)
    unit = dict(zip(fit.design.moderators, fit.design.scale, strict=True))
    rows = []
    for name, values in name_estimates(flat, fit.design).items():
        moved = np.mean((values - values.mean()) * (density - density.mean())) * np.log(2)
        by = {"prior": shifts[name], "likelihood": float(moved / values.std())}
        moves = [source for source, shift in by.items() if abs(shift) > SHIFTED]
        reading = "both" if len(moves) == 2 else moves[0] if moves else "neither"
        own = scales[name] if name in scales else values / unit.get(name, 1.0)
        median = float(np.median(own))
        rows.append({"quantity": name, "estimate": median, **by, "reading": reading})
    two = dict.fromkeys(("prior", "likelihood"), Column(digits=2))
    spreads = (values.std() / unit.get(name, 1.0)
               for name, values in name_estimates(flat, fit.design).items())  # fmt: skip
    return head(pd.DataFrame(rows), effect_columns(spreads) | two)
