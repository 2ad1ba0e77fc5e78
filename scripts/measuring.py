"""What the scripts that measure samplers share: fresh processes, effective draws, gradients."""

import argparse
import contextlib
import importlib.metadata
import json
import logging
import math
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.whole_files import write_text

ROOT = Path(__file__).resolve().parents[1]
CORES = 2
"""Chains that run at once, in every measurement: a common laptop has at least so many."""

RECORDED = ("bayesmeta", "pymc", "nutpie", "numpyro", "jax", "pytensor", "numba", "numpy")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def build_parser(description, *, out, draws):
    """Build the parser of the options that the scripts share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=ROOT / "data" / out)
    parser.add_argument("--chains", type=int, default=defaults.CHAINS)
    parser.add_argument("--cores", type=int, default=CORES, help="chains that run at once")
    parser.add_argument("--seed", type=int, default=defaults.SEED)
    parser.add_argument("--only", default="", help="parts to measure, by comma; all if left out")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--draws", type=int, default=draws)
    parser.add_argument("--tune", type=int, default=defaults.TUNE)
    return parser


SPEC = bm.ModelSpec(experiments="ignored")
"""The model of LMs alone: what is measured here are its parts, sizes and samplers."""


def run_parts(script, parser, parts, *, measure, assemble):
    """Measure every part in a process of its own, and write and print the record.

    Called again in such a process, which `--part` tells, measure that part and print it.
    `assemble` makes the body of the record of what was found, by part, and of the arguments.
    """
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    if arguments.part:
        hold_to_cores(arguments.cores)
        print(json.dumps(measure(arguments.part, arguments=arguments)))
        return
    names = choose_parts(parts, only=arguments.only)
    found = {name: run_fresh(Path(script), name, arguments=arguments) for name in names}
    header = build_header(bm.load_dataset(experiments=False), SPEC, arguments=arguments)
    record = {**header, **assemble(found, arguments)}
    write_record(arguments.out, record)
    print(json.dumps(record, indent=2))


def choose_parts(parts, *, only):
    """Keep the parts that are asked for; exits where one is not known."""
    asked = [name for name in only.split(",") if name]
    unknown = sorted(set(asked) - set(parts))
    if unknown:
        sys.exit(f"--only: {', '.join(unknown)} not known. Allowed: {', '.join(parts)}.")
    return [name for name in parts if not asked or name in asked]


def run_fresh(script, part, *, arguments):
    """Measure one part in a process of its own, held to the cores; what it printed last."""
    say(f"{part}: started")
    started = time.perf_counter()
    # Chains on JAX devices: one device each, all on the same cores.
    devices = f"--xla_force_host_platform_device_count={arguments.chains}"
    environment = {
        **os.environ,
        **dict.fromkeys(ONE_THREAD, "1"),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {devices}".strip(),
    }
    run = subprocess.run(
        [sys.executable, script, *sys.argv[1:], "--part", part],
        env=environment, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        sys.exit(f"{part} ended with exit code {run.returncode}; nothing is written.")
    say(f"{part}: {time.perf_counter() - started:.0f} s")
    return json.loads(run.stdout.splitlines()[-1])


def hold_to_cores(n):
    """Let this process and its children run on `n` processors only, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


def read_peak_memory():
    """Read the peak memory in MB of this process, and of the largest of those that it started."""
    unit = 1 if sys.platform == "darwin" else 1024
    own, started = (
        resource.getrusage(who).ru_maxrss * unit / 1e6
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"peak_mb": round(own), "peak_worker_mb": round(started)}


def summarise_draws(tree, names, *, seconds):
    """Worst convergence over everything that a fit keeps, as `check` sees it, and what it cost."""
    from bayesmeta.inference.diagnostics import _convergence_table

    table = _convergence_table(tree["posterior"].to_dataset()[names])
    least = table[["ess_bulk", "ess_tail"]].min(axis=1)
    worst = table.loc[least.fillna(-1).idxmin()]
    stats = tree["sample_stats"]
    ess = float(least.min(skipna=False))
    return {
        "sample_seconds": round(seconds, 2),
        "steps_per_draw": round(float(stats["n_steps"].mean()), 1),
        "divergences": int(stats["diverging"].sum()),
        "rhat_max": round_off(table["rhat"].max(skipna=False), 4),
        "ess_bulk_min": round_off(table["ess_bulk"].min(skipna=False), 1),
        "ess_tail_min": round_off(table["ess_tail"].min(skipna=False), 1),
        "ess_min": round_off(ess, 1),
        "worst": f"{worst['parameter']}[{worst['worst']}]",
        "ess_per_second": round_off(ess / seconds, 4),
    }


def round_off(value, digits):
    """Round a number; None where there is none, which JSON can hold."""
    return round(float(value), digits) if math.isfinite(value) else None


def time_calls(call, *, repeats, batch=1):
    """Median microseconds of a call, over repeated batches of calls."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        for _ in range(batch):
            call()
        seconds.append((time.perf_counter() - started) / batch)
    return round(1e6 * float(np.median(seconds)), 2)


def time_nutpie_gradient(compiled, *, repeats=200, batch=20):
    """Median microseconds of the function that nutpie calls: log density and gradient.

    The compiled C function is called at its address, so that Python costs a microsecond or two.
    """
    n, user_data = compiled.n_dim, compiled.user_data
    point = np.random.default_rng(0).normal(0, 0.1, n)
    gradient, density = np.empty(n), np.empty(())
    function = compiled.compiled_logp_func.ctypes
    kinds = function.argtypes
    arguments = [
        kind(array) if kind is kinds[0] else array.ctypes.data_as(kind)
        for kind, array in zip(kinds, (n, point, gradient, density, user_data), strict=True)
    ]
    if function(*arguments):
        raise RuntimeError("The log density has no value at the point where it is timed.")
    return time_calls(lambda: function(*arguments), repeats=repeats, batch=batch)


def build_header(data, spec, *, arguments):
    """Build what every record starts with: of which model, on what, with which settings."""
    return {
        "spec_checksum": spec.checksum,
        "data_checksum": data.checksum,
        "chains": arguments.chains,
        "cores": arguments.cores,
        "seed": arguments.seed,
        **build_machine(RECORDED),
    }


def build_machine(packages):
    """Build what a record says about the machine: processor, Python, versions of packages."""
    return {
        "processor": read_processor(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def read_processor():
    """Read the name of the processor, as far as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def write_record(path, record):
    """Write a record whole or not at all."""
    write_text(path, text=json.dumps(record, indent=2, allow_nan=False) + "\n")


def say(text):
    """Print progress, on standard error."""
    print(text, file=sys.stderr, flush=True)
