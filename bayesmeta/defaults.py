"""The only home of constants: intervals, thresholds, sampler settings.

Every one carries its reason; nothing else in the package repeats a number from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_IN_WHEEL: Final = _PACKAGE / "data" / "tables"
BUNDLED: Final = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent / "data"
"""The folder of the tables, records and posterior that come with the package: inside an installed
package, or `data/` of a checkout."""

CI_PROB: Final = 0.9
"""Probability of every interval; 90 % bounds need fewer draws than 95 % ones. All are equal-tailed:
unlike highest density, such an interval stays the same under the back-transform."""

DRAWS: Final = 1000
TUNE: Final = 700
"""Where the number of draws is fixed. With 500 draws of warm-up the default fit reached an R-hat of
1.009 on three seeds, with 700 of 1.006."""

LEAST_DRAWS: Final = 300
MOST_DRAWS: Final = 2000
LOOK_EVERY: Final = 50
"""Where draws go on until they are enough: draws of every chain at the first look and at the last,
and between two looks. Effective sizes of fewer than 300 are guesses; the default fit needs 600."""

SHORT_TUNE: Final = 150
"""The warm-up of trajectories of a fixed length, whose mass matrix gradients help to learn. After
60 draws it was not usable on two seeds, after 100, 150 and 200 chains mixed alike."""

EFFECT_LEAST_DRAWS: Final = 1000
"""Meta-analyses of effect sizes: more draws cost next to nothing."""

CHAINS: Final = 4
SEED: Final = 1
LARGEST_SETTING: Final = 2**31 - 1
"""What every sampler can hold."""

SAMPLERS: Final = ("nutpie", "pymc", "numpyro")
TRAJECTORY: Final = 7.0
"""Least length of a trajectory of the default sampler, in units of the mass matrix; it is at most
twice as long, since the number of steps is a power of two. A period of what varies by one unit is
6.3. Trajectories that end at a U-turn are half as long, and scales move four times less."""

TRAJECTORY_VALUES: Final = 3500
"""Unknown values up to which that length does. With more of them trajectories are longer, by powers
of two: more values tell of a scale, which moves less while they stay where they are. At ten times
the bundled LMs or benchmarks the least effective sample size doubles and more."""

TRAJECTORY_ACCEPT: Final = 0.65
"""Its target acceptance, which is that of trajectories of a fixed length in theory (Beskos et al.
2013, https://doi.org/10.3150/12-BEJ414). At 0.75 and 0.85 steps and with them trajectories are
shorter, and half of the seeds had not enough after 900 draws of the default model."""

TARGET_ACCEPT: Final = 0.85
"""Of the no-U-turn sampler: at 0.8 one of two seeds ended with an R-hat of 1.013 and the other with
508 effective draws; at 0.85 three seeds had 1.006 and 914 or better, for a quarter more time."""

EFFECT_TARGET_ACCEPT: Final = 0.99
"""Meta-analyses of effect sizes: at 0.85 up to 54 of 4000 transitions diverged on a table of 13
studies with groups and moderators, at 0.95 one, at 0.99 none, for a second more."""

EFFECT_MEAN_WIDTH: Final = 1e6
EFFECT_TAU_WIDTH: Final = 5.0
"""Default priors of effect sizes, in median standard errors: of a mean effect flat, also where
effects are thousands of standard errors from 0 (ages, prices, shares of large surveys); of
heterogeneity wide enough that 95 % intervals of five studies that differ by ten times their errors
cover 93 %, which they did not with two in place of ten."""

EXACT: Final = "exact"
"""Independent draws of models whose likelihood can be summed out; see `studies.exact_posterior`."""

QUICK_DRAWS: Final = 150
QUICK_CHAINS: Final = 2
"""A look at the pipeline in a minute. Such a fit does not pass its own checks, and says so."""

RHAT_MAX: Final = 1.01
"""Vehtari et al. 2021, https://doi.org/10.1214/20-BA1221."""

ESS_MIN: Final = 400
"""100 per chain, the smallest for which R-hat and interval bounds are stable (same source)."""

BFMI_MIN: Final = 0.3
"""Betancourt 2016, https://doi.org/10.48550/arXiv.1604.00695."""

CERTAIN: Final = 0.95
"""A probability beyond this, or below one minus it, would be read as a discovery: the least
probability of a direction that counts as told."""

CHANCE_WORDS: Final = (
    (0.99, "virtually certain"),
    (0.95, "extremely likely"),
    (0.9, "very likely"),
    (0.66, "likely"),
    (0.33, "about as likely as not"),
    (0.1, "unlikely"),
    (0.05, "very unlikely"),
    (0.01, "extremely unlikely"),
    (0.0, "exceptionally unlikely"),
)
"""Words for probabilities from each value up: the calibrated language of the IPCC (Mastrandrea et
al. 2011, https://doi.org/10.1007/s10584-011-0178-6), where its ranges overlap the strongest word.
Readers take words without a scale, and without the number beside them, for anything."""

LINE_WIDTH: Final = 80
"""Characters of a line of an answer: what a terminal has at least."""

PARETO_K_MAX: Final = 0.7
"""Above it importance sampling is unreliable: https://doi.org/10.48550/arXiv.1507.02646."""

FAR: Final = 0.5
"""Sizes are marked as outside the data from where the nearest LM or arm tells less than this share
of the variance of what depends on size."""

EQUIVALENCE: Final = 0.5
"""Half a point either way counts as no difference: below the noise of rerunning a benchmark."""

OPTIMUM_BAND: Final = (15.0, 25.0)
"""Percent of code in the data that the literature recommends; its probability is reported."""

VERDICTS: Final = ("supported", "conflicting", "association only", "prior-dominated")
SUPPORTED, CONFLICTING, ASSOCIATION_ONLY, PRIOR_DOMINATED = VERDICTS
"""What all sources together say of a statement. They are tried in this order: prior-dominated,
conflicting, supported; association only is everything else."""

CONTRACTION_LEAST: Final = 0.25
"""Share of the prior variance that LMs must remove before they are said to show an association."""

FAMILIES_LEAST: Final = 2
"""Least number of LM families on each side of an association that is more than one family's."""

LMS_LEAST: Final = 5
"""Least number of LMs with a level that a ranking puts first without a caution."""

STUDIES_LEAST: Final = 2
"""Least number of studies behind support: one cannot show that another lab finds the same."""

PROB_CONFLICT: Final = 0.9
"""Least probability that experiments and LMs differ, in the direction in which they do. Where both
measure one thing it is reached by chance in one contrast of five, which costs support and grants
none."""

PROB_EXPERIMENTS: Final = 0.8
"""Least probability of the direction from experiments alone: the posterior's own, of at least
`CERTAIN`, must not be an association that experiments merely do not contradict."""

BENCHMARKS_SHARE: Final = 0.3
"""Correlation of the noise of a training run between two benchmarks."""

STUDY_HETEROGENEITY: Final = 1.0
"""Scale, in points, of the half-normal prior of the heterogeneity between studies: results of one
decision differ between studies by a point or so."""

FUNNEL_LEAST: Final = 10
"""Comparisons below which a funnel shows nothing (Sterne et al. 2011,
https://doi.org/10.1136/bmj.d4002)."""

REACH: Final = 0.5
"""Share of a statement's size that arms of a group have to span: less would be extrapolated."""

KEPT_PARTS: Final = 1.0
"""Points of the mix that parts outside a substitution may move in an experiment on it."""

REFERENCE_DRAWS: Final = 1000
"""Draws of the shipped posterior: a probability near one half has an MCSE of 0.016."""

REFIT_CHAINS: Final = 2
REFIT_TUNE: Final = 100
REFIT_DRAWS: Final = 100
"""As precise as three times as many draws of trajectories that end at a U-turn, in half the time:
what they say of a fold, or of a study that is held out, differs between seeds by as much. With 60
draws after 60 of warm-up the mean absolute error of a fold differed four times as much."""

PILOT_TUNE: Final = 150
PILOT_DRAWS: Final = 100
"""The run given all scores whose draws refits start from."""

CALIBRATION_CHAINS: Final = 2
CALIBRATION_TUNE: Final = 300
CALIBRATION_DRAWS: Final = 500
CALIBRATION_THIN: Final = 10
"""Fits of simulation-based calibration, from the prior: 100 draws to rank a truth among, far enough
apart that the slowest scales are nearly independent."""

PRIOR_DRAWS: Final = 1000
"""Independent draws of the prior: a probability near one half has an MCSE of 0.016."""

RECOVERY_CHAINS: Final = 2
RECOVERY_TUNE: Final = 100
RECOVERY_DRAWS: Final = 150
"""Fits of known truths and placebos: 300 draws put the ends of a 90 % interval within a tenth of
its width, which averages out over many fits."""

SPECIFICATIONS: Final = 48
"""Specifications of a multiverse: a multiple of every number of levels, so that each level occurs
equally often, and enough for about 24 behind a level of most choices."""

SCORED_PROBS: Final = (0.5, 0.9)
"""Predictive intervals whose coverage is reported: a narrow one and a wide one."""

BOOTSTRAP_DRAWS: Final = 2000
"""Resamples of LM families: an interval's ends then move by a hundredth of its width or two."""

BOOTSTRAP_FAMILIES: Final = 10
"""Fewer held-out families than this are not resampled: they do not stand for others."""

PREDICTIVE_DRAWS: Final = 1200
"""Simulated scores behind each CRPS, spread over the posterior draws."""

RANDOM_FOLDS: Final = 3
"""Folds of the paper's protocol."""

LARGEST_HELD_OUT: Final = 5
"""Largest LMs held out together to ask for extrapolation in scale."""

EVALUATION_SEEDS: Final = 10
"""Re-splits of the random scheme; the paper's protocol has 50."""

MOST_SEEDS: Final = 1000
"""More re-splits than this are a slip of the pen."""

USUAL_NOISE: Final = 0.008
"""Standard deviation of a training run, on the score scale, on benchmarks of which no repeated runs
are recorded."""

ROWS_SHOWN: Final = 30
"""Rows of a table that a notebook shows: as many as there are effects of all decisions, on a
screen; of more it says how many there are."""
