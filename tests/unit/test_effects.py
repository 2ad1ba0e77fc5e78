"""Effects against a slow loop over lms and benchmarks, on posteriors made without a sampler."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from bayesmeta import defaults
from bayesmeta.data.decisions import DECISIONS
from bayesmeta.design.composition import DOMAINS
from bayesmeta.errors import QueryError
from bayesmeta.estimates.answer import query
from bayesmeta.estimates.contrasts import effects, prob_helps
from bayesmeta.estimates.counterfactual import contrast_draws, mean_score_at
from bayesmeta.estimates.curves import curve
from bayesmeta.estimates.evidence_card import give_verdict
from bayesmeta.estimates.question import Contrast, default_contrasts
from bayesmeta.estimates.study_evidence import evidence
from bayesmeta.estimates.summary import Pooled
from bayesmeta.model.spec import ModelSpec

EXACT = 1e-9
"""Rounding error of a few hundred sums of doubles, in percentage points."""

GRID_STEP = 2.5
"""Distance of the points of a curve along a share, in percentage points."""

MANY = 4000
"""Draws that put the Monte Carlo error of a share of variance below 0.05 (twice 0.022)."""

DRAWS = [(0, 3), (1, 41)]

ADDITIVE = ModelSpec(interactions="none", unknown_numbers="estimated")
"""Effects that add up, and undisclosed facts that are parameters."""

SPECS = {
    "default": ModelSpec(),
    "additive": ADDITIVE,
    "surface beside unknowns": ModelSpec(unknown_numbers="estimated"),
}


class Slow:
    """Scores of every lm on every benchmark in one draw, from the tables, one number at a time."""

    def __init__(self, fit, chain, draw):
        self.fit, self.design = fit, fit.design
        self.value = {name: v.values[chain, draw] for name, v in fit.draws.items()}
        lms = fit.dataset.lms.reset_index(drop=True)
        hidden = lms[list(DOMAINS[:-1])].isna().all(axis=1)
        self.lms = lms.assign(disclosure=np.where(hidden, "withheld", "disclosed"))
        self.family_part = self.project_families()

    def project_families(self):
        design, value = self.design, self.value
        raw = np.zeros((len(design.lms), len(design.benchmarks)))
        for i in range(len(design.lms)):
            f = design.lm_family_index[i]
            for b in range(len(design.benchmarks)):
                t = design.task_family_index[b]
                rho = value["rho_family"]
                raw[i, b] = (
                    value["tau_family"][b]
                    * (np.sqrt(rho) * value["u"][f] + np.sqrt(1 - rho) * value["w"][f, t])
                    + value["sigma"][b] * np.sqrt(value["rho_lm"]) * value["v"][i]
                )
        columns = np.column_stack([np.ones(len(raw)), design.scale])
        if self.fit.spec.scaling == "chinchilla":
            n, d = (np.log(self.lms[name].astype(float)) for name in ("n_params", "n_tokens"))
            columns = np.column_stack([columns, n, d, (n - np.log(7e9)) * (d - np.log(1e12))])
        return raw - columns @ np.linalg.lstsq(columns, raw, rcond=None)[0]

    def typical_mix(self):
        """Mean of the families' mean mixes; no part is rarer than one percent."""
        full = self.lms.dropna(subset=list(DOMAINS[:-1]))
        mixes = full[list(DOMAINS[:-1])].astype(float) / 100
        mixes[DOMAINS[-1]] = 1 - mixes.sum(axis=1)
        typical = mixes.groupby(full["lm_family"]).mean().mean().clip(lower=0.01).to_numpy()
        return typical / typical.sum()

    def typical_number(self, decision):
        """Mean of the families' means on the scale of the prior, standardised."""
        (term,) = (term for term in self.design.terms if term.decision == decision)
        known = self.lms[decision].astype(float)
        is_share = DECISIONS[decision].kind == "share"
        means = (known / 100 if is_share else np.log2(known)).groupby(self.lms["lm_family"]).mean()
        typical = expit(logit(means.clip(0.02, 0.98)).mean()) if is_share else means.mean()
        return (typical - term.center) / term.unit

    def mix_of(self, i, *, typical=False):
        """Recorded shares, the rest as in the family's unknown mix, or in a typical one."""
        shares = [self.lms.loc[i, domain] / 100 for domain in DOMAINS[:-1]]
        if not np.isnan(shares).any():
            return np.array([*shares, 1 - sum(shares)])
        unknown = self.typical_mix()
        if not typical and "mix_unknown" in self.value:
            group = self.design.mix.group_names.index(self.lms.loc[i, "lm_family"])
            unknown = self.value["mix_unknown"][group]
        blank = np.isnan([*shares, np.nan])
        known = np.nansum(shares)
        filled = unknown / unknown[blank].sum() * (1 - known)
        return np.where(blank, filled, [*shares, 0])

    def changed_mix(self, i, settings, *, typical=False):
        """The mix of one lm with some parts set, the others in proportion."""
        mix = self.mix_of(i, typical=typical)
        for domain, percent in settings.items():
            if domain in DOMAINS:
                k = DOMAINS.index(domain)
                rest = mix.sum() - mix[k]
                mix = mix * (1 - percent / 100) / rest
                mix[k] = percent / 100
        return mix

    def surface_part(self, i, b, settings):
        """Every function of the surface at one lm, times its weight."""
        design, surface = self.design, self.design.surface
        (k,) = design.columns_of("english_share")
        english = self.row_of(i, settings)[k]
        if "x_unknown" in self.value and "english_share" not in settings:
            # The surface knows no draw of an undisclosed fact: it stands at the mean.
            english = 0.0 if pd.isna(self.lms.loc[i, "english_share"]) else english
        mix = self.changed_mix(i, settings, typical=True)
        phi = surface.evaluate(design.covariates[[i]], mix[None], np.array([english]))[0]
        return sum(
            self.value["surface"][j, b] * (phi[j] - design.surface_center[b, j])
            for j in range(len(phi))
        )

    def row_of(self, i, settings):
        """Columns of the matrix of one lm, some decisions set."""
        mix = self.changed_mix(i, settings)
        row = []
        for term in self.design.terms:
            if term.decision == "mix":
                row.append(mix[DOMAINS.index(term.level)] / 0.25)
                continue
            decision = DECISIONS[term.decision]
            word = settings.get(term.decision, self.lms.loc[i, term.decision])
            if decision.kind == "categorical":
                word = "undisclosed" if pd.isna(word) else decision.level_of(word)
                row.append(float(word == term.level))
            elif pd.isna(word):
                family = self.lms.loc[i, "lm_family"]
                name = f"{term.decision}:{family}"
                names = self.design.missing.names
                row.append(
                    self.value["x_unknown"][names.index(name)]
                    if "x_unknown" in self.value
                    else self.typical_number(term.decision)
                )
            else:
                x = np.log2(word) if decision.is_log else word / 100
                row.append((x - term.center) / term.unit)
        return row

    def score(self, i, b, settings):
        design, value = self.design, self.value
        row = self.row_of(i, settings)
        eta = value["alpha"][b] + self.family_part[i, b]
        for k, name in enumerate(design.scale_terms):
            assert design.scale_terms[k] == name
            eta += value["kappa"][b, k] * (design.scale[i, k] - design.scale_center[b, k])
        if self.fit.spec.scaling == "chinchilla":
            eta += value["kappa_law"][b] * (self.law(i) - self.law_center(b))
        for k, x in enumerate(row):
            eta += value["beta"][k, b] * (x - design.X_center[b, k])
        if design.surface is not None:
            eta += self.surface_part(i, b, settings)
        outcomes = design.outcomes
        if outcomes.is_logistic[b]:
            return outcomes.floor[b] + (1 - outcomes.floor[b]) * expit(eta)
        return outcomes.location[b] + outcomes.spread[b] * eta

    def law(self, i):
        value, lm = self.value, self.lms.loc[i]
        f, a, e = (value[f"law_{k}"] for k in ("size_fraction", "size_exponent", "data_exponent"))
        return -np.log(f * (7e9 / lm["n_params"]) ** a + (1 - f) * (1e12 / lm["n_tokens"]) ** e)

    def law_center(self, b):
        weight = self.design.outcomes.information(n_lms=len(self.lms))[:, b]
        return sum(weight[i] * self.law(i) for i in range(len(self.lms)))

    def effect(self, decision, level, reference):
        """Difference in points and in the good direction, one number per benchmark."""
        out = []
        for b, direction in enumerate(self.fit.dataset.benchmarks["direction"]):
            sign = -1 if direction == "lower" else 1
            gains = [
                self.score(i, b, {decision: level}) - self.score(i, b, {decision: reference})
                for i in range(len(self.lms))
            ]
            out.append(100 * sign * sum(gains) / len(gains))
        return np.array(out)


CONTRASTS = [
    Contrast("attention", "gqa", "mha"),
    Contrast("position_embedding", "rotary", "learned"),
    Contrast("position_embedding", "undisclosed", "rotary"),
    Contrast("context_length", 8192.0, 2048.0),
    Contrast("english_share", 90.0, 40.0),
    Contrast("code_share", 30.0, 5.0),
    Contrast("web_share", 0.0, 60.0),
]


@pytest.mark.parametrize("contrast", [CONTRASTS[0], CONTRASTS[5]], ids=lambda c: c.label)
@pytest.mark.parametrize("pooling", ["none", "complete"])
@pytest.mark.parametrize("base", [ModelSpec(), ADDITIVE], ids=["default", "additive"])
def test_effect_under_the_law_equals_the_slow_loop(small, build_fake_fit, contrast, pooling, base):
    fit = build_fake_fit(small, spec=replace(base, scaling="chinchilla", pooling=pooling))
    found = contrast_draws(fit, contrast=contrast, by="benchmark").values[0, 3]
    slow = Slow(fit, 0, 3)
    expected = slow.effect(contrast.decision, contrast.level, contrast.reference)
    np.testing.assert_allclose(found, expected, atol=EXACT)


@pytest.fixture(scope="module", params=SPECS.values(), ids=SPECS.keys())
def fit_of_any_form(request, small, build_fake_fit):
    """A fit for every way in which the mix may act and its gaps be filled."""
    return build_fake_fit(small, spec=request.param)


@pytest.mark.parametrize("contrast", CONTRASTS, ids=lambda contrast: contrast.label)
@pytest.mark.parametrize("draw", DRAWS)
def test_effect_equals_the_slow_loop(fit_of_any_form, contrast, draw):
    found = contrast_draws(fit_of_any_form, contrast=contrast, by="benchmark").values[draw]
    slow = Slow(fit_of_any_form, *draw)
    expected = slow.effect(contrast.decision, contrast.level, contrast.reference)
    np.testing.assert_allclose(found, expected, atol=EXACT)


def test_effect_without_a_surface_equals_the_slow_loop(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(interactions="none"))
    contrast = Contrast("code_share", 40.0, 10.0)
    found = contrast_draws(fit, contrast=contrast, by="benchmark").values[0, 3]
    expected = Slow(fit, 0, 3).effect("code_share", 40.0, 10.0)
    np.testing.assert_allclose(found, expected, atol=EXACT)


def test_the_surface_moves_the_effect_of_a_part_of_the_mix(small, default_fit, build_fake_fit):
    # The probe works: without the surface's weights the same draws tell another effect.
    flat = build_fake_fit(small, spec=ModelSpec(), override={"surface": 0.0})
    one, other = (
        contrast_draws(fit, contrast=CONTRASTS[5], by="benchmark") for fit in (default_fit, flat)
    )
    assert np.abs(one - other).max() > 1


def test_mean_score_is_the_average_over_all_lms(fit_of_any_form):
    found = mean_score_at(fit_of_any_form, settings={"attention": "gqa"})[1, 7]
    slow = Slow(fit_of_any_form, 1, 7)
    for b, sign in enumerate((1, 1, -1, 1)):
        scores = [slow.score(i, b, {"attention": "gqa"}) for i in range(12)]
        assert found[b] == pytest.approx(100 * sign * np.mean(scores), abs=EXACT)


def test_effect_has_named_dims_and_units(fake_fit):
    draws = contrast_draws(fake_fit, contrast=CONTRASTS[0], by="task_family")
    assert draws.dims == ("chain", "draw", "target")
    assert draws["target"].values.tolist() == ["language", "logic"]
    assert draws.attrs["units"] == "percentage points"


def set_effect(fit, *, decision, high, low, size):
    """Effects of the levels of one decision that differ by `size`, all others without any."""
    values = np.zeros((len(fit.design.terms), len(fit.design.benchmarks)))
    for k in fit.design.columns_of(decision):
        level = fit.design.terms[k].level
        values[k] = size / 2 * ((level == high) - (level == low))
    return values


def test_higher_latent_value_helps_on_every_metric(small, fake_fit, build_fake_fit):
    beta = set_effect(fake_fit, decision="attention", high="gqa", low="mha", size=0.5)
    fit = build_fake_fit(small, override={"beta": beta})
    draws = contrast_draws(fit, contrast=CONTRASTS[0], by="benchmark")
    assert (draws > 0).all()
    assert prob_helps(fit, "attention", "gqa", over="mha", benchmark="proofs").estimate == 1


def test_effect_on_a_brier_score_is_its_spread_times_the_latent_change(
    small, fake_fit, build_fake_fit
):
    beta = set_effect(fake_fit, decision="attention", high="gqa", low="mha", size=0.5)
    fit = build_fake_fit(small, override={"beta": beta})
    draws = contrast_draws(fit, contrast=CONTRASTS[0], by="benchmark").sel(target="proofs")
    scores = small.scores.loc[small.scores["benchmark"] == "proofs", "score"]
    np.testing.assert_allclose(draws, 100 * 0.5 * scores.std(), rtol=1e-10)


@pytest.mark.parametrize("contrast", CONTRASTS[:4], ids=lambda contrast: contrast.label)
def test_task_family_effect_averages_its_benchmarks_draw_by_draw(fake_fit, contrast):
    one = contrast_draws(fake_fit, contrast=contrast, by="benchmark")
    family = contrast_draws(fake_fit, contrast=contrast, by="task_family")
    for name, members in fake_fit.dataset.benchmarks.groupby("task_family")["benchmark"]:
        expected = one.sel(target=list(members)).mean("target")
        np.testing.assert_allclose(family.sel(target=name), expected, atol=EXACT)


def test_overall_effect_averages_all_benchmarks_draw_by_draw(fake_fit):
    one = contrast_draws(fake_fit, contrast=CONTRASTS[0], by="benchmark")
    overall = contrast_draws(fake_fit, contrast=CONTRASTS[0], by="overall")
    np.testing.assert_allclose(overall.sel(target="overall"), one.mean("target"), atol=EXACT)


def test_interval_of_a_mean_is_not_the_mean_of_intervals(fake_fit):
    one = effects(fake_fit, "attention", by="benchmark").table()
    overall = effects(fake_fit, "attention").table().iloc[0]
    draws = contrast_draws(fake_fit, contrast=CONTRASTS[0], by="benchmark").mean("target")
    assert overall["lower"] == pytest.approx(float(np.quantile(draws, 0.05)))
    assert overall["upper"] == pytest.approx(float(np.quantile(draws, 0.95)))
    width = overall["upper"] - overall["lower"]
    assert width < 0.9 * (one["upper"] - one["lower"]).mean()


@pytest.mark.parametrize("ci_prob", [0.5, 0.9, 0.95])
def test_table_summarises_draws(fake_fit, ci_prob):
    found = effects(fake_fit, "attention", by="task_family")
    row = found.table(ci_prob=ci_prob).set_index("target").loc["logic"]
    values = contrast_draws(fake_fit, contrast=CONTRASTS[0], by="task_family").sel(target="logic")
    values = pd.Series(values.values.ravel())
    assert row["estimate"] == pytest.approx(values.median())
    assert row["sd"] == pytest.approx(values.std(ddof=0))
    assert row["lower"] == pytest.approx(values.quantile((1 - ci_prob) / 2))
    assert row["upper"] == pytest.approx(values.quantile((1 + ci_prob) / 2))
    assert row["prob_helps"] == pytest.approx((values > 0).mean())
    assert row["ci_prob"] == ci_prob


def test_table_has_the_columns_of_the_command_line(fake_fit):
    assert set(effects(fake_fit).table()) == {
        "decision", "level", "reference", "by", "target", "estimate", "sd", "lower", "upper",
        "ci_prob", "units", "prob_helps", "mcse", "kind", "verdict",
    }  # fmt: skip


def test_all_decisions_are_tabled_if_none_is_named(fake_fit):
    assert effects(fake_fit).table()["decision"].unique().tolist() == [
        "position_embedding", "attention", "code_share", "web_share", "books_share",
        "reference_share", "academic_share", "english_share", "disclosure",
        "context_length",
    ]  # fmt: skip


def test_several_decisions_keep_their_order(fake_fit):
    found = effects(fake_fit, ["context_length", "attention"])
    assert [c.decision for c in found.contrasts] == ["context_length", "attention"]
    assert found.draws.dims == ("chain", "draw", "contrast", "target")


@pytest.mark.parametrize(
    "statement", ["attention: gqa > mha", "attention: mha > gqa", "code_share: 20 > 5",
                  "n_params: 2e10 > 1e10", "swap web_share -> code_share by 5"],
)  # fmt: skip
def test_effect_of_a_statement_is_what_its_query_says(fake_fit, statement):
    by_benchmark = effects(fake_fit, statement, by="benchmark").table()
    assert list(by_benchmark["target"]) == list(fake_fit.design.benchmarks)
    for row in by_benchmark.to_dict("records"):
        answer = query(fake_fit, statement, benchmark=row["target"])
        assert row["prob_helps"] == answer.probability.estimate
        assert row["lower"] == answer.effect["lower"]
        assert row["verdict"] == answer.evidence.verdict


def test_statements_and_decisions_stand_in_one_table(fake_fit):
    found = effects(fake_fit, ["code_share: 20 > 5", "attention"]).table()
    assert list(found["decision"]) == ["code_share", "attention"]
    with pytest.raises(QueryError, match="Did you mean 'gqa'"):
        effects(fake_fit, "attention: gqaa > mha")
    with pytest.raises(QueryError, match="empty list"):
        effects(fake_fit, [])
    with pytest.raises(QueryError, match="a statement where the name of a decision is wanted"):
        curve(fake_fit, "code_share: 20 > 5")


@pytest.mark.parametrize("place", [{}, {"benchmark": "proofs"}, {"task_family": "language"}])
def test_query_equals_prob_helps(fake_fit, place):
    asked = query(fake_fit, "attention: gqa > mha", **place).probability
    assert asked == prob_helps(fake_fit, "attention", "gqa", over="mha", **place)


def test_probability_is_the_share_of_positive_draws(fake_fit):
    draws = contrast_draws(fake_fit, contrast=CONTRASTS[0], by="benchmark").sel(target="recall")
    found = prob_helps(fake_fit, "attention", "gqa", over="mha", benchmark="recall")
    assert found.estimate == np.mean(draws.values.ravel() > 0)


def test_less_than_asks_for_the_opposite(fake_fit):
    less = query(fake_fit, "attention: gqa < mha")
    assert less.statement == "attention: mha > gqa"
    assert less == query(fake_fit, "attention: mha > gqa")


@pytest.mark.parametrize("name, a, b", [("attention", "gqa", "mha"), ("code_share", 20, 5)])
def test_opposite_statements_sum_to_one(fake_fit, name, a, b):
    forth, back = (query(fake_fit, f"{name}: {x} > {y}") for x, y in ((a, b), (b, a)))
    total = forth.probability.estimate + back.probability.estimate
    assert total == pytest.approx(1)
    assert forth.effect["estimate"] == pytest.approx(-back.effect["estimate"])
    assert forth.effect["lower"] == pytest.approx(-back.effect["upper"])


@pytest.mark.parametrize(
    "statement",
    [
        "attention:gqa>mha",
        "  attention :  gqa  >  mha ",
        "attention: mha < gqa",
        "attention: gqa >mha",
    ],
)
def test_blanks_do_not_matter(fake_fit, statement):
    assert query(fake_fit, statement).statement == "attention: gqa > mha"


def test_recorded_words_stand_for_their_level(fake_bundled_fit):
    asked = query(fake_bundled_fit, "activation: silu > gelu_new")
    assert asked.statement == "activation: swiglu > gelu"


def test_effect_summary_of_a_query(fake_fit):
    answer = query(fake_fit, "attention: gqa > mha", benchmark="reading", ci_prob=0.8)
    values = contrast_draws(fake_fit, contrast=CONTRASTS[0], by="benchmark").sel(target="reading")
    assert answer.effect["estimate"] == pytest.approx(float(values.median()))
    assert answer.effect["lower"] == pytest.approx(float(np.quantile(values, 0.1)))
    assert answer.effect["upper"] == pytest.approx(float(np.quantile(values, 0.9)))
    assert answer.target == "reading"


@pytest.mark.parametrize("half_width", [0, 0.5, 3])
def test_equivalence_is_the_share_of_draws_inside(fake_fit, half_width):
    answer = query(fake_fit, "attention: gqa > mha", equivalence=half_width)
    values = contrast_draws(fake_fit, contrast=CONTRASTS[0]).values
    assert answer.prob_equivalent.estimate == np.mean(
        (-half_width < values) & (values < half_width)
    )


def test_answer_has_the_keys_of_the_command_line(fake_fit):
    answer = query(fake_fit, "attention: gqa > mha").to_dict()
    assert {"statement", "probability", "mcse", "effect", "prob_equivalent", "evidence"} <= set(
        answer
    )
    assert {"estimate", "lower", "upper", "ci_prob", "units"} <= set(answer["effect"])
    assert {
        "lms", "lm_families", "within_family_share", "missing_share", "prior_probability",
        "most_influential_family", "verdict",
    } <= set(answer["evidence"])  # fmt: skip


@pytest.mark.parametrize("statement", ["attention: gqa > mha", "code_share: 20 > 10"])
def test_answer_is_json(fake_fit, statement):
    answer = query(fake_fit, statement)
    assert json.loads(json.dumps(answer.to_dict())) == answer.to_dict()


def test_answer_prints_as_a_sentence_and_lines(fake_fit):
    answer = query(fake_fit, "attention: gqa > mha", benchmark="proofs")
    lines = str(answer).splitlines()
    assert " ".join(line for line in lines if line[0] != " ") == answer.sentence
    assert "on Proofs (90 % interval" in answer.sentence
    assert len([line for line in lines if line[0] == " "]) <= 8
    details = " ".join(answer.details.split())
    for words in (
        f"P(attention: gqa > mha) = {answer.probability}", "equal-tailed, 90 %", "P(within 0.5) ",
        "gqa: 5 LMs of 3 families", "2 families with both",
        "an association adjusted for the modelled covariates",
    ):  # fmt: skip
        assert words in details


def test_answer_about_a_share_says_where_it_varies(fake_fit):
    # `ant` and `bee` changed their code share.
    details = query(fake_fit, "code_share: 20 > 10").details
    assert "it varies within 2 families" in " ".join(details.split())


def test_certain_answer_prints_a_bound(small, fake_fit, build_fake_fit):
    beta = set_effect(fake_fit, decision="attention", high="gqa", low="mha", size=0.5)
    fit = build_fake_fit(small, override={"beta": beta + jitter(fake_fit)})
    answer = query(fit, "attention: gqa > mha")
    assert "P(attention: gqa > mha) > 0.992" in answer.details
    assert "higher: > 99 % (virtually certain)" in str(answer)


def test_answer_without_a_place_is_over_all_benchmarks(fake_fit):
    assert "over all 4 benchmarks" in str(query(fake_fit, "attention: gqa > mha"))


def count_by_pandas(dataset, column, merge=None):
    """Lms and families of each level, of lms with at least one score."""
    lms = dataset.lms[dataset.lms["lm"].isin(dataset.scores["lm"].unique())]
    lms = lms.assign(level=lms[column].replace(merge or {}))
    return lms.groupby("level").agg(lms=("lm", "size"), families=("lm_family", "nunique")), lms


@pytest.mark.parametrize(
    "decision, a, b",
    [
        ("position_embedding", "rotary", "learned"),
        ("attention", "gqa", "mha"),
        ("norm", "rmsnorm", "layernorm"),
        ("block", "parallel", "sequential"),
    ],
)
def test_evidence_counts_scored_lms_and_families(fake_bundled_fit, decision, a, b):
    card = evidence(fake_bundled_fit, decision, a, over=b)
    counts, lms = count_by_pandas(fake_bundled_fit.dataset, decision, {"mha_local": "mha"})
    assert dict(card.lms) == counts.loc[[a, b], "lms"].to_dict()
    assert dict(card.lm_families) == counts.loc[[a, b], "families"].to_dict()
    pair = lms[lms["level"].isin([a, b])]
    varied = pair.groupby("lm_family")["level"].nunique() == 2
    assert card.families_with_both == varied.sum()
    assert card.missing_share == pytest.approx(lms[decision].isna().mean())


def test_lm_without_scores_is_no_evidence(fake_bundled_fit):
    card = evidence(fake_bundled_fit, "position_embedding", "rotary", over="learned")
    recorded = (fake_bundled_fit.dataset.lms["position_embedding"] == "rotary").sum()
    assert card.lms["rotary"] == recorded - 1  # one lm has no trustworthy score


def test_within_family_share_is_one_less_the_share_between_families(fake_bundled_fit):
    card = evidence(fake_bundled_fit, "attention", "gqa", over="mha")
    _, lms = count_by_pandas(fake_bundled_fit.dataset, "attention", {"mha_local": "mha"})
    pair = lms[lms["level"].isin(["gqa", "mha"])]
    x = (pair["level"] == "gqa").astype(float)
    between = x.groupby(pair["lm_family"]).transform("mean").var(ddof=0) / x.var(ddof=0)
    assert card.within_family_share == pytest.approx(1 - between)


def test_evidence_of_a_share_counts_who_records_it(fake_bundled_fit):
    card = evidence(fake_bundled_fit, "code_share", 20, over=10)
    _, lms = count_by_pandas(fake_bundled_fit.dataset, "code_share")
    known = lms["code_share"].notna()
    assert dict(card.lms) == {"recorded": known.sum(), "undisclosed": (~known).sum()}
    assert card.lm_families["recorded"] == lms.loc[known, "lm_family"].nunique()
    varied = lms.groupby("lm_family")["code_share"].nunique() > 1
    assert card.families_with_both == varied.sum()
    assert card.missing_share == pytest.approx((~known).mean())


def test_no_direction_is_favoured_before_the_data(fake_fit):
    assert evidence(fake_fit, "attention", "gqa", over="mha").prior_probability == 0.5


def test_most_influential_family_is_one_of_the_data(fake_bundled_fit):
    card = evidence(fake_bundled_fit, "attention", "gqa", over="mha")
    assert card.most_influential_family in set(fake_bundled_fit.dataset.lms["lm_family"])
    assert card.influence > 0


def test_family_that_sets_an_effect_alone_is_the_most_influential(small, build_fake_fit):
    lms = small.lms.set_index("lm")
    rows = small.scores["lm"].map(lms["lm_family"])
    means = small.scores.groupby("benchmark")["score"].transform("mean")
    better = np.where(small.scores["benchmark"].map(higher(small)), 0.2, -0.2)
    # No lm differs from the others but those of `bee`: without it nothing speaks of rotary.
    scores = means + better * (rows == "bee")
    fit = build_fake_fit(small.with_scores(scores.to_numpy()), override=CALM)
    card = evidence(fit, "position_embedding", "rotary", over="learned")
    assert card.most_influential_family == "bee"
    assert abs(card.without_it["estimate"]) < 0.3  # of 20 points


CALM = {**dict.fromkeys(("alpha", "kappa", "u", "w", "v", "beta"), 0.0), "tau_family": 0.2}
"""A posterior at which nothing is expected of any lm."""


def higher(dataset):
    """Whether a higher score is better, by benchmark."""
    return dataset.benchmarks.set_index("benchmark")["direction"] == "higher"


def jitter(fit, size=0.01, seed=1):
    """Effects of nearly no posterior variance, levels summing to zero."""
    chains, draws = fit.shape
    n_free, n_benchmarks = fit.design.loading.shape[1], len(fit.design.benchmarks)
    free = np.random.default_rng(seed).normal(0, size, (chains, draws, n_free, n_benchmarks))
    return fit.design.loading @ free


@pytest.fixture(scope="module")
def certain_fit(fake_bundled_fit, build_fake_fit):
    """Nearly all prior variance removed, so that only the data's layout decides a verdict."""
    override = {"beta": jitter(fake_bundled_fit), "tau_beta": 0.2, "surface": 0.0}
    return build_fake_fit(
        fake_bundled_fit.dataset, spec=fake_bundled_fit.spec, draws=20, override=override
    )


@pytest.fixture(scope="module", params=["partial", "none", "complete"])
def prior_fit(small, build_fake_fit, request):
    """A posterior that is the prior of the decisions, given their scales."""
    spec = ModelSpec(
        decisions=("attention", "position_embedding", "context_length"), pooling=request.param
    )
    tau = 0.2
    fit = build_fake_fit(small, spec=spec, draws=MANY // 2, override={"tau_beta": tau})
    design, ratio = fit.design, spec.priors.beta_ratio
    rng = np.random.default_rng(7)
    lead = (2, MANY // 2, design.loading.shape[1])
    z = rng.normal(size=(*lead, 1)) + ratio * rng.normal(size=(*lead, 4))
    z = z + ratio * rng.normal(size=(*lead, 2))[..., design.task_family_index]
    if spec.pooling == "complete":
        z = rng.normal(size=(*lead, 1)).repeat(4, axis=-1)
    if spec.pooling == "none":
        z = spec.priors.beta_sd / tau * rng.normal(size=(*lead, 4))
    beta = tau * design.loading @ z
    return build_fake_fit(
        small, spec=spec, draws=MANY // 2, override={"tau_beta": tau, "beta": beta}
    )


HERE = Pooled(1.0, sd=0.5, tau=0.3, prediction_sd=0.7)
CLEAR = {"told": True, "pooled": HERE, "n_studies": 3, "prob_conflict": 0.6, "probability": 0.97}


@pytest.mark.parametrize(
    "change, verdict",
    [
        ({}, "supported"),
        ({"told": False}, "supported"),  # experiments speak, whatever LMs show
        ({"n_studies": 1}, "association only"),
        ({"prob_conflict": 0.95}, "conflicting"),
        ({"probability": 0.9}, "association only"),
        ({"probability": 0.03}, "association only"),  # experiments are on the other side
        ({"probability": 0.03, "pooled": replace(HERE, estimate=-1.0)}, "supported"),
        ({"pooled": replace(HERE, estimate=0.2)}, "association only"),  # P .66 by themselves
        ({"pooled": None, "prob_conflict": None}, "association only"),
        ({"pooled": None, "prob_conflict": None, "told": False}, "prior-dominated"),
    ],
)
def test_verdicts_are_those_of_the_table_and_the_first_that_applies_wins(change, verdict):
    assert give_verdict(**{**CLEAR, **change}) == verdict


def test_thresholds_of_verdicts_count_as_reached():
    at = {**CLEAR, "prob_conflict": defaults.PROB_CONFLICT, "probability": defaults.CERTAIN}
    assert give_verdict(**at) == "supported"
    assert give_verdict(**{**at, "n_studies": defaults.STUDIES_LEAST}) == "supported"


def test_no_fit_without_experiments_supports_anything(certain_fit):
    """However sure: an association is no effect."""
    table = effects(certain_fit, by="benchmark").table()
    assert set(table["verdict"]) <= {"association only", "prior-dominated"}
    sure = query(certain_fit, "attention: gqa > mha", at={"n_params": 7e9}).evidence
    assert sure.verdict == "association only"
    assert sure.experiments is None
    assert sure.prob_conflict is None
    assert sure.studies == ()


@pytest.fixture(scope="module")
def informed_fit(informed, build_fake_fit):
    """A fit that experiments informed, with random draws."""
    return build_fake_fit(informed, spec=ModelSpec(experiments="included"), draws=100)


def test_experiments_of_a_fit_stand_on_its_cards(informed_fit):
    card = query(informed_fit, "attention: gqa > mha", benchmark="reading").evidence
    told = evidence(informed_fit, "attention: gqa > mha", benchmark="reading")
    assert {one["study"] for one in card.studies} == set(told.studies["study"])
    assert sum(one["weight"] for one in card.studies) == pytest.approx(100)
    assert card.verdict == told.verdict


def test_verdicts_of_cells_rest_on_the_experiments_on_their_benchmark(informed_fit):
    table = effects(informed_fit, "attention", by="benchmark").table()
    for row in table[table["level"] == "gqa"].to_dict("records"):
        answer = query(informed_fit, "attention: gqa > mha", benchmark=row["target"])
        assert row["verdict"] == answer.verdict == answer.to_dict()["verdict"]
        scored = informed_fit.dataset.experiments.results["benchmark"] == row["target"]
        assert bool(answer.evidence.studies) == scored.any()


def test_verdict_of_associations_is_that_of_the_statement(informed_fit):
    both = [effects(informed_fit, "attention", kind=kind) for kind in ("association", "effect")]
    assert (both[0].verdicts == both[1].verdicts).all()


def test_sources_of_an_answer_have_the_keys_of_the_command_line(informed_fit):
    found = query(informed_fit, "attention: gqa > mha", benchmark="reading").to_dict()
    assert set(found["sources"]) == {"experiments", "siblings", "families", "all"}
    assert found["sources"]["experiments"]["studies"] == len(found["evidence"]["studies"])
    assert found["sources"]["siblings"]["families"] == found["evidence"]["families_with_both"]
    assert found["prob_conflict"] == found["evidence"]["prob_conflict"]


def test_rotary_against_learned_is_an_association(certain_fit):
    card = evidence(certain_fit, "position_embedding", "rotary", over="learned")
    assert card.families_with_both == 0
    assert card.verdict == "association only"


def test_level_of_a_single_family_is_prior_dominated(certain_fit):
    card = evidence(certain_fit, "attention", "mqa", over="mha")
    assert card.lm_families["mqa"] == 1
    assert card.families_with_both == 0
    assert card.verdict == "prior-dominated"


@pytest.mark.parametrize(
    "decision, a, b",
    [
        ("attention", "gqa", "mha"),
        ("position_embedding", "rotary", "learned"),
        ("context_length", 8192, 2048),
    ],
)
def test_posterior_equal_to_the_prior_is_prior_dominated(prior_fit, decision, a, b):
    card = evidence(prior_fit, decision, a, over=b)
    assert card.verdict == "prior-dominated"
    assert card.contraction == pytest.approx(0, abs=0.1)  # four times its Monte Carlo error


def test_prior_variance_holds_on_one_benchmark(prior_fit):
    answer = query(prior_fit, "attention: gqa > mha", benchmark="recall")
    assert answer.evidence.verdict == "prior-dominated"
    assert answer.evidence.contraction == pytest.approx(0, abs=0.1)


def test_verdicts_of_a_table_are_those_of_queries(fake_fit):
    table = effects(fake_fit, "attention", by="task_family").table().set_index("target")
    for name in ("language", "logic"):
        answer = query(fake_fit, "attention: gqa > mha", task_family=name)
        assert table.loc[name, "verdict"] == answer.evidence.verdict


@pytest.mark.parametrize("decision", ["code_share", "web_share", "context_length", "english_share"])
def test_curve_starts_at_zero(fake_fit, decision):
    draws = curve(fake_fit, decision).draws
    np.testing.assert_array_equal(draws.isel(grid=0), 0)


@pytest.mark.parametrize("by", ["benchmark", "task_family", "overall"])
def test_curve_equals_the_contrast_with_its_first_point(fake_fit, by):
    found = curve(fake_fit, "code_share", by=by).draws.sel(grid=30.0)
    expected = contrast_draws(fake_fit, contrast=Contrast("code_share", 30.0, 0.0), by=by)
    np.testing.assert_allclose(found, expected, atol=EXACT)


def test_numeric_curve_spans_the_recorded_values(fake_fit):
    found = curve(fake_fit, "context_length", by="overall")
    grid = found.draws["grid"].values
    assert grid[[0, -1]] == pytest.approx([2048, 8192])
    np.testing.assert_allclose(np.diff(np.log(grid)), np.log(4) / 24)
    assert sorted(set(found.recorded)) == [2048, 4096, 8192]
    assert found.units == "value"


def test_share_curve_spans_all_shares(fake_fit):
    found = curve(fake_fit, "code_share")
    np.testing.assert_array_equal(found.draws["grid"], np.arange(0, 100.1, GRID_STEP))
    assert found.units == "% of training tokens"


def test_curve_table_summarises_every_point(fake_fit):
    found = curve(fake_fit, "code_share")
    table = found.table(ci_prob=0.8).set_index(["target", "grid"])
    values = found.draws.sel(target="logic", grid=50.0).values
    row = table.loc[("logic", 50.0)]
    assert row["estimate"] == pytest.approx(np.median(values))
    assert row[["lower", "upper"]].tolist() == pytest.approx(np.quantile(values, [0.1, 0.9]))
    assert (table["ci_prob"] == 0.8).all()


def test_optimum_is_where_the_bend_is_highest(peaked_fit):
    fit, peak = peaked_fit
    rows = curve(fit, "code_share", by="benchmark").optimum()
    assert rows.loc["proofs", "estimate"] == pytest.approx(peak, abs=GRID_STEP / 2 + 0.01)
    assert 0 < rows.loc["proofs", "estimate"] < 100


def test_draws_that_agree_have_an_optimum_without_width(peaked_fit):
    row = curve(peaked_fit[0], "code_share", by="benchmark").optimum().loc["proofs"]
    assert row["lower"] == row["estimate"] == row["upper"]


def test_probability_of_an_optimum_in_a_band(peaked_fit):
    found = curve(peaked_fit[0], "code_share", by="benchmark")
    peak = found.optimum().loc["proofs", "estimate"]
    inside = found.optimum(band=(peak - 5, peak)).loc["proofs"]
    outside = found.optimum(band=(peak + 1, peak + 9)).loc["proofs"]
    assert inside[f"prob_between_{peak - 5:g}_{peak:g}"] == 1
    assert outside[f"prob_between_{peak + 1:g}_{peak + 9:g}"] == 0


def test_optimum_has_the_keys_of_the_command_line(fake_fit):
    rows = curve(fake_fit, "code_share").optimum()
    assert {"estimate", "lower", "upper", "prob_between_15_25"} <= set(rows)
    assert rows.index.tolist() == ["language", "logic"]


def test_optimum_of_every_draw(fake_fit):
    found = curve(fake_fit, "code_share")
    draws = found.draws.sel(target="logic").transpose("chain", "draw", "grid").values
    best = found.draws["grid"].values[draws.reshape(-1, draws.shape[-1]).argmax(axis=1)]
    row = found.optimum().loc["logic"]
    assert row["estimate"] == np.median(best)
    assert row["prob_between_15_25"] == pytest.approx(np.mean((best >= 15) & (best <= 25)))


def test_long_fit_has_a_thinned_curve(prior_fit):
    draws = curve(prior_fit, "context_length", by="overall").draws
    assert draws.sizes["chain"] * draws.sizes["draw"] == 1000


def test_default_contrasts_compare_with_the_commonest_level(fake_bundled_fit):
    lms = fake_bundled_fit.dataset.lms
    for decision in ("position_embedding", "norm", "block", "weight_tying"):
        common = lms[decision].value_counts().idxmax()
        contrasts = default_contrasts(fake_bundled_fit.design, decision)
        assert {c.reference for c in contrasts} == {common}
        assert {c.level for c in contrasts} == set(lms[decision].dropna()) - {common}


def test_undisclosed_level_is_contrasted_and_never_the_reference(fake_fit):
    contrasts = default_contrasts(fake_fit.design, "position_embedding")
    assert {c.reference for c in contrasts} <= {"rotary", "learned"}
    assert [c.level for c in contrasts][-1] == "undisclosed"


def test_undisclosed_level_never_is_the_commonest(small, build_fake_fit):
    words = small.lms["position_embedding"].where(small.lms["lm_family"].isin(["ant", "cat"]))
    fit = build_fake_fit(replace(small, lms=small.lms.assign(position_embedding=words)))
    contrasts = default_contrasts(fit.design, "position_embedding")
    assert {c.reference for c in contrasts} == {"learned"}


def test_undisclosed_level_counts_those_who_record_nothing(fake_fit):
    card = evidence(fake_fit, "position_embedding", "undisclosed", over="rotary")
    assert card.lms == {"undisclosed": 2, "rotary": 5}
    assert card.lm_families == {"undisclosed": 1, "rotary": 2}


def test_default_contrast_of_a_share_is_ten_points_from_the_median(fake_bundled_fit):
    median = fake_bundled_fit.dataset.lms["code_share"].median()
    (contrast,) = default_contrasts(fake_bundled_fit.design, "code_share")
    assert (contrast.reference, contrast.level) == (round(median), round(median) + 10)


def test_default_contrast_near_the_top_of_a_share_stays_below_it(small, build_fake_fit):
    english = small.lms["english_share"].where(small.lms["lm_family"] != "bee", 94.0)
    fit = build_fake_fit(replace(small, lms=small.lms.assign(english_share=english)))
    (contrast,) = default_contrasts(fit.design, "english_share")
    assert (contrast.reference, contrast.level) == (85, 95)  # 94 is the median, 95 the most


def test_default_contrast_of_a_number_doubles_the_median(fake_fit):
    median = fake_fit.dataset.lms["context_length"].median()
    (contrast,) = default_contrasts(fake_fit.design, "context_length")
    assert (contrast.reference, contrast.level) == (median, 2 * median)


def test_misspelt_decision(fake_fit, refusal):
    with refusal(QueryError, "'atention'", "'attention'", "Allowed"):
        query(fake_fit, "atention: gqa > mha")


def test_decision_that_the_fit_lacks(fake_fit, refusal):
    with refusal(QueryError, "'norm'", "does not vary", "left out"):
        effects(fake_fit, "norm")


def test_domain_that_no_lm_records_cannot_be_asked_for(small, build_fake_fit, refusal):
    fit = build_fake_fit(replace(small, lms=small.lms.assign(books_share=np.nan)))
    with refusal(QueryError, "decision 'books_share' is not in this fit"):
        query(fit, "books_share: 20 > 10")
    assert query(fit, "code_share: 20 > 10").statement == "code_share: 20 > 10"


def test_fit_without_decisions(small, build_fake_fit, refusal):
    fit = build_fake_fit(small, spec=ModelSpec(decisions=()))
    with refusal(QueryError, "'norm'", "no decisions"):
        query(fit, "norm: rmsnorm > layernorm")
    with refusal(QueryError, "no decisions"):
        effects(fit)


def test_unknown_level(fake_fit, refusal):
    with refusal(QueryError, "level 'gqaa' of attention", "'gqa'", "gqa, mha"):
        query(fake_fit, "attention: gqaa > mha")


def test_level_that_no_lm_has(fake_fit, refusal):
    with refusal(QueryError, "level 'mqa' of attention is not in this fit", "gqa, mha"):
        prob_helps(fake_fit, "attention", "mqa", over="mha")


@pytest.mark.parametrize("statement", ["attention: gqa > gqa", "code_share: 20 > 20.0"])
def test_contrast_of_a_level_with_itself(fake_fit, statement, refusal):
    with refusal(QueryError, "itself", "two different"):
        query(fake_fit, statement)


@pytest.mark.parametrize(
    "statement", ["", "gqa >", "attention: gqa = mha",
                  "attention: gqa > mha > mqa", "attention > gqa > mha"]
)  # fmt: skip
def test_statement_that_cannot_be_read(fake_fit, statement, refusal):
    with refusal(QueryError, "'DECISION: A > B'"):
        query(fake_fit, statement)


@pytest.mark.parametrize("value", ["120", "-3", "much", "nan", "inf"])
def test_share_that_is_no_percentage(fake_fit, value, refusal):
    with refusal(QueryError, f"'{value}'", "code_share", "number from 0 to 100", "percent"):
        query(fake_fit, f"code_share: {value} > 10")


@pytest.mark.parametrize("value", ["0", "-3", "inf", "long"])
def test_number_that_has_no_logarithm(fake_fit, value, refusal):
    with refusal(QueryError, f"'{value}'", "context_length", "number from 0 up, without zero"):
        query(fake_fit, f"context_length: {value} > 2048")


def test_unknown_benchmark(fake_fit, refusal):
    with refusal(QueryError, "'reeding'", "'reading'", "reading"):
        query(fake_fit, "attention: gqa > mha", benchmark="reeding")


def test_unknown_task_family(fake_fit, refusal):
    with refusal(QueryError, "task family 'maths'", "language, logic"):
        prob_helps(fake_fit, "attention", "gqa", over="mha", task_family="maths")


def test_two_places_at_once(fake_fit):
    place = {"benchmark": "reading", "task_family": "language"}
    message = r"^both a benchmark and a task family were given\. Name one"
    with pytest.raises(QueryError, match=message):
        query(fake_fit, "attention: gqa > mha", **place)
    with pytest.raises(QueryError, match=message):
        prob_helps(fake_fit, "attention", "gqa", over="mha", **place)


def test_a_probability_in_percent_is_asked_back(fake_fit):
    with pytest.raises(QueryError, match=r"^ci_prob is 95\. Did you mean 0\.95\?"):
        effects(fake_fit, "attention").table(ci_prob=95)


@pytest.mark.parametrize("ci_prob", [0, 1, 90, -0.5, float("nan")])
def test_probability_of_an_interval_that_is_none(fake_fit, ci_prob):
    message = r"^ci_prob is .*[.?] Allowed: a number between 0 and 1, such as 0\.9"
    with pytest.raises(QueryError, match=message):
        query(fake_fit, "attention: gqa > mha", ci_prob=ci_prob)
    with pytest.raises(QueryError, match=message):
        effects(fake_fit, "attention").table(ci_prob=ci_prob)
    with pytest.raises(QueryError, match=message):
        curve(fake_fit).table(ci_prob=ci_prob)
    with pytest.raises(QueryError, match=message):
        curve(fake_fit).optimum(ci_prob=ci_prob)


@pytest.mark.parametrize("equivalence", [-0.1, float("nan"), float("inf")])
def test_equivalence_that_is_no_width(fake_fit, equivalence, refusal):
    with refusal(QueryError, "equivalence", "number from 0 up", "percentage points"):
        query(fake_fit, "attention: gqa > mha", equivalence=equivalence)


@pytest.mark.parametrize("function", [effects, curve])
def test_unknown_by(fake_fit, function, refusal):
    name = "attention" if function is effects else "code_share"
    with refusal(QueryError, "by 'benchmarks'", "'benchmark'", "task_family"):
        function(fake_fit, name, by="benchmarks")


def test_curve_of_a_decision_with_levels(fake_fit, refusal):
    with refusal(QueryError, "'attention'", "levels", "code_share"):
        curve(fake_fit, "attention")


def test_value_that_is_nothing_is_refused(fake_fit):
    with pytest.raises(QueryError, match=r"value 'None' of code_share is not allowed"):
        prob_helps(fake_fit, "code_share", None, over=3)


def test_sizes_can_be_asked_of_a_fit_without_decisions(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(decisions=()))
    answer = query(fit, "n_params: 2e9 > 1e9")
    reverse = query(fit, "n_params: 1e9 > 2e9")
    assert answer.effect["estimate"] == pytest.approx(-float(reverse.effect["estimate"]))
    assert answer.evidence.contraction == pytest.approx(reverse.evidence.contraction)
