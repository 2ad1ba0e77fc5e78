"""Records of what sampling costs."""

import importlib.util
import json
import sys

import pytest

from bayesmeta.data.load import bundled_folder

SCRIPTS = bundled_folder().parent / "scripts"


@pytest.fixture(scope="session")
def read_record():
    """Read a record by name: `read_record("growth")`."""

    def read(name):
        path = bundled_folder() / f"{name}.json"
        if not path.exists():
            pytest.skip("nothing is recorded for this model yet: `make benchmark` does it")
        return json.loads(path.read_text(encoding="utf-8"))

    return read


@pytest.fixture(scope="session")
def load_script():
    """Import a script: `load_script("measure-growth.py")`."""

    def load(name):
        spec = importlib.util.spec_from_file_location("measuring_script", SCRIPTS / name)
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
            spec.loader.exec_module(module)
        return module

    return load
