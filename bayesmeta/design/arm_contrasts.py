"""Arms of controlled experiments as the model sees them: contrasts inside groups, never levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data.decisions import DECISIONS, SIZES, Decision
from bayesmeta.design.arm_scores import run_variance, sampling_variance
from bayesmeta.design.composition import Array
from bayesmeta.design.facts import Design, build_design
from bayesmeta.design.outcomes import ArmContrasts
from bayesmeta.design.terms import Term

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.data.dataset import Dataset

_ARM = ["study", "group", "arm"]
_CELL = ["study", "group", "benchmark", "protocol"]
_INSIDE = 0.03
"""Least distance of the mean score of a cell from floor and ceiling, as a fraction of the range:
nearer to the floor the slope of the link, by which differences are divided, means little."""

ARM_FACTS = ("corpus", "quality_filter", "document_masking", "n_epochs")
"""Facts that arms record and LMs do not."""

_REPETITIONS = 15.4
"""Repetitions after which a token's worth has fallen by a factor e."""

_SMALL = 1e-6
"""Size of a difference that is rounding."""


def code_arms(dataset: Dataset, arms: pd.DataFrame, *, coding: Mapping[str, Any]) -> Design:
    """Code the facts of arms as those of new LMs, which stand below the LMs of the data.

    Parameters
    ----------
    dataset
        The LMs that the coding rests on.
    arms
        Facts by the columns of `lms.csv`; a blank cell is that of the other arms of the group, if
        these agree, or what LMs have on average: it is the same for all arms, so that no contrast
        depends on it but through the curvature of the surface.
    coding
        Arguments of `build_design`.

    Returns
    -------
    Design
        Its rows beyond the LMs of the data are the arms.
    """
    import pandas as pd

    from bayesmeta.data.arm_facts import fill_from_group

    lms, decisions = dataset.lms, dataset.known_decisions
    facts = fill_from_group(arms).reindex(columns=list(lms.columns))
    for name in facts.columns.difference(["lm", "lm_family"]):
        given = facts[name].astype(object)
        if name in SIZES:
            typical = (arms[name] if arms[name].notna().any() else lms[name]).median()
        else:
            typical = _typical(lms[name], decisions.get(str(name)))
        known = given if typical is None else given.where(given.notna(), typical)
        facts[name] = known.astype(lms[name].dtype)
    facts["lm"] = [f"arm {k}" for k in range(len(facts))]
    facts["lm_family"] = arms["study"].astype(str).to_numpy()
    whole = replace(
        dataset, lms=pd.concat([lms, facts], ignore_index=True), generations=None, experiments=None
    )
    among = np.arange(len(whole.lms)) < len(lms)
    return build_design(whole, **{**coding, "estimate_unknown": False, "generations": False},
                        among=among)  # fmt: skip


def _typical(column: pd.Series, decision: Decision | None) -> Any:
    """Commonest word or middle number of a column of the LMs; None where there is none to take."""
    if decision is None or decision.in_mix or column.isna().all():
        return None
    return column.mode().iloc[0] if decision.kind == "categorical" else column.median()


def build_arm_contrasts(
    dataset: Dataset,
    design: Design,
    *,
    coding: Mapping[str, Any],
    pairs: bool = False,
    sides: NDArray[np.int64] | None = None,
) -> ArmContrasts:
    """Turn the experiments of a dataset into contrasts in the coding of its LMs.

    Arms with a level that no LM has are left out, and so are benchmarks that are not the design's
    or have no logistic link, and cells of which fewer than two arms remain.

    Parameters
    ----------
    dataset
        Validated tables, with experiments.
    design
        Arrays of its LMs.
    coding
        The other arguments that `build_design` made it with.
    pairs
        Whether contrasts are the differences of every two arms of a cell instead of orthonormal
        ones: these are what is predicted and shown, those are what the model learns from.
    sides
        Instead of either: which arms are compared with which, 1 and -1, shape (question, arm). In
        every cell that has both, the mean of the ones less that of the others; the label `question`
        says for which row.

    Returns
    -------
    ArmContrasts
        Of every group on every benchmark under every protocol.
    """
    experiments = dataset.experiments
    assert experiments is not None
    arms = experiments.arms.reset_index(drop=True)
    coded = code_arms(dataset, arms, coding=coding)
    results = _usable(dataset, design)
    return contrast_arms(coded, design, arms=arms, results=results, pairs=pairs, sides=sides)


def put_contrasts(
    dataset: Dataset, design: Design, y: Array, *, coding: Mapping[str, Any]
) -> Dataset:
    """Give arms the scores of which other contrasts are made; the mean of every cell stays.

    Parameters
    ----------
    dataset, design, coding
        As in `build_arm_contrasts`.
    y
        Orthonormal contrasts in native units, shape (contrast,).

    Returns
    -------
    Dataset
        With other results of the arms that are compared, kept between 0 and 1.
    """
    experiments = dataset.experiments
    assert experiments is not None
    arms = experiments.arms.reset_index(drop=True)
    coded = code_arms(dataset, arms, coding=coding)
    compared = _compare(coded, design, arms=arms, results=_usable(dataset, design))
    weights, _, _ = _contrast_weights(compared["cell"].to_numpy(np.int64), pairs=False)
    old = compared["score"].to_numpy(float)
    results = experiments.results.reset_index(drop=True)
    score = results["score"].to_numpy(float, copy=True)
    score[compared["position"]] = np.clip(old + weights.T @ (y - weights @ old), 0.0, 1.0)
    return replace(dataset, experiments=replace(experiments, results=results.assign(score=score)))


def _usable(dataset: Dataset, design: Design) -> pd.DataFrame:
    """Give the results on benchmarks of the design that have a logistic link, with their items."""
    logistic = np.array(design.benchmarks, object)[design.outcomes.is_logistic]
    items = dataset.benchmarks.set_index("benchmark")["n_items"].loc[logistic].rename("n_items")
    assert dataset.experiments is not None
    results = dataset.experiments.results
    protocol = results["protocol"].astype(object).fillna("")
    results = results.assign(
        protocol=protocol, n_seeds=results["n_seeds"].fillna(1.0), position=np.arange(len(results))
    )
    return results.merge(items, left_on="benchmark", right_index=True)


def contrast_arms(
    coded: Design,
    design: Design,
    *,
    arms: pd.DataFrame,
    results: pd.DataFrame,
    pairs: bool,
    sides: NDArray[np.int64] | None = None,
) -> ArmContrasts:
    """Form the contrasts of coded arms, in the order of their results."""
    import pandas as pd

    n_lms = len(design.lms)
    blocks = {name: values[n_lms:] for name, values in _columns(coded).items()}
    results = _compare(coded, design, arms=arms, results=results)
    row, score = results["row"].to_numpy(), results["score"].to_numpy(float)
    benchmark = pd.Index(design.benchmarks).get_indexer(pd.Index(results["benchmark"]))
    cell = results["cell"].to_numpy()
    mean = (np.bincount(cell, weights=score) / np.bincount(cell))[cell]
    floor = design.outcomes.floor[benchmark]
    p = np.clip((mean - floor) / (1 - floor), _INSIDE, 1 - _INSIDE)
    slope = (1 - floor) * p * (1 - p)
    names = results[["group", "protocol", "arm"]].astype(object)
    if sides is None:
        weights, where, first = _contrast_weights(cell.astype(np.int64), pairs=pairs)
        more = {"base": names["arm"].to_numpy()[first]} if pairs else {}
    else:
        weights, where, question = _compare_sides(cell.astype(np.int64), sides[:, row])
        more = {"question": question}
    labels = {str(name): column.to_numpy()[where] for name, column in names.items()}
    seeds = results["n_seeds"].to_numpy(float)
    study, studies = pd.factorize(results["study"])
    arm_terms, arm_columns = _code_arm_facts(arms, [*ARM_FACTS, *_list_untold(coded)])
    parts = _split(coded, blocks, arm_terms, arm_columns)
    settings, setting_study, setting_block = _rotate_settings(parts, arms, row, study)
    run, runs = pd.factorize(_name_runs(arms).iloc[row])
    columns = {name: values[row] for name, values in blocks.items()}
    of_run = (run[:, None] == np.arange(len(runs))) / np.sqrt(seeds)[:, None]
    columns |= {"arm_facts": arm_columns[row], "settings": settings, "runs": of_run}
    return ArmContrasts(
        n_benchmarks=len(design.benchmarks),
        studies=tuple(studies),
        arm_terms=arm_terms,
        runs=tuple(runs),
        y=weights @ score,
        sampling=weights**2 @ sampling_variance(results, mean=mean),
        repeats=weights**2 @ (1 / seeds),
        train=np.ones(len(where), dtype=bool),
        study_index=study[where],
        benchmark_index=benchmark[where].astype(np.int64),
        labels=labels | more,
        columns={
            name: _drop_rounding((weights * slope) @ values) for name, values in columns.items()
        },
        setting_study=tuple(str(studies[s]) for s in setting_study),
        setting_block=setting_block,
    )


def _compare(
    coded: Design, design: Design, *, arms: pd.DataFrame, results: pd.DataFrame
) -> pd.DataFrame:
    """Keep the results of cells with two coded arms or more; number the `row` of arm and `cell`."""
    known = ~np.isnan(coded.X[len(design.lms) :]).any(axis=1)
    results = results.merge(
        arms[_ARM].assign(row=np.arange(len(arms)), known=known), on=_ARM, how="inner"
    )
    results = results[results["known"]]
    results = results[results.groupby(_CELL, dropna=False)["row"].transform("nunique") > 1]
    cell = results.groupby(_CELL, sort=False, dropna=False).ngroup()
    return results.assign(cell=cell).reset_index(drop=True)


def _drop_rounding(values: Array) -> Array:
    return np.where(np.abs(values) > _SMALL, values, 0.0)


def _columns(coded: Design) -> dict[str, Array]:
    """Columns of the predictor by block, as `model.predictor` builds them; (row, column)."""
    facts, found = coded.facts, {}
    if coded.terms:
        found["beta"] = facts.X
    if coded.surface is not None:
        found["surface"] = facts.functions
    if coded.scale_terms:
        found["kappa"] = coded.scale
    return found


def _contrast_weights(
    cell: NDArray[np.int64], *, pairs: bool
) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Weights of the scores in every contrast, (contrast, result), its last and its first score."""
    rows = [np.flatnonzero(cell == k) for k in range(cell.max() + 1)] if len(cell) else []
    weights, ends = [np.empty((0, len(cell)))], [np.empty((2, 0), np.int64)]
    for members in rows:
        n = len(members)
        base, last = np.triu_indices(n, k=1) if pairs else (np.zeros(n - 1, int), np.arange(1, n))
        own = np.eye(n)[last] - np.eye(n)[base] if pairs else _helmert(n)
        weights.append(own @ np.eye(len(cell))[members])
        ends.append(members[np.array([last, base])])
    where = np.hstack(ends)
    return np.vstack(weights), where[0], where[1]


def _compare_sides(
    cell: NDArray[np.int64], sides: NDArray[np.int64]
) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Weights of the scores in every comparison of two sides, a score of its first side, its row.

    The sides are those of every result, shape (question, result).
    """
    n = cell.max(initial=-1) + 1
    weights, where, question = [], [], []
    for k, side in enumerate(sides):
        counts = [np.bincount(cell, weights=side == sign, minlength=n) for sign in (1, -1)]
        for c in np.flatnonzero(np.minimum(*counts)):
            row = (cell == c) * ((side == 1) / counts[0][c] - (side == -1) / counts[1][c])
            weights.append(row)
            where.append(int(np.argmax(row > 0)))
            question.append(k)
    stacked = np.array(weights).reshape(len(weights), len(cell))
    return stacked, np.array(where, dtype=np.int64), np.array(question, dtype=np.int64)


def _helmert(n: int) -> Array:
    """Orthonormal contrasts of n values, each of one value with the mean of those before it."""
    steps = np.tril(-np.ones((n, n)), k=-1) + np.diag(np.arange(n))
    return steps[1:] / np.linalg.norm(steps[1:], axis=1, keepdims=True)


def noise_variance(contrasts: ArmContrasts, *, benchmarks: Sequence[str]) -> Array:
    """Compute the variance that repeated runs of the same arms would give contrasts.

    Parameters
    ----------
    contrasts
        Orthonormal ones or pairs.
    benchmarks
        Names that their indices refer to.

    Returns
    -------
    ndarray
        As of `run_variance`, shape (contrast,).
    """
    names = np.array(benchmarks, dtype=object)[contrasts.benchmark_index].tolist()
    return run_variance(names, repeats=contrasts.repeats, sampling=contrasts.sampling)


def _name_runs(arms: pd.DataFrame) -> pd.Series:
    """Name the training run behind every arm, which groups may share."""
    own = arms["study"] + "/" + arms["group"] + "/" + arms["arm"].astype(str)
    if "run" not in arms:
        return own
    return (arms["study"] + "/" + arms["run"]).where(arms["run"].notna(), own)


def _list_untold(coded: Design) -> list[str]:
    """Name the declared decisions with levels that have no column: LMs do not differ in them."""
    return [
        decision.name
        for decision in coded.own_decisions
        if decision.kind == "categorical" and decision.name not in (*DECISIONS, *coded.decisions)
    ]


def _code_arm_facts(arms: pd.DataFrame, facts: Sequence[str]) -> tuple[tuple[Term, ...], Array]:
    """Code what arms record and LMs do not; a blank cell is zero in all columns, (arm, term)."""
    terms, columns = [], []
    for name in facts:
        if name not in arms or arms[name].isna().all():
            continue
        if name == "n_epochs":
            terms.append(Term(name))
            columns.append(np.log(_worth_of_tokens(arms[name].fillna(1.0).to_numpy(float))))
            continue
        for level in sorted(set(arms[name].dropna()) - {"none", "no"}):
            terms.append(Term(name, level))
            columns.append((arms[name] == level).to_numpy(float))
    return tuple(terms), np.column_stack([np.empty((len(arms), 0)), *columns])


def _worth_of_tokens(epochs: Array) -> Array:
    """Worth of a token of repeated data, relative to one that is read once.

    The law of Muennighoff et al. 2023 (https://doi.org/10.48550/arXiv.2305.16264).
    """
    repeated = np.maximum(epochs - 1, 0.0)
    return (1 + _REPETITIONS * -np.expm1(-repeated / _REPETITIONS)) / (1 + repeated)


def _split(
    coded: Design, blocks: Mapping[str, Array], arm_terms: Sequence[Term], arm_columns: Array
) -> list[Array]:
    """Split columns of free coefficients by the decision or fact of arms that they belong to."""
    free = blocks["beta"] @ coded.loading if "beta" in blocks else np.empty((len(arm_columns), 0))
    parts = [free[:, coded.free_decision == k] for k in range(len(coded.decisions))]
    names = [term.decision for term in arm_terms]
    return parts + [arm_columns[:, np.array(names) == name] for name in dict.fromkeys(names)]


def _rotate_settings(
    parts: Sequence[Array], arms: pd.DataFrame, row: NDArray[np.int64], study: NDArray[np.int64]
) -> tuple[Array, list[int], NDArray[np.int64]]:
    """Directions in which the arms of a study differ, by decision, and study and decision of each.

    Effects that differ between studies have the prior of the decision's effects, scaled. It is the
    same in every direction of a decision's free coefficients, so that an orthonormal basis of a
    study's differences serves instead of its columns.
    """
    columns, own_study, owner = [], [], []
    group = arms.groupby(["study", "group"]).ngroup().to_numpy()
    for s in range(study.max() + 1 if len(study) else 0):
        used = np.unique(row[study == s])
        for k, part in enumerate(parts):
            same = group[used][:, None] == group[used]
            inside = part[used] - (same @ part[used]) / same.sum(axis=1, keepdims=True)
            for direction in _span(inside):
                columns.append((part[row] @ direction) * (study == s))
                own_study.append(s)
                owner.append(k)
    stacked = np.column_stack(columns) if columns else np.empty((len(row), 0))
    return stacked, own_study, np.array(owner, dtype=np.int64)


def _span(rows: Array) -> Array:
    """Give an orthonormal basis of the space of rows, shape (direction, column).

    Built column by column, so that it hangs on no sign or order that a decomposition chooses: the
    draws of a saved fit have to mean the same on every machine.
    """
    _, size, principal = np.linalg.svd(rows, full_matrices=False)
    kept = principal[size > _SMALL]
    projection, basis = kept.T @ kept, np.empty((0, rows.shape[1]))
    for column in projection:
        rest = column - basis.T @ (basis @ column)
        length = np.linalg.norm(rest)
        if length > _SMALL and len(basis) < len(kept):
            basis = np.vstack([basis, rest / length])
    return basis
