"""What a model is made of, as plain values: it prints, hashes, and goes to a file and back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data.decisions import DECISIONS, DEFAULT_DECISIONS, is_name
from bayesmeta.design.arm_contrasts import build_arm_contrasts, put_contrasts
from bayesmeta.design.arm_scores import build_arm_scores
from bayesmeta.design.facts import Design, build_design
from bayesmeta.design.overlap import find_overlaps
from bayesmeta.design.scale import SCALE_TERMS
from bayesmeta.errors import SpecError, listing, unknown

if TYPE_CHECKING:
    from bayesmeta.data.dataset import Dataset
    from bayesmeta.design.outcomes import ArmContrasts

OPTIONS: dict[str, tuple[str, ...]] = {
    "scaling": ("loglinear", "chinchilla", "none"),
    "family_effects": ("orthogonal", "random", "within-between", "none"),
    "pooling": ("partial", "none", "complete"),
    "shrinkage": ("log-normal", "half-normal", "horseshoe", "r2d2"),
    "interactions": ("smooth", "none"),
    "release_date": ("linear", "none"),
    "likelihood": ("student", "normal"),
    "unknown_numbers": ("typical", "estimated"),
    "generations": ("ignored", "measured"),
    "experiments": ("included", "ignored"),
    "bias": ("estimated", "none"),
    "study_effects": ("random", "none"),
    "run_effects": ("random", "none"),
}
"""The switches of a spec and what each may be."""

RETIRED: dict[str, str] = {"code_curve": "linear", "unknown_categories": "level"}
"""Options that are gone, at the value that every model has now. They stay in checksums, which
records and saved fits carry, and older specs may hold them."""

_REPLACEMENTS = {
    "code_curve": "Set interactions to 'smooth': the surface bends the code share.",
    "unknown_categories": "An undisclosed choice is a level of its own, 'undisclosed'.",
    "likelihood beta-binomial": "It is gone: its chains did not agree. 'student' replaces it.",
}
"""What to do instead, by the name of an option that is gone, or with its value."""


_OF_EXPERIMENTS = ("experiments", "bias", "study_effects", "run_effects")
_EXPERIMENT_PRIORS = (
    "effect_share_sd", "effect_share_spread", "study_ratio", "study_ratio_log_sd", "arm_tau",
    "arm_tau_log_sd", "run_sigma", "arm_sigma", "run_log_sd", "bias_ratio",
)  # fmt: skip
"""Options and priors without a meaning where experiments are ignored: they are in no checksum of
such a spec, so that it stays that of versions which did not know of experiments."""

SURFACE_FACTS = ("n_params", "n_tokens", "released", "mix", "english_share")
"""The facts of which a surface is a smooth function, in the order of their length scales."""

RETIRED_PRIORS = {"curve_shared": 0.15, "curve_task": 0.2, "curve_log_sd": 0.5}
"""Priors of a curve of the code share, which is gone. They stay in checksums as `RETIRED` does."""


@dataclass(frozen=True, slots=True)
class Priors:
    """Every number of every prior, on the latent (logit or standardised) scale.

    Scales have log-normal priors, stated by median and log standard deviation, as is usual for
    heterogeneity in meta-analysis (Turner et al. 2012, https://doi.org/10.1093/ije/dys041): a
    scale that may reach zero makes a funnel, and no heterogeneity at all is not credible here.

    Parameters
    ----------
    alpha_sd
        Intercepts: a benchmark's centre lies within the middle of its range.
    law_size_exponent, law_data_exponent, law_size_fraction
        Published scaling laws, linearised at the reference LM: exponents of size and data, and
        the share of the reducible loss that is due to size there (Hoffmann et al. 2022,
        https://doi.org/10.48550/arXiv.2203.15556; refit by Besiroglu et al. 2024,
        https://doi.org/10.48550/arXiv.2404.10102). Under log-linear scaling they fix the ratio of
        the mean slopes; under the law itself they centre its parameters.
    law_exponent_sd, law_fraction_count
        The law's parameters: standard deviation of both exponents, wide enough for the two
        published fits and the spread between data mixes; and how many observations the beta prior
        of the share is worth.
    law_tau_task, law_tau_benchmark
        Slopes on the law: deviations of task families and of benchmarks within them. Benchmarks
        differ: some hardly rise with scale.
    law_slope_sd
        How fast latent skill rises with the log of the reducible loss.
    released_sd
        Mean slope of a year of release date.
    kappa_tau_task, kappa_tau_benchmark, kappa_tau_log_sd
        Scale slopes: deviations of task families and of benchmarks within them; one median for
        each of size, data, their product, date.
    beta_tau, beta_tau_log_sd
        Decisions: scale of each decision's effects. The median moves a mid-range score by two to
        three points, which keeps nearly all prior effects within 15 points.
    beta_slab, beta_r2, beta_r2_count
        Decisions under the other forms of `shrinkage`: largest scale of a regularised horseshoe;
        mean and count of the beta prior of the share of the latent variance, beyond scale, that
        the decisions explain.
    beta_ratio
        Deviation of a task family, and of a benchmark in it, as a fraction of that scale.
    surface_length, surface_tau, surface_tau_log_sd
        Surface: length scales in size and data (units of the design), release date (years), mix
        (quarters) and share of English (standard deviations), and amplitudes of the part shared by
        all benchmarks, of a task family's own and of a benchmark's own. Taken from where a
        Gaussian approximation of the model has its highest marginal likelihood, and rounded.
    tau_family_log, tau_family_log_sd, tau_family_spread, tau_family_spread_log_sd
        Family effects: mean over benchmarks of the log scale, its uncertainty, and the spread of
        log scales between benchmarks.
    between_sd
        Slopes of family means of the scale covariates, beyond those inside families.
    rho_shape
        Share of the family (and of the lm) variance that is common to all tasks: symmetric about
        one half, with neither part negligible.
    sigma, sigma_log_sd
        Residual heterogeneity of LMs on the latent scale.
    sigma_score, sigma_score_log_sd
        Residual on the score scale of an accuracy: rerunning a harness moves a score by 0.8
        points; without it LMs at the chance floor, whose latent position means little, dominate.
    nu_shape, nu_rate
        Degrees of freedom of the Student-t beyond one (Juarez & Steel 2010,
        https://doi.org/10.1198/jbes.2009.07145).
    mix_sd
        Undisclosed mixes: spread of their log fractions about the mean of the disclosed ones,
        which themselves spread by 1.0 to 1.3 between families. A tighter prior would pass off a
        guess as a fact and narrow every effect.
    generation_intercept, generation_slope
        What LMs write, as log-ratios: domains are written more or less than read by an unknown
        factor; an LM that reads more of a domain does not write less of it, and at most about as
        much more.
    generation_tau, generation_sigma, generation_log_sd
        Errors of families and of LMs in what they write, in the same unit: medians and their
        log standard deviation. Families differ by a factor of two to three.
    generation_nu
        Degrees of freedom of those errors.
    bias_ratio
        Size of the bias of associations relative to that of effects: at 1 a bias is a priori as
        large as an effect, and half of an association's variance is effect.
    effect_share_sd, effect_share_spread
        Share of the variance of an association that is effect and not bias, on the logit scale:
        standard deviation of its mean over decisions about what `bias_ratio` says, and of decisions
        about that mean.
    study_ratio, study_ratio_log_sd
        Effects that differ between studies: their scale as a fraction of that of the decision's
        effects. A half makes the effect in one study differ by a point or two.
    arm_tau, arm_tau_log_sd
        What arms record and LMs do not, such as what a named corpus does beyond its shares: like a
        decision's effects.
    run_sigma, arm_sigma, run_log_sd
        Noise of a training run: what its benchmarks share, on the latent scale, half a point; and
        each benchmark's own, on the score scale; medians and their log standard deviation. Repeated
        runs of one recipe differ by 0.3 to 1.5 points.
    """

    alpha_sd: float = 1.5
    law_size_exponent: float = 0.35
    law_data_exponent: float = 0.37
    law_size_fraction: float = 0.67
    law_exponent_sd: float = 0.05
    law_fraction_count: float = 9.0
    law_tau_task: float = 0.4
    law_tau_benchmark: float = 0.4
    law_slope_sd: float = 2.0
    released_sd: float = 0.3
    kappa_tau_task: tuple[float, ...] = (0.15, 0.2, 0.08, 0.08)
    kappa_tau_benchmark: tuple[float, ...] = (0.2, 0.25, 0.08, 0.08)
    kappa_tau_log_sd: float = 0.5
    beta_tau: float = 0.1
    beta_tau_log_sd: float = 0.7
    beta_slab: float = 0.5
    beta_r2: float = 0.33
    beta_r2_count: float = 3.0
    beta_ratio: float = 0.5
    surface_length: tuple[float, ...] = (2.0, 1.5, 3.0, 1.2, 2.5)
    surface_tau: tuple[float, ...] = (0.35, 0.35, 0.35)
    surface_tau_log_sd: float = 0.5
    tau_family_log: float = -1.0
    tau_family_log_sd: float = 0.7
    tau_family_spread: float = 0.8
    tau_family_spread_log_sd: float = 0.3
    between_sd: float = 0.3
    rho_shape: float = 5.0
    sigma: float = 0.2
    sigma_log_sd: float = 0.7
    sigma_score: float = 0.008
    sigma_score_log_sd: float = 0.2
    nu_shape: float = 2.0
    nu_rate: float = 0.1
    mix_sd: float = 1.0
    generation_intercept: float = 1.5
    generation_slope: float = 0.7
    generation_tau: float = 0.7
    generation_sigma: float = 0.4
    generation_log_sd: float = 0.5
    generation_nu: float = 4.0
    bias_ratio: float = 1.0
    effect_share_sd: float = 1.0
    effect_share_spread: float = 0.7
    study_ratio: float = 0.5
    study_ratio_log_sd: float = 0.5
    arm_tau: float = 0.1
    arm_tau_log_sd: float = 0.5
    run_sigma: float = 0.02
    arm_sigma: float = 0.004
    run_log_sd: float = 0.5

    @property
    def beta_sd(self) -> float:
        """Prior standard deviation of a free coefficient on one benchmark, its scale averaged over.

        The mean square of a log-normal scale is its squared median times exp(2 log_sd^2).
        """
        spread = math.sqrt(1 + 2 * self.beta_ratio**2)
        return self.beta_tau * math.exp(self.beta_tau_log_sd**2) * spread

    @property
    def unexplained_variance(self) -> float:
        """Typical latent variance between LMs of the same scale, that of families included."""
        return math.exp(2 * self.tau_family_log) + self.sigma**2


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The model: which blocks, in which form, under which priors.

    Options may be combined freely, but for two that contradict each other. The option of a block
    that is left out has no effect: `pooling` without decisions, or `orthogonal`, which is `random`
    where there are no scale covariates to be orthogonal to.

    Parameters
    ----------
    decisions
        Names of the decisions to enter; none gives the scale-only model. Any part of the training
        mix brings in the whole composition. The default stands for every decision that the data
        know: the built-in ones and those that a data set declares. Names that are not built in are
        held against the data when they are fitted.
    scaling
        `loglinear`: slopes in log size, log data and their product; `chinchilla`: slopes on the
        log of the reducible loss of one scaling law, whose exponents are estimated; `none`.
    release_date
        `linear`: a confounder with a slope of its own; `none`.
    family_effects
        `orthogonal`: lm-family effects without their least-squares projection on the scale
        covariates and, with `interactions`, their squares and products; `random`: plain family
        effects; `within-between`: these, and slopes of their own for the family means of the scale
        covariates; `none`.
    pooling
        Of the decisions' effects over benchmarks. `partial`: a mean, deviations of task families,
        and of benchmarks, with a learned scale; `none`: independent effects whose fixed prior has
        the same variance; `complete`: one effect for all benchmarks.
    shrinkage
        Prior of the scales of the decisions' effects, learned unless `pooling` is `none`.
        `log-normal`; `half-normal` with the same median; `horseshoe`: the regularised one
        (Piironen & Vehtari 2017, https://doi.org/10.1214/17-EJS1337SI); `r2d2`: a prior of the
        variance that all decisions explain together, divided among them (Aguilar & Buerkner 2023,
        https://doi.org/10.1214/23-EJS2136).
    interactions
        `smooth`: a Gaussian process says how size, data, release date and training mix work
        together, bends included; `none`: their effects add up.
    likelihood
        `student` or `normal`, both with known sampling error.
    unknown_numbers
        Undisclosed numbers and training mixes, and blank sizes. `typical`: they stand at the
        typical values of those that are disclosed (a size at its mean given family, date and the
        other size), and family effects hold what they really are; with such an error of assignment
        slopes stay unbiased (Berkson 1950, https://doi.org/10.1080/01621459.1950.10483349).
        `estimated`: they are parameters, with a prior about the disclosed ones; numbers and mixes
        are shared by siblings.
    generations
        `ignored`; `measured`: what an LM writes is a noisy measurement of undisclosed shares.
    experiments
        `included`: contrasts inside groups of the data's controlled experiments inform effects, if
        there are any; `ignored`.
    bias
        Of associations. `estimated`: the coefficients that LMs are predicted by are effects and a
        bias, and experiments see the effects alone (Verde 2021,
        https://doi.org/10.1002/bimj.201900376); `none`: associations are effects.
    study_effects
        `random`: effects differ between studies; `none`.
    run_effects
        `random`: a training run has an effect that its benchmarks share; `none`.
    priors
        Every prior's numbers.

    Raises
    ------
    SpecError
        If an option or a decision is not known, a prior is no number of its kind, or two options
        contradict each other.

    Examples
    --------
    >>> ModelSpec(family_effects="none").checksum == ModelSpec().checksum
    False
    """

    decisions: tuple[str, ...] = DEFAULT_DECISIONS
    scaling: str = "loglinear"
    release_date: str = "linear"
    family_effects: str = "orthogonal"
    pooling: str = "partial"
    shrinkage: str = "log-normal"
    interactions: str = "smooth"
    likelihood: str = "student"
    unknown_numbers: str = "typical"
    generations: str = "ignored"
    experiments: str = "included"
    bias: str = "estimated"
    study_effects: str = "random"
    run_effects: str = "random"
    priors: Priors = field(default_factory=Priors)

    def __new__(cls, *_: Any, **options: Any) -> Self:
        """Say what replaces an option that is gone, which has no field any more."""
        _drop_retired(options, RETIRED)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        """Reject what is not known, at the border."""
        given = self.decisions
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise SpecError(f"decisions is {given!r}. Allowed: a list of {listing(DECISIONS)}.")
        for name in given:
            if not is_name(name):
                raise refuse_unknown("decision", name, DECISIONS)
        built_in = (name for name in DECISIONS if name in given)
        object.__setattr__(self, "decisions", tuple(dict.fromkeys([*built_in, *given])))
        object.__setattr__(self, "priors", _read_priors(self.priors))
        for option, allowed in OPTIONS.items():
            value = getattr(self, option)
            if value not in allowed:
                gone = _REPLACEMENTS.get(f"{option} {value}", "")
                raise refuse_unknown(option, value, allowed, why=gone)
        if (self.generations, self.unknown_numbers) == ("measured", "typical"):
            raise SpecError(
                "generations 'measured' does not go with unknown_numbers 'typical': what stands at "
                "a typical value is not estimated. Set unknown_numbers to 'estimated', or "
                "generations to 'ignored'."
            )
        _check_priors(self.priors)

    def choose_decisions(self, known: Iterable[str]) -> tuple[str, ...]:
        """Name the decisions that enter, of those that a data set knows: all by default.

        Examples
        --------
        >>> ModelSpec().choose_decisions(["norm", "optimizer"])
        ('norm', 'optimizer')
        """
        every = self.decisions == DEFAULT_DECISIONS
        return tuple(name for name in known if every or name in self.decisions)

    @property
    def scale_terms(self) -> tuple[str, ...]:
        """Scale covariates that enter, in the order of the design."""
        slopes = SCALE_TERMS[:3] if self.scaling == "loglinear" else ()
        return (*slopes, *(SCALE_TERMS[3:] if self.release_date == "linear" else ()))

    @property
    def surface_lengths(self) -> dict[str, float] | None:
        """Length scales of the facts that work together; None without interactions."""
        if self.interactions == "none":
            return None
        lengths = dict(zip(SURFACE_FACTS, self.priors.surface_length, strict=True))
        absent = [] if self.scaling != "none" else ["n_params", "n_tokens"]
        absent += [] if self.release_date == "linear" else ["released"]
        return {name: length for name, length in lengths.items() if name not in absent}

    @property
    def checksum(self) -> str:
        """SHA-256 of the values, retired ones included."""
        values = self.to_dict()
        values |= {**RETIRED, "priors": {**values["priors"], **RETIRED_PRIORS}}
        if self.experiments == "ignored":
            for key in _OF_EXPERIMENTS:
                del values[key]
            for key in _EXPERIMENT_PRIORS:
                del values["priors"][key]
        return hash_values(values)

    def to_dict(self) -> dict[str, Any]:
        """Turn the spec into plain values for JSON or TOML."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSpec:
        """Build a spec from plain values; what is left out keeps its default.

        Specs in saved fits may be older than keys that were added since. The default of a new key
        is therefore the model as it was without the key, or `inference/saved_fits.py` says what it
        was; where neither can be, `FORMAT` of `inference/fits.py` is raised.

        Raises
        ------
        SpecError
            If a key is not known, a value has the wrong type, or an option is gone.

        Examples
        --------
        >>> ModelSpec.from_dict({"likelihood": "normal"}).likelihood
        'normal'
        """
        known, values = _names(cls), _drop_retired(values, RETIRED)
        for key in values:
            if key not in known:
                place = "It is a prior: write it under [priors]." * (key in _names(Priors))
                raise refuse_unknown("key", key, known, why=place)
        return cls(**values)


def hash_values(values: Mapping[str, Any]) -> str:
    """SHA-256 of a spec's plain values, whether or not they hold every key of this version."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_spec(path: str | PathLike[str]) -> ModelSpec:
    r"""Read a spec from a TOML or JSON file.

    Parameters
    ----------
    path
        A file whose name ends in .toml or .json.

    Returns
    -------
    ModelSpec
        The spec; keys that the file leaves out keep their defaults.

    Raises
    ------
    SpecError
        If the file cannot be read, or a key or value in it is not known.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "spec.toml"
    >>> _ = path.write_text('family_effects = "random"\n[priors]\nbeta_tau = 0.2\n')
    >>> read_spec(path).priors.beta_tau
    0.2
    """
    path = Path(path)
    readers = {".toml": tomllib.loads, ".json": json.loads}
    if path.suffix not in readers:
        raise SpecError(f"{path} is not a spec file. Allowed endings: {listing(readers)}.")
    try:
        values = readers[path.suffix](path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise SpecError(f"{path} cannot be read as a spec: {error}. Correct the file.") from error
    if not isinstance(values, dict):
        raise SpecError(f"{path} holds no keys. Allowed: keys of a spec, such as scaling.")
    try:
        return ModelSpec.from_dict(values)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error


def _drop_retired(values: Mapping[str, Any], retired: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is gone, where it says what every model does now; refuse it otherwise."""
    for key, now in retired.items():
        if values.get(key, now) != now:
            option = "code_curve" if key in RETIRED_PRIORS else key
            raise SpecError(
                f"{key} is {values[key]!r}, and the option '{option}' is gone. Allowed in older "
                f"specs: {now!r}. {_REPLACEMENTS[option]} Leave {key} out."
            )
    return {key: value for key, value in values.items() if key not in retired}


def _read_priors(values: Any) -> Priors:
    if isinstance(values, Priors):
        return _read_priors(dataclasses.asdict(values))
    if not isinstance(values, Mapping):
        raise SpecError(f"priors is {values!r}. Allowed: a table of numbers by name.")
    known, values = _names(Priors), _drop_retired(values, RETIRED_PRIORS)
    for key in values:
        if key not in known:
            place = "It is a key of the spec: write it above [priors]." * (key in _names(ModelSpec))
            raise refuse_unknown("prior", key, known, why=place)
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list | tuple)}
    return Priors(**{**values, **lists})


def _check_priors(priors: Priors) -> None:
    """Every prior is a positive number, but for a location on the log scale."""
    for item in dataclasses.fields(Priors):
        value = getattr(priors, item.name)
        wide = isinstance(item.default, tuple)
        numbers = value if wide and isinstance(value, tuple) else (value,)
        good = all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
            for v in numbers
        )
        good = good and (item.name == "tau_family_log" or all(v > 0 for v in numbers))
        is_fraction = item.name in ("law_size_fraction", "beta_r2")
        good = good and not (is_fraction and numbers[0] >= 1)
        n = len(item.default) if isinstance(item.default, tuple) else 1
        if not good or len(numbers) != n:
            wanted = f"{n} positive numbers" if wide else "a positive number"
            wanted += " below 1" if is_fraction else ""
            raise SpecError(f"prior {item.name} is {value!r}. Allowed: {wanted}.")


def _names(kind: type[ModelSpec] | type[Priors]) -> list[str]:
    return [item.name for item in dataclasses.fields(kind)]


def refuse_unknown(what: str, value: object, allowed: Iterable[str], *, why: str = "") -> Exception:
    """Word the refusal of an option, a key or a name that a spec does not have."""
    return unknown(SpecError, what, value, allowed, why=why, mend="Correct it or leave it out.")


def _coding(spec: ModelSpec) -> dict[str, Any]:
    """Arguments of `build_design` that a spec sets."""
    return {
        "decisions": None if spec.decisions == DEFAULT_DECISIONS else spec.decisions,
        "scale_terms": spec.scale_terms,
        "law": spec.scaling == "chinchilla",
        "estimate_unknown": spec.unknown_numbers == "estimated",
        "generations": spec.generations == "measured",
        "surface_lengths": spec.surface_lengths,
    }


def build_pairs(dataset: Dataset, design: Design, *, spec: ModelSpec) -> ArmContrasts:
    """Build differences of every arm from the first of its group, as they are shown and predicted.

    Parameters
    ----------
    dataset, design, spec
        Validated tables with experiments, their design, and the model.

    Returns
    -------
    ArmContrasts
        With the coefficients of `Design.contrasts`.
    """
    return build_arm_contrasts(dataset, design, coding=_coding(spec), pairs=True)


def build_differences(
    dataset: Dataset, design: Design, *, spec: ModelSpec, sides: NDArray[np.int64]
) -> ArmContrasts:
    """Build the differences of some arms from others, in every group that has both.

    Parameters
    ----------
    dataset, design, spec
        Validated tables with experiments, their design, and the model.
    sides
        Which arms are compared with which, 1 and -1, shape (question, arm).

    Returns
    -------
    ArmContrasts
        With the coefficients of `Design.contrasts`; the label `question` says for which row.
    """
    return build_arm_contrasts(dataset, design, coding=_coding(spec), sides=sides)


def with_contrasts(
    dataset: Dataset, design: Design, y: NDArray[np.float64], *, spec: ModelSpec
) -> Dataset:
    """Give the arms of experiments the scores of which contrasts are made.

    Parameters
    ----------
    dataset, design, spec
        Validated tables with experiments, their design, and the model.
    y
        In the order of `Design.contrasts`, native units, shape (contrast,).

    Returns
    -------
    Dataset
        Its contrasts are those, but where an arm's score would leave 0 to 1.
    """
    return put_contrasts(dataset, design, y, coding=_coding(spec))


def build_design_for(
    dataset: Dataset,
    *,
    spec: ModelSpec,
    train: NDArray[np.bool_] | None = None,
    among: NDArray[np.bool_] | None = None,
) -> Design:
    """Build the design that a spec asks for.

    Parameters
    ----------
    dataset, spec
        Validated tables, and the model.
    train, among
        Which scores the model learns from, and which LMs the coding rests on, see `build_design`.

    Raises
    ------
    SpecError
        If the spec names decisions of which one is constant in the data, or an exact linear
        combination of others (under the default decisions, constant ones are left out).

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> build_design_for(load_dataset(), spec=ModelSpec(decisions=("norm",))).decisions
    ('norm',)
    """
    coding = _coding(spec)
    design = build_design(dataset, **coding, train=train, among=among)
    if spec.experiments == "included" and dataset.experiments is not None and among is None:
        contrasts = build_arm_contrasts(dataset, design, coding=coding)
        if len(contrasts.y):
            scores = build_arm_scores(
                dataset.experiments, benchmarks=design.benchmarks, own=design.own_decisions
            )
            design = replace(design, contrasts=contrasts, arm_scores=scores)
        else:
            warnings.warn(
                "the experiments of the data say nothing here, so that associations alone are "
                "told: no two arms of a group whose facts LMs have share an accuracy of the data's "
                "benchmarks. Add such results, or leave the experiments out.",
                stacklevel=2,
            )
    if spec.decisions != DEFAULT_DECISIONS and among is None:
        for overlap in find_overlaps(design, decisions=spec.decisions):
            raise SpecError(overlap.message)
    return design
