"""Commands that test what a statement rests on: influence, ladders, tipping, multiverse."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli import shared
from bayesmeta.cli.shared import POINTS, On, Refits, Shown, command, wrap
from bayesmeta.errors import QueryError, listing, unknown

MULTIVERSE = "multiverse.csv"
_PARTS = ("specifications", "influence", "summary")


@command("influence")
def influence_command(
    fit: "bm.Fit",
    statement: str,
    *,
    families: list[str] | None = None,
    refit: bool = False,
    **on: Unpack[On],
) -> Shown:
    """What an association would be without each family of LMs.

    Parameters
    ----------
    refit
        Refit where importance weights cannot be trusted.
    """
    table = bm.leave_family_out(fit, statement, families=families, refit=refit, **on)
    where = on["benchmark"] or on["task_family"] or "all benchmarks"
    caption = (
        f"Association of {statement} on {where} without each LM family, in percentage points; "
        "move: by how many standard deviations it changes."
    )
    return Shown(table, caption, heading=f"{wrap(caption.rstrip('.'))}:")


@command("ladders")
def ladders_command(
    fit: "bm.Fit",
    statement: str = "code_share: 20 > 5",
    *,
    by: str = "task_family",
    families: list[str] | None = None,
    ci_prob: float = defaults.CI_PROB,
) -> Shown:
    """Within-family contrasts: families that varied it on purpose."""
    found = bm.ladders(fit, statement, by=by, families=families)
    table = found.table(ci_prob=ci_prob)
    return Shown(
        table,
        f"Effect of {statement} by LM families that vary it.",
        heading=f"{found}; {POINTS}, {100 * ci_prob:g} % intervals:",
        instead={"table": table.drop(columns=["ci_prob", "units"])},
    )


@command("tipping")
def tipping_command(
    fit: "bm.Fit", statement: str, *, part: str | None = None, **on: Unpack[On]
) -> Shown:
    """Tipping points: which missing data would turn an effect.

    Parameters
    ----------
    part : PART
        The statement's own if left out.
    """
    table = bm.tipping_point(fit, statement, part=part, **on)
    caption = f"Which missing shares, in % of training tokens, would turn {statement}."
    return Shown(table, caption)


class MultiverseOptions(On, Refits):
    """Of which benchmarks, and where the fits are computed and kept."""


@command("multiverse")
def multiverse_command(
    fmt: str,
    statements: list[str] | None = None,
    *,
    recorded: bool = False,
    data_dir: Path | None = None,
    choices: list[str] | None = None,
    n: str = str(defaults.SPECIFICATIONS),
    seed: int = defaults.SEED,
    part: str = "all",
    ci_prob: float = defaults.CI_PROB,
    version: str = "corrected",
    **asked: Unpack[MultiverseOptions],
) -> list[Shown]:
    """Robustness to analysis choices: many specifications.

    Parameters
    ----------
    statements : STATEMENT...
        'DECISION: A > B', or 'PART: +POINTS from PART' for a substitution in the training mix.
    recorded
        Show the shipped record; fits nothing.
    data_dir : --data DIR
        Your tables; the bundled ones if left out.
    choices : --choice NAME=LEVELS
        Vary this choice alone, with these levels, such as likelihood=student,normal; may be
        repeated. All choices vary if left out.
    n : N|all
        Specifications; a balanced fraction.
    part : --show PART
        {specifications, influence, summary, all}; all of them in a table if left out.
    """
    from bayesmeta.estimates.summary import check_ci_prob

    check_ci_prob(ci_prob)
    if part not in (*_PARTS, "all"):
        raise unknown(QueryError, "--show", part, [*_PARTS, "all"])
    if asked["benchmark"] is not None and asked["task_family"] is not None:
        raise QueryError("both a benchmark and a task family were given. Name one of them.")
    target = asked["benchmark"] if asked["benchmark"] is not None else asked["task_family"]
    if recorded:
        picked = _pick_recorded(bm.load_multiverse(), statements, target)
        return _show_multiverse(picked, part, ci_prob=ci_prob, fmt=fmt)
    if not statements:
        raise QueryError(
            "no statement is given. Allowed: one or more, such as 'position_embedding: rotary > "
            "learned'; or --recorded, which shows the shipped record."
        )
    data, out = shared.load_data(data_dir, version=version), asked["out"]
    grid = _read_choices(choices or [])
    with shared.refitting(asked, what="fits", processes=True) as executor:
        found = bm.multiverse(
            data,
            statements if target is None else [(text, target) for text in statements],
            grid=grid or None,
            n=int(n) if n.isdecimal() else n,
            seed=seed,
            executor=executor,
            out=out,
        )
    shared.keep(found, None if out is None else out / MULTIVERSE)
    return _show_multiverse(found, part, ci_prob=ci_prob, fmt=fmt)


def _read_choices(texts: Sequence[str]) -> dict[str, list[str]]:
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, equals, levels = text.partition("=")
        if not equals or not shared.split_names(levels):
            raise QueryError(
                f"--choice '{text}' cannot be read. Allowed: NAME=LEVEL,LEVEL, such as "
                "likelihood=student,normal."
            )
        if name in grid:
            raise QueryError(
                f"--choice '{name}' is given twice. Allowed: each choice once, with all its levels."
            )
        grid[name] = shared.split_names(levels)
    return grid


def _pick_recorded(
    found: "bm.Multiverse", statements: Sequence[str] | None, target: str | None
) -> "bm.Multiverse":
    """Take the asked statements out of the record; all of them where none is named."""

    def tight(text: str) -> str:  # blanks make no other statement
        return "".join(text.split())

    wanted = [tight(text) for text in statements or []]
    kept = [pair for pair in found.asked
            if (not wanted or tight(pair[0]) in wanted) and target in (None, pair[1])]  # fmt: skip
    there = [tight(pair[0]) for pair in kept]
    lost = [text for text in statements or [] if tight(text) not in there]
    if lost or not kept:
        raise QueryError(
            f"{f'statement {lost[0]!r}' if lost else f'target {target!r}'} is not in the record."
            f" Allowed: {listing(f'{s!r} on {t}' for s, t in found.asked)}. Leave out --recorded "
            "to fit."
        )
    rows = [pair in kept for pair in found.cells[["statement", "target"]].itertuples(
        index=False, name=None)]  # fmt: skip
    return bm.Multiverse(found.cells[rows].reset_index(drop=True))


def _show_multiverse(found: "bm.Multiverse", part: str, *, ci_prob: float, fmt: str) -> list[Shown]:
    parts = {
        "influence": (
            f"What moves it: distance between the means of two levels ({shared.POINTS})",
            found.influence(),
        ),
        "summary": (f"All specifications ({shared.POINTS})", found.summary()),
    }
    if part in parts:
        title, rows = parts[part]
        return [Shown(rows, f"{title}.")]
    table = found.table(ci_prob=ci_prob)
    if fmt != "table":
        rows = list(_nest(table.drop(columns="specification"), list(found.choices)))
        return [Shown(table, "Every specification.", instead={"json": rows})]
    each = [_show_sorted(table, *pair, ci_prob=ci_prob) for pair in found.asked]
    return each if part != "all" else [*each, *shared.list_parts(parts), Shown(f"\n{found!r}")]


def _nest(table: Any, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Turn rows into plain values, the choices of every row in an object of their own."""
    for row in json.loads(table.to_json(orient="records")):
        specification = {name: row.pop(name) for name in names}
        yield {"specification": specification, **row}


def _show_sorted(table: Any, statement: str, target: str, *, ci_prob: float) -> Shown:
    """Show the specifications of a statement, without what is the same in every row."""
    constant = ["mcse", "ci_prob", "units", "statement", "target"]
    constant += [] if table["note"].any() else ["note"]
    rows = table[(table["statement"] == statement) & (table["target"] == target)]
    heading = (
        f"\n{statement}, {target.replace('_', ' ')}; {100 * ci_prob:g} % equal-tailed "
        f"intervals, {shared.POINTS}:"
    )
    return Shown(rows.sort_values("estimate").drop(columns=constant), heading=heading)
