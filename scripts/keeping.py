"""What the scripts that fit many data sets share: finished fits are kept, the rest goes on."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache

import pandas as pd

import bayesmeta as bm
from bayesmeta.inference.refit import Refitter
from bayesmeta.jobs import write_text
from bayesmeta.progress import progress_bar
from bayesmeta.validation.recovery import build_truth


@lru_cache(maxsize=1)
def prepare(cell):
    """Choose the truth of a cell and compile the model for it, once per process."""
    truth = build_truth(bm.load_dataset(), cell=cell)
    return truth, Refitter(truth.seen, spec=bm.ModelSpec(), warm=False)


def compute_repeat(score, cells, key):
    """Fit one set of scores of one cell; keys are `CELL-REPEAT`, by number."""
    cell, repeat = (int(part) for part in key.split("-"))
    truth, refitter = prepare(cells[cell])
    return score(refitter, truth, seed=1000 * cell + repeat)


def identify():
    """Say of which model and data a record is."""
    data, spec = bm.load_dataset(), bm.ModelSpec()
    return {"spec_checksum": spec.checksum[:12], "data_checksum": data.checksum[:12]}


def keep(compute, key, *, folder):
    """Compute a table unless it is kept, and keep it."""
    path = folder / f"{key}.csv"
    if not path.exists():
        write_text(path, text=compute(key).to_csv(index=False, float_format="%.4f"))
    return pd.read_csv(path)


def compute_all(compute, keys, *, folder, workers, label):
    """Compute the tables of all keys in processes of their own, by key, in the order of the keys.

    A run that was broken off goes on where it stopped, in a folder of its own for every model.
    """
    folder = folder / "-".join(identify().values())
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(workers, mp_context=context) as executor,
        progress_bar(label, total=len(keys), unit="fits", shown=True) as report,
    ):
        futures = {executor.submit(keep, compute, key, folder=folder): key for key in keys}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                found[futures[future]] = future.result()
                report(done, "")
        finally:
            executor.shutdown(cancel_futures=True)  # of what has not begun, when one has failed
    return {key: found[key] for key in keys}


def write_record(record, *, path):
    """Write a table with what identifies it in front, so that a changed model makes it stale."""
    front = pd.DataFrame(identify(), index=record.index)
    write_text(path, text=pd.concat([front, record], axis=1).to_csv(index=False))
