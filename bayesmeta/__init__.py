"""Bayesian meta-analysis of what makes language models good.

The public names, in the order in which data flow:

- data: `load_dataset`, `read_dataset`, `diff_datasets`, `Dataset`, `Decision`; `load_experiments`,
  `read_experiments`, `Experiments`; `read_lm_eval`, `read_lm_eval_samples`, `read_hf_config`,
  `read_inspect_logs`, `read_result_table`, `read_mixture_runs`, `Imported`, `Items`,
  `MixtureRuns`; `read_effect_sizes`, `EffectSizes`
- model: `ModelSpec`, `Priors`, `read_spec`; `EffectSizeSpec`
- inference: `fit`, `Fit`, `EffectSizeFit`, `load_fit`, `load_reference_fit`, `sample_prior`,
  `check`, `loo`, `compare`
- estimates: `effects`, `prob_helps`, `query`, `evidence`, `controlled_answers`,
  `ControlledAnswers`, `curve`, `substitutions`, `rank_levels`, `whatif`, `predict`, `rank_designs`
- meta-analysis of effect sizes: `summary`, `study_table`, `predict_effects`, `leave_study_out`,
  `average_models`, `EnsembleSpec`, `AveragedModels`
- robustness: `changes`, `leave_family_out`, `ladders`, `tipping_point`, `prior_sensitivity`
- evaluation: `evaluate`, `Scoreboard`, `load_scoreboard`, `StudyScoreboard`,
  `load_study_scoreboard`, `load_validation`, `multiverse`, `Multiverse`, `load_multiverse`
- reporting: `claim`, `check_claim`, `format_table`, `plot`, `report`

Every name is imported when it is first used, so that a question of the shipped posterior waits for
nothing that it does not need.
"""

import warnings
from importlib import import_module
from typing import Any

_HOMES = {
    "crossvalidation.held_out_studies": ("StudyScoreboard", "load_study_scoreboard"),
    "crossvalidation.scoreboard": ("Scoreboard", "evaluate", "load_scoreboard"),
    "data.dataset": ("Dataset",),
    "data.decisions": ("Decision",),
    "data.differences": ("diff_datasets",),
    "data.experiments": ("Experiments",),
    "data.load": ("load_dataset", "load_experiments", "read_dataset", "read_experiments"),
    "errors": ("BayesmetaError",),
    "estimates.answer": ("query",),
    "estimates.averaged_models": ("AveragedModels", "average_models"),
    "estimates.changed_lms": ("whatif",),
    "estimates.contrasts": ("effects", "prob_helps", "substitutions"),
    "estimates.controlled_answers": ("ControlledAnswers", "controlled_answers"),
    "estimates.curves": ("curve",),
    "estimates.pooled_effects": ("predict_effects", "study_table", "summary"),
    "estimates.predictions": ("predict",),
    "estimates.ranking": ("rank_designs", "rank_levels"),
    "estimates.study_evidence": ("evidence",),
    "importers.harness_results": ("read_lm_eval",),
    "importers.hf_configs": ("read_hf_config",),
    "importers.imported": ("Imported",),
    "importers.inspect_logs": ("read_inspect_logs",),
    "importers.items": ("Items", "read_lm_eval_samples"),
    "importers.mixture_runs": ("MixtureRuns", "read_mixture_runs"),
    "importers.result_tables": ("read_result_table",),
    "inference.diagnostics": ("check",),
    "inference.fits": ("EffectSizeFit", "Fit"),
    "inference.leave_one_out": ("compare", "loo"),
    "inference.sample": ("fit", "sample_prior"),
    "inference.saved_fits": ("load_fit",),
    "inference.shipped": ("load_reference_fit",),
    "model.spec": ("ModelSpec", "Priors", "read_spec"),
    "reporting.claims": ("check_claim", "claim"),
    "reporting.sections": ("report",),
    "robustness.influence": ("leave_family_out",),
    "robustness.new_data": ("changes",),
    "robustness.power_scaling": ("prior_sensitivity",),
    "robustness.study_influence": ("leave_study_out",),
    "robustness.tipping": ("tipping_point",),
    "robustness.within_family": ("ladders",),
    "specification_curves.results": ("Multiverse", "load_multiverse"),
    "specification_curves.specification_fits": ("multiverse",),
    "studies.model_ensemble": ("EnsembleSpec",),
    "studies.study_model": ("EffectSizeSpec",),
    "studies.study_table": ("EffectSizes", "read_effect_sizes"),
    "tables.text": ("format_table",),
    "validation.records": ("load_validation",),
}
"""Public names by the module that defines them; `__init__.pyi` says the same to type checkers."""

_MODULES = {name: module for module, names in _HOMES.items() for name in names}
_RENAMED = {"swaps": "substitutions"}
"""Old names, which go with the next release."""

__all__ = sorted([*_MODULES, "plot"])  # noqa: PLE0605

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name; `plot` is the package of figures, and loads matplotlib."""
    if name == "plot":
        return import_module("bayesmeta.plots")
    if name in _RENAMED:
        new = _RENAMED[name]
        warnings.warn(f"bm.{name} is called bm.{new} now; the old name will go.", FutureWarning, 2)
        name = new
    if name not in _MODULES:
        raise AttributeError(f"module 'bayesmeta' has no attribute '{name}'")
    return getattr(import_module(f"bayesmeta.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
