"""A spec goes to a file and back, has a checksum of its values, and refuses what is not known."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from bayesmeta.data.decisions import DECISIONS
from bayesmeta.design.scale import SCALE_TERMS
from bayesmeta.errors import SpecError
from bayesmeta.model.spec import (
    OPTIONS,
    RETIRED,
    RETIRED_PRIORS,
    ModelSpec,
    Priors,
    build_design_for,
    hash_values,
    read_spec,
)

UNUSUAL = ModelSpec(
    decisions=("norm", "code_share"),
    scaling="none",
    release_date="none",
    family_effects="random",
    likelihood="normal",
    priors=Priors(beta_tau=0.321, kappa_tau_task=(0.1, 0.2, 0.3, 0.4)),
)
INFORMED = ModelSpec(
    experiments="included", bias="none", run_effects="none", priors=Priors(run_sigma=0.03)
)
EXAMPLES = pytest.mark.parametrize(
    "spec", [ModelSpec(), UNUSUAL, INFORMED], ids=["default", "unusual", "informed"]
)
NUMBERS = [item.name for item in dataclasses.fields(Priors)]


def to_toml(spec):
    """Write a spec by hand as a user would."""
    values = spec.to_dict()
    priors = values.pop("priors")
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += ["[priors]", *(f"{key} = {json.dumps(value)}" for key, value in priors.items())]
    return "\n".join(lines)


@pytest.fixture
def write(tmp_path):
    def write_text(text, name="spec.toml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


@EXAMPLES
def test_round_trip_through_a_dict(spec):
    assert ModelSpec.from_dict(spec.to_dict()) == spec


@EXAMPLES
def test_round_trip_through_json_text(spec):
    assert ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@EXAMPLES
def test_round_trip_through_a_json_file(spec, write):
    assert read_spec(write(json.dumps(spec.to_dict()), "spec.json")) == spec


@EXAMPLES
def test_round_trip_through_a_toml_file(spec, write):
    assert read_spec(write(to_toml(spec))) == spec


def test_what_a_file_leaves_out_keeps_its_default(write):
    assert read_spec(write("")) == ModelSpec()
    assert read_spec(write("[priors]\nsigma = 0.4\n")).priors == Priors(sigma=0.4)


def test_path_may_be_text(write):
    assert read_spec(str(write('likelihood = "normal"'))).likelihood == "normal"


def test_equal_specs_have_one_checksum():
    copy = ModelSpec.from_dict(UNUSUAL.to_dict())
    assert copy.checksum == UNUSUAL.checksum
    assert hash(copy) == hash(UNUSUAL)


CONTRADICTIONS = ({"generations": "measured", "unknown_numbers": "typical"},)


OF_EXPERIMENTS = ("bias", "study_effects", "run_effects", "effect_share_sd",
                  "effect_share_spread", "study_ratio", "study_ratio_log_sd", "arm_tau",
                  "arm_tau_log_sd", "run_sigma", "arm_sigma", "run_log_sd",
                  "bias_ratio")  # fmt: skip
"""Options and priors that mean nothing where experiments are ignored."""


def halved(name):
    """Priors of which one number, or all of a name, are half as large."""
    value = getattr(Priors(), name)
    return Priors(**{name: tuple(v / 2 for v in value) if isinstance(value, tuple) else value / 2})


@pytest.mark.parametrize("option", OPTIONS)
def test_checksum_changes_with_every_option(option):
    usual = {"unknown_numbers": "estimated", "experiments": "included"}
    sums = {ModelSpec(**{**usual, option: value}).checksum for value in OPTIONS[option]}
    assert len(sums) == len(OPTIONS[option])


@pytest.mark.parametrize("name", NUMBERS)
def test_checksum_changes_with_every_prior(name):
    one, other = (ModelSpec(experiments="included", priors=p) for p in (Priors(), halved(name)))
    assert one.checksum != other.checksum


@pytest.mark.parametrize("name", [name for name in (*OPTIONS, *NUMBERS) if name != "experiments"])
def test_what_concerns_experiments_is_in_no_checksum_where_they_are_ignored(name):
    other = {name: OPTIONS[name][-1]} if name in OPTIONS else {"priors": halved(name)}
    usual = {"experiments": "ignored"}
    usual |= {"unknown_numbers": "estimated"} if name == "generations" else {}
    same = ModelSpec(**usual, **other).checksum == ModelSpec(**usual).checksum
    assert same == (name in OF_EXPERIMENTS)


def test_checksum_changes_with_the_decisions():
    assert ModelSpec(decisions=tuple(DECISIONS)[:-1]).checksum != ModelSpec().checksum


def test_spec_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelSpec().likelihood = "normal"


@pytest.mark.parametrize(
    "scaling, release_date, expected",
    [
        ("loglinear", "linear", SCALE_TERMS),
        ("loglinear", "none", SCALE_TERMS[:3]),
        ("chinchilla", "linear", ("released",)),
        ("chinchilla", "none", ()),
        ("none", "linear", ("released",)),
        ("none", "none", ()),
    ],
)
def test_scale_terms(scaling, release_date, expected):
    assert ModelSpec(scaling=scaling, release_date=release_date).scale_terms == expected


def test_fixed_scale_of_an_effect_has_the_variance_of_a_pooled_one():
    priors, rng, n = Priors(), np.random.default_rng(1), 400_000
    tau = priors.beta_tau * np.exp(priors.beta_tau_log_sd * rng.normal(size=n))
    mean, task, own = rng.normal(size=(3, n))
    pooled = tau * (mean + priors.beta_ratio * (task + own))
    # Tails of the scale: the Monte Carlo error of this standard deviation is 0.4 percent.
    assert pooled.std() == pytest.approx(priors.beta_sd, rel=0.02)


@pytest.mark.parametrize("decisions", [(), ("norm",)])
def test_options_combine_freely(decisions):
    grid = [
        dict(zip(OPTIONS, values, strict=True)) for values in itertools.product(*OPTIONS.values())
    ]
    grid = [
        options
        for options in grid
        if not any(pair.items() <= options.items() for pair in CONTRADICTIONS)
    ]
    specs = {ModelSpec(decisions=decisions, **options) for options in grid}
    assert len(specs) == len(grid)


@pytest.mark.parametrize("pair", CONTRADICTIONS, ids=" ".join)
def test_contradictions_name_both_options(refusal, pair):
    with refusal(SpecError, *pair, *(f"'{value}'" for value in pair.values())):
        ModelSpec(**pair)


CHECKSUM = "c22f23804f1702fdadd468e04c48952cc4333fdce5a56d644d2bf75339c6cff7"
"""Of the model without experiments, which records and fits carry that know of none."""


def test_options_that_are_gone_change_no_checksum():
    assert ModelSpec(experiments="ignored").checksum == CHECKSUM
    other = ModelSpec(experiments="ignored", priors={"beta_tau": 0.2})
    assert other.checksum.startswith("326dfcb2d69c45c3")


def test_older_spec_may_hold_options_that_are_gone(write):
    old = {**UNUSUAL.to_dict(), **RETIRED}
    old["priors"] = {**old["priors"], **RETIRED_PRIORS}
    assert read_spec(write(json.dumps(old), "old.json")) == UNUSUAL
    older = {
        key: value for key, value in old.items() if key not in {"experiments", *OF_EXPERIMENTS}
    }
    older["priors"] = {k: v for k, v in old["priors"].items() if k not in OF_EXPERIMENTS}
    assert hash_values(older) == dataclasses.replace(UNUSUAL, experiments="ignored").checksum
    assert read_spec(write(json.dumps(older), "older.json")) == UNUSUAL
    assert not (RETIRED.keys() | RETIRED_PRIORS.keys()) & {*UNUSUAL.to_dict(), *NUMBERS}


@pytest.mark.parametrize(
    "values, named",
    [
        ({"likelihood": "beta-binomial"}, ("likelihood", "'beta-binomial'", "student")),
        ({"code_curve": "smooth"}, ("code_curve is 'smooth'", "'linear'", "Set interactions to")),
        ({"unknown_categories": "summed"}, ("unknown_categories", "'summed'", "undisclosed")),
        ({"priors": {"curve_task": 0.4}}, ("curve_task", "0.4", "0.2", "interactions")),
    ],
)
def test_option_that_is_gone_says_what_replaces_it(refusal, values, named):
    for make in (ModelSpec.from_dict, lambda values: ModelSpec(**values)):
        with refusal(SpecError, *named):
            make(values)


def test_unknown_key(refusal):
    with refusal(SpecError, "'scalling'", "'scaling'", "decisions"):
        ModelSpec.from_dict({"scalling": "none"})


def test_unknown_key_that_resembles_nothing(refusal):
    with refusal(SpecError, "'qqq'", "decisions, scaling", "leave"):
        ModelSpec.from_dict({"qqq": 1})


@pytest.mark.parametrize("option", OPTIONS)
def test_unknown_option(refusal, option):
    misspelt, allowed = OPTIONS[option][0][:-1], OPTIONS[option]
    with refusal(SpecError, f"{option} '{misspelt}'", f"'{allowed[0]}'", ", ".join(allowed)):
        ModelSpec(**{option: misspelt})


def test_unknown_decision(refusal, bundled):
    spec = ModelSpec(decisions=("attn",))  # a data set may declare it
    with refusal(SpecError, "decision 'attn'", "position_embedding"):
        build_design_for(bundled, spec=spec)
    with refusal(SpecError, "decision 'no name'", "position_embedding"):
        ModelSpec(decisions=("no name",))


@pytest.mark.parametrize("decisions", ["norm", 3, {"norm": True}])
def test_decisions_that_are_no_list(decisions, refusal):
    with refusal(SpecError, "decisions", "list", "position_embedding"):
        ModelSpec.from_dict({"decisions": decisions})


def test_nested_decisions(refusal):
    with refusal(SpecError, "decision '['norm']'"):
        ModelSpec.from_dict({"decisions": [["norm"]]})


def test_order_and_repeats_of_decisions_make_no_other_model():
    assert ModelSpec(decisions=("norm", "norm", "block")) == ModelSpec(decisions=("block", "norm"))


def test_priors_may_be_plain_values():
    assert ModelSpec(priors={"beta_tau": 1}).priors.beta_tau == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1"])
def test_prior_that_is_no_finite_number(value, refusal):
    with refusal(SpecError, "prior tau_family_log", "positive number"):
        ModelSpec(priors={"tau_family_log": value})


def test_unknown_prior(refusal):
    with refusal(SpecError, "prior 'beta_taus'", "'beta_tau'"):
        ModelSpec.from_dict({"priors": {"beta_taus": 0.1}})


@pytest.mark.parametrize("value", [0, -1, "wide", None, True, float("nan"), [0.1, 0.2]])
def test_prior_that_is_no_positive_number(value, refusal):
    with refusal(SpecError, "prior beta_tau", "positive number"):
        ModelSpec.from_dict({"priors": {"beta_tau": value}})


@pytest.mark.parametrize("value", [0.1, [0.1, 0.2], [0.1, 0.2, 0.3, -0.4], [0.1, 0.2, 0.3, "x"]])
def test_prior_that_needs_a_number_for_every_scale_term(value, refusal):
    with refusal(SpecError, "prior kappa_tau_task", "4 positive numbers"):
        ModelSpec.from_dict({"priors": {"kappa_tau_task": value}})


@pytest.mark.parametrize("value", [1, 1.2, 0])
def test_prior_that_is_no_fraction(value, refusal):
    with refusal(SpecError, "prior law_size_fraction", "positive number below 1"):
        ModelSpec(priors={"law_size_fraction": value})


def test_location_on_the_log_scale_may_be_negative():
    assert ModelSpec(priors=Priors(tau_family_log=-2.0)).priors.tau_family_log == -2.0


def test_priors_that_are_no_table(refusal):
    with refusal(SpecError, "priors", "3", "table"):
        ModelSpec.from_dict({"priors": 3})


def test_file_that_does_not_exist(tmp_path, refusal):
    with refusal(SpecError, "spec.toml", "No such file"):
        read_spec(tmp_path / "spec.toml")


def test_folder_instead_of_a_file(tmp_path, refusal):
    folder = tmp_path / "spec.json"
    folder.mkdir()
    with refusal(SpecError, "spec.json", "directory"):
        read_spec(folder)


def test_unknown_ending(write, refusal):
    with refusal(SpecError, "spec.yaml", ".toml", ".json"):
        read_spec(write("scaling: none", "spec.yaml"))


@pytest.mark.parametrize("name", ["spec.toml", "spec.json"])
@pytest.mark.parametrize("content", ["scaling = = 1 {", b"\xff\xfe\x00"], ids=["syntax", "bytes"])
def test_broken_file(write, name, content, refusal):
    with refusal(SpecError, name, "Correct the file"):
        read_spec(write(content, name))


def test_json_file_without_keys(write, refusal):
    with refusal(SpecError, "spec.json", "no keys"):
        read_spec(write("[1, 2]", "spec.json"))


def test_error_in_a_file_names_the_file(write, refusal):
    with refusal(SpecError, "spec.toml", "likelihood 'normall'", "'normal'"):
        read_spec(write('likelihood = "normall"'))


@pytest.mark.parametrize(
    "text, named",
    [
        ('poling = "none"', ("key 'poling'", "'pooling'")),
        ("[priors]\nbeta_taw = 1", ("prior 'beta_taw'", "'beta_tau'")),
        ("beta_tau = 1", ("key 'beta_tau'", "It is a prior", "[priors]")),
        ('[priors]\npooling = "none"', ("prior 'pooling'", "It is a key of the spec")),
    ],
)
def test_misplaced_or_misspelt_key_in_a_file(write, refusal, text, named):
    with refusal(SpecError, "spec.toml", *named):
        read_spec(write(text))
