"""A process stopped in the middle of an evaluation costs the folds it was at, and nothing else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODELS = ("median", "ols", "xgboost-scale")
SEEDS = 4
N_FOLDS = len(MODELS) * SEEDS * 3

STOP_AFTER = 8
"""Folds to store before the end comes."""

KILLED, INTERRUPTED = -signal.SIGKILL, 130

# A process started in the background of a script ignores the signal of Ctrl-C; this one must not.
# Where it is to be stopped it waits for that, so that no race decides what it has stored by then.
PROGRAM = """
import signal, sys, time

from bayesmeta.cli.shared import main
from bayesmeta.jobs import Folder

stop_after, write = int(sys.argv.pop(1)), Folder.write

def write_and_wait(folder, key, result):
    global stop_after
    write(folder, key, result)
    stop_after -= 1
    while stop_after == 0:
        time.sleep(1)

Folder.write = write_and_wait
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


def start(small_folder, out, *, stop_after=-1):
    words = [
        "evaluate", str(small_folder), "--models", ",".join(MODELS), "--scheme", "random",
        "--seeds", str(SEEDS), "--out", str(out), "--workers", "1", "--format", "json",
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(stop_after), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(small_folder, out):
    """Run the command to its end: what it printed, and the table it wrote."""
    process = start(small_folder, out)
    printed, said = process.communicate()
    assert process.returncode == 0, said
    assert len(stored_in(out)) == N_FOLDS
    return printed, (out / "scoreboard.csv").read_bytes()


def stop(small_folder, out, *, by):
    """Run the command until it has stored some more folds: how it ended, and what it said."""
    wanted = len(stored_in(out)) + STOP_AFTER
    process = start(small_folder, out, stop_after=STOP_AFTER)
    while len(stored_in(out)) < wanted and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(by)
    printed, said = process.communicate()
    assert printed == ""
    assert len(stored_in(out)) == wanted
    assert not (out / "scoreboard.csv").exists()
    return process.returncode, said


def stored_in(out):
    return {path.name: path.read_bytes() for path in (out / "folds").glob("[!.]*")}


@pytest.fixture(scope="module")
def uninterrupted(small_folder, tmp_path_factory):
    return finish(small_folder, tmp_path_factory.mktemp("whole") / "run")


def test_killed_evaluation_goes_on_to_the_same_result(small_folder, uninterrupted, tmp_path):
    out = tmp_path / "run"
    code, _ = stop(small_folder, out, by=signal.SIGKILL)
    assert code == KILLED
    before = stored_in(out)
    assert finish(small_folder, out) == uninterrupted
    # What was finished was taken as it was, with the seconds that it took then.
    assert stored_in(out).items() >= before.items()


def test_killed_twice_and_with_parts_of_files_left_behind(small_folder, uninterrupted, tmp_path):
    out = tmp_path / "run"
    stop(small_folder, out, by=signal.SIGKILL)
    # A process that dies while it writes leaves a part of a file under a name of its own.
    for part in (out / "folds" / ".ols-random-011-001.csv.4711.tmp", out / ".manifest.json.1.tmp"):
        part.write_text("scheme,seed,fo")
    stop(small_folder, out, by=signal.SIGKILL)
    assert finish(small_folder, out) == uninterrupted


def test_interrupted_evaluation_says_where_its_folds_are(small_folder, uninterrupted, tmp_path):
    out = tmp_path / "run"
    code, said = stop(small_folder, out, by=signal.SIGINT)
    assert code == INTERRUPTED
    assert f"interrupted: finished folds are kept in {out}" in " ".join(said.split())
    assert "Traceback" not in said
    assert finish(small_folder, out) == uninterrupted


WORKER = """
import os, time
from bayesmeta.jobs import open_executor

if __name__ == "__main__":
    with open_executor(workers=1, processes=True) as executor:
        print(executor.submit(os.getpid).result(), flush=True)
        executor.submit(time.sleep, 60).result()
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(WORKER, encoding="utf-8")
    command = [sys.executable, tmp_path / "parent.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not is_running(worker):
            break
        time.sleep(0.1)
    assert not is_running(worker)


def is_running(process):
    """Whether a process is there and no zombie, which some containers never take away."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    about = Path(f"/proc/{process}/stat")
    return (
        not about.exists() or about.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    )
