"""What type checkers know of the public names; `__init__.py` imports them when they are used."""

from bayesmeta import plots as plots
from bayesmeta.crossvalidation.held_out_studies import StudyScoreboard as StudyScoreboard
from bayesmeta.crossvalidation.held_out_studies import (
    load_study_scoreboard as load_study_scoreboard,
)
from bayesmeta.crossvalidation.scoreboard import Scoreboard as Scoreboard
from bayesmeta.crossvalidation.scoreboard import evaluate as evaluate
from bayesmeta.crossvalidation.scoreboard import load_scoreboard as load_scoreboard
from bayesmeta.data.dataset import Dataset as Dataset
from bayesmeta.data.decisions import Decision as Decision
from bayesmeta.data.differences import diff_datasets as diff_datasets
from bayesmeta.data.experiments import Experiments as Experiments
from bayesmeta.data.load import load_dataset as load_dataset
from bayesmeta.data.load import load_experiments as load_experiments
from bayesmeta.data.load import read_dataset as read_dataset
from bayesmeta.data.load import read_experiments as read_experiments
from bayesmeta.errors import BayesmetaError as BayesmetaError
from bayesmeta.estimates.answer import query as query
from bayesmeta.estimates.averaged_models import AveragedModels as AveragedModels
from bayesmeta.estimates.averaged_models import average_models as average_models
from bayesmeta.estimates.changed_lms import whatif as whatif
from bayesmeta.estimates.contrasts import effects as effects
from bayesmeta.estimates.contrasts import prob_helps as prob_helps
from bayesmeta.estimates.contrasts import substitutions as substitutions
from bayesmeta.estimates.controlled_answers import ControlledAnswers as ControlledAnswers
from bayesmeta.estimates.controlled_answers import controlled_answers as controlled_answers
from bayesmeta.estimates.curves import curve as curve
from bayesmeta.estimates.pooled_effects import predict_effects as predict_effects
from bayesmeta.estimates.pooled_effects import study_table as study_table
from bayesmeta.estimates.pooled_effects import summary as summary
from bayesmeta.estimates.predictions import predict as predict
from bayesmeta.estimates.ranking import rank_designs as rank_designs
from bayesmeta.estimates.ranking import rank_levels as rank_levels
from bayesmeta.estimates.study_evidence import evidence as evidence
from bayesmeta.importers.harness_results import read_lm_eval as read_lm_eval
from bayesmeta.importers.hf_configs import read_hf_config as read_hf_config
from bayesmeta.importers.imported import Imported as Imported
from bayesmeta.importers.inspect_logs import read_inspect_logs as read_inspect_logs
from bayesmeta.importers.items import Items as Items
from bayesmeta.importers.items import read_lm_eval_samples as read_lm_eval_samples
from bayesmeta.importers.mixture_runs import MixtureRuns as MixtureRuns
from bayesmeta.importers.mixture_runs import read_mixture_runs as read_mixture_runs
from bayesmeta.importers.result_tables import read_result_table as read_result_table
from bayesmeta.inference.diagnostics import check as check
from bayesmeta.inference.fits import EffectSizeFit as EffectSizeFit
from bayesmeta.inference.fits import Fit as Fit
from bayesmeta.inference.leave_one_out import compare as compare
from bayesmeta.inference.leave_one_out import loo as loo
from bayesmeta.inference.sample import fit as fit
from bayesmeta.inference.sample import sample_prior as sample_prior
from bayesmeta.inference.saved_fits import load_fit as load_fit
from bayesmeta.inference.shipped import load_reference_fit as load_reference_fit
from bayesmeta.model.spec import ModelSpec as ModelSpec
from bayesmeta.model.spec import Priors as Priors
from bayesmeta.model.spec import read_spec as read_spec
from bayesmeta.reporting.claims import check_claim as check_claim
from bayesmeta.reporting.claims import claim as claim
from bayesmeta.reporting.sections import report as report
from bayesmeta.robustness.influence import leave_family_out as leave_family_out
from bayesmeta.robustness.new_data import changes as changes
from bayesmeta.robustness.power_scaling import prior_sensitivity as prior_sensitivity
from bayesmeta.robustness.study_influence import leave_study_out as leave_study_out
from bayesmeta.robustness.tipping import tipping_point as tipping_point
from bayesmeta.robustness.within_family import ladders as ladders
from bayesmeta.specification_curves.results import Multiverse as Multiverse
from bayesmeta.specification_curves.results import load_multiverse as load_multiverse
from bayesmeta.specification_curves.specification_fits import multiverse as multiverse
from bayesmeta.studies.model_ensemble import EnsembleSpec as EnsembleSpec
from bayesmeta.studies.study_model import EffectSizeSpec as EffectSizeSpec
from bayesmeta.studies.study_table import EffectSizes as EffectSizes
from bayesmeta.studies.study_table import read_effect_sizes as read_effect_sizes
from bayesmeta.tables.text import format_table as format_table
from bayesmeta.validation.records import load_validation as load_validation

plot = plots

__all__: list[str]
__version__: str
