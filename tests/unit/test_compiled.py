"""Compiled graphs are kept, found again where they are right, and never in a fit's way."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesmeta as bm
from bayesmeta.inference import compiled
from bayesmeta.inference.graph import build_graph, compile_for
from bayesmeta.model.blocks import build_model
from bayesmeta.model.spec import ModelSpec, build_design_for

OPTIONS = {"decisions": ("attention",), "family_effects": "none", "interactions": "none"}
SPEC = ModelSpec(**OPTIONS)
SETTINGS = {"seed": 3, "draws": 20, "tune": 30, "chains": 2, "progress": False}

ASK = """
import sys
import bayesmeta as bm
data, spec = bm.read_dataset(sys.argv[1]), bm.ModelSpec(**{spec})
fit = bm.fit(data, spec, **{settings})
print("pymc" in sys.modules, "pytensor" in sys.modules)
print(float(fit.draws["beta"].sum()))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BAYESMETA_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture(scope="module")
def trials():
    frame = pd.DataFrame({"trial": list("abcde"), "y": [0.1, 0.3, 0.2, -0.1, 0.4]})
    return bm.read_effect_sizes(frame.assign(se=0.1), effect="y", se="se", study="trial")


def fit_trials(trials):
    return bm.fit(trials, sampler="nutpie", **SETTINGS)


def change_scores(data, by=0.01):
    return data.with_scores(data.scores["score"].to_numpy() + by)


def test_kept_code_gives_the_same_draws_and_does_without_pymc(small, folder, tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    for name, text in small.format_tables().items():
        (tables / f"{name}.csv").write_text(text, encoding="utf-8")
    program = ASK.format(spec=OPTIONS, settings=SETTINGS)
    first, again = (
        subprocess.run(
            [sys.executable, "-c", program, str(tables)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for _ in range(2)
    )
    assert len(list(folder.iterdir())) == 1
    assert (first[0], again[0]) == ("True True", "False False")
    assert first[1] == again[1]


def test_code_is_found_for_other_scores_and_gives_their_posterior(small, folder):
    other, start = change_scores(small), None
    found = []
    for data in (small, other):
        graph, names = compile_for(data, SPEC)
        start = graph.initial_point_func(1) if start is None else start
        density = compiled._density(graph.compiled_logp_func.address, graph.user_data, start)
        found.append(density)
        assert "beta" in names
    assert len(list(folder.iterdir())) == 1
    assert found[0] != found[1]
    for data, density in zip((small, other), found, strict=True):
        model = build_graph(data, SPEC)
        ends = np.cumsum([np.prod(model.eval_rv_shapes()[v.name]) for v in model.free_RVs])
        parts = np.split(start, ends[:-1].astype(int))
        point = {
            model.rvs_to_values[v].name: part.reshape(model.eval_rv_shapes()[v.name])
            for v, part in zip(model.free_RVs, parts, strict=True)
        }
        assert density == pytest.approx(float(model.compile_logp()(point)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scaling": "chinchilla"},
        {"unknown_numbers": "estimated", "generations": "measured"},
        {"unknown_numbers": "estimated"},
    ],
    ids=str,
)
def test_designs_with_one_key_have_graphs_of_the_same_constants(bundled, options):
    spec = ModelSpec(**options)
    one, other = (build_design_for(data, spec=spec) for data in (bundled, change_scores(bundled)))
    assert compiled.hash_design(one) == compiled.hash_design(other)
    graphs = [build_model(design, spec=spec).logp() for design in (one, other)]
    for first, second in zip(*(list_constants(graph) for graph in graphs), strict=True):
        np.testing.assert_array_equal(first, second)


def list_constants(graph):
    from pytensor.graph.basic import Constant
    from pytensor.graph.traversal import ancestors

    return [np.asarray(v.data) for v in ancestors([graph]) if isinstance(v, Constant)]


def test_other_lms_and_decisions_have_other_keys(small):
    design = build_design_for(small, spec=ModelSpec())
    lms = small.lms.copy()
    lms.loc[0, "n_params"] *= 2
    designs = [
        design,
        build_design_for(replace(small, lms=lms), spec=ModelSpec()),
        build_design_for(small, spec=SPEC),
        replace(design, X=design.X + 1e-9),
    ]
    assert len({compiled.hash_design(one) for one in designs}) == len(designs)


def test_kept_code_is_used(trials, monkeypatch):
    first = fit_trials(trials)
    monkeypatch.setattr(compiled, "_compile", lambda *_: pytest.fail("compiled again"))
    xr.testing.assert_equal(fit_trials(trials).draws, first.draws)


@pytest.mark.parametrize("damage", [lambda file: file[:-100], lambda file: b"", lambda file: b"x"])
def test_damaged_code_is_compiled_again(trials, folder, damage):
    first = fit_trials(trials)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    xr.testing.assert_equal(fit_trials(trials).draws, first.draws)
    assert len(file.read_bytes()) == pytest.approx(len(whole), rel=0.01)


def test_code_of_another_posterior_is_not_used(trials, folder):
    compile_for(trials, bm.EffectSizeSpec())
    (file,) = folder.iterdir()
    kept = compiled._read(file)
    assert compiled._load(kept) is not None
    assert compiled._load(replace(kept, density=kept.density + 1)) is None


def test_folder_that_cannot_be_written_costs_time_and_says_so(
    trials, monkeypatch, tmp_path, caplog
):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("BAYESMETA_CACHE", str(tmp_path / "file"))
    fit = fit_trials(trials)
    assert fit.shape == (2, 20)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "cannot be kept in" in said
    assert "BAYESMETA_CACHE" in said


def test_user_without_a_home_has_nothing_kept(monkeypatch):
    def refuse():
        raise RuntimeError("Could not determine home directory.")

    for name in ("BAYESMETA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(compiled.Path, "home", refuse)
    folder = compiled.find_folder()
    assert compiled._read(folder / "any.npz") is None
    with pytest.raises(NotADirectoryError):
        folder.mkdir(parents=True)


def test_graphs_used_longest_ago_go_first(trials, folder, monkeypatch):
    monkeypatch.setattr(compiled, "_MOST_KEPT", 2)
    fit_trials(trials)
    (file,) = folder.iterdir()
    kept = compiled._read(file)
    for k, name in enumerate(("b.npz", "c.npz")):
        compiled._write(folder / name, kept)
        os.utime(folder / name, (k, k))
    compiled._read(file)
    compiled._write(folder / "d.npz", kept)
    assert {path.name for path in folder.iterdir()} == {file.name, "d.npz"}
