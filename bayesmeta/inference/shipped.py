"""The shipped posterior, read as a question needs it: arrays at once, tables when they are asked.

What ships is proved to fit together when it is made and by a test, so that reading it neither
parses nor hashes a table: beside draws and tables the file holds the design's arrays. They are read
by h5py alone, since xarray and pandas take longer to import than a question to answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.design import facts
from bayesmeta.design.facts import Design
from bayesmeta.errors import StoreError
from bayesmeta.inference.fits import Fit, write_tree
from bayesmeta.model.spec import ModelSpec

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    import xarray as xr

    from bayesmeta.data.dataset import Dataset
    from bayesmeta.model.predictor import Parameters

REFERENCE = defaults.BUNDLED / "reference_fit.nc"

READY = "ready"
"""Group of the file that holds the design, and what else is ready to be used."""

_KINDS = {name: kind for name, kind in vars(facts).items() if isinstance(kind, type)}
"""What a design is made of, by name."""


def pack(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Turn a design into plain values for JSON; its arrays are put aside under numbers.

    Parameters
    ----------
    value
        A design or a part of one.
    arrays
        Gains the arrays of numbers, by the names that the plain values have for them.

    Returns
    -------
    plain values
        What `unpack` turns back.
    """
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return {"words": value.tolist()}
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {"array": name, "dtype": str(value.dtype)}
    if is_dataclass(value):
        parts = {item.name: pack(getattr(value, item.name), arrays) for item in fields(value)}
        return {"kind": type(value).__name__, "parts": parts}
    if isinstance(value, tuple):
        return {"tuple": [pack(item, arrays) for item in value]}
    if isinstance(value, Mapping):
        return {"mapping": {name: pack(item, arrays) for name, item in value.items()}}
    return value


def unpack(value: Any, arrays: Mapping[str, Any]) -> Any:
    """Turn what `pack` gave back into a design."""
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.asarray(arrays[value["array"]], dtype=value["dtype"])
    if "words" in value:
        return np.array(value["words"], dtype=object)
    if "tuple" in value:
        return tuple(unpack(item, arrays) for item in value["tuple"])
    if "mapping" in value:
        return {name: unpack(item, arrays) for name, item in value["mapping"].items()}
    parts = {name: unpack(item, arrays) for name, item in value["parts"].items()}
    return _KINDS[value["kind"]](**parts)


class ShippedFit(Fit):
    """A fit that reads from its file what it is asked for.

    Parameters
    ----------
    path
        A file that `save_to_ship` wrote.
    """

    path: Path

    def __new__(cls, path: Path | None = None, **parts: Any) -> Fit:  # type: ignore[misc]
        """Make an ordinary fit where its parts are given, as `dataclasses.replace` does."""
        return super().__new__(cls) if path is not None else Fit(**parts)

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[type[ShippedFit], tuple[Path]]:
        """Send the path to other processes, which read the file themselves."""
        return ShippedFit, (self.path,)

    @cached_property
    def _read(self) -> tuple[Mapping[str, Any], dict[str, NDArray[Any]], Parameters]:
        """Plain values, arrays of the design and draws, in one go."""
        import h5py

        file: Any  # what h5py gives may be a group as well as an array
        with h5py.File(self.path) as file:
            about = {name: json.loads(file.attrs[name]) for name in ("spec", "provenance")}
            ready, draws = file[READY], file["posterior"]
            about |= json.loads(ready["about"][()])
            arrays = {name: ready[name][()] for name in about["arrays"]}
            parameters = {name: np.asarray(draws[name][()], float) for name in about["draws"]}
            about["sample_coords"] = {name: draws[name][()] for name in ("chain", "draw")}
        return about, arrays, parameters

    @cached_property
    def spec(self) -> ModelSpec:  # type: ignore[override]
        """The model."""
        return ModelSpec.from_dict(self._read[0]["spec"])

    @cached_property
    def provenance(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Versions, seed, sampler, checksums and timings."""
        return self._read[0]["provenance"]

    @cached_property
    def parameters(self) -> Parameters:  # type: ignore[override]
        """Parameters as arrays of shape (chain, draw, ...)."""
        return self._read[2]

    @cached_property
    def sample_coords(self) -> Mapping[str, NDArray[np.int64]]:
        """Numbers of the chains and of the draws."""
        return self._read[0]["sample_coords"]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains and of draws in each."""
        chains, draws = self.parameters["alpha"].shape[:2]
        return chains, draws

    @cached_property
    def design(self) -> Design:  # type: ignore[override]
        """Arrays and coordinates of the data under the spec, as they were stored."""
        about, arrays, _ = self._read
        return unpack(about["design"], arrays)

    def _say_data(self) -> str:
        """Say what the data are by the design: their tables are not read for that."""
        design = self.design
        return (
            f"{len(design.lms)} lms, {len(design.benchmarks)} benchmarks, "
            f"{len(design.outcomes.y)} scores, version={self.provenance['data_version']!r}, shipped"
        )

    def _list_parameters(self) -> pd.DataFrame:
        """List parameters with their sizes."""
        import pandas as pd

        sizes = {name: int(np.prod(x.shape[2:])) for name, x in self.parameters.items()}
        return pd.DataFrame({"parameter": sizes.keys(), "size": sizes.values()})

    @cached_property
    def _whole(self) -> Fit:
        """The same fit, read and checked like any other."""
        from bayesmeta.inference.saved_fits import load_fit

        return load_fit(self.path)  # type: ignore[return-value]

    @cached_property
    def posterior(self) -> xr.DataTree:  # type: ignore[override]
        """ArviZ tree with the groups `posterior` and `sample_stats`."""
        return self._whole.posterior

    @cached_property
    def dataset(self) -> Dataset:  # type: ignore[override]
        """The data, from their tables in the file: draws are read when they are asked for."""
        from bayesmeta.inference.saved_fits import restore_dataset

        return restore_dataset(self.path)


def save_to_ship(fit: Fit, *, path: str | PathLike[str]) -> None:
    """Save a fit with its design beside it, for `ShippedFit` to read.

    Parameters
    ----------
    fit
        A thinned fit of the bundled data and the default model.
    path
        The file; an existing one is replaced.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    import xarray as xr

    tree, arrays = fit.to_tree(), {}
    design = pack(fit.design, arrays)
    about = {"design": design, "arrays": list(arrays), "draws": list(fit.parameters)}
    ready = {
        name: (tuple(f"{name}_{k}" for k in range(values.ndim)), _as_stored(values))
        for name, values in arrays.items()
    }
    tree[READY] = xr.DataTree(xr.Dataset({**ready, "about": ((), json.dumps(about))}))
    write_tree(tree, path=path)


def _as_stored(values: NDArray[Any]) -> NDArray[Any]:
    """Turn logical values, which netCDF does not know, into whole numbers."""
    return values.astype(np.int8) if values.dtype == bool else values


def load_reference_fit() -> Fit:
    """Load the shipped posterior of the default model of the bundled, corrected data.

    Returns
    -------
    Fit
        A thinned fit; its provenance holds the diagnostics of the whole one. It is read when it is
        first asked for something.

    Raises
    ------
    StoreError
        If it is missing: the installation is incomplete.

    Examples
    --------
    >>> load_reference_fit().shape
    (4, 250)
    """
    if not REFERENCE.is_file():
        raise StoreError(
            f"The shipped posterior {REFERENCE} is missing: the installation is incomplete. "
            "Install bayesmeta again, or fit and pass the fit: bayesmeta fit --out fit.nc"
        )
    return ShippedFit(REFERENCE)
