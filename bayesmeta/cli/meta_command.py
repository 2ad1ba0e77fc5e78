"""The command that does a meta-analysis of any table of effect sizes."""

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import Shown, check_out, command, read_settings, say, split_names
from bayesmeta.errors import QueryError
from bayesmeta.whole_files import make_folder

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.estimates.pooled_effects import PooledEffects
    from bayesmeta.inference.diagnostics import Diagnostics


@command("meta", working="fitting")
def meta_command(
    table: Path,
    *,
    study: str,
    effect: str | None = None,
    se: str | None = None,
    variance: str | None = None,
    limits: str | None = None,
    lower: str | None = None,
    upper: str | None = None,
    counts: str | None = None,
    mods: str | None = None,
    reference: list[str] | None = None,
    groups: str | None = None,
    crossed: str | None = None,
    cluster: str | None = None,
    rho: float | None = None,
    drop_missing: bool = False,
    likelihood: str | None = None,
    small_study: str = "none",
    selection: str | None = None,
    favoured: str = "positive",
    tau: str = "half-cauchy",
    tau_scale: float | None = None,
    mu_sd: float | None = None,
    rope: float | None = None,
    ci_prob: float = defaults.CI_PROB,
    seed: int = defaults.SEED,
    average: bool = False,
    out: Path | None = None,
    forest: Path | None = None,
    report: Path | None = None,
) -> Shown:
    """Meta-analysis of effect sizes of any field: fit, check, summary, forest.

    Parameters
    ----------
    table : TABLE.csv
        One row per study; separated by commas, semicolons or tabs.
    study : COLUMN
        Names of the studies.
    effect : COLUMN
        Effects, all in one unit.
    se : COLUMN
        Their standard errors.
    variance : COLUMN
        In place of --se: sampling variances.
    limits : LOWER,UPPER
        In place of --se: columns of 95 % confidence limits.
    lower : COLUMN
        In place of --limits: the lower ones.
    upper : COLUMN
        And the upper ones.
    counts : A,N1,C,N2
        In place of effects: events and totals, treated and control.
    mods : --mods --moderators FORMULA
        Moderators, such as 'year + dose * arm', or names and commas.
    reference : NAME=LEVEL
        Reference level of a text moderator; may be repeated.
    groups : COLUMNS
        Nested groups, the outermost first, with commas.
    crossed : COLUMNS
        Groups that cross, with commas.
    cluster : COLUMN
        What shares participants; takes --rho too.
    rho : NUMBER
        Correlation of sampling errors in a cluster, or in the only group.
    drop_missing
        Leave out rows that lack a value.
    likelihood
        {normal, student-t, binomial}.
    small_study
        {none, pet, peese}.
    selection : P,P
        One-sided p values between which publication differs.
    favoured
        {positive, negative}.
    tau
        {half-cauchy, half-normal, log-normal, uniform, none}.
    tau_scale : NUMBER
        Of the prior, in the unit of the effects; with --average of its inverse gamma prior too.
    mu_sd : NUMBER
        Prior standard deviation of the mean effect.
    rope : NUMBER
        Half-width of the region of practical equivalence, in the unit of the effects.
    average
        Average over models with and without effect, heterogeneity and publication bias too.
    out : FIT.nc
        Where to save the fit.
    forest : FIGURE.pdf
        Where to save a forest plot; or .png, .svg.
    report : DIR
        A folder for a page with all of it; made if its parent exists.
    """
    _check_places({"--out": out, "--forest": forest})
    if report is not None:
        make_folder(report, option="--report")
    nested = split_names(groups or "")
    data = bm.read_effect_sizes(
        table, study=study, effect=effect, se=se, variance=variance,
        limits=_read_limits(limits, lower, upper), counts=split_names(counts or ""),
        groups=nested, crossed=split_names(crossed or ""),
        moderators=_read_moderators(mods), levels=_read_references(reference),
        cluster=cluster or (nested[0] if rho is not None and len(nested) == 1 else None), rho=rho,
        missing="drop" if drop_missing else "refuse",
    )  # fmt: skip
    spec = bm.EffectSizeSpec(
        mu_sd=mu_sd, tau=tau, tau_scale=tau_scale, small_study=small_study,
        likelihood=likelihood or ("binomial" if data.counts else "normal"),
        selection=_read_steps(selection), favoured=favoured,
    )  # fmt: skip
    averaged = _average(data, spec, ci_prob=ci_prob, seed=seed) if average else None
    fitted = bm.fit(data, spec, seed=seed, progress=False)
    checks = bm.check(fitted)
    fitted = fitted.with_diagnostics(checks.to_dict())
    found = bm.summary(fitted, ci_prob=ci_prob, rope=rope)
    if out is not None:
        fitted.save(out)
    if forest is not None:
        bm.plot.save_figure(bm.plot.study_forest(fitted, ci_prob=ci_prob), forest)
    pages = () if report is None else bm.report(fitted, report)
    written = [str(path) for path in (out, forest, *pages) if path is not None]
    say("\n".join(f"wrote {path}" for path in written))
    plain = _to_plain(found, fitted, checks) | {"written": written}
    verdict = f"\n{found.text}\n\n{checks}"
    if averaged is not None:
        verdict += f"\n\nAveraged over models:\n\n{averaged!r}"
        parts = ("components", "summary", "models")
        rows = {name: _list_rows(getattr(averaged, name)) for name in parts}
        plain["average"] = rows | {"model": averaged.text}
    return Shown(
        found.table, caption=found.text, verdict=verdict, instead={"json": plain},
        passed=checks.passed,
    )  # fmt: skip


def _average(
    data: "bm.EffectSizes", spec: "bm.EffectSizeSpec", *, ci_prob: float, seed: int
) -> "bm.AveragedModels":
    ensemble = bm.EnsembleSpec(
        mu_sd=spec.mu_sd, tau_scale=spec.tau_scale, favoured=spec.favoured
    )  # fmt: skip
    return bm.average_models(data, ensemble, ci_prob=ci_prob, seed=seed)


def _list_rows(table: "pd.DataFrame") -> list[dict[Any, Any]]:
    """Give the rows of a table as plain values, None for what JSON has no number for."""
    plain = table.replace([math.inf, -math.inf], math.nan).astype(object)
    return plain.where(plain.notna(), None).to_dict("records")


def _to_plain(
    found: "PooledEffects", fitted: "bm.EffectSizeFit", report: "Diagnostics"
) -> dict[str, Any]:
    """Sum up for programs."""
    rows = {row["quantity"]: row for row in _list_rows(found.table)}
    from bayesmeta.estimates.pooled_effects import name_mean

    names = [name for name in ("intercept", *fitted.design.moderators) if name in rows]
    return {
        "passed": report.passed,
        "mean": rows[name_mean(fitted)],
        "prediction": rows["effect in a new study"],
        "tau": rows.get("tau"), "i2": rows.get("I2"), "h2": rows.get("H2"),
        "coefficients": [rows[name] for name in names],
        "conflict": list(fitted.prior_report["failures"]),
        "summary": list(rows.values()),
        "model": found.text,
        "diagnostics": report.to_dict(),
    }  # fmt: skip


def _check_places(paths: Mapping[str, Path | None]) -> None:
    """Refuse what cannot be written before the work, by option."""
    for option, path in paths.items():
        if path is not None:
            check_out(path, option=option)


def _read_limits(limits: str | None, lower: str | None, upper: str | None) -> list[str]:
    """Take both limits from one option, or from two."""
    if (lower is None) != (upper is None):
        lacking = "--upper" if upper is None else "--lower"
        raise QueryError(f"{lacking} is left out. Allowed: both --lower and --upper, or neither.")
    if lower is None or upper is None:
        return split_names(limits or "")
    if limits is not None:
        raise QueryError("--limits and --lower are given. Allowed: one or the other. Drop one.")
    return [lower, upper]


def _read_moderators(text: str | None) -> str | list[str]:
    """Take names with commas between them as a list, and anything else as a formula."""
    if text is None:
        return []
    is_list = all(mark not in text for mark in "+*:()")
    return split_names(text) if is_list else text


def _read_references(words: list[str] | None) -> dict[Hashable, str]:
    return {**read_settings(words or (), form="NAME=LEVEL, such as arm=placebo")}


def _read_steps(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in split_names(text or ""))
    except ValueError as error:
        raise QueryError(
            f"--selection {text} holds what is no number. Allowed: p values with commas, such as "
            "0.025,0.5."
        ) from error
