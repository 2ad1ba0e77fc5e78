"""One question: how much of the package it passes, and what it computes once.

A question is asked as a process of its own. What it costs is counted (modules, calls, imports),
not timed: the clock of a busy machine says nothing. Timings are in `make benchmark`.
"""

import json
import subprocess
import sys
from collections import Counter

import pytest

MOST_MODULES = 19
"""Modules of the package whose functions one question executes, comparisons of arms, words of
answers and what decisions are declared among them; there were 37."""

NOT_NEEDED = ("pandas", "xarray", "matplotlib", "pymc", "pytensor", "arviz", "nutpie", "scipy")
"""Each takes longer to import than a question takes to answer."""

MOST_CALLS = {
    "_read": 1,
    "complete_facts": 1,
    "_compute_baseline": 1,
    "posterior_means": 1,
    "linearise": 1,
    "precision": 3,  # of all scores, within families, and of their means
    "columns_of_level": 9,  # what all benchmarks, task families and single ones have, of each
    "mean_change": 2,  # of LMs as they are, and at the size and tokens of experiments' arms
    "support_of": 1,
    "_compute_latent": 1,
    "combine": 5,  # latent values of each of four chains once, and at the posterior means
    "_compute_side": 2,  # the two sides that are compared
    "functions": 6,  # the surface as it is, and on either side, at both sizes
}
"""How often a question may compute what its parts share."""

TRACED = """
import collections, json, sys

calls = collections.Counter()


def trace(frame, event, _):
    code = frame.f_code
    is_function = event == "call" and code.co_flags & 1  # neither a module nor a class body
    if is_function and "bayesmeta" in code.co_filename:
        calls[f"{code.co_filename.rpartition('bayesmeta/')[2]}:{code.co_name}"] += 1


sys.argv = ["bayesmeta", *json.loads(sys.argv[1])]
sys.setprofile(trace)
from bayesmeta.cli.shared import main

try:
    main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    sys.setprofile(None)
print(json.dumps({"calls": calls, "imported": sorted({n.partition(".")[0] for n in sys.modules})}),
      file=sys.stderr)
"""

QUESTIONS = (
    "attention: gqa > mha",
    "code_share: 20 > 5",
    "swap web_share -> code_share by 10",
    "n_params: 14e9 > 7e9",
    "context_length: 4096 > 2048",
)


@pytest.fixture(scope="module", params=QUESTIONS)
def traced(request):
    command = [sys.executable, "-c", TRACED, json.dumps(["query", request.param])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


def test_a_question_executes_functions_of_few_modules(traced):
    modules = {name.partition(":")[0] for name in traced["calls"]}
    assert len(modules) <= MOST_MODULES, sorted(modules)


def test_a_question_imports_little(traced):
    assert not set(NOT_NEEDED) & set(traced["imported"])


def test_a_question_computes_what_its_parts_share_once(traced):
    calls = Counter()
    for name, n in traced["calls"].items():
        calls[name.partition(":")[2]] += n
    assert {name: n for name, n in calls.items() if n > MOST_CALLS.get(name, n)} == {}
    assert set(MOST_CALLS) <= set(calls)
