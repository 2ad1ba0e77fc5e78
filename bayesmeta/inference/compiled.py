"""Compiled graphs, kept on disk: what a machine has compiled once it need not compile again.

A graph depends on the design without its scores (see `training_data`), on the spec, on the code
that builds it, on the versions of what compiles it and on the processor. These make the key, so
that kept code is found without building the graph: PyMC is then not even imported. What is kept is
machine code, the shapes of what it returns, and a point with its density, which loaded code has to
find again before it is used.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.metadata
import io
import json
import logging
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bayesmeta
from bayesmeta.errors import StoreError
from bayesmeta.whole_files import atomic

if TYPE_CHECKING:
    import pymc as pm

    from bayesmeta.design.facts import Design

logger = logging.getLogger(__name__)

_FOLDER = "BAYESMETA_CACHE"
"""Name of the variable of the environment that says where compiled graphs are kept."""

_MOST_KEPT = 200
"""Graphs that are kept, of some megabytes each; those used longest ago go first."""

_COMPILERS = ("pymc", "pytensor", "nutpie", "numba", "llvmlite", "numpy", "scipy")
_SOURCES = ("design", "model", "studies")
_TOLERANCE = 1e-9

_POINTER = "_ptr_cache_"
_MODULES = {"scipy.blas": "scipy.linalg.cython_blas", "scipy.lapack": "scipy.linalg.cython_lapack"}
"""How PyTensor names pointers to functions, and where these are."""

_DOUBLES = ctypes.POINTER(ctypes.c_double)
_DENSITY = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_uint64, _DOUBLES, _DOUBLES, _DOUBLES, ctypes.c_void_p
)


class _Input(NamedTuple):
    """Data of the graph, as nutpie asks for them."""

    name: str
    ndim: int


class _Code(NamedTuple):
    """Machine code of a function: its name in it, and those of pointers to BLAS and SciPy."""

    symbol: str
    pointers: tuple[str, ...]
    machine: bytes


class _Function(NamedTuple):
    """A function that can be called, and what keeps it where it is."""

    address: int
    engine: object


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """What is kept of a compiled graph."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dims: Mapping[str, tuple[str, ...]]
    reported: tuple[str, ...]
    start: NDArray[np.float64]
    density: float
    data: Mapping[str, NDArray[Any]]
    code: tuple[_Code, ...]


def find_folder() -> Path:
    """Find where compiled graphs are kept: `BAYESMETA_CACHE`, or the user's folder of caches."""
    if chosen := os.environ.get(_FOLDER):
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:  # a user that the system does not know: nothing can be kept
        home = Path(os.devnull)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "bayesmeta"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "bayesmeta"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "bayesmeta"


def hash_design(design: Design) -> str:
    """Hash all of a design that a graph has as constants: not what a held-out score changes."""
    changing = ("outcomes", "scale_center", "scale_basis", "X_center", "surface_center")
    values = {item.name: getattr(design, item.name) for item in fields(design)}
    constants = {name: value for name, value in values.items() if name not in changing}
    return _hash(constants, design.outcomes.is_logistic)


def _hash(*values: Any) -> str:
    found = hashlib.sha256()
    for value in values:
        _feed(found, value)
    return found.hexdigest()


def _feed(found: Any, value: Any) -> None:
    """Feed a value to a hash, with all that is in it."""
    found.update(type(value).__name__.encode())
    if isinstance(value, np.ndarray) and value.dtype != object:
        found.update(f"{value.dtype}{value.shape}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value):
        _feed(found, {item.name: getattr(value, item.name) for item in fields(value)})
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _feed(found, (name, item))
    elif isinstance(value, list | tuple | np.ndarray):
        for item in value:
            _feed(found, item)
    else:
        found.update(repr(value).encode())


@cache
def _hash_compiler() -> str:
    """Hash what makes machine code of a design and a spec, and the machine that is to run it."""
    import llvmlite.binding as llvm

    package = Path(bayesmeta.__file__).parent
    files = [path for name in _SOURCES for path in sorted((package / name).rglob("*.py"))]
    sources = [path.read_bytes() for path in (*files, package / "defaults.py", Path(__file__))]
    versions = [importlib.metadata.version(name) for name in _COMPILERS]
    settings = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(("NUMBA_", "PYTENSOR_"))
    }
    machine = (llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features())
    return _hash(sys.version, versions, machine[:2], machine[2].flatten(), settings, *sources)


def compile_graph(
    build: Callable[[], tuple[pm.Model, Sequence[str]]],
    key: Sequence[str],
    *,
    coords: Mapping[str, Sequence[str]],
    data: Mapping[str, NDArray[Any]] | None = None,
) -> tuple[Any, list[str]]:
    """Compile a graph, or load what was compiled before.

    Parameters
    ----------
    build
        Makes the graph, and says which of its variables are reported.
    key
        What the graph is made of, but for `data`.
    coords
        Labels of the dims of what is reported.
    data
        Values of the data of the graph, by name.

    Returns
    -------
    nutpie.CompiledModel, list of str
        What nutpie samples, and the names of what is reported.

    Notes
    -----
    Where nothing can be written, compiling takes its time at every fit, and a warning says so.
    """
    path = find_folder() / f"{_hash(_hash_compiler(), *key)}.npz"
    kept = _read(path)
    compiled = _load(kept) if kept is not None else None
    if kept is None or compiled is None:
        kept, compiled = _compile(*build())
        _write(path, kept)
    labels: Any = {name: list(values) for name, values in coords.items() if len(values)}
    compiled = replace(compiled, _coords=labels)
    known = {variable.name for variable in compiled.shared_var_keys}
    used = {name: values for name, values in (data or {}).items() if name in known}
    return compiled.with_data(**used) if used else compiled, list(kept.reported)


def _compile(model: pm.Model, reported: Sequence[str]) -> tuple[_Kept, Any]:
    """Compile a graph; as loaded code if such code gives the same, so that fits are the same."""
    import nutpie
    from pymc.initial_point import make_initial_point_fn

    with _at_level_2():
        compiled: Any = nutpie.compile_pymc_model(model, var_names=list(reported))
    names, _, shapes = compiled.shape_info
    point = make_initial_point_fn(model=model, return_transformed=True)(0)
    start = np.concatenate(
        [np.ravel(point[model.rvs_to_values[variable].name]) for variable in model.free_RVs]
    ).astype(float)
    functions = (compiled.compiled_logp_func, compiled.compiled_expand_func)
    kept = _Kept(
        names=tuple(names),
        shapes=tuple(tuple(int(size) for size in shape) for shape in shapes),
        dims={name: tuple(compiled.dims[name]) for name in reported if name in compiled.dims},
        reported=tuple(reported),
        start=start,
        density=_density(functions[0].address, compiled.user_data, start),
        data={
            variable.name: compiled.shared_data[key]
            for variable, key in compiled.shared_var_keys.items()
        },
        code=tuple(_emit(function) for function in functions),
    )
    loaded = _load(kept)
    if loaded is None:  # code that calls Python, say
        return kept, replace(compiled, initial_point_func=_jitter(start), dims=kept.dims)
    return kept, loaded


@contextlib.contextmanager
def _at_level_2() -> Iterator[None]:
    """Optimise at level 2: compiles a tenth faster than numba's level 3, to code as fast."""
    from numba.core import config

    settings: Any = config
    level = settings.OPT
    settings.OPT = type(level)(min(level, 2))
    try:
        yield
    finally:
        settings.OPT = level


def _load(kept: _Kept) -> Any | None:
    """Make of kept code what nutpie samples; nothing where it does not give what it should."""
    from nutpie.compile_pymc import CompiledPyMCModel, make_user_data

    keys: Any = {_Input(name, values.ndim): name for name, values in kept.data.items()}
    user_data = make_user_data(keys, kept.data)
    functions: Any = [_link(code) for code in kept.code]
    density = _density(functions[0].address, user_data, kept.start)
    if not abs(density - kept.density) <= _TOLERANCE * max(1.0, abs(kept.density)):
        return None
    sizes = [int(np.prod(shape)) for shape in kept.shapes]
    ends = np.cumsum(sizes)
    slices = [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]
    return CompiledPyMCModel(
        dims=dict(kept.dims),
        compiled_logp_func=functions[0],
        compiled_expand_func=functions[1],
        initial_point_func=_jitter(kept.start),
        shared_data=dict(kept.data),
        shared_var_keys=keys,
        user_data=user_data,
        n_expanded=sum(sizes),
        shape_info=(list(kept.names), slices, list(kept.shapes)),
        logp_func=None,
        expand_func=None,
        _n_dim=len(kept.start),
        _shapes=dict(zip(kept.names, kept.shapes, strict=True)),
        _coords={},
    )


def _emit(function: Any) -> _Code:
    """Make machine code of a function that numba compiled, for any process on this machine.

    PyTensor's code finds functions of BLAS and SciPy at the first call, through Python, and has a
    private variable for each. These are made visible, for `_link` to fill.
    """
    import llvmlite.binding as llvm

    library = function._library
    module = llvm.parse_bitcode(library._final_module.as_bitcode())
    pointers = [value for value in module.global_variables if value.name.startswith(_POINTER)]
    for value in pointers:
        value.linkage = "external"
    names = tuple(value.name for value in pointers)
    return _Code(function._wrapper_name, names, library.codegen._tm.emit_object(module))


def _link(code: _Code) -> _Function:
    """Put machine code where it can be called."""
    import llvmlite.binding as llvm
    from numba.core.registry import cpu_target
    from numba.np.linalg import ensure_blas

    context: Any = cpu_target.target_context
    context.refresh()  # what compiled code calls has its place from here on
    ensure_blas()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.machine))
    engine.finalize_object()
    for name in code.pointers:
        place = ctypes.c_void_p.from_address(engine.get_global_value_address(name))
        place.value = _find_function(name.removeprefix(_POINTER))
    return _Function(engine.get_function_address(code.symbol), engine)


def _find_function(name: str) -> int:
    """Find a function of BLAS, LAPACK or SciPy, by the name that PyTensor has for it."""
    from numba.core.extending import get_cython_function_address

    module, _, function = re.sub(r"(\.\d+)+$", "", name).rpartition(".")
    return get_cython_function_address(_MODULES.get(module, module), function)


def _density(address: int, user_data: NDArray[Any], point: NDArray[np.float64]) -> float:
    """Log density at a point, by the compiled function; NaN where it fails."""
    density, gradient = np.empty(()), np.empty(len(point))
    arrays = (np.ascontiguousarray(point), gradient, density)
    failed = _DENSITY(address)(
        len(point), *(array.ctypes.data_as(_DOUBLES) for array in arrays), user_data.ctypes.data
    )
    return float("nan") if failed else float(density)


def _jitter(start: NDArray[np.float64]) -> Callable[[Any], NDArray[np.float64]]:
    """Start chains within one unit of the middle of the prior, as PyMC does."""

    def choose_start(seed: Any) -> NDArray[np.float64]:
        return start + np.random.default_rng(seed).uniform(-1, 1, len(start))

    return choose_start


def _read(path: Path) -> _Kept | None:
    """Read kept code; nothing where there is none, or none that is whole."""
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content[32:]), allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return None
    about = json.loads(str(arrays.pop("about")))
    with contextlib.suppress(OSError):
        path.touch()  # used last
    return _Kept(
        names=tuple(about["names"]),
        shapes=tuple(tuple(shape) for shape in about["shapes"]),
        dims={name: tuple(dims) for name, dims in about["dims"].items()},
        reported=tuple(about["reported"]),
        density=about["density"],
        start=arrays.pop("start"),
        code=tuple(
            _Code(symbol, tuple(pointers), arrays[f"code_{k}"].tobytes())
            for k, (symbol, pointers) in enumerate(about["code"])
        ),
        data={name: arrays[f"data_{k}"] for k, name in enumerate(about["data"])},
    )


def _write(path: Path, kept: _Kept) -> None:
    """Keep compiled code, or say that it cannot be kept."""
    about = {
        **{
            name: getattr(kept, name) for name in ("names", "shapes", "dims", "reported", "density")
        },
        "data": list(kept.data),
        "code": [(code.symbol, code.pointers) for code in kept.code],
    }
    content = io.BytesIO()
    arrays: dict[str, Any] = {
        **{f"code_{k}": np.frombuffer(c.machine, np.uint8) for k, c in enumerate(kept.code)},
        **{f"data_{k}": values for k, values in enumerate(kept.data.values())},
    }
    np.savez(content, about=np.array(json.dumps(about)), start=kept.start, **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic(path) as part:
            part.write_bytes(hashlib.sha256(content.getvalue()).digest() + content.getvalue())
        files = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for file in files[:-_MOST_KEPT]:
            file.unlink(missing_ok=True)
    except (OSError, StoreError) as error:
        logger.warning(
            "The compiled model cannot be kept in %s (%s): the next fit compiles it again. Set "
            "%s to a folder that may be written to.", path.parent, error, _FOLDER,
        )  # fmt: skip
