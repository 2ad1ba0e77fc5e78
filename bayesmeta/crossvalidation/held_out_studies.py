"""Whole studies held out: pairs of their arms, predicted from all LMs and from other studies.

A pair is the score of an arm less that of another arm of its cell, a group on a benchmark under a
protocol; every two are one. It is predicted given the mean score of the cell, which contrasts leave
out: from it follow the slope of the link and the sampling error, and nothing else of the study's
scores enters.
Every study counts the same in a mean, however many pairs it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from bayesmeta import defaults, jobs
from bayesmeta.crossvalidation.folds import (
    MODELS,
    Candidate,
    find_refitter,
    keep_folds,
    read_candidates,
)
from bayesmeta.crossvalidation.schemes import LEAVE_STUDY_OUT
from bayesmeta.data.dataset import Dataset
from bayesmeta.data.load import bundled_folder
from bayesmeta.design.arm_contrasts import noise_variance
from bayesmeta.design.facts import Design
from bayesmeta.design.outcomes import ArmContrasts
from bayesmeta.design.scale import SCALE_TERMS
from bayesmeta.errors import EvaluationError, listing
from bayesmeta.model.predictor import Array, StudentScores, contrast_distribution, law_slopes
from bayesmeta.model.spec import ModelSpec, build_design_for, build_pairs
from bayesmeta.tables.headed_columns import Column, head
from bayesmeta.tables.notebook import NotebookView, fold, show_table
from bayesmeta.whole_files import write_text

METRICS = ("coverage90", "log_density", "mae", "sign_right")
_DIGITS = {"coverage90": 1, "log_density": 2, "mae": 2, "sign_right": 1}
_ALL, _HALVES = "all", ("first half", "second half")
"""Parts of the draws; halves, which are chains, tell the Monte Carlo error."""

_PERCENT = 100.0
_CLEAR = 1.64
"""Standard deviations of noise beyond which a difference is clear; 90 % of mere noise is not."""

_ROUNDED = 6
"""Decimals of a point beyond which a prediction is zero: there its sign is that of rounding."""

_NO_EFFECT_SD = 0.02
"""Of effects about zero: a usual size. Half a point more would predict the bundled studies slightly
better, which is known only afterwards."""


# --- Models ---------------------------------------------------------------------------------------


def _predict_none(dataset: Dataset, pairs: ArmContrasts, noise: Array) -> StudentScores:
    """Predict no effect, give or take the usual size of one."""
    sd = np.sqrt(noise + _NO_EFFECT_SD**2)[None]
    return StudentScores(y=pairs.y, mu=np.zeros_like(sd), sd=sd, nu=None)


def _predict_associations(dataset: Dataset, pairs: ArmContrasts, noise: Array) -> StudentScores:
    """Predict that what goes along with scores among LMs is what arms would show."""
    spec = replace(MODELS["full"], experiments="ignored")
    refitter = find_refitter(dataset, spec=spec)
    learned = np.ones(len(dataset.scores), bool)
    draws = refitter.refit(learned, seed=defaults.SEED).parameters
    silent = {**draws, "arm_sigma": np.zeros_like(draws["sigma_score"])}
    spec = replace(spec, bias="none", likelihood="normal")
    mu = contrast_distribution(silent, contrasts=pairs, spec=spec).mu
    return StudentScores(y=pairs.y, mu=mu, sd=np.sqrt(noise) + 0 * mu, nu=None)


def _predict_from_experiments(dataset: Dataset, pairs: ArmContrasts, noise: Array) -> StudentScores:
    """Predict each study by a random-effects meta-analysis of the others, without any LM.

    It is the part of the model that sees experiments, with normal noise and scales at the medians
    of their priors, so that the posterior is a Gaussian regression in closed form.
    """
    spec = MODELS["full"]
    design = build_design_for(dataset, spec=spec)
    learned = design.contrasts
    assert learned is not None
    known = noise_variance(learned, benchmarks=design.benchmarks)
    mu, variance = np.zeros(len(pairs.y)), noise.copy()
    for study in range(len(pairs.studies)):
        train, test = learned.study_index != study, pairs.study_index == study
        others, own = learned.of(train), pairs.of(test)
        prior = _covariance(others, others, design=design, spec=spec) + np.diag(known[train])
        cross = _covariance(own, others, design=design, spec=spec)
        gain = np.linalg.solve(prior, cross.T)
        mu[test] = gain.T @ others.y
        before = np.diag(_covariance(own, own, design=design, spec=spec))
        variance[test] += before - np.einsum("pc,cp->p", cross, gain)
    return StudentScores(y=pairs.y, mu=mu[None], sd=np.sqrt(variance)[None], nu=None)


def _covariance(
    first: ArmContrasts, second: ArmContrasts, *, design: Design, spec: ModelSpec
) -> Array:
    """Prior covariance of contrasts without noise, pooled over benchmarks as in the model."""
    variances = _prior_variances(first, design=design, spec=spec)
    b, other = first.benchmark_index[:, None], second.benchmark_index
    task = design.task_family_index
    total = np.zeros((len(first.y), len(second.y)))
    for name, levels in variances.items():
        left, right = (
            x.columns[name] @ design.loading if name == "beta" else x.columns[name]
            for x in (first, second)
        )
        for level, alike in zip(levels, (True, task[b] == task[other], b == other), strict=True):
            total += (left * level) @ right.T * alike
    return total


def _prior_variances(
    contrasts: ArmContrasts, *, design: Design, spec: ModelSpec
) -> dict[str, Array]:
    """Prior variances of coefficients by block, shared, of task families and of benchmarks.

    Half of the variance of an association is that of an effect, as at the median of the prior.
    """
    priors, half = spec.priors, 0.5
    deviates = np.array([1.0, priors.beta_ratio**2, priors.beta_ratio**2])[:, None]
    scale_terms = [SCALE_TERMS.index(term) for term in design.scale_terms]
    slopes = np.append(priors.law_slope_sd * law_slopes(priors), priors.released_sd)
    scales = np.array([slopes, priors.kappa_tau_task, priors.kappa_tau_benchmark])
    n_arm = len(contrasts.arm_terms)
    is_decision = contrasts.setting_block < len(design.decisions)
    tau = priors.study_ratio * np.where(is_decision, priors.beta_tau, priors.arm_tau)
    of_study = np.array([1.0, 0.0, 2 * priors.beta_ratio**2])[:, None]
    found = {
        "beta": half * priors.beta_tau**2 * deviates + np.zeros(design.loading.shape[1]),
        "kappa": scales[:, scale_terms] ** 2,
        "arm_facts": priors.arm_tau**2 * deviates + np.zeros(n_arm),
        "settings": of_study * tau**2,
        "runs": np.outer([priors.run_sigma**2, 0, 0], np.ones(len(contrasts.runs))),
    }
    if design.surface is not None:
        amplitudes = half * np.square(priors.surface_tau)
        found["surface"] = np.outer(amplitudes, np.ones(design.surface.n_functions))
    return {name: found[name] for name in contrasts.columns}


STUDY_BASELINES: dict[str, Callable[[Dataset, ArmContrasts, Array], StudentScores]] = {
    "no-effect": _predict_none,
    "associations": _predict_associations,
    "experiments-alone": _predict_from_experiments,
}
"""Baselines by name: laws of all pairs, given the dataset, the pairs and their noise."""

STUDY_MODELS = ("full", *STUDY_BASELINES)
"""What is scored where no model is named."""


# --- Scores ---------------------------------------------------------------------------------------


def run_studies(tasks: Sequence[tuple[Dataset, Candidate, int]]) -> list[pd.DataFrame]:
    """Predict the pairs of held-out studies by one model, and score the predictions.

    Parameters
    ----------
    tasks
        The dataset, the model, and the position of the study; the same model in all.

    Returns
    -------
    list of pandas.DataFrame
        For each task one row per pair and part of the draws: labels, `difference` and `estimate`
        in points, `log_density` per point, `pit`, and whether the difference is `clear`.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> data = load_dataset()
    >>> (rows,) = run_studies([(data, Candidate("no-effect"), 0)])
    >>> rows["study"].unique().tolist()
    ['bigscience-tr3']
    """
    dataset, candidate, _ = tasks[0]
    spec = candidate.spec or MODELS["full"]
    design = build_design_for(dataset, spec=spec)
    pairs = build_pairs(dataset, design, spec=spec)
    noise = noise_variance(pairs, benchmarks=design.benchmarks)
    law = None
    if candidate.spec is None:
        law = STUDY_BASELINES[candidate.name](dataset, pairs, noise)
    tables = []
    for _, _, study in tasks:
        rows = pairs.study_index == study
        own = pairs.of(rows)
        if law is None:
            found = _predict_study(dataset, own, spec=spec, study=study)
        else:
            found = replace(law, y=own.y, mu=law.mu[:, rows], sd=law.sd[:, rows])
        table = _score_pairs(found, own, noise=noise[rows])
        names = {"scheme": LEAVE_STUDY_OUT, "model": candidate.name, "study": pairs.studies[study]}
        benchmark = np.array(design.benchmarks, object)[own.benchmark_index]
        labels = pd.DataFrame({**names, "benchmark": benchmark, **own.labels})
        copies = [labels] * (len(table) // len(labels))
        tables.append(pd.concat([pd.concat(copies, ignore_index=True), table], axis=1))
    return tables


def _predict_study(
    dataset: Dataset, pairs: ArmContrasts, *, spec: ModelSpec, study: int
) -> StudentScores:
    """Refit without a study, and predict its pairs."""
    refit = find_refitter(dataset, spec=spec).refit(
        np.ones(len(dataset.scores), bool),
        seed=int(np.random.SeedSequence([defaults.SEED, study]).generate_state(1)[0]),
        without=pairs.studies[study],
    )
    return contrast_distribution(refit.parameters, contrasts=pairs, spec=spec)


def _score_pairs(law: StudentScores, pairs: ArmContrasts, *, noise: Array) -> pd.DataFrame:
    """Score predictions by all draws and, where there are several, by either half of them."""
    density, below, n = law.log_density(), law.probability_below(), len(law.mu)
    parts = {_ALL: slice(None)}
    if n > 1:
        parts |= dict(zip(_HALVES, (slice(n // 2), slice(n // 2, None)), strict=True))
    shared = {
        "difference": _PERCENT * pairs.y, "clear": np.abs(pairs.y) > _CLEAR * np.sqrt(noise),
    }  # fmt: skip
    tables = [
        pd.DataFrame(
            {
                "part": name,
                **shared,
                "estimate": _PERCENT * np.median(law.mu[part], axis=0),
                "log_density": np.logaddexp.reduce(density[part], axis=0)
                - np.log(len(density[part]) * _PERCENT),
                "pit": below[part].mean(axis=0),
            }
        )
        for name, part in parts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def summarise_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Average scored pairs of every model, study and part of the draws.

    Parameters
    ----------
    pairs
        What `run_studies` returns, of many studies.

    Returns
    -------
    pandas.DataFrame
        Columns scheme, model, study, part, n and `METRICS`. The share of right signs is that
        among clear differences, where a prediction of zero is half right, and missing where a study
        has none.
    """
    gap = pairs["difference"] - pairs["estimate"]
    agreement = np.sign(pairs["difference"]) * np.sign(pairs["estimate"].round(_ROUNDED))
    scored = pairs.assign(
        coverage90=_PERCENT * ((pairs["pit"] - 0.5).abs() < defaults.CI_PROB / 2),
        mae=gap.abs(),
        sign_right=np.where(pairs["clear"], _PERCENT * (1 + agreement) / 2, np.nan),
    )
    groups = scored.groupby(["scheme", "model", "study", "part"], sort=False)
    means = groups[list(METRICS)].mean()
    means.insert(0, "n", groups.size())
    return means.reset_index()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StudyScoreboard(NotebookView):
    """Scores of models on held-out studies.

    Parameters
    ----------
    rows
        One row per scheme, model, study and part of the draws: `n` pairs, `coverage90` and
        `sign_right` in percent, `log_density` of a difference in points, `mae` in points;
        checksums of spec and data.
    """

    rows: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Score every model on every study.

        Returns
        -------
        pandas.DataFrame
            Columns scheme, model, study, `n` pairs, `coverage90` in percent, `log_density`, `mae`
            in points, `sign_right` in percent of the clear differences. The last row of a model,
            `mean`, is the mean over studies, each of which counts the same.
        """
        parts = []
        for (scheme, model), own in self._whole().groupby(["scheme", "model"], sort=False):
            mean = {"scheme": scheme, "model": model, "study": "mean", "n": own["n"].sum()}
            parts += [own, pd.DataFrame([{**mean, **own[list(METRICS)].mean()}])]
        found = pd.concat(parts, ignore_index=True)
        return head(found[["scheme", "model", "study", "n", *METRICS]])

    def means(self) -> pd.DataFrame:
        """Average every model's scores over studies.

        Returns
        -------
        pandas.DataFrame
            Columns scheme, model, `n_studies` and, of each score, the mean, its standard error
            between studies, `_se`, and its Monte Carlo standard error from two halves of the
            draws, `_mcse`, missing where nothing was drawn.
        """
        rows = []
        halves = [self.rows[self.rows["part"] == name].set_index("study") for name in _HALVES]
        for (scheme, model), own in self._whole().groupby(["scheme", "model"], sort=False):
            row = {"scheme": scheme, "model": model, "n_studies": len(own)}
            drawn = [half[half["model"] == model] for half in halves]
            for name in METRICS:
                gap = (drawn[0][name] - drawn[1][name]).to_numpy(float) / 2
                known = int(own[name].notna().sum())
                row[name] = own[name].mean()
                row[f"{name}_se"] = own[name].std() / np.sqrt(known) if known > 1 else np.nan
                row[f"{name}_mcse"] = np.sqrt(np.nansum(gap**2)) / known if len(gap) else np.nan
            rows.append(row)
        columns = {
            f"{name}_{kind}": Column(f"{heading} of it", digits=_DIGITS[name])
            for name in METRICS
            for kind, heading in (("se", "SE"), ("mcse", "MCSE"))
        }
        return head(pd.DataFrame(rows), columns)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the rows to a CSV file, whole or not at all.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        text = self.rows.to_csv(index=False, float_format="%.5g", lineterminator="\n")
        write_text(path, text=text)

    def _whole(self) -> pd.DataFrame:
        return self.rows[self.rows["part"] == _ALL]

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        yield show_table(self.means(), whole=".means()")
        yield fold("By study", show_table(self.table(), whole=".table()"))

    def __repr__(self) -> str:
        counts = (f"{self.rows[name].nunique()} {plural}"
                  for name, plural in (("model", "models"), ("study", "studies")))  # fmt: skip
        return f"StudyScoreboard({listing(counts)})"


def load_study_scoreboard() -> StudyScoreboard:
    """Load the recorded evaluation on held-out studies of the bundled experiments.

    Returns
    -------
    StudyScoreboard
        The default model, and baselines.

    Examples
    --------
    >>> load_study_scoreboard().means()["model"].tolist()
    ['full', 'no-effect', 'associations', 'experiments-alone']
    """
    return StudyScoreboard(pd.read_csv(bundled_folder() / "scoreboard-studies.csv"))


def evaluate_studies(
    data: Dataset,
    models: Sequence[str] | None = None,
    *,
    specs: Mapping[str, ModelSpec] | None = None,
    executor: Executor | None = None,
    out: str | PathLike[str] | None = None,
    progress: bool = True,
) -> StudyScoreboard:
    """Score models on pairs of arms of held-out studies: scheme `leave-study-out` of `evaluate`.

    Parameters
    ----------
    data, models, specs, executor, out, progress
        As in `evaluate`.

    Returns
    -------
    StudyScoreboard
        Scores by study and on average.

    Raises
    ------
    EvaluationError
        If the data have no experiments, or a model is not known or ignores them.
    """
    models = STUDY_MODELS if models is None else models
    candidates = read_candidates(models, specs=specs, baselines=STUDY_BASELINES)
    _check(data, candidates)
    tasks = {}
    for candidate in candidates:
        spec = candidate.spec or MODELS["full"]
        pairs = build_pairs(data, build_design_for(data, spec=spec), spec=spec)
        for study in range(len(pairs.studies)):
            tasks[_key(candidate, study)] = (data, candidate, study)
    if not tasks:
        raise EvaluationError(
            f"scheme '{LEAVE_STUDY_OUT}' predicts pairs of arms, and no two arms of a group whose "
            "facts LMs have share an accuracy of the data's benchmarks. Add such results to the "
            "experiments."
        )
    keep = None
    if out is not None:
        keep = keep_folds(Path(out), dataset=data, candidates=candidates)
    with jobs.progress_bar("evaluating", total=len(tasks), unit="studies", shown=progress) as show:
        found = jobs.run(
            run_studies, tasks, together=_together, executor=executor, keep=keep, report=show
        )
    rows = summarise_pairs(pd.concat(found.values()))
    specs_of = {c.name: (c.spec or MODELS["full"]).checksum[:12] for c in candidates}
    rows.insert(0, "spec_checksum", rows["model"].map(specs_of))
    rows.insert(1, "data_checksum", data.checksum[:12])
    return StudyScoreboard(rows)


def _key(candidate: Candidate, study: int) -> str:
    return f"{candidate.name}-{LEAVE_STUDY_OUT}-{study:03d}"


def _together(task: tuple[Dataset, Candidate, int]) -> str:
    """Predict all studies at once by a baseline, one by one by a model that is refitted."""
    _, candidate, study = task
    return candidate.name if candidate.spec is None else _key(candidate, study)


def _check(data: Dataset, candidates: Sequence[Candidate]) -> None:
    """Refuse data without experiments, and models that ignore them."""
    if data.experiments is None:
        raise EvaluationError(
            f"scheme '{LEAVE_STUDY_OUT}' holds out studies, and the data have no experiments: "
            f"{data!r}. Load them with load_dataset(), or add your own with "
            "data.add(read_experiments(folder))."
        )
    for candidate in candidates:
        if candidate.spec is not None and candidate.spec.experiments == "ignored":
            raise EvaluationError(
                f"model '{candidate.name}' ignores experiments, which scheme '{LEAVE_STUDY_OUT}' "
                f"holds out. Allowed: {listing(STUDY_MODELS)}, or specs with experiments set to "
                "'included'. Of a model without them, see the baseline 'associations'."
            )
