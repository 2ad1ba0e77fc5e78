"""Measure what effective draws cost under each sampler, and where the gradient spends its time.

Usage: measure-samplers.py [--out FILE.json] [--draws N] [--tune N] [--only nutpie,pymc,...]

The default model of the bundled data. Each part runs in a process of its own, on the same cores:

- nutpie, pymc, numpyro: same graph, chains, warm-up and draws, and otherwise as `fit` runs them:
  nutpie with trajectories of a fixed length, the others with the no-U-turn sampler.
  `compile_seconds` is what comes before the first step (numpyro: all that JAX traces and
  compiles), `sample_seconds` the rest, warm-up included. Effective draws are the least over all
  that a fit keeps, bulk or tail. `gradient_us` is one call of the sampler's own compiled log
  density and gradient, on an otherwise idle machine.
- gradient: the function that nutpie calls, of the whole model and of each block as a model of its
  own, with a weighted sum of squares of its output as density; and of the block's priors alone.
  Beside it stands what the same matrix products cost on their own, and as many transcendental
  functions (exp and its like); what remains is elementwise arithmetic, gathers, sums and memory.

`peak_mb` is the memory of the process; PyMC's chains are processes of their own, the largest of
which is `peak_worker_mb`.
"""

import os
import tempfile
import time

import measuring
import numpy as np

import bayesmeta as bm
from bayesmeta import defaults

GRADIENT = "gradient"
PARTS = (*defaults.SAMPLERS, GRADIENT)
TUNE, ACCEPT = {"nutpie": defaults.SHORT_TUNE}, {"nutpie": defaults.TRAJECTORY_ACCEPT}
"""Where `fit` samples otherwise than by U-turns."""

BLOCKS = ("scale", "decisions", "surface", "columns", "families", "likelihood")
TRANSCENDENTAL = (
    "Exp", "Expm1", "Log", "Log1p", "Log1mexp", "Sigmoid", "Softplus", "Pow", "GammaLn", "Psi",
    "Tanh", "Sin", "Cos",
)  # fmt: skip
"""Scalar functions that a processor has no instruction for."""

PRODUCTS = {
    "Dot": (0, 1), "Dot22": (0, 1), "Dot22Scalar": (0, 1), "Gemm": (2, 3), "Gemv": (2, 3),
    "CGemv": (2, 3),
}  # fmt: skip
"""Operations that multiply matrices, and where their two factors stand."""

N_TIMED = 4096
"""Values of the loop that one transcendental function is timed with."""


def build(data, spec):
    """Build the model, with the names that a fit keeps of it."""
    from bayesmeta.inference.graph import list_kept
    from bayesmeta.model.blocks import build_model
    from bayesmeta.model.spec import build_design_for

    model = build_model(build_design_for(data, spec=spec), spec=spec)
    return model, list_kept(model)


def measure_sampler(sampler, *, arguments):
    """Sample through the door of `fit`, which also keeps the number of steps here."""
    from bayesmeta.inference import chains, sample

    data, spec = bm.load_dataset(experiments=False), measuring.SPEC
    model, names = build(data, spec)
    chains.STATISTICS = sample.STATISTICS = (*chains.STATISTICS, "n_steps")
    intervals = watch_jax() if sampler == "numpyro" else []
    settings = {name: getattr(arguments, name) for name in ("seed", "chains", "cores")}
    settings["tune"] = arguments.tune or TUNE.get(sampler, defaults.TUNE)
    stopping = chains.Stopping(arguments.draws, arguments.draws)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BAYESMETA_CACHE"] = folder  # so that nutpie compiles
        tree, compiling = sample._sample_chains(
            data, spec, stopping, progress=False, sampler=sampler, target_accept=None, **settings
        )
    total = time.perf_counter() - started
    if sampler == "pymc":
        compiling = total - float(tree["posterior"].attrs["sampling_time"])
    elif sampler == "numpyro":
        compiling = cover(intervals)
    memory = measuring.read_peak_memory()
    found = measuring.summarise_draws(tree, names, seconds=total - compiling)
    with_compile = (found["ess_min"] or np.nan) / total
    return {
        "tune": settings["tune"],
        "draws": arguments.draws,
        "target_accept": ACCEPT.get(sampler, defaults.TARGET_ACCEPT),
        "compile_seconds": round(compiling, 2),
        "gradient_us": time_gradient(model, names, sampler=sampler),
        **found,
        "ess_per_second_with_compile": measuring.round_off(with_compile, 4),
        "peak_mb": memory["peak_mb"],
        "peak_worker_mb": memory["peak_worker_mb"] if sampler == "pymc" else None,
    }


def watch_jax():
    """List, from now on, when JAX traces or compiles: starts and ends in seconds."""
    import jax

    intervals = []

    def note(event, duration, **_):
        if event.startswith("/jax/core/compile/"):
            now = time.perf_counter()
            intervals.append((now - duration, now))

    jax.monitoring.register_event_duration_secs_listener(note)
    return intervals


def cover(intervals):
    """Total length of intervals that may overlap: what is traced within a trace counts once."""
    total, reached = 0.0, -np.inf
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def time_gradient(model, names, *, sampler):
    """Median microseconds of the log density and gradient that a sampler calls."""
    if sampler == "nutpie":
        return measuring.time_nutpie_gradient(compile_frozen(model, names))
    if sampler == "pymc":
        function = model.logp_dlogp_function(ravel_inputs=True)
        point = np.zeros(sum(np.size(v) for v in model.initial_point(0).values()))
        return measuring.time_calls(lambda: function(point), repeats=200, batch=10)
    import jax
    from pymc.sampling.jax import get_jaxified_logp

    function = jax.jit(jax.value_and_grad(get_jaxified_logp(model, negative_logp=False)))
    start = model.initial_point(0)
    point = [jax.numpy.asarray(start[variable.name]) for variable in model.value_vars]
    jax.block_until_ready(function(point))
    return measuring.time_calls(
        lambda: jax.block_until_ready(function(point)), repeats=200, batch=10
    )


def compile_frozen(model, names):
    """Compile as `fit` does."""
    import nutpie

    return nutpie.compile_pymc_model(model, var_names=names, freeze_model=True)


def measure_gradient():
    """Time the whole gradient and those of its blocks."""
    from bayesmeta.model.spec import build_design_for

    data, spec = bm.load_dataset(experiments=False), measuring.SPEC
    design = build_design_for(data, spec=spec)
    model, _ = build(data, spec)
    rates = measure_rates()
    whole = profile(model, rates=rates)
    parts = {}
    for name in BLOCKS:
        measuring.say(f"{GRADIENT}: {name}")
        parts[name] = profile(build_block(name, design, spec), rates=rates)
        if name not in ("columns", "likelihood"):  # they have none, and those of two scalars
            priors = build_block(name, design, spec, connected=False)
            parts[name]["priors_us"] = profile(priors, rates=rates)["us"]
    return {
        "backend": "numba, the compiled function that nutpie calls",
        "rates": rates,
        "whole": whole,
        "blocks": parts,
        "sum_of_blocks_us": round(sum(part["us"] for part in parts.values()), 2),
    }


def build_block(name, design, spec, *, connected=True):
    """Build a model of one block; unless it is connected, only the block's priors count."""
    import pymc as pm

    from bayesmeta.design.facts import training_data
    from bayesmeta.model import blocks
    from bayesmeta.model.blocks import likelihood_block

    coords = {key: list(labels) for key, labels in design.coords.items()}
    rows = {"obs": np.flatnonzero(design.outcomes.train)}
    with pm.Model(coords={**coords, **rows}) as model:
        data = {
            key: pm.Data(key, value, shape=value.shape)
            for key, value in training_data(design).items()
        }
        if name == "likelihood":
            eta = pm.Flat("eta", dims=("lm", "benchmark"))
            residual = pm.HalfFlat("residual", dims="benchmark")
            likelihood_block(design, spec, data, eta, residual)
            return model
        if name == "columns":
            columns = {"kappa": design.scale, "beta": design.facts.X @ design.loading,
                       "surface": design.facts.functions}  # fmt: skip
            flat = {
                key: pm.Flat(key, shape=(values.shape[1], len(design.benchmarks)))
                for key, values in columns.items()
            }
            outputs = [blocks.sum_columns(design, data, columns, flat)]
        elif name == "scale":
            outputs = [blocks.slope_block(design, spec)]
        elif name == "decisions":
            outputs = [blocks.decision_block(design, spec)]
        elif name == "surface":
            outputs = [blocks.surface_block(design, spec, {})]
        else:
            outputs = list(blocks.family_block(design, spec, data))
        if connected:
            rng, n = np.random.default_rng(1), len(design.benchmarks)
            size = {"scale": len(design.scale_terms), "decisions": design.loading.shape[1],
                    "surface": design.surface.n_functions}.get(name, len(design.lms))  # fmt: skip
            ties = [
                (rng.uniform(size=shape) * output**2).sum()
                for shape, output in zip([(size, n), (n,)], outputs, strict=False)
            ]
            pm.Potential("tie", sum(ties))
    return model


def profile(model, *, rates):
    """Time a model's gradient and count what it consists of."""
    compiled = compile_frozen(model, [str(model.free_RVs[0].name)])
    work = count_work(compiled.logp_func.maker.fgraph)
    products = work.pop("products")
    return {
        "us": measuring.time_nutpie_gradient(compiled),
        "values": int(compiled.n_dim),
        "matrix_products": len(products),
        "mflop": round(2e-6 * sum(np.prod(shape) for shape in products), 3),
        "matrix_products_us": round(sum(time_product(*shape) for shape in products), 2),
        **work,
        "transcendentals_us": round(1e-3 * work["transcendentals"] * rates["ns_per_exp"], 2),
    }


def count_work(graph):
    """Count operations of a compiled graph, matrix products and transcendental functions.

    Left out are logarithms of products, whose number no graph states: a quarter of the scores'.
    """
    products, elements = [], 0
    for node in graph.toposort():
        kind = type(node.op).__name__
        if kind in PRODUCTS:
            a, b = (node.inputs[k].type.shape for k in PRODUCTS[kind])
            products.append((a[0] if len(a) > 1 else 1, a[-1], b[1] if len(b) > 1 else 1))
        elif hasattr(node.op, "fgraph"):  # a loop that gathers, computes and sums
            inner = count_work(node.op.fgraph)
            products += inner["products"]
            elements += inner["transcendentals"]
        elif hasattr(node.op, "scalar_op"):
            size = int(np.prod([n or 0 for n in node.outputs[0].type.shape]))
            elements += size * count_transcendental(node.op.scalar_op)
    return {
        "products": products,
        "operations": len(graph.apply_nodes),
        "transcendentals": elements,
    }


def count_transcendental(operation):
    """Count transcendental functions in a scalar operation, which may be composed of others."""
    inner = getattr(operation, "fgraph", None)
    if inner is None:
        return int(type(operation).__name__ in TRANSCENDENTAL)
    return sum(count_transcendental(node.op) for node in inner.toposort())


def measure_rates():
    """Nanoseconds of one exp in a loop that numba compiles, as in the gradient."""
    import numba

    @numba.njit
    def fill(out, values):
        for k in range(len(values)):
            out[k] = np.exp(values[k])

    values = np.random.default_rng(0).normal(size=N_TIMED)
    out = np.empty_like(values)
    fill(out, values)
    us = measuring.time_calls(lambda: fill(out, values), repeats=200)
    return {"ns_per_exp": round(1e3 * us / N_TIMED, 2)}


def time_product(n, k, m):
    """Median microseconds of one matrix product of this shape."""
    a, b, out = np.ones((n, k)), np.ones((k, m)), np.empty((n, m))
    return measuring.time_calls(lambda: np.dot(a, b, out=out), repeats=100, batch=20)


def measure(part, *, arguments):
    """Measure one sampler, or the gradient."""
    return measure_gradient() if part == GRADIENT else measure_sampler(part, arguments=arguments)


def assemble(found, _):
    """Put the samplers together, and the gradient behind them."""
    samplers = {part: values for part, values in found.items() if part != GRADIENT}
    gradient = {GRADIENT: found[GRADIENT]} if GRADIENT in found else {}
    return {"samplers": samplers, **gradient}


def main():
    """Measure and write the record."""
    parser = measuring.build_parser(
        __doc__.splitlines()[0], out="samplers.json", draws=defaults.DRAWS
    )
    parser.set_defaults(tune=None)
    measuring.run_parts(__file__, parser, PARTS, measure=measure, assemble=assemble)


if __name__ == "__main__":
    main()
