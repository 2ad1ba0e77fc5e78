"""The records of what things cost, and the scripts that make them."""

import importlib.util
import json
import sys

import pytest

from bayesmeta.data.load import bundled_folder

SCRIPTS = bundled_folder().parent / "scripts"


def subject_of(request):
    """What a module tests: `growth` of `test_growth.py`."""
    return request.path.stem.removeprefix("test_")


@pytest.fixture(scope="module")
def record(request):
    """The record that the module is about, `data/growth.json` in `test_growth.py`."""
    path = bundled_folder() / f"{subject_of(request)}.json"
    if not path.exists():
        pytest.skip("nothing is recorded for this model yet: `make benchmark` does it")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def script(request):
    """The script that makes the record, `scripts/measure-growth.py` in `test_growth.py`."""
    path = SCRIPTS / f"measure-{subject_of(request)}.py"
    spec = importlib.util.spec_from_file_location("measuring_script", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
        spec.loader.exec_module(module)
    return module
