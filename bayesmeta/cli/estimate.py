"""Fit, and ask a posterior: fit, check, query, effects, substitutions, rank, curve, tradeoff."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import (
    On,
    Over,
    QuestionOptions,
    Shown,
    check_out,
    command,
    interruptible,
    load_data,
    read_settings,
    say,
    wrap,
)
from bayesmeta.errors import listing
from bayesmeta.tables.wording import KIND_WORDS

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.estimates.answer import Answer

_AVERAGING = "averaging over the draws"


@command("fit")
def fit_command(
    data_dir: Path | None = None,
    *,
    out: Path = Path("fit.nc"),
    spec: Path | None = None,
    seed: int = defaults.SEED,
    draws: int | None = None,
    target_ess: int = defaults.ESS_MIN,
    most_draws: int = defaults.MOST_DRAWS,
    tune: int | None = None,
    chains: int = defaults.CHAINS,
    sampler: str = defaults.SAMPLERS[0],
    target_accept: float | None = None,
    quick: bool = False,
    reference: Path | None = None,
    version: str = "corrected",
) -> Shown:
    """Fit the model, check the fit, print the effects.

    Parameters
    ----------
    out : FIT.nc
        Where to save.
    spec : FILE
        A spec in TOML or JSON.
    draws : N >= 4
        Kept of every chain; until they are enough if left out.
    target_ess : N >= 1
        Enough: as many effective draws of everything.
    most_draws : N >= 4
        Of every chain, enough or not.
    tune : N >= 1
        Steps of every chain before its draws.
    chains : N >= 1
        Run at once where there are processors.
    sampler
        {nutpie, pymc, numpyro}.
    target_accept : SHARE
        Raise it, say to 0.9, where transitions diverge.
    quick
        Few draws, for a look; will not pass the checks.
    reference : FILE
        Also save a thinned copy to ship.
    """
    from bayesmeta.estimates.question import list_decisions
    from bayesmeta.inference.diagnostics import thin_fit
    from bayesmeta.inference.shipped import save_to_ship

    check_out(out)
    chosen = bm.read_spec(spec) if spec is not None else bm.ModelSpec()
    data = load_data(data_dir, version=version)
    if quick:
        draws, tune, chains = defaults.QUICK_DRAWS, defaults.QUICK_DRAWS, defaults.QUICK_CHAINS
    with interruptible(f"nothing was written, {out} is as it was"):
        fitted = bm.fit(
            data, chosen, seed=seed, draws=draws, target_ess=target_ess, most_draws=most_draws,
            tune=tune, chains=chains, sampler=sampler, target_accept=target_accept,
        )  # fmt: skip
    known = list_decisions(fitted.design)
    left_out = [name for name in chosen.decisions if name not in known]
    if left_out:
        say(f"left out, since too little of them is recorded or varies: {listing(left_out)}")
    try:
        diagnostics = bm.check(fitted)
        fitted = fitted.with_diagnostics(diagnostics.to_dict())
    finally:  # whatever comes between, what was sampled is kept
        fitted.save(out)
    if reference is not None:
        save_to_ship(thin_fit(fitted, diagnostics=diagnostics), path=reference)
    report = {"passed": diagnostics.passed, "out": str(out),
              "seconds": fitted.provenance["seconds"],
              "diagnostics": diagnostics.to_dict()}  # fmt: skip
    said = {"opening": str(diagnostics), "verdict": f"wrote {out}"}
    if not known:
        return Shown("", **said, instead={"json": report}, passed=diagnostics.passed)
    found = bm.effects(fitted, by="overall")
    table = found.table()
    return Shown(
        table,
        heading=f"\n{KIND_WORDS[found.kind].capitalize()} on the score over all benchmarks, in "
        "percentage points "
        f"({100 * defaults.CI_PROB:g} % equal-tailed intervals):",
        **said,
        instead={
            "table": table.drop(columns=["by", "target", "ci_prob", "units", "kind"]),
            "json": report,
        },
        passed=diagnostics.passed,
    )


@command("check", working="checking")
def check_command(fit: "bm.Fit | bm.EffectSizeFit") -> Shown:
    """Whether a fit may be reported: convergence and fit."""
    found = bm.check(fit)
    instead = {"json": found.to_dict}
    return Shown(found.table, verdict=str(found), instead=instead, passed=found.passed)


@command("effects", working=_AVERAGING)
def effects_command(
    fit: "bm.Fit",
    decisions: list[str] | None = None,
    *,
    decision: list[str] | None = None,
    by: str = "overall",
    kind: str | None = None,
    at: str | None = None,
    ci_prob: float = defaults.CI_PROB,
    **over: Unpack[Over],
) -> Shown:
    """Effects of design decisions on scores, with evidence.

    Parameters
    ----------
    decisions : [DECISION]...
        Such as attention, or 'attention: gqa > mha'; all if left out.
    decision : DECISION
        The same as an option; may be repeated.
    by
        {benchmark, task_family, overall, lm_family}.
    at : n_params=N,n_tokens=D
        Size and tokens that all LMs are given first.
    """
    asked = [*(decisions or ()), *(decision or ())] or None
    found = bm.effects(fit, asked, by=by, kind=kind, at=_read_at(at), **over)
    on = "expected score" if over["scale"] == "score" else "latent scale"
    caption = f"Design decisions, on the {on}."
    return Shown(found.table(ci_prob=ci_prob), caption)


@command("substitutions", working=_AVERAGING)
def substitutions_command(
    fit: "bm.Fit",
    receiver: str | None = None,
    *,
    points: float = 10.0,
    by: str = "overall",
    kind: str | None = None,
    ci_prob: float = defaults.CI_PROB,
) -> Shown:
    """Effects of substituting one part of the mix for another.

    Parameters
    ----------
    receiver : [PART]
        The part that grows; all if left out.
    points : PP
        What moves, in percent of the mix.
    """
    found = bm.substitutions(fit, receiver, points=points, by=by, kind=kind)
    caption = "Points of the training mix moved from one part to another."
    return Shown(found.table(ci_prob=ci_prob), caption)


@command("query")
def query_command(
    fit: "bm.Fit",
    statement: str,
    *,
    more_than: float | None = None,
    at: str | None = None,
    details: bool = False,
    **asked: Unpack[QuestionOptions],
) -> Shown:
    """How probable a statement is, and the evidence behind it.

    Parameters
    ----------
    statement : STATEMENT
        'DECISION: A > B', also 'GQA vs MHA', 'code 20% vs 5%', 'tokens: 2T > 1T' or 'swap web ->
        code by 10'. A name alone, such as RoPE or code, lists its answers.
    more_than : PP
        Also: how probable is a larger effect.
    at : n_params=N,n_tokens=D
        Size and tokens that all LMs are given first.
    details
        Also exact probabilities, counts, and what parts of the LMs say.
    """
    from bayesmeta.estimates.counterfactual import split_place
    from bayesmeta.estimates.question import list_statements

    sizes = _read_at(at)
    question, asked["benchmark"], asked["task_family"] = split_place(
        fit.design, statement, benchmark=asked["benchmark"], task_family=asked["task_family"]
    )
    found = list_statements(fit.design, question)
    answers = [bm.query(fit, one.label, more_than=more_than, at=sizes, **asked) for one in found]
    if len(answers) > 1:
        return _list_answers(answers)
    answer = answers[0]
    text = f"{answer}\n{answer.details}" if details else str(answer)
    instead = {"json": answer.to_dict, "table": text}
    return Shown(answer.table, "Answer of the posterior.", instead=instead)


_AT = (
    "for --at, n_params=COUNT, n_tokens=COUNT or both with a comma between, such as "
    "n_params=7B,n_tokens=2T"
)


def _read_at(at: str | None) -> dict[str, str] | None:
    """Read the size and tokens that LMs are given."""
    if at is None:
        return None
    return read_settings(at.split(","), form=_AT)


def _list_answers(answers: "Sequence[Answer]") -> Shown:
    """Show the answers to all that a name alone asks: a sentence each."""
    fill = textwrap.TextWrapper(
        defaults.LINE_WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
    lines = [f"read as {answers[0].contrast.decision}: {len(answers)} statements"]
    lines += [f"\n{one.read_as} ({one.verdict})\n{fill.fill(one.sentence)}" for one in answers]

    def table() -> "pd.DataFrame":
        import pandas as pd

        return pd.concat([one.table() for one in answers], ignore_index=True)

    instead = {"json": [one.to_dict() for one in answers], "table": "\n".join(lines)}
    return Shown(table, "Answers of the posterior.", instead=instead)


@command("evidence")
def evidence_command(fit: "bm.Fit", statement: str, **where: Unpack[On]) -> Shown:
    """What experiments and LMs say of a statement, side by side."""
    found = bm.evidence(fit, statement, **where)
    caption = f"{found.answer.statement}, by source."
    return Shown(found.table, caption, verdict=wrap(str(found)), instead={"json": found.to_dict})


@command("experiments", working="comparing arms")
def experiments_command(
    fit: "bm.Fit", decisions: list[str] | None = None, *, ci_prob: float = defaults.CI_PROB
) -> Shown:
    """What controlled experiments found, and what the fit says.

    Parameters
    ----------
    decisions : [DECISION]...
        Such as attention or corpus; all that experiments changed if left out.
    """
    found = bm.controlled_answers(fit, decisions=decisions, ci_prob=ci_prob)
    caption = (
        "Controlled experiments beside the fit: effect in the very arms, effect averaged over the "
        f"LMs, association; percentage points, {100 * ci_prob:g} % intervals."
    )
    short: dict[str, Any] = dict.fromkeys(("table", "md", "latex", "html"), found.summary)
    return Shown(found.table, caption, verdict=f"\n{found}", instead=short)


@command("rank")
def rank_command(
    fit: "bm.Fit", decision: str, *, by: str = "overall", kind: str | None = None
) -> Shown:
    """How probably each level of a decision is the best."""
    found = bm.rank_levels(fit, decision, by=by, kind=kind)
    caption = (
        f"Which level of {found.decision} is the best, by {KIND_WORDS[found.kind]}, "
        "ordered by expected rank."
    )
    return Shown(found.table(), caption, heading=caption, verdict=wrap(found.caution))


@command("curve", working=_AVERAGING)
def curve_command(
    fit: "bm.Fit",
    decision: str = "code_share",
    *,
    by: str = "task_family",
    kind: str | None = None,
    at: str | None = None,
    ci_prob: float = defaults.CI_PROB,
) -> Shown:
    """Dose-response curve of a number, and where it is highest.

    Parameters
    ----------
    decision : [DECISION]
        A number, such as web_share; code_share if left out.
    at : n_params=N,n_tokens=D
        Size and tokens that all LMs are given first.
    """
    drawn = bm.curve(fit, decision, by=by, kind=kind, at=_read_at(at))
    decision = drawn.decision
    optimum = drawn.optimum(ci_prob=ci_prob)
    instead = {"json": lambda: _curve_report(drawn.table(ci_prob=ci_prob), optimum)}
    caption = (
        f"Where along {decision} ({drawn.units}) the score is highest, by {KIND_WORDS[drawn.kind]}."
    )
    return Shown(optimum.reset_index(), caption, instead=instead)


@command("tradeoff", working=_AVERAGING)
def tradeoff_command(
    fit: "bm.Fit",
    decision: str = "code_share",
    *,
    gain: str = "code",
    loss: str | None = None,
    weights: tuple[float, float] = (1, 1),
    by: str = "task_family",
    kind: str | None = None,
    at: str | None = None,
    ci_prob: float = defaults.CI_PROB,
) -> Shown:
    """How does adding code trade off against other tasks?

    Parameters
    ----------
    decision : [DECISION]
        A number, such as web_share; code_share if left out.
    gain : NAME
        What gains.
    loss : NAME[,NAME]
        What loses; all others if left out.
    weights
        Of the gain and of the mean loss.
    at : n_params=N,n_tokens=D
        Size and tokens that all LMs are given first.
    """
    drawn = bm.curve(fit, decision, by=by, kind=kind, at=_read_at(at))
    decision = drawn.decision
    names = None if loss is None else loss.split(",")
    found = drawn.tradeoff(gain=gain, loss=names, weights=weights)
    caption = (
        f"Where along {decision} ({drawn.units}) {gain} gains and other tasks lose, by "
        f"{KIND_WORDS[found.kind]}."
    )
    return Shown(found.table(ci_prob=ci_prob).reset_index(), caption)


def _curve_report(points: "pd.DataFrame", optimum: "pd.DataFrame") -> dict[str, Any]:
    curves = {
        str(target): part[["estimate", "lower", "upper"]].to_dict(orient="list")
        for target, part in points.groupby("target", sort=False)
    }
    return {
        "grid": list(dict.fromkeys(points["grid"])),
        "units": "percentage points above the first grid point",
        "ci_prob": float(points["ci_prob"].iloc[0]),
        "kind": str(points["kind"].iloc[0]),
        "curves": curves,
        "optimum": optimum.drop(columns="kind").to_dict(orient="index"),
    }
