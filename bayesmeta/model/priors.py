"""Every number of every prior, with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["RETIRED_PRIORS", "SURFACE_FACTS", "Priors"]

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
        Published scaling laws, linearised at the reference lm: exponents of size and data, and
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
        Residual heterogeneity of lms on the latent scale.
    sigma_score, sigma_score_log_sd
        Residual on the score scale of an accuracy: rerunning a harness moves a score by 0.8
        points; without it lms at the chance floor, whose latent position means little, dominate.
    nu_shape, nu_rate
        Degrees of freedom of the Student-t beyond one (Juarez & Steel 2010,
        https://doi.org/10.1198/jbes.2009.07145).
    mix_sd
        Undisclosed mixes: spread of their log fractions about the mean of the disclosed ones,
        which themselves spread by 1.0 to 1.3 between families. A tighter prior would pass off a
        guess as a fact and narrow every effect.
    generation_intercept, generation_slope
        What lms write, as log-ratios: domains are written more or less than read by an unknown
        factor; an lm that reads more of a domain does not write less of it, and at most about as
        much more.
    generation_tau, generation_sigma, generation_log_sd
        Errors of families and of lms in what they write, in the same unit: medians and their
        log standard deviation. Families differ by a factor of two to three.
    generation_nu
        Degrees of freedom of those errors.
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

    @property
    def beta_sd(self) -> float:
        """Prior standard deviation of a free coefficient on one benchmark, its scale averaged over.

        The mean square of a log-normal scale is its squared median times exp(2 log_sd^2).
        """
        spread = math.sqrt(1 + 2 * self.beta_ratio**2)
        return self.beta_tau * math.exp(self.beta_tau_log_sd**2) * spread

    @property
    def unexplained_variance(self) -> float:
        """Typical latent variance between lms of the same scale, that of families included."""
        return math.exp(2 * self.tau_family_log) + self.sigma**2
