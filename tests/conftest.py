"""Shared by all tests: a small dataset, the bundled one, and posteriors made without a sampler.

What tests share as functions comes as fixtures too: a refusal, a program that must be there.
"""

import os
import re
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr

from bayesmeta.data.load import load_dataset, read_dataset, read_experiments
from bayesmeta.inference.fits import Fit
from bayesmeta.model.predictor import complete_facts
from bayesmeta.model.spec import ModelSpec, build_design_for

# Five families: `ant` and `bee` vary in attention, `cat` discloses no mix, `dog` only its code
# share, `elk` not its position embedding. All have one norm, so that norm is no decision here.
LMS = """\
lm,lm_family,released,n_params,n_tokens,position_embedding,norm,attention,context_length,\
code_share,web_share,books_share,reference_share,academic_share,english_share
ant-1,ant,2021-03,1000000000,200000000000,learned,layernorm,mha,2048,10,70,10,5,5,95
ant-2,ant,2021-05,3000000000,300000000000,learned,layernorm,mha,2048,10,70,10,5,5,95
ant-3,ant,2021-11,7000000000,300000000000,learned,layernorm,gqa,4096,5,75,10,5,5,95
bee-1,bee,2022-01,2000000000,900000000000,rotary,layernorm,mha,4096,20,60,5,5,0,80
bee-2,bee,2022-02,8000000000,900000000000,rotary,layernorm,gqa,4096,20,60,5,5,0,80
bee-3,bee,2022-07,30000000000,1400000000000,rotary,layernorm,gqa,8192,25,55,5,5,0,80
cat-1,cat,2023-01,7000000000,1000000000000,rotary,layernorm,mha,,,,,,,
cat-2,cat,2023-01,13000000000,1000000000000,rotary,layernorm,mha,,,,,,,
dog-1,dog,2023-04,1500000000,2000000000000,learned,layernorm,gqa,8192,30,,,,,60
dog-2,dog,,6000000000,2500000000000,learned,layernorm,gqa,8192,30,,,,,60
elk-1,elk,2023-09,500000000,300000000000,,layernorm,mha,2048,0,90,0,10,0,
elk-2,elk,2023-09,5000000000,600000000000,,layernorm,mha,2048,0,90,0,10,0,
"""
BENCHMARKS = """\
benchmark,label,task_family,metric,direction,chance,n_items
reading,Reading,language,accuracy,higher,0.25,1000
recall,Recall,language,accuracy,higher,0,500
proofs,Proofs,logic,brier,lower,0.75,800
puzzles,Puzzles,logic,accuracy,higher,0.5,400
"""
UNSCORED = ("dog-2", "recall")

# What eight of the lms write; nobody looked at ant-2 closely enough, nor at the others at all.
GENERATION = """\
lm,generated_web_share,generated_code_share,generated_books_share,generated_reference_share,\
generated_academic_share,generated_specific_share,generated_english_share
ant-1,50,20,10,12,7,1,98
ant-2,55,,10,12,7,1,98
ant-3,60,10,12,12,5,1,97
bee-1,40,40,5,10,4,1,90
bee-3,30,50,6,10,3,1,88
cat-1,70,5,5,12,6,2,70
cat-2,65,8,6,14,5,2,75
dog-1,20,60,4,10,5,1,85
elk-1,80,1,4,10,5,0,99
"""


def write_scores(seed=3):
    """Scores that rise with size; one accuracy without its standard error, one cell missing."""
    rng = np.random.default_rng(seed)
    lines = ["lm,benchmark,score,se"]
    for line in LMS.strip().splitlines()[1:]:
        lm, _, _, n_params = line.split(",")[:4]
        skill = np.log10(float(n_params) / 1e9)
        for name, low, high in (("reading", 0.25, 1), ("recall", 0, 1), ("puzzles", 0.5, 1)):
            p = 1 / (1 + np.exp(-skill + 0.5 + rng.normal(0, 0.4)))
            se = "" if (lm, name) == ("ant-2", "reading") else "0.015"
            if (lm, name) != UNSCORED:
                lines.append(f"{lm},{name},{low + (high - low) * p:.4f},{se}")
        lines.append(f"{lm},proofs,{0.8 - 0.1 * skill + rng.normal(0, 0.03):.4f},")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory):
    """The tables of the small dataset as files."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "lms.csv").write_text(LMS)
    (folder / "scores.csv").write_text(write_scores())
    (folder / "benchmarks.csv").write_text(BENCHMARKS)
    return folder


@pytest.fixture(scope="session")
def small(small_folder):
    """Twelve lms of five families on four benchmarks of two task families."""
    return read_dataset(small_folder)


@pytest.fixture(scope="session")
def small_written(small_folder, tmp_path_factory):
    """The small dataset with a table of what eight of its lms write."""
    folder = tmp_path_factory.mktemp("written")
    for file in small_folder.iterdir():
        (folder / file.name).write_text(file.read_text())
    (folder / "generation.csv").write_text(GENERATION)
    return read_dataset(folder)


# Study `heads`: attention at two sizes, on two protocols, with a level that no lm has (`mqa`) and a
# group of which one arm is left. Study `mixes`: shares of code, named corpora, repeated tokens, and
# attention by two runs that are arms of the other group too; some facts are blank.
ARMS = """\
study,group,arm,run,n_params,n_tokens,attention,context_length,code_share,web_share,books_share,\
reference_share,academic_share,corpus,n_epochs
heads,small,mha,,1000000000,100000000000,mha,2048,10,70,10,5,5,,
heads,small,gqa,,1000000000,100000000000,gqa,2048,10,70,10,5,5,,
heads,small,mqa,,1000000000,100000000000,mqa,2048,10,70,10,5,5,,
heads,large,mha,,7000000000,300000000000,mha,2048,10,70,10,5,5,,
heads,large,gqa,,7000000000,300000000000,gqa,4096,10,70,10,5,5,,
heads,alone,mha,,1000000000,100000000000,mha,2048,10,70,10,5,5,,
heads,alone,mqa,,1000000000,100000000000,mqa,2048,10,70,10,5,5,,
mixes,code,none,base,2000000000,50000000000,mha,,0,90,0,10,0,webtext,1
mixes,code,some,,2000000000,50000000000,mha,,10,80,0,10,0,webtext,1
mixes,code,more,,2000000000,50000000000,mha,,30,60,0,10,0,webtext,4
mixes,code,crawl,crawl,2000000000,50000000000,mha,,0,90,0,10,0,crawl,1
mixes,heads,mha,base,2000000000,50000000000,mha,,0,90,0,10,0,webtext,1
mixes,heads,gqa,,2000000000,50000000000,gqa,,0,90,0,10,0,webtext,1
mixes,heads,crawl,crawl,2000000000,50000000000,mha,,0,90,0,10,0,crawl,1
"""


def write_results(seed=5):
    """Scores of all arms; the average of three runs in one study, another protocol in the other."""
    rng = np.random.default_rng(seed)
    lines = ["study,group,arm,benchmark,protocol,score,se,n_seeds"]
    for line in ARMS.strip().splitlines()[1:]:
        study, group, arm, run = line.split(",")[:4]
        seeds = 3 if study == "mixes" and not run else 1
        for name, middle in (("reading", 0.6), ("recall", 0.4), ("puzzles", 0.7), ("proofs", 0.9)):
            for protocol in ("0-shot", "5-shot")[: 1 + (name == "reading" and study == "heads")]:
                score = middle + rng.normal(0, 0.02)
                lines.append(f"{study},{group},{arm},{name},{protocol},{score:.4f},,{seeds}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def informed(small, tmp_path_factory):
    """The small dataset with controlled experiments of two studies."""
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "arms.csv").write_text(ARMS)
    (folder / "results.csv").write_text(write_results())
    (folder / "benchmarks.csv").write_text(BENCHMARKS)
    return small.add(read_experiments(folder))


@pytest.fixture(scope="session")
def bundled():
    """The bundled LMs and scores, without experiments."""
    return load_dataset(experiments=False)


@pytest.fixture(scope="session")
def bundled_informed():
    """The bundled data with the bundled experiments."""
    return load_dataset()


ADDITIVE = {"interactions": "none", "unknown_numbers": "estimated"}
"""Options of a model whose effects add up, with unknown numbers: effects in it can be worked out by
hand."""


_SPECS = {
    "default": {}, "no decisions": {"decisions": ()},
    "random families": {"family_effects": "random"}, "no families": {"family_effects": "none"},
    "within-between": {"family_effects": "within-between"}, "additive": {"interactions": "none"},
    "estimated": {"unknown_numbers": "estimated"},
    "additive and estimated": ADDITIVE,
    "normal": {"likelihood": "normal"},
    "no covariates": {"scaling": "none", "release_date": "none"},
    "law": {"scaling": "chinchilla"}, "no pooling": {"pooling": "none"},
    "complete pooling": {"pooling": "complete"}, "no scaling": {"scaling": "none"},
    "within-between law": {"family_effects": "within-between", "scaling": "chinchilla"},
    "no date": {"release_date": "none"}, "no mix": {"decisions": ("attention", "context_length")},
    "mix only": {"decisions": ("web_share",), "likelihood": "normal"},
    "law without date": {"scaling": "chinchilla", "release_date": "none", "decisions": ()},
    "no pooling of a law": {"pooling": "none", "scaling": "chinchilla"},
    "half-normal": {"shrinkage": "half-normal"},
    "horseshoe": {"shrinkage": "horseshoe", "pooling": "complete"}, "r2d2": {"shrinkage": "r2d2"},
}  # fmt: skip
SPECS = {name: ModelSpec(**options) for name, options in _SPECS.items()}
"""Specs that tests go through, by the names that `@pytest.mark.specs` takes."""


def pytest_configure(config):
    config.addinivalue_line("markers", "specs(*names): run with each of these specs as `spec`")


def pytest_generate_tests(metafunc):
    for marker in metafunc.definition.iter_markers("specs"):
        metafunc.parametrize("spec", [SPECS[name] for name in marker.args], ids=marker.args)


def dims_of(design, spec):
    """Dims of every variable that a fit keeps, by name."""
    dims = {
        "alpha": ("benchmark",),
        "sigma": ("benchmark",),
        "rho_lm": (),
        "v": ("lm",),
        "sigma_score": (),
    }
    if design.scale_terms:
        dims |= {
            "kappa": ("benchmark", "scale_term"),
            "tau_kappa": ("scale_term",),
            "tau_kappa_task": ("scale_term",),
        }
    if "n_params" in design.scale_terms or spec.scaling == "chinchilla":
        dims["law_slope"] = ()
    if spec.scaling == "chinchilla":
        dims |= {f"law_{name}": () for name in ("size_exponent", "data_exponent", "size_fraction")}
        dims |= {"kappa_law": ("benchmark",), "tau_kappa_law": (), "tau_kappa_law_task": ()}
    if "released" in design.scale_terms:
        dims["released_slope"] = ()
    if design.terms:
        dims["beta"] = ("term", "benchmark")
        if spec.pooling != "none":
            extra = {"horseshoe": "tau_beta_overall", "r2d2": "r2_beta"}.get(spec.shrinkage)
            dims |= {"tau_beta": ("decision",)} | ({extra: ()} if extra else {})
    if design.missing.names:
        dims["x_unknown"] = ("unknown",)
    if design.sizes is not None:
        dims["size_unknown"] = ("unknown_size",)
    if design.mix is not None and len(design.mix.rows):
        dims["mix_unknown"] = ("mix_group", "domain")
    if design.generations is not None:
        for name in ("generation_intercept", "generation_slope"):
            dims[name] = ("written",)
        dims |= {"tau_generation": ("written",), "sigma_generation": ("written",)}
    if design.surface is not None:
        dims |= {"surface": ("function", "benchmark"), "tau_surface": ("level",)}
    if spec.family_effects == "within-between" and design.between_terms:
        dims["kappa_between"] = ("benchmark", "between_term")
    if spec.family_effects != "none":
        dims |= {
            "log_tau_family": (),
            "tau_spread": (),
            "tau_family": ("benchmark",),
            "rho_family": (),
            "u": ("lm_family",),
            "w": ("lm_family", "task_family"),
        }
    if spec.likelihood != "normal":
        dims["nu_beyond_one"] = ()
    if design.contrasts is not None:
        dims |= dims_of_experiments(design, spec)
    return dims


def dims_of_experiments(design, spec):
    """Dims of what a fit keeps of experiments."""
    dims = {"arm_sigma": ()}
    if spec.bias == "estimated":
        dims |= {"effect_share_mean": (), "effect_share": ("effect_block",)}
        if design.terms:
            dims |= {"beta_effect": ("term", "benchmark"), "tau_effect": ("decision",)}
        if design.surface is not None:
            dims |= {"surface_effect": ("function", "benchmark"), "tau_surface_effect": ("level",)}
    if design.contrasts.arm_terms:
        dims |= {"tau_arm": ("arm_decision",), "arm_effect": ("arm_term", "benchmark")}
    if spec.study_effects == "random":
        dims |= {"study_ratio": (), "study_effect": ("setting", "benchmark")}
    if spec.run_effects == "random":
        dims |= {"run_sigma": (), "run_effect": ("run",)}
    if spec.likelihood != "normal":
        dims["arm_nu_beyond_one"] = ()
    return dims


def make_posterior(dataset, *, spec=None, chains=2, draws=60, seed=0, override=None):
    """Build a fit from independent random draws, with the names and dims of a real one.

    Effects of levels sum to zero, scales are positive, shares lie between 0 and 1. `override`
    replaces variables: values are broadcast to chains and draws.
    """
    spec = spec if spec is not None else ModelSpec(**ADDITIVE)
    design = build_design_for(dataset, spec=spec)
    rng = np.random.default_rng(seed)
    coords = {name: list(labels) for name, labels in design.coords.items()}
    positive = ("sigma", "sigma_score", "tau_", "law_", "nu_", "generation_slope", "arm_sigma",
                "arm_nu", "run_sigma", "study_ratio")  # fmt: skip
    variables = {}
    for name, dims in dims_of(design, spec).items():
        shape = (chains, draws, *(len(coords[dim]) for dim in dims))
        if name == "beta":
            free = rng.normal(0, 0.15, (chains, draws, design.loading.shape[1], shape[-1]))
            values = design.loading @ free
        elif name == "mix_unknown":
            values = rng.dirichlet(np.ones(shape[-1]), shape[:-1])
        elif name.startswith("rho_") or name in ("law_size_fraction", "effect_share"):
            values = rng.uniform(0.2, 0.8, shape)
        elif name.startswith(positive) and name != "tau_spread":
            values = np.exp(rng.normal(-1.5, 0.2, shape)) * (20 if name.startswith("nu_") else 1)
        else:
            values = np.exp(rng.normal(-1, 0.2, shape)) if name == "tau_spread" else (
                rng.normal(0, 0.4, shape)
            )  # fmt: skip
        if override is not None and name in override:
            values = np.broadcast_to(np.asarray(override[name], float), shape).copy()
        variables[name] = (("chain", "draw", *dims), values)
    used = {dim for dims, _ in variables.values() for dim in dims}
    posterior = xr.Dataset(
        variables,
        coords={
            "chain": np.arange(chains),
            "draw": np.arange(draws),
            **{name: labels for name, labels in coords.items() if name in used},
        },
    )
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), np.zeros((chains, draws), bool)),
            "energy": (("chain", "draw"), rng.normal(1000, 20, (chains, draws))),
        },
        coords={"chain": np.arange(chains), "draw": np.arange(draws)},
    )
    return Fit(
        posterior=xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats}),
        spec=spec,
        dataset=dataset,
        provenance={
            "sampler": "none",
            "seed": seed,
            "data_checksum": dataset.checksum,
            "spec_checksum": spec.checksum,
        },
    )


@pytest.fixture(scope="session")
def build_fake_fit():
    """Build a fit without sampling: `build_fake_fit(dataset, spec=, override=, ...)`."""
    return make_posterior


@pytest.fixture(scope="session")
def peaked_fit(small):
    """A fit whose code share acts through the surface alone, and its best share on `proofs`.

    There it rises and falls; on the other benchmarks it falls and rises.
    """
    spec, share = ModelSpec(), np.linspace(0, 1, 1001)
    design = build_design_for(small, spec=spec)
    facts = (design.facts.put({"code_share": 100 * x}) for x in share)
    phi = np.array([one.functions.mean(axis=0) for one in facts])
    weights = np.linalg.lstsq(phi - phi.mean(axis=0), -((share - 0.4) ** 2), rcond=1e-6)[0]
    sign = np.where(np.array(design.benchmarks) == "proofs", 1.0, -1.0)
    override = {"beta": 0.0, "surface": weights[:, None] * sign}
    fit = make_posterior(small, spec=spec, override=override)
    return fit, 100 * share[np.argmax(phi @ weights)]


@pytest.fixture(scope="session")
def additive():
    """Options of a model in which effects add up."""
    return ADDITIVE


@pytest.fixture(scope="session")
def list_dims():
    """Dims of every variable that a fit keeps: `list_dims(design, spec)`."""
    return dims_of


@pytest.fixture(scope="session")
def fake_fit(small):
    """A fit of an additive model to the small dataset, with random draws."""
    return make_posterior(small)


@pytest.fixture(scope="session")
def default_fit(small):
    """A fit of the default model to the small dataset, with random draws."""
    return make_posterior(small, spec=ModelSpec())


@pytest.fixture(scope="session")
def fake_bundled_fit(bundled):
    """A fit of the default model to the bundled data, with random draws."""
    return make_posterior(bundled, spec=ModelSpec(), draws=20)


@contextmanager
def expect_refusal(error, *parts):
    """Expect an error of one line that names every part, each as a whole word, in any order."""
    with pytest.raises(error) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    left_out = [p for p in parts if not re.search(rf"(?<!\w){re.escape(p)}(?!\w)", message)]
    assert not left_out, message


@pytest.fixture(scope="session")
def refusal():
    """Expect what is refused: `with refusal(SpecError, "likelihood", "'normall'", "normal"):`.

    The parts are what a message must name: the thing, the value, what is allowed, a way out.
    """
    return expect_refusal


@pytest.fixture(scope="session")
def need_tool():
    """Find the first of some programs: `need_tool("chromium", "google-chrome")`.

    Without one a test is skipped, and fails where `BAYESMETA_HAS` says that it is there.
    """

    def find(*names):
        declared = set(names) & set(os.environ.get("BAYESMETA_HAS", "").split(","))
        found = next(filter(None, map(shutil.which, names)), None)
        if found is None:
            end = pytest.fail if declared else pytest.skip
            said = f"; BAYESMETA_HAS says that {min(declared)} is" if declared else ""
            end(f"{' and '.join(names)} not on the path{said}")
        return found

    return find


@pytest.fixture(scope="session")
def generation_distribution():
    """Location and scale of what lms write, in numpy: what the graph is held against."""

    def compute(parameters, *, design):
        written, column = design.generations, design.english_column
        assert written is not None
        facts = complete_facts(parameters, design=design)
        english = (
            None if column is None else design.fraction_of(facts.X[..., column], column=column)
        )
        read = np.concatenate(written.read_parts(facts.mix, english), axis=-1)
        intercept, slope, tau, sigma = (
            np.asarray(parameters[name], float)[..., None, :]
            for name in ("generation_intercept", "generation_slope", "tau_generation",
                         "sigma_generation")
        )  # fmt: skip
        mu = written.rotation @ (intercept + slope * read)
        return mu, np.sqrt(sigma**2 + written.n_siblings[:, None] * tau**2)

    return compute
