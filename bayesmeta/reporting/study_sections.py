"""Sections of the report of a meta-analysis: summary, studies, influence, small studies, priors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesmeta import defaults, plots
from bayesmeta.estimates.averaged_models import average_models, find_hindrance
from bayesmeta.estimates.pooled_effects import (
    MEAN,
    PooledEffects,
    describe_model,
    name_mean,
    study_table,
    summary,
)
from bayesmeta.inference.fits import EffectSizeFit
from bayesmeta.plots.figure import as_svg
from bayesmeta.plots.meta_figures import MOST_ROWS
from bayesmeta.reporting.page import Details, Figure, Section, Table, Text
from bayesmeta.robustness.study_influence import sensitivity_to_priors
from bayesmeta.studies.model_ensemble import EnsembleSpec
from bayesmeta.studies.study_cells import FEWEST
from bayesmeta.studies.study_design import is_number
from bayesmeta.tables.text import build_grid
from bayesmeta.tables.wording import count, name_few, percent

if TYPE_CHECKING:
    import pandas as pd

MOST_REFITS = 100
"""Studies above which the report does not fit without each of them."""


def title_of_studies(fit: EffectSizeFit) -> str:
    """Name the report of a meta-analysis."""
    return f"Meta-analysis of {len(fit.design.studies)} effect sizes"


def list_study_sections(fit: EffectSizeFit) -> list[Section]:
    """Make every section that is about this meta-analysis alone.

    Parameters
    ----------
    fit
        A fit of effect sizes.

    Returns
    -------
    list of Section
        The summary first.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame({"s": list("abc"), "y": [0.1, 0.3, 0.2], "se": [0.1, 0.2, 0.1]})
    >>> fit = bm.fit(bm.read_effect_sizes(frame, effect="y", se="se", study="s"))
    >>> [section.name for section in list_study_sections(fit)]
    ['summary', 'studies', 'heterogeneity', 'influence', 'small-studies', 'priors']
    """
    found = summary(fit)
    return [
        report_summary(fit, found),
        report_studies(fit),
        report_heterogeneity(fit, found),
        report_influence(fit),
        report_small_studies(fit),
        report_priors(fit),
    ]


def _tabulate(table: pd.DataFrame, caption: str) -> Table:
    """Lay a table out as the command line writes it."""
    grid = build_grid(table)
    return Table(caption, grid.names, grid.rows, "numbers")


def _draw(name: str, drawn: plots.Drawn, caption: str) -> Figure:
    return Figure(name, as_svg(drawn), caption)


def _interval(row: Mapping[str, Any]) -> str:
    return f"{row['estimate']:.3g} ({row['lower']:.3g} to {row['upper']:.3g})"


def report_summary(fit: EffectSizeFit, found: PooledEffects) -> Section:
    """Say in words what was analysed, whether it holds, and what it says."""
    data, slopes = fit.dataset, name_mean(fit) != MEAN
    mean, new = found[name_mean(fit)], found["effect in a new study"]
    verdict = "The fit passes its checks and may be reported."
    if fit.failures:
        verdict = "THE FIT FAILED ITS CHECKS: do not report it."
    at = ", at the mean of every moderator," if slopes else ""
    dropped = ""
    if data.dropped:
        dropped = f" {count(len(data.dropped), 'study was', 'studies were')} left out, for want "
        dropped += f"of a value: {name_few(data.dropped)}."
    said = (
        f"The mean effect{at} is {_interval(mean)}; it is positive with a probability of "
        f"{_as_probability(mean['prob_positive'])}. The effect in a new study is expected between "
        f"{new['lower']:.3g} and {new['upper']:.3g}, the {percent(defaults.CI_PROB)} prediction "
        f"interval, and is positive with a probability of {_as_probability(new['prob_positive'])}."
    )
    analysed = f"{len(data.frame)} effect sizes, {describe_model(fit.spec)}.{dropped} {verdict}"
    intervals = f"medians and {percent(defaults.CI_PROB)} equal-tailed intervals"
    blocks = [
        Text(analysed),
        Text(said),
        _tabulate(found.table, f"What was found: {intervals}, in the unit of the effects"),
        Text("Moderators are associations between studies: they were not assigned at random.")
        if slopes else Text(fit.prior_report["stated"]),
    ]  # fmt: skip
    return Section("summary", "Summary", blocks)


def _as_probability(p: float) -> str:
    if p < 0.001 or p > 0.999:
        return "less than 0.001" if p < 0.5 else "more than 0.999"
    return f"{p:.3f}"


def report_studies(fit: EffectSizeFit) -> Section:
    """Show every study beside the mean."""
    table = study_table(fit)
    blocks: list[Any] = []
    if len(table) <= MOST_ROWS:
        words = "Effects as measured, squares, and given all studies, circles; their mean below"
        blocks.append(_draw("studies", plots.study_forest(fit), words))
    caption = "Studies: as measured, by their standard errors, and their own effects given all"
    return Section("studies", "Studies", [*blocks, _tabulate(table, caption)])


def report_heterogeneity(fit: EffectSizeFit, found: PooledEffects) -> Section:
    """Say how far studies differ, and along which moderators."""
    names = found.table["quantity"].tolist()
    is_scale = [name in ("I2", "H2") or name.startswith("tau") for name in names]
    words = (
        "tau is the standard deviation of true effects between studies (and between groups); I2 is "
        "the share of the total variance, in percent, that it is of, and H2 the ratio of total to "
        "sampling variance, at the typical sampling variance of these studies."
    )
    blocks: list[Any] = [Text(words)]
    if any(is_scale):
        columns = ["quantity", "estimate", "sd", "lower", "upper"]
        table = found.table.loc[is_scale, columns]
        table.attrs = found.table.attrs
        blocks.append(_tabulate(table, "Differences between studies"))
    else:
        blocks.append(Text("This model holds that all studies share one effect."))
    for k, name in enumerate(fit.dataset.moderators):
        if is_number(fit.dataset, name):
            drawn = plots.bubble(fit, moderator=name)
            blocks.append(_draw(f"bubble-{k}", drawn, f"Effects along {name}"))
    return Section("heterogeneity", "Heterogeneity", blocks)


def report_influence(fit: EffectSizeFit) -> Section:
    """Refit without each study, where that is soon done."""
    n = len(fit.design.studies)
    title = "Which studies it rests on"
    if fit.provenance.get("sampler") != "exact" or not FEWEST < n <= MOST_REFITS:
        words = (
            "Refits without each study are left out here, since they would take long or would "
            "leave too few studies; bm.leave_study_out makes them."
        )
        return Section("influence", title, [Text(words)])
    drawn = plots.baujat(fit)
    blocks = [
        Text(
            "The meta-analysis was done again without each study. A move is that of the mean "
            "effect, in standard deviations of its posterior; the share of Q is what the study "
            "adds to the heterogeneity."
        ),
        _draw("baujat", drawn, "Share of the heterogeneity and move of the mean, by study"),
        Details("Without each study", [_tabulate(drawn.table, "Refits without each study")]),
    ]
    return Section("influence", title, blocks)


def report_small_studies(fit: EffectSizeFit) -> Section:
    """Show effects by their errors, and average over models of publication bias."""
    blocks: list[Any] = [
        _draw("funnel", plots.funnel(fit), "Effects by their standard errors"),
        *_average(fit),
    ]
    return Section("small-studies", "Small studies and publication bias", blocks)


def _average(fit: EffectSizeFit) -> Iterator[Any]:
    hindrance = find_hindrance(fit.dataset)
    if hindrance is not None:
        yield Text(
            f"Models of publication bias are averaged for independent studies without moderators "
            f"and groups; this table has {hindrance}."
        )
        return
    spec = fit.spec
    ensemble = EnsembleSpec(mu_sd=spec.mu_sd, favoured=spec.favoured)
    found = average_models(fit.dataset, ensemble, seed=defaults.SEED)
    yield Text(
        "Models with and without an effect, heterogeneity and publication bias, weighted by how "
        "well they predict these effects (Maier et al. 2023, doi:10.1037/met0000405; Bartoš et al. "
        "2023, doi:10.1002/jrsm.1594). An inclusion Bayes factor (BF) above 1 speaks for what it "
        "is of, one below 1 against it."
    )
    yield _tabulate(found.components, "Is there an effect, heterogeneity, publication bias?")
    yield _tabulate(found.summary, "Estimates, averaged over models")
    yield Text(found.text)
    yield Details("All models", [_tabulate(found.models, "Models and their probabilities")])


def report_priors(fit: EffectSizeFit) -> Section:
    """Say what the priors are and what they do."""
    report = fit.prior_report
    notes = [*report["failures"], *report["advice"]]
    words = (
        "Moves are standard deviations by which an estimate would move if the prior, or the data, "
        "counted twice; above 0.3 it is said to be sensitive."
    )
    blocks = [
        Text(report["stated"]),
        *map(Text, notes),
        Text(words),
        _tabulate(sensitivity_to_priors(fit), "Sensitivity to priors and data"),
    ]
    return Section("priors", "Priors", blocks)


def describe_studies(fit: EffectSizeFit) -> Sequence[tuple[str, str]]:
    """Say what the table is, for the section on its origin."""
    data = fit.dataset
    roles = {
        "moderators": data.moderators, "nested groups": data.groups, "crossed groups": data.crossed,
    }  # fmt: skip
    rows = [("data", f"{Path(data.source).name}: {len(data.frame)} effect sizes")]
    rows += [(name, ", ".join(columns)) for name, columns in roles.items() if columns]
    return rows
