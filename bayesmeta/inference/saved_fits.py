"""Fits from files and from draws that somebody else made."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmeta.data.csv_tables import parse_text
from bayesmeta.data.dataset import Dataset
from bayesmeta.data.declared import DECLARED, parse_text_of_declared
from bayesmeta.data.experiments import restore_experiments
from bayesmeta.errors import BayesmetaError, StoreError
from bayesmeta.inference.fits import EFFECTS, ENGINE, FORMAT, EffectSizeFit, Fit
from bayesmeta.model.predictor import Parameters
from bayesmeta.model.spec import ModelSpec, hash_values
from bayesmeta.studies.study_model import EffectSizeSpec
from bayesmeta.studies.study_table import EffectSizes, read_effect_sizes


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
    tree = _read_tree(Path(path))
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
        raise _changed(path)
    return replace(fit, provenance={**fit.provenance, "spec_checksum": fit.spec.checksum})


def _read_tree(path: Path) -> xr.DataTree:
    """Read the whole netCDF file of a fit and close it again."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder. Name the netCDF file that `bayesmeta fit` wrote.")
    if not path.is_file():
        raise StoreError(f"{path} does not exist. Make it with: bayesmeta fit --out {path}")
    try:
        with xr.open_datatree(path, engine=ENGINE, decode_cf=False) as file:
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
    return tree


def _assemble(tree: xr.DataTree) -> Fit | EffectSizeFit:
    """Make a fit of what a file holds."""
    spec, provenance = (json.loads(tree.attrs[name]) for name in ("spec", "provenance"))
    posterior = xr.DataTree.from_dict(
        {name: tree[name].to_dataset() for name in ("posterior", "sample_stats")}
    )
    tables = {str(k): str(text.item()) for k, text in tree["dataset"].to_dataset().items()}
    if EFFECTS in tables:
        data = _read_effect_sizes(tables[EFFECTS], tree.attrs)
        return EffectSizeFit(posterior, EffectSizeSpec.from_dict(spec), data, provenance)
    spec = ModelSpec.from_dict({"experiments": "ignored", **spec})  # as files of before have it
    return Fit(posterior, spec, _read_dataset(tables, tree.attrs), provenance)


def _read_effect_sizes(text: str, attributes: Mapping[Any, Any]) -> EffectSizes:
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    frame = pd.DataFrame(rows, columns=pd.Index(header), dtype="str")
    table = read_effect_sizes(frame, **json.loads(attributes["data_roles"]))
    return replace(table, source=str(attributes["data_source"]))


def _read_dataset(texts: Mapping[str, str], attributes: Mapping[Any, Any]) -> Dataset:
    texts = dict(texts)
    own = parse_text_of_declared(texts.pop(DECLARED, ""))
    tables = {name: parse_text(text, table=name, own=own) for name, text in texts.items()}
    source = str(attributes["data_source"])
    experiments = restore_experiments(texts, source=source, own=own) if "arms" in texts else None
    return Dataset(
        lms=tables["lms"],
        scores=tables["scores"],
        benchmarks=tables["benchmarks"],
        generations=tables.get("generation"),
        version=str(attributes["data_version"]),
        source=source,
        experiments=experiments,
        decisions=own,
    )


def restore_dataset(path: Path) -> Dataset:
    """Read the tables of a fit's file alone, and check that they are those that it was fitted to.

    Raises
    ------
    StoreError
        If they were changed since.
    """
    import h5py

    file: Any  # what h5py gives may be a group as well as an array
    with h5py.File(path) as file:
        texts = {str(name): table.asstr()[()] for name, table in file["dataset"].items()}
        data = _read_dataset(texts, dict(file.attrs))
        wanted = json.loads(file.attrs["provenance"])["data_checksum"]
    if data.checksum != wanted:
        raise _changed(path)
    return data


def _changed(path: str | PathLike[str]) -> StoreError:
    return StoreError(
        f"{path} holds other data or another spec than it was fitted with: it was changed "
        f"after fitting. Make it anew: bayesmeta fit --out {path}"
    )


def wrap_draws(parameters: Parameters, *, spec: ModelSpec, dataset: Dataset, source: str) -> Fit:
    """Make draws that no sampler of `fit` drew into a fit, so that effects can be asked of it.

    Parameters
    ----------
    parameters
        Values by name, each of shape (chain, draw, ...).
    spec
        The model whose parameters they are.
    dataset
        The data.
    source
        Where the draws come from, as the `sampler` of the provenance.

    Returns
    -------
    Fit
        Without statistics of a sampler: there is nothing to `check`.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> one = {name: values[:1, :1] for name, values in fit.parameters.items()}
    >>> wrap_draws(one, spec=fit.spec, dataset=fit.dataset, source="example")
    Fit(1 chains x 1 draws, Dataset(92 lms, 13 benchmarks, 1105 scores, 16 studies, \
version='corrected', source='bundled'))
    """
    draws = xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_dim_{k}" for k in range(values.ndim - 2))), values)
            for name, values in parameters.items()
        }
    )
    draws = draws.assign_coords({dim: np.arange(draws.sizes[dim]) for dim in ("chain", "draw")})
    return Fit(
        posterior=xr.DataTree.from_dict({"posterior": draws}),
        spec=spec,
        dataset=dataset,
        provenance={"sampler": source},
    )
