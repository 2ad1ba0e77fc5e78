"""Fits to netCDF and back: whole or not at all, with data, spec and provenance inside."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import tempfile
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmeta import defaults
from bayesmeta.data import Dataset, EffectSizes, load_dataset, read_effect_sizes
from bayesmeta.data.load import bundled_folder
from bayesmeta.data.tables import parse_text
from bayesmeta.errors import BayesmetaError, StoreError
from bayesmeta.inference.diagnostics import Diagnostics
from bayesmeta.inference.fit import EffectSizeFit, Fit
from bayesmeta.model import EffectSizeSpec, ModelSpec
from bayesmeta.model.spec import hash_values

__all__ = ["load_fit", "load_reference_fit", "save_fit", "thin_fit"]

FORMAT = 2
"""Raised where draws of the same spec mean something else: family effects, since bends of scale are
projected off them."""
_ENGINE = "h5netcdf"
_EFFECTS = "effect_sizes"
_COMPRESSED = {"zlib": True, "complevel": 4, "shuffle": True}


def save_fit(fit: Fit | EffectSizeFit, *, path: str | PathLike[str]) -> None:
    """Write a fit to a netCDF file: to a temporary one first, then into its place.

    Parameters
    ----------
    fit
        What to save. Draws are stored in single precision, far finer than their Monte Carlo error.
    path
        The file; an existing one is replaced.

    Raises
    ------
    StoreError
        If the folder does not exist or cannot be written.
    """
    if "sample_stats" not in fit.posterior:
        raise StoreError(
            f"{fit!r} was not made by a sampler and cannot be saved. Allowed: what bm.fit gives. "
            "Draws from the prior come back by bm.sample_prior with the same seed."
        )
    path = Path(path)
    tables, about = _format_data(fit.dataset)
    tree = xr.DataTree.from_dict(
        {
            "posterior": fit.draws.astype(np.float32),
            "sample_stats": fit.posterior["sample_stats"].to_dataset(),
            "dataset": xr.Dataset({name: ((), text) for name, text in tables.items()}),
        }
    )
    tree.attrs = {
        "bayesmeta_format": FORMAT,
        "spec": json.dumps(fit.spec.to_dict()),
        "provenance": json.dumps(dict(fit.provenance)),
        "data_source": fit.dataset.source,
        **about,
    }
    encoding = {
        f"/{group}": {
            str(name): _COMPRESSED
            for name, values in tree[group].to_dataset().items()
            if values.ndim
        }
        for group in ("posterior", "sample_stats")
    }
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}. Name a file in a folder that exists and "
            "may be written to."
        ) from error
    os.close(handle)
    try:
        tree.to_netcdf(name, engine=_ENGINE, encoding=encoding)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}. Choose another place.") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _format_data(data: Dataset | EffectSizes) -> tuple[dict[str, str], dict[str, str]]:
    """Tables as text by name, and what else there is to say of the data."""
    if isinstance(data, EffectSizes):
        return {_EFFECTS: data.format_table()}, {"data_roles": json.dumps(data.roles)}
    return data.format_tables(), {"data_version": data.version}


def load_fit(path: str | PathLike[str]) -> Fit | EffectSizeFit:
    """Read a fit that `save` wrote.

    Parameters
    ----------
    path
        The netCDF file.

    Returns
    -------
    Fit or EffectSizeFit
        Draws, spec, data and provenance; the file is closed again. Keys of the spec that are
        younger than the file have their defaults, and the provenance holds the checksum with them.

    Raises
    ------
    StoreError
        If the file is missing, truncated, from elsewhere, or its data or spec were changed since.

    Examples
    --------
    >>> load_fit("nowhere.nc")
    Traceback (most recent call last):
    ...
    bayesmeta.errors.StoreError: nowhere.nc does not exist. Make it with...
    """
    path = Path(path)
    if path.is_dir():
        raise StoreError(f"{path} is a folder. Name the netCDF file that `bayesmeta fit` wrote.")
    if not path.is_file():
        raise StoreError(f"{path} does not exist. Make it with: bayesmeta fit --out {path}")
    try:
        with xr.open_datatree(path, engine=_ENGINE, decode_cf=False) as file:
            tree = file.load()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read as netCDF: it is truncated or another kind of file. Allowed: a "
            "file written by `bayesmeta fit` or `Fit.save`. Make it anew: bayesmeta fit "
            f"--out {path}"
        ) from error
    if tree.attrs.get("bayesmeta_format") != FORMAT or "posterior" not in tree:
        raise StoreError(
            f"{path} is netCDF but not a fit of this version of bayesmeta (format "
            f"{tree.attrs.get('bayesmeta_format', 'none')}; allowed: {FORMAT}). "
            f"Make it anew: bayesmeta fit --out {path}"
        )
    try:
        fit = _assemble(tree)
    except (KeyError, ValueError, TypeError, BayesmetaError) as error:
        raise StoreError(
            f"{path} is a damaged fit, or one of another version of bayesmeta ({error}). "
            f"Make it anew: bayesmeta fit --out {path}"
        ) from error
    # The spec may be older than keys with defaults: then its checksum is that of what was stored.
    data, spec = (fit.provenance.get(f"{what}_checksum") for what in ("data", "spec"))
    specs = (fit.spec.checksum, hash_values(json.loads(tree.attrs["spec"])))
    if fit.dataset.checksum != data or spec not in specs:
        raise StoreError(
            f"{path} holds other data or another spec than it was fitted with: it was changed "
            f"after fitting. Make it anew: bayesmeta fit --out {path}"
        )
    return replace(fit, provenance={**fit.provenance, "spec_checksum": fit.spec.checksum})


def _assemble(tree: xr.DataTree) -> Fit | EffectSizeFit:
    provenance: dict[str, Any] = json.loads(tree.attrs["provenance"])
    spec = json.loads(tree.attrs["spec"])
    posterior = xr.DataTree.from_dict(
        {name: tree[name].to_dataset() for name in ("posterior", "sample_stats")}
    )
    if _EFFECTS in tree["dataset"].to_dataset():
        return EffectSizeFit(
            posterior=posterior,
            spec=EffectSizeSpec.from_dict(spec),
            dataset=_read_effect_sizes(tree),
            provenance=provenance,
        )
    return Fit(
        posterior=posterior,
        spec=ModelSpec.from_dict(spec),
        dataset=_read_dataset(tree),
        provenance=provenance,
    )


def _read_effect_sizes(tree: xr.DataTree) -> EffectSizes:
    text = str(tree["dataset"].to_dataset()[_EFFECTS].item())
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    frame = pd.DataFrame(rows, columns=pd.Index(header), dtype="str")
    table = read_effect_sizes(frame, **json.loads(tree.attrs["data_roles"]))
    return replace(table, source=str(tree.attrs["data_source"]))


def _read_dataset(tree: xr.DataTree) -> Dataset:
    stored = tree["dataset"].to_dataset()
    tables = {
        str(name): parse_text(str(text.item()), table=str(name)) for name, text in stored.items()
    }
    return Dataset(
        lms=tables["lms"],
        scores=tables["scores"],
        benchmarks=tables["benchmarks"],
        generations=tables.get("generation"),
        version=str(tree.attrs["data_version"]),
        source=str(tree.attrs["data_source"]),
    )


def load_reference_fit() -> Fit:
    """Load the shipped posterior of the default model of the bundled, corrected data.

    Returns
    -------
    Fit
        A thinned fit; its provenance holds the diagnostics of the whole one.

    Raises
    ------
    StoreError
        If it is missing, or does not belong to the bundled data and the default spec.

    Examples
    --------
    >>> load_reference_fit().shape
    (4, 250)
    """
    path = bundled_folder() / "reference_fit.nc"
    fit = load_fit(path)
    assert isinstance(fit, Fit)
    wanted = {
        "data": (fit.provenance["data_checksum"], load_dataset().checksum),
        "spec": (fit.provenance["spec_checksum"], ModelSpec().checksum),
    }
    for what, (stored, current) in wanted.items():
        if stored != current:
            raise StoreError(
                f"The shipped posterior {path.name} belongs to a {what} with checksum "
                f"{stored[:12]}, the package has {current[:12]}. Fit again and pass it with --fit: "
                "bayesmeta fit --out fit.nc"
            )
    return fit


def thin_fit[AnyFit: (Fit, EffectSizeFit)](
    fit: AnyFit, *, draws: int = defaults.REFERENCE_DRAWS, diagnostics: Diagnostics | None = None
) -> AnyFit:
    """Keep evenly spaced draws of every chain.

    Parameters
    ----------
    fit
        The whole fit.
    draws
        How many draws to keep in all, at most; every chain keeps as many.
    diagnostics
        Diagnostics of the whole fit, to be carried along.

    Returns
    -------
    Fit
        The thinned fit, with the number of draws it came from in its provenance.
    """
    chains, n = fit.shape
    kept = max(1, draws // chains)
    step = max(1, n // kept)
    keep = {"draw": slice(0, step * kept, step)}
    groups = [name for name in ("posterior", "sample_stats") if name in fit.posterior]
    tree = {name: fit.posterior[name].to_dataset().isel(keep) for name in groups}
    provenance = {"thinned_from": chains * n, **fit.provenance}
    if diagnostics is not None:
        provenance["diagnostics"] = {
            "table": diagnostics.table.to_dict(orient="records"),
            "values": dict(diagnostics.values),
        }
    return replace(fit, posterior=xr.DataTree.from_dict(tree), provenance=provenance)
