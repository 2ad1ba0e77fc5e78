"""Fits are saved whole or not at all, come back as they were, and bad files say what to do."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from bayesmeta import defaults
from bayesmeta.errors import FitError, StoreError
from bayesmeta.inference.diagnostics import thin_fit
from bayesmeta.inference.sample import fit
from bayesmeta.inference.saved_fits import load_fit
from bayesmeta.model.spec import hash_values

SINGLE_PRECISION = 1e-6
"""Draws are stored with 24 bits: a relative error below 6e-8, with room for denormal numbers."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.nc"


@pytest.fixture
def saved(fake_fit, path):
    fake_fit.save(path)
    return path


def test_draws_come_back(fake_fit, saved):
    back = load_fit(saved)
    assert set(back.parameters) == set(fake_fit.parameters)
    for name, values in fake_fit.parameters.items():
        np.testing.assert_allclose(back.parameters[name], values, rtol=SINGLE_PRECISION, atol=1e-30)


def test_dims_and_coordinates_come_back(fake_fit, saved):
    back = load_fit(saved)
    for name, values in fake_fit.draws.items():
        assert back.draws[name].dims == values.dims
        for dim in values.dims:
            assert back.draws[dim].values.tolist() == values[dim].values.tolist()


def test_sampler_statistics_come_back(fake_fit, saved):
    xr.testing.assert_equal(
        load_fit(saved).posterior["sample_stats"].to_dataset(),
        fake_fit.posterior["sample_stats"].to_dataset(),
    )


def test_spec_and_provenance_come_back(fake_fit, saved):
    back = load_fit(saved)
    assert back.spec == fake_fit.spec
    assert back.provenance == fake_fit.provenance


def test_data_come_back(fake_fit, saved):
    back = load_fit(saved)
    assert back.dataset.checksum == fake_fit.dataset.checksum
    assert back.dataset.version == fake_fit.dataset.version
    assert back.dataset.source == fake_fit.dataset.source
    assert back.design.coords == fake_fit.design.coords


def test_bundled_data_come_back(fake_bundled_fit, path):
    fake_bundled_fit.save(path)
    assert load_fit(path).dataset.checksum == fake_bundled_fit.dataset.checksum


def test_path_may_be_text(fake_fit, path):
    fake_fit.save(str(path))
    assert load_fit(str(path)).shape == fake_fit.shape


def test_saving_leaves_one_file(saved):
    assert [item.name for item in saved.parent.iterdir()] == ["fit.nc"]


def test_saving_replaces_an_old_file(fake_fit, saved):
    thin_fit(fake_fit, draws=10).save(saved)
    assert load_fit(saved).is_thinned


def test_file_is_closed_after_reading(saved):
    load_fit(saved)
    with h5py.File(saved, "r+") as file:
        assert "posterior" in file


def fail_half_way(self, name, **_):
    """What a full disk does: some bytes are written, then the system refuses."""
    with open(name, "wb") as file:
        file.write(b"half a file")
    raise OSError(28, "No space left on device")


def test_failed_write_leaves_the_old_file(fake_fit, saved, monkeypatch, refusal):
    before = saved.read_bytes()
    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail_half_way)
    with refusal(StoreError, "fit.nc", "No space left", "Name a file"):
        fake_fit.save(saved)
    assert saved.read_bytes() == before
    assert [item.name for item in saved.parent.iterdir()] == ["fit.nc"]


def test_failed_first_write_leaves_nothing(fake_fit, path, monkeypatch):
    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail_half_way)
    with pytest.raises(StoreError):
        fake_fit.save(path)
    assert not list(path.parent.iterdir())


def test_interrupted_write_leaves_nothing_behind(fake_fit, saved, monkeypatch):
    def interrupt(self, name, **_):
        raise KeyboardInterrupt

    before = saved.read_bytes()
    monkeypatch.setattr(xr.DataTree, "to_netcdf", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fake_fit.save(saved)
    assert saved.read_bytes() == before
    assert [item.name for item in saved.parent.iterdir()] == ["fit.nc"]


def test_folder_that_does_not_exist(fake_fit, tmp_path, refusal):
    with refusal(StoreError, "nowhere/fit.nc", "No such file", "Name a file"):
        fake_fit.save(tmp_path / "nowhere" / "fit.nc")


def test_folder_that_is_a_file(fake_fit, tmp_path, refusal):
    (tmp_path / "file").write_text("")
    with refusal(StoreError, "Not a directory", "Name a file"):
        fake_fit.save(tmp_path / "file" / "fit.nc")


def test_folder_that_may_not_be_written(fake_fit, path, monkeypatch, refusal):
    # Permissions do not bind an administrator, so that the refusal is played.
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with refusal(StoreError, "fit.nc", "Permission denied", "Name a file"):
        fake_fit.save(path)


def test_target_that_is_a_folder(fake_fit, path):
    path.mkdir()
    with pytest.raises(StoreError, match=r"fit\.nc cannot be written: .*directory"):
        fake_fit.save(path)
    assert [item.name for item in path.parent.iterdir()] == ["fit.nc"]


def test_missing_file(path):
    with pytest.raises(StoreError) as caught:
        load_fit(path)
    assert str(caught.value) == f"{path} does not exist. Make it with: bayesmeta fit --out {path}"


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_file(saved, part):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(part * len(content))])
    with pytest.raises(StoreError) as caught:
        load_fit(saved)
    assert str(caught.value).startswith(f"{saved} cannot be read as netCDF: it is truncated or")
    assert str(caught.value).endswith(f"Make it anew: bayesmeta fit --out {saved}")


def test_text_file(path, refusal):
    path.write_text("chain,draw,beta\n")
    with refusal(StoreError, "fit.nc", "netCDF", "Allowed"):
        load_fit(path)


def test_foreign_netcdf(path, refusal):
    xr.Dataset({"temperature": ("day", [1.0, 2.0])}).to_netcdf(path, engine="h5netcdf")
    with refusal(StoreError, "fit.nc", "format none", "2", "Make it"):
        load_fit(path)


def test_foreign_posterior(fake_fit, path):
    fake_fit.posterior.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(StoreError, match=r"is netCDF but not a fit of this version of bayesmeta"):
        load_fit(path)


@pytest.mark.parametrize("number", [1, 99])  # family effects meant something else before format 2
def test_format_of_another_version(saved, number, refusal):
    with h5py.File(saved, "r+") as file:
        file.attrs["bayesmeta_format"] = number
    with refusal(StoreError, f"format {number}", "allowed: 2", "bayesmeta fit"):
        load_fit(saved)


def change_table(path, name, change):
    """Change the text of one stored table."""
    with h5py.File(path, "r+") as file:
        item = file["dataset"][name]
        text = item[()].decode()
        assert change(text) != text
        item[()] = change(text)


def test_changed_score_is_noticed(saved, fake_fit):
    score = f"{fake_fit.dataset.scores['score'].iloc[5]:.4f}".rstrip("0")
    change_table(saved, "scores", lambda text: text.replace(score, "0.5555", 1))
    with pytest.raises(
        StoreError, match=r"holds other data or another spec .* changed after fitting"
    ):
        load_fit(saved)


def test_changed_lm_is_noticed(saved):
    change_table(saved, "lms", lambda text: text.replace("learned", "rotary", 1))
    with pytest.raises(
        StoreError, match=r"holds other data or another spec .* changed after fitting"
    ):
        load_fit(saved)


def test_spec_of_another_version(saved):
    with h5py.File(saved, "r+") as file:
        values = json.loads(file.attrs["spec"])
        file.attrs["spec"] = json.dumps({**values, "curvature": "smooth"})
    with pytest.raises(StoreError, match=r"another version of bayesmeta .key 'curvature' is"):
        load_fit(saved)


@pytest.fixture
def old(saved):
    """A fit from before some keys were added: neither its spec nor its checksum knows them."""
    with h5py.File(saved, "r+") as file:
        values = json.loads(file.attrs["spec"])
        del values["pooling"], values["priors"]["law_tau_task"]
        provenance = json.loads(file.attrs["provenance"])
        provenance["spec_checksum"] = hash_values(values)
        file.attrs["spec"] = json.dumps(values)
        file.attrs["provenance"] = json.dumps(provenance)
    return saved


def test_spec_older_than_some_keys_has_their_defaults(old, fake_fit):
    assert load_fit(old).spec == fake_fit.spec


def test_fit_with_an_older_spec_can_be_saved_again(old, fake_fit, path):
    load_fit(old).save(path)
    assert load_fit(path).provenance == fake_fit.provenance


@pytest.mark.parametrize("kind", ["saved", "old"])
@pytest.mark.parametrize(
    "change",
    [
        {"likelihood": "normal"},
        {"release_date": "none"},
        {"pooling": "complete"},
        {"decisions": ["norm"]},
    ],
)
def test_changed_spec_is_noticed(request, kind, change):
    path = request.getfixturevalue(kind)
    with h5py.File(path, "r+") as file:
        file.attrs["spec"] = json.dumps({**json.loads(file.attrs["spec"]), **change})
    with pytest.raises(
        StoreError, match=r"holds other data or another spec .* changed after fitting"
    ):
        load_fit(path)


@pytest.mark.parametrize("name", ["data_checksum", "spec_checksum"])
def test_fit_without_its_checksum_is_refused(saved, name):
    with h5py.File(saved, "r+") as file:
        provenance = json.loads(file.attrs["provenance"])
        del provenance[name]
        file.attrs["provenance"] = json.dumps(provenance)
    with pytest.raises(StoreError, match=r"changed after fitting"):
        load_fit(saved)


@pytest.mark.parametrize("draws, kept", [(1000, 60), (120, 60), (60, 30), (40, 20), (2, 1)])
def test_thinned_fit_keeps_evenly_spaced_draws(fake_fit, draws, kept):
    thin = thin_fit(fake_fit, draws=draws)
    assert thin.shape == (2, kept)
    step = 60 // kept
    np.testing.assert_array_equal(
        thin.parameters["beta"], fake_fit.parameters["beta"][:, ::step][:, :kept]
    )
    assert thin.posterior["sample_stats"]["energy"].shape == (2, kept)


def test_thinned_fit_knows_what_it_came_from(fake_fit):
    thin = thin_fit(fake_fit, draws=20)
    assert thin.provenance == {**fake_fit.provenance, "thinned_from": 120}
    assert thin.is_thinned
    assert not fake_fit.is_thinned


def test_thinned_fit_leaves_the_whole_one(fake_fit):
    thin_fit(fake_fit, draws=20)
    assert fake_fit.shape == (2, 60)


def test_thinned_fit_is_saved_as_such(fake_fit, path):
    thin_fit(fake_fit, draws=20).save(path)
    assert load_fit(path).is_thinned


def test_fit_prints_its_size(fake_fit):
    assert repr(fake_fit).startswith("Fit(2 chains x 60 draws, Dataset(12 lms, 4 benchmarks,")


def test_unknown_sampler(small, refusal):
    allowed = ", ".join(defaults.SAMPLERS)
    with refusal(FitError, "'nutpy'", "'nutpie'", allowed):
        fit(small, sampler="nutpy")


@pytest.mark.parametrize("name, value", [("draws", 0), ("draws", -5), ("tune", 0), ("chains", 0)])
def test_settings_that_make_no_sense(small, name, value, refusal):
    with refusal(FitError, f"{name}", f"{value}", "whole number"):
        fit(small, **{name: value})


def test_folder_is_no_fit(tmp_path):
    with pytest.raises(StoreError, match=r"is a folder. Name the netCDF file"):
        load_fit(tmp_path)


@pytest.mark.parametrize("group", ["sample_stats", "dataset"])
def test_fit_without_a_group_is_damaged(saved, group):
    with h5py.File(saved, "r+") as file:
        del file[group]
    with pytest.raises(StoreError, match=r"is a damaged fit"):
        load_fit(saved)


@pytest.mark.parametrize("name", ["provenance", "spec"])
def test_fit_with_broken_json_is_damaged(saved, name):
    with h5py.File(saved, "r+") as file:
        file.attrs[name] = "{"
    with pytest.raises(StoreError, match=r"is a damaged fit"):
        load_fit(saved)
