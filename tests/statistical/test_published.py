"""Meta-analyses of public data sets against the estimates that were published of them.

Estimates are those that metafor 4 prints for the data sets of the R package metadat (its reference
pages; Viechtbauer 2010, https://doi.org/10.18637/jss.v036.i03), by restricted maximum likelihood
where nothing else is said: DL for DerSimonian and Laird's method, CM.EL for the conditional
logistic model. Effects were computed from the published counts, means and correlations, and are
held to six digits in `published/`.

`python tests/statistical/test_published.py` writes the table of docs/published_results.md anew.
"""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

import bayesmeta as bm
from bayesmeta.studies.event_counts import EventCounts
from bayesmeta.studies.study_design import build_effect_design

HERE = Path(__file__).parent
FOLDER = HERE / "published"
PUBLISHED = json.loads((FOLDER / "estimates.json").read_text(encoding="utf-8"))
CASES = [(name, k) for name, entry in PUBLISHED.items() for k in range(len(entry["fits"]))]
ROLES = ("moderators", "levels", "groups", "cluster", "rho", "missing", "counts")
PAGE = HERE.parents[1] / "docs" / "published_results.md"
MARKS = "<!-- published -->\n", "<!-- /published -->\n"


@cache
def fit(name, k):
    case = PUBLISHED[name]["fits"][k]
    roles = {role: case[role] for role in ROLES if role in case}
    if "counts" not in roles:
        roles |= {"effect": "yi", "se": "sei"}
    table = bm.read_effect_sizes(FOLDER / f"{name}.csv", study="trial", **roles)
    return bm.fit(table, seed=1, draws=2500, progress=False)


def effect(fit, quantity):
    """Mean and standard deviation of draws of a coefficient."""
    if quantity == "mean effect":
        draws = fit.parameters["mu"]
    else:
        draws = fit.draws["gamma"].sel(moderator=quantity).values
    return draws.mean(), draws.std()


def scale(fit, quantity):
    """Draws of a heterogeneity."""
    if quantity == "tau":
        return fit.parameters["tau"].ravel()
    return fit.draws["tau_group"].sel(grouping=quantity.removeprefix("tau of ")).values.ravel()


def test_there_are_enough_data_sets():
    assert len(PUBLISHED) >= 15


@pytest.mark.parametrize("name,k", CASES)
def test_means_and_coefficients_are_as_published(name, k):
    found = fit(name, k)
    assert found.provenance["sampler"] == "exact"
    assert bm.check(found).passed
    for quantity, (estimate, error) in PUBLISHED[name]["fits"][k]["estimates"].items():
        mean, sd = effect(found, quantity)
        assert abs(mean - estimate) < error / 5, quantity
        assert sd > 0.9 * error, quantity  # heterogeneity is not known


@pytest.mark.parametrize("name,k", CASES)
def test_heterogeneity_is_as_published(name, k):
    for quantity, published in PUBLISHED[name]["fits"][k]["tau"].items():
        low, high = np.quantile(scale(fit(name, k), quantity), [0.1, 0.9])
        assert low < published < high, quantity


@pytest.mark.parametrize(
    "name,published,error",
    [("nielweise2007", (-1.353, 0.833), 0.351), ("collins1985a", (-0.1744, 0.3453), 0.1363)],
)
def test_the_likelihood_of_events_has_its_maximum_where_metafor_has_it(name, published, error):
    """Studies without events say nothing; the posterior means lie off, since tau is skewed."""
    table = bm.read_effect_sizes(
        FOLDER / f"{name}.csv", study="trial",
        counts=["events", "total", "control_events", "control_total"],
    )  # fmt: skip
    design = build_effect_design(table, use_counts=True)
    counts = EventCounts(design.counts, y=design.y, se=design.se)

    def loss(x):
        mean = np.full((1, len(design.y)), x[0])
        return -counts.log_density(mean, np.array([np.exp(x[1])])).sum()

    best = optimize.minimize(loss, [-0.5, -0.5], method="Nelder-Mead", options={"xatol": 1e-5})
    # metafor integrates with fewer nodes; it prints three or four digits.
    assert best.x[0] == pytest.approx(published[0], abs=0.01)
    assert np.exp(best.x[1]) == pytest.approx(published[1], abs=0.015)
    step = np.array([1e-2, 0.0])
    curvature = (loss(best.x + step) + loss(best.x - step) - 2 * loss(best.x)) / 1e-4
    assert curvature**-0.5 == pytest.approx(error, rel=0.1)


def test_a_wrong_table_is_noticed():
    table = bm.read_effect_sizes(FOLDER / "bcg.csv", study="trial", effect="yi", variance="sei")
    wrong = bm.fit(table, progress=False)
    estimate, error = PUBLISHED["bcg"]["fits"][0]["estimates"]["mean effect"]
    assert abs(effect(wrong, "mean effect")[0] - estimate) > error / 5


def write_rows():
    """Rows of the table in docs/published_results.md: published and ours."""
    for name, k in CASES:
        entry, found = PUBLISHED[name], fit(name, k)
        case = entry["fits"][k]
        parts = [case["method"]] if "method" in case else []
        moderators = case.get("moderators", [])
        parts += [moderators if isinstance(moderators, str) else " + ".join(moderators)]
        parts += [f"groups {', '.join(case['groups'])}"] if "groups" in case else []
        parts += [f"rho {case['rho']}"] if "rho" in case else []
        model = "; ".join(part for part in parts if part) or "mean"
        for quantity, (estimate, error) in case["estimates"].items():
            mean, sd = effect(found, quantity)
            yield [name, model, quantity, f"{estimate:.4g} ({error:.3g})", f"{mean:.3g} ({sd:.2g})"]
        for quantity, published in case["tau"].items():
            low, middle, high = np.quantile(scale(found, quantity), [0.1, 0.5, 0.9])
            ours = f"{middle:.2g} ({low:.2g} to {high:.2g})"
            yield [name, model, quantity, f"{published:.3g}", ours]


def test_the_page_says_what_was_published_and_what_we_find():
    text = PAGE.read_text(encoding="utf-8").partition(MARKS[0])[2].partition(MARKS[1])[0]
    shown = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines()[2:]]
    numbers = re.compile(r"-?\d+\.?\d*")
    for row, expected in zip(shown, write_rows(), strict=True):
        assert row[:4] == expected[:4]
        ours = [[float(x) for x in numbers.findall(one[4])] for one in (row, expected)]
        np.testing.assert_allclose(*ours, rtol=0.05, atol=0.02)
    for entry in PUBLISHED.values():
        assert entry["source"] in PAGE.read_text(encoding="utf-8")


if __name__ == "__main__":
    lines = ["| data set | model | quantity | published | ours |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in write_rows()]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(before + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + after)
