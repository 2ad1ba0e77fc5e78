"""Measure how the cost of an effective draw grows with the number of LMs and of benchmarks.

Usage: measure-growth.py [--out FILE.json] [--draws N] [--tune N] [--only LMs-10,...]

Every case is a simulated dataset, sampled by nutpie in a process of its own, on the same cores:

- The bundled LMs that have scores, or 3 and 10 times as many: whole families are copied, with
  their decisions and with the benchmarks that each LM has. A copy has its own name, and a size,
  data and mix that scatter about those of the original.
- The bundled benchmarks, or 3 and 10 times as many, copied into the same task families.
- Scores are drawn from the default model: scales and averages are those of the shipped posterior,
  effects of families, LMs and the surface are drawn anew, and a copied benchmark's parameters
  scatter about those of the original.

`seconds_per_effective_draw` is the sampling time over the least effective sample size of all that
a fit keeps: with more LMs it is the least of more numbers. Ratios are to the case `base`.

Whole fits (`fits`) have the bundled experiments too, or half as many again, and go on until all is
sampled well enough: of the bundled data, and of 1,001 LMs of 352 families on 39 benchmarks. Their
seconds go from the tables to a checked fit; `linearised_seconds` are those of the linear
approximation and of what it says of one decision.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import measuring
import numpy as np
import pandas as pd

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.data.vocabulary import MIX_COLUMNS

CASES = {
    "base": (1, 1), "lms-3": (3, 1), "lms-10": (10, 1), "benchmarks-3": (1, 3),
    "benchmarks-10": (1, 10),
}  # fmt: skip
"""How many times the bundled LMs and benchmarks."""

FITS = {"bundled": (1, 1), "large": (11, 3)}
"""The same of the data of whole fits."""

COPIED_ARMS = 100
"""Arms of experiments that are copied at least, with their studies, for the large fit."""

COMPARED = (
    "design_seconds", "model_seconds", "compile_seconds", "gradient_us", "steps_per_draw",
    "seconds_per_draw", "ess_min", "seconds_per_effective_draw", "peak_mb",
)  # fmt: skip
FAMILY_SD, LM_SD, MIX_SD = 0.4, 0.1, 0.3
"""Scatter of log size and log data of a copied family and lm, and of the log shares of its mix."""

BENCHMARK_SD = 0.5
"""Scatter of a copied benchmark about the original, in standard deviations over benchmarks."""

SCALE_SD = 0.2
"""The same of the logs of its scales."""

RUN_SD = 0.004
"""Scatter of the score of a copied arm."""

BENCHMARK_SCALES = ("sigma", "tau_family")
SHARED = (
    "rho_lm", "rho_family", "sigma_score", "nu_beyond_one", "log_tau_family", "tau_spread",
)  # fmt: skip


def copy_lms(lms, *, times, rng):
    """Copy whole families, with their own names and facts that scatter; all LMs, all copies."""
    tables = [lms]
    for copy in range(1, times):
        table = lms.assign(
            lm=lms["lm"] + f" copy {copy}",
            lm_family=lms["lm_family"] + f" copy {copy}",
            derived_from=None,
        )
        code, families = pd.factorize(lms["lm_family"])
        for column in ("n_params", "n_tokens"):
            shift = rng.normal(0, FAMILY_SD, len(families))[code] + rng.normal(0, LM_SD, len(lms))
            table[column] = (lms[column] * np.exp(shift)).round().astype(lms[column].dtype)
        shares = lms[list(MIX_COLUMNS)]
        known = shares.notna().all(axis=1).to_numpy()
        parts = np.column_stack([shares, 100 - shares.sum(axis=1)]).clip(min=0)[known]
        scatter = rng.normal(0, MIX_SD, (len(families), parts.shape[1]))[code[known]]
        parts = parts * np.exp(scatter)
        parts = 100 * parts / parts.sum(axis=1, keepdims=True)
        table.loc[known, list(MIX_COLUMNS)] = parts[:, :-1].round(2)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def copy_scores(data, *, n_lms, n_benchmarks):
    """Copy every score to the copies of its lm and of its benchmark."""
    tables = []
    for i in range(n_lms):
        for j in range(n_benchmarks):
            table = data.scores.copy()
            table["lm"] += f" copy {i}" if i else ""
            table["benchmark"] += f" copy {j}" if j else ""
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def copy_benchmarks(benchmarks, *, times):
    """Copy benchmarks within their task families."""
    tables = [benchmarks]
    for copy in range(1, times):
        name, label = (benchmarks[column] + f" copy {copy}" for column in ("benchmark", "label"))
        tables.append(benchmarks.assign(benchmark=name, label=label))
    return pd.concat(tables, ignore_index=True)


def simulate(*, n_lms, n_benchmarks, seed):
    """Build a larger dataset and draw its scores from the model; read as a user's tables are."""
    data, rng = bm.load_dataset(experiments=False), np.random.default_rng(seed)
    scored = data.lms[data.lms["lm"].isin(data.scores["lm"])]
    copied = replace(
        data,
        lms=copy_lms(scored.reset_index(drop=True), times=n_lms, rng=rng),
        scores=copy_scores(data, n_lms=n_lms, n_benchmarks=n_benchmarks),
        benchmarks=copy_benchmarks(data.benchmarks, times=n_benchmarks),
        generations=None,
    )
    scores = draw_scores(copied, times=n_benchmarks, rng=rng)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in replace(copied, scores=scores).format_tables().items():
            Path(folder, f"{name}.csv").write_text(text, encoding="utf-8")
        return bm.read_dataset(folder)


def draw_scores(data, *, times, rng):
    """Draw scores from the default model, with standard errors that go with them."""
    from bayesmeta.model.predictor import score_distribution
    from bayesmeta.model.spec import build_design_for

    spec = measuring.SPEC
    design = build_design_for(data, spec=spec)
    parameters = choose_parameters(design, times=times, rng=rng)
    y = score_distribution(parameters, design=design, spec=spec).draw(int(rng.integers(2**31)))
    b = design.outcomes.benchmark_index
    # Below the floor there is nothing to score; one stray score would lower the floor of all.
    low, high = design.outcomes.floor.clip(min=0), np.where(design.outcomes.is_logistic, 1.0, 2.0)
    y = np.clip(y, low[b], high[b])
    n_items = data.benchmarks["n_items"].to_numpy(float)[b]
    smooth = (y * n_items + 2) / (n_items + 4)  # Agresti and Coull, as in the bundled table
    known = data.scores["se"].notna().to_numpy()
    se = np.where(known, np.sqrt(smooth * (1 - smooth).clip(min=0) / (n_items + 4)), np.nan)
    return data.scores.assign(score=y.round(6), se=se.round(6))


def copy_experiments(experiments, *, n_arms, rng):
    """Copy the largest studies, as runs of their own whose scores scatter, until arms suffice."""
    sizes = experiments.arms["study"].value_counts()
    chosen = sizes.index[: int((sizes.cumsum() < n_arms).sum()) + 1]

    def copy(table):
        own = table[table["study"].isin(chosen)]
        named = {name: own[name] + " copy" for name in ("study", "run") if name in own}
        if "score" in own:
            named["score"] = (own["score"] + rng.normal(0, RUN_SD, len(own))).clip(0, 1)
        return pd.concat([table, own.assign(**named)], ignore_index=True)

    tables = {name: copy(getattr(experiments, name)) for name in ("studies", "arms", "results")}
    return replace(experiments, **tables)


def choose_parameters(design, *, times, rng):
    """Choose the parameters that scores are drawn from: averages of the shipped posterior."""
    mean = {
        name: values.mean(axis=(0, 1))
        for name, values in bm.load_reference_fit().parameters.items()
    }
    parameters = {name: mean[name] for name in SHARED}
    for name, axis in (("alpha", 0), ("kappa", 0), ("beta", 1)):
        first = mean[name]
        spread = BENCHMARK_SD * first.std(axis=axis, keepdims=True)
        copies = [first + spread * rng.normal(size=first.shape) for _ in range(times - 1)]
        parameters[name] = np.concatenate([first, *copies], axis=axis)
    for name in BENCHMARK_SCALES:
        first = mean[name]
        copies = [first * np.exp(rng.normal(0, SCALE_SD, len(first))) for _ in range(times - 1)]
        parameters[name] = np.concatenate([first, *copies])
    n_tasks, n_functions = len(design.task_families), design.surface.n_functions
    shape = (n_functions, len(design.benchmarks))
    tau = mean["tau_surface"]
    by_task = rng.normal(size=(n_functions, n_tasks))[:, design.task_family_index]
    shared = rng.normal(size=(n_functions, 1))
    parameters["surface"] = tau[0] * shared + tau[1] * by_task + tau[2] * rng.normal(size=shape)
    parameters["u"] = rng.normal(size=len(design.lm_families))
    parameters["w"] = rng.normal(size=(len(design.lm_families), n_tasks))
    parameters["v"] = rng.normal(size=len(design.lms))
    return parameters


def measure(case, *, arguments):
    """Simulate, build, compile and sample one case."""
    import nutpie

    from bayesmeta.inference.chains import choose_trajectories
    from bayesmeta.inference.graph import list_kept
    from bayesmeta.model.blocks import build_model
    from bayesmeta.model.spec import build_design_for

    if case in FITS:
        return fit_whole(case, arguments=arguments)
    n_lms, n_benchmarks = CASES[case]
    spec = measuring.SPEC
    data = simulate(n_lms=n_lms, n_benchmarks=n_benchmarks, seed=arguments.seed)
    clock = [time.perf_counter()]
    design = build_design_for(data, spec=spec)
    clock.append(time.perf_counter())
    model = build_model(design, spec=spec)
    clock.append(time.perf_counter())
    names = list_kept(model)
    compiled = nutpie.compile_pymc_model(model, var_names=names, freeze_model=True)
    clock.append(time.perf_counter())
    gradient_us = measuring.time_nutpie_gradient(compiled)
    started = time.perf_counter()
    tree = nutpie.sample(
        compiled,
        draws=arguments.draws,
        tune=arguments.tune,
        chains=arguments.chains,
        cores=arguments.cores,
        seed=arguments.seed,
        save_warmup=False,
        progress_bar=False,
        **choose_trajectories(compiled.n_dim),
    )
    seconds = time.perf_counter() - started
    memory = measuring.read_peak_memory()
    found = measuring.summarise_draws(tree, names, seconds=seconds)
    n_draws = arguments.chains * (arguments.draws + arguments.tune)
    per_effective = seconds / (found["ess_min"] or np.nan)
    design_seconds, model_seconds, compile_seconds = np.diff(clock)
    return {
        "lms": len(data.lms),
        "lm_families": len(design.lm_families),
        "benchmarks": len(data.benchmarks),
        "scores": len(data.scores),
        "surface_functions": design.surface.n_functions,
        "surface_anchors": len(design.surface.anchors),
        "values": int(compiled.n_dim),
        "design_seconds": round(design_seconds, 3),
        "model_seconds": round(model_seconds, 3),
        "compile_seconds": round(compile_seconds, 2),
        "gradient_us": gradient_us,
        **found,
        "seconds_per_draw": round(seconds / n_draws, 5),
        "seconds_per_effective_draw": measuring.round_off(per_effective, 5),
        "peak_mb": memory["peak_mb"],
    }


def fit_whole(case, *, arguments):
    """Fit until all is sampled well enough, check, and ask the linear approximation."""
    from bayesmeta.estimates.linearised import linearise

    data = bm.load_dataset()
    if case != "bundled":
        n_lms, n_benchmarks = FITS[case]
        rng = np.random.default_rng(arguments.seed)
        experiments = copy_experiments(data.experiments, n_arms=COPIED_ARMS, rng=rng)
        data = simulate(n_lms=n_lms, n_benchmarks=n_benchmarks, seed=arguments.seed)
        data = replace(data, experiments=experiments)
    clock = [time.perf_counter()]
    fit = bm.fit(data, seed=arguments.seed, progress=False)
    report = bm.check(fit)
    clock.append(time.perf_counter())
    n = len(data.benchmarks)
    change = np.eye(len(fit.design.free_decision))[0]
    estimate = linearise(fit).estimate(change, weights=np.full(n, 1 / n))
    clock.append(time.perf_counter())
    seconds, linearised_seconds = np.diff(clock)
    return {
        "lms": len(data.lms),
        "lm_families": len(fit.design.lm_families),
        "benchmarks": n,
        "scores": len(data.scores),
        "arms": len(data.experiments.arms),
        "draws": fit.shape[1],
        "seconds": round(seconds, 1),
        "compile_seconds": fit.provenance["seconds"]["compile"],
        "passed": report.passed,
        "rhat_max": round(report.values["rhat_max"], 4),
        "ess_min": round(min(report.values["ess_bulk_min"], report.values["ess_tail_min"]), 1),
        "divergences": report.values["divergences"],
        "linearised_seconds": round(linearised_seconds, 2),
        "linearised_sd": round(float(estimate.sd), 4),
        "peak_mb": measuring.read_peak_memory()["peak_mb"],
    }


def compare(cases):
    """Divide every case's numbers by those of the bundled size."""
    base = cases["base"]
    return {
        case: {
            name: round(found[name] / base[name], 3) if found[name] and base[name] else None
            for name in COMPARED
        }
        for case, found in cases.items()
    }


def assemble(found, arguments):
    """Put the settings of all cases before them, and behind them how they compare."""
    cases = {name: found[name] for name in CASES if name in found}
    fits = {name: found[name] for name in FITS if name in found}
    settings = {"tune": arguments.tune, "draws": arguments.draws,
                "target_accept": defaults.TRAJECTORY_ACCEPT}  # fmt: skip
    compared = compare(cases) if "base" in cases else {}
    return {**settings, "cases": cases, "ratios": compared, "fits": fits}


def main():
    """Measure and write the record."""
    parser = measuring.build_parser(
        __doc__.splitlines()[0], out="growth.json", draws=defaults.DRAWS // 2
    )
    parser.set_defaults(tune=defaults.SHORT_TUNE)
    measuring.run_parts(__file__, parser, CASES | FITS, measure=measure, assemble=assemble)


if __name__ == "__main__":
    main()
