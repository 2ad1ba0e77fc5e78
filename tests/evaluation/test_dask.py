"""A Dask cluster of real worker processes, one of which is killed at work."""

import contextlib
import os
import signal
import sys
import threading
import time

import dask
import distributed
import pandas.testing as pdt
import pytest
from distributed import LocalCluster

from bayesmeta import evaluate, jobs
from bayesmeta.errors import EvaluationError
from bayesmeta.jobs import connect_dask

MODELS = ("median", "ols", "xgboost-scale")
SETTINGS = {"scheme": "random", "seeds": 5, "progress": False}
N_FOLDS = len(MODELS) * 5 * 3

KILL_AFTER = 6
"""Folds stored when a worker is killed: some are done, most are not."""


@contextlib.contextmanager
def run_cluster(n_workers):
    """Start a scheduler and worker processes on this machine, without a dashboard."""
    with LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        host="127.0.0.1",
        silence_logs=50,  # a killed worker makes a lot of noise
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def board(small):
    """The same evaluation without a cluster."""
    return evaluate(small, MODELS, **SETTINGS)


def assert_same(board, other):
    pdt.assert_frame_equal(board.cells, other.cells, check_exact=True)


def stored_in(folder):
    return [path.name for path in (folder / "folds").glob("[!.]*")]


def test_folds_on_a_cluster_outlive_a_killed_worker(small, board, tmp_path):
    stored_then = []

    def kill_at_work(pid):
        while len(stored_in(tmp_path)) < KILL_AFTER:
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)
        stored_then.append(len(stored_in(tmp_path)))

    with run_cluster(2) as cluster, connect_dask(cluster.scheduler_address) as executor:
        pid, _ = (worker.pid for worker in cluster.workers.values())
        assert pid != os.getpid()
        killer = threading.Thread(target=kill_at_work, args=[pid])
        killer.start()
        found = evaluate(small, MODELS, executor=executor, out=tmp_path, **SETTINGS)
        killer.join()
        assert pid not in [worker.pid for worker in cluster.workers.values()]
    assert KILL_AFTER <= stored_then[0] < N_FOLDS
    assert len(stored_in(tmp_path)) == N_FOLDS
    assert_same(found, board)


def evaluate_with_a_deadly_fold(dataset, address, *, out):
    """Evaluate on a cluster; the fourth fold kills each worker that takes it."""
    with connect_dask(address) as executor, pytest.MonkeyPatch.context() as patch:
        submit = executor.submit

        def submit_or_kill(function, *args):
            if len(stored_in(out)) == 3:
                return submit(os._exit, 1)
            return submit(function, *args)

        patch.setattr(jobs, "_WAITING", 1)  # each is stored before the next one starts
        patch.setattr(executor, "submit", submit_or_kill)
        evaluate(dataset, MODELS, executor=executor, out=out, **SETTINGS)


def test_fold_that_kills_its_workers_is_reported_and_the_others_are_kept(small, tmp_path):
    once = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with once, run_cluster(1) as cluster:
        with pytest.raises(EvaluationError, match=r"died again and again .*continues there") as e:
            evaluate_with_a_deadly_fold(small, cluster.scheduler_address, out=tmp_path)
        assert "\n" not in str(e.value)
    assert len(stored_in(tmp_path)) == 3


def test_cluster_without_workers():
    with run_cluster(0) as cluster:
        address = cluster.scheduler_address
        refused = pytest.raises(EvaluationError, match=f"'{address}' has no workers.*dask worker")
        with refused, connect_dask(address):
            pass


@pytest.mark.parametrize(
    "address, tries", [("tcp://127.0.0.1:9", 1), ("nonsense", 0), ("tcp://", 0), ("", 0),
                       ("http://a b", 0)]
)  # fmt: skip
def test_address_that_leads_nowhere(monkeypatch, address, tries):
    connect, limits = distributed.Client, []

    def connect_briefly(*words, timeout, **settings):
        limits.append(timeout)
        return connect(*words, timeout=timeout / 100, **settings)

    monkeypatch.setattr(distributed, "Client", connect_briefly)
    with pytest.raises(EvaluationError) as caught, connect_dask(address):
        pass
    assert limits == tries * [jobs._DASK_SECONDS]  # a limit: else it would be waited for for ever
    assert str(caught.value).startswith(f"no Dask scheduler answers at '{address}'")
    assert "\n" not in str(caught.value)


def test_missing_dask_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(
            EvaluationError, match=r"Dask is not installed.*pip install bayesmeta\[dask\]"
        ),
        connect_dask("tcp://127.0.0.1:9"),
    ):
        pass
