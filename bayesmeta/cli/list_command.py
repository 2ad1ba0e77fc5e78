"""What can be asked of a fit: decisions, levels, benchmarks, models, studies."""

from collections.abc import Callable, Iterator
from typing import Any

import bayesmeta as bm
from bayesmeta.cli.shared import Shown, command
from bayesmeta.errors import QueryError, listing, shorten, suggest, unknown
from bayesmeta.estimates.aliases import DECISION_WORDS, LEVEL_WORDS, TARGET_ALIASES, Words

type Row = dict[str, Any]


@command("list")
def list_command(fit: "bm.Fit", what: str, pattern: str | None = None) -> Shown:
    """What can be asked: names, and how readers call them.

    Parameters
    ----------
    what : decisions|levels|benchmarks|models|studies
        Which names.
    pattern : [PATTERN]
        Those alone that hold this text, in any case.
    """
    import pandas as pd

    if what not in _KINDS:
        raise unknown(QueryError, "kind", what, _KINDS)
    rows = list(_KINDS[what](fit))
    asked = (pattern or "").lower()
    found = [row for row in rows if any(asked in str(cell).lower() for cell in row.values())]
    if not found:
        guess = suggest(pattern, (row["name"] for row in rows))
        raise QueryError(
            f"'{shorten(pattern)}' is in none of the {len(rows)} {what}.{guess} Leave the pattern "
            "out for all of them."
        )
    table = pd.DataFrame(found)
    return Shown(table, instead={"json": found, "table": table.drop(columns="also")})


def _also(words: Words | None) -> str:
    """List what else people call a name."""
    return listing(words.aliases) if words else ""


def _list_decisions(fit: "bm.Fit") -> Iterator[Row]:
    from bayesmeta.data.decisions import SIZES
    from bayesmeta.estimates.question import list_decisions, list_levels

    facts = fit.design.known_facts
    sizes = SIZES if fit.design.knows_sizes else ()
    for name in (*list_decisions(fit.design), *sizes):
        kind = facts[name].kind
        unit = facts[name].unit or ("%" if kind == "share" else "a number")
        levels = list_levels(fit.design, name) if kind == "categorical" else [unit]
        yield {"name": name, "label": facts[name].title, "kind": kind,
               "levels": listing(levels), "also": _also(DECISION_WORDS.get(name))}  # fmt: skip


def _list_levels(fit: "bm.Fit") -> Iterator[Row]:
    from bayesmeta.data.decisions import UNDISCLOSED
    from bayesmeta.estimates.answer_words import describe_side
    from bayesmeta.estimates.question import list_decisions, list_levels

    design = fit.design
    for decision in list_decisions(design):
        about = design.known_decisions[decision]
        if about.kind != "categorical":
            continue
        for level in list_levels(design, decision):
            if level != UNDISCLOSED:
                n = int((design.recorded[decision] == level).sum())
                also = _also(LEVEL_WORDS.get((decision, level)))
                yield {"name": level, "label": describe_side(about, level),
                       "decision": decision, "lms": n, "also": also}  # fmt: skip


def _list_benchmarks(fit: "bm.Fit") -> Iterator[Row]:
    design = fit.design
    families = (design.task_families[k] for k in design.task_family_index)
    for name, label, family in zip(
        design.benchmarks, design.benchmark_labels, families, strict=True
    ):
        also = listing(TARGET_ALIASES.get(name, ()))
        yield {"name": name, "label": label, "task_family": family, "also": also}


def _list_models(fit: "bm.Fit") -> Iterator[Row]:
    design = fit.design
    for name, k in zip(design.lms, design.lm_family_index, strict=True):
        short, family = name.rpartition("/")[2], design.lm_families[k]
        yield {"name": name, "label": short, "lm_family": family, "also": ""}


def _list_studies(fit: "bm.Fit") -> Iterator[Row]:
    """List the studies with controlled experiments that informed the fit, else the bundled ones."""
    found = fit.dataset.experiments or bm.load_experiments()
    titles = dict(zip(found.studies["study"], found.studies["title"], strict=True))
    for row in found.summarise().to_dict(orient="records"):
        name = str(row["study"])
        label = str(titles.get(name, name))
        yield {"name": name, "label": label, "decisions": row["decisions"], "also": ""}


_KINDS: dict[str, Callable[["bm.Fit"], Iterator[Row]]] = {
    "decisions": _list_decisions,
    "levels": _list_levels,
    "benchmarks": _list_benchmarks,
    "models": _list_models,
    "studies": _list_studies,
}
