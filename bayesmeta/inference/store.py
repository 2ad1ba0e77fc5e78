"""Trees of draws to netCDF and back: whole or not at all."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import xarray as xr

from bayesmeta.errors import StoreError
from bayesmeta.jobs import atomic

__all__ = ["read_tree", "write_tree"]

FORMAT = 2
"""Raised where draws of the same spec mean something else: family effects, since bends of scale are
projected off them."""
_ENGINE = "h5netcdf"
_COMPRESSED = {"zlib": True, "complevel": 4, "shuffle": True}


def write_tree(tree: xr.DataTree, *, path: str | PathLike[str], compressed: bool = True) -> None:
    """Write what makes up a fit to a netCDF file: to a temporary one first, then into its place.

    Parameters
    ----------
    tree
        Groups `posterior`, `sample_stats` and `dataset`, and attributes, see `Fit.save`.
    path
        The file; an existing one is replaced.
    compressed
        Whether arrays are compressed: draws hardly get smaller, and are read several times faster
        as they are.

    Raises
    ------
    StoreError
        If the folder does not exist or cannot be written.
    """
    tree.attrs = {"bayesmeta_format": FORMAT, **tree.attrs}
    encoding = {
        f"/{group}": {
            str(name): _COMPRESSED
            for name, values in tree[group].to_dataset().items()
            if values.ndim and compressed
        }
        for group in ("posterior", "sample_stats")
    }
    with atomic(path) as part:
        tree.to_netcdf(part, engine=_ENGINE, encoding=encoding)


def read_tree(path: str | PathLike[str]) -> xr.DataTree:
    """Read what `write_tree` wrote, whole; the file is closed again.

    Parameters
    ----------
    path
        The netCDF file.

    Returns
    -------
    xarray.DataTree
        Its groups and attributes, in memory.

    Raises
    ------
    StoreError
        If the file is missing, truncated or from elsewhere.
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
    return tree
