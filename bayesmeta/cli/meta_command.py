"""The command that does a meta-analysis of any table of effect sizes."""

from collections.abc import Hashable, Mapping
from pathlib import Path

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import Shown, check_out, command, read_settings, say, split_names
from bayesmeta.errors import QueryError


@command("meta", working="fitting")
def meta_command(
    table: Path,
    *,
    study: str,
    effect: str | None = None,
    se: str | None = None,
    variance: str | None = None,
    limits: str | None = None,
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
    out: Path | None = None,
    forest: Path | None = None,
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
    counts : A,N1,C,N2
        In place of effects: events and totals, treated and control.
    mods : FORMULA
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
        Correlation of sampling errors in a cluster.
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
        Of the prior, in the unit of the effects.
    mu_sd : NUMBER
        Prior standard deviation of the mean effect.
    rope : NUMBER
        Half-width of the region of practical equivalence, in the unit of the effects.
    out : FIT.nc
        Where to save the fit.
    forest : FIGURE.pdf
        Where to save a forest plot; or .png, .svg.
    """
    _check_places({"--out": out, "--forest": forest})
    data = bm.read_effect_sizes(
        table, study=study, effect=effect, se=se, variance=variance,
        limits=split_names(limits or ""), counts=split_names(counts or ""),
        groups=split_names(groups or ""), crossed=split_names(crossed or ""),
        moderators=_read_moderators(mods), levels=_read_references(reference),
        cluster=cluster, rho=rho, missing="drop" if drop_missing else "refuse",
    )  # fmt: skip
    spec = bm.EffectSizeSpec(
        mu_sd=mu_sd, tau=tau, tau_scale=tau_scale, small_study=small_study,
        likelihood=likelihood or ("binomial" if data.counts else "normal"),
        selection=_read_steps(selection), favoured=favoured,
    )  # fmt: skip
    fitted = bm.fit(data, spec, seed=seed, progress=False)
    report = bm.check(fitted)
    fitted = fitted.with_diagnostics(report.to_dict())
    found = bm.summary(fitted, ci_prob=ci_prob, rope=rope)
    if out is not None:
        fitted.save(out)
    if forest is not None:
        bm.plot.save_figure(bm.plot.study_forest(fitted, ci_prob=ci_prob), forest)
    written = [str(path) for path in (out, forest) if path is not None]
    say("\n".join(f"wrote {path}" for path in written))
    records = found.table.astype(object).where(found.table.notna(), None).to_dict("records")
    plain = {"summary": records, "model": found.text, "diagnostics": report.to_dict(),
             "written": written}  # fmt: skip
    return Shown(
        found.table, caption=found.text, verdict=f"\n{found.text}\n\n{report}",
        instead={"json": plain}, passed=report.passed,
    )  # fmt: skip


def _check_places(paths: Mapping[str, Path | None]) -> None:
    """Refuse what cannot be written before the work, by option."""
    for option, path in paths.items():
        if path is not None:
            check_out(path, option=option)


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
