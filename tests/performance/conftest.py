"""Records of what sampling costs."""

import json

import pytest

from bayesmeta.data.load import bundled_folder


@pytest.fixture(scope="session")
def read_record():
    """Read a record by name: `read_record("growth")`."""

    def read(name):
        path = bundled_folder() / f"{name}.json"
        if not path.exists():
            pytest.skip("nothing is recorded for this model yet: `make benchmark` does it")
        return json.loads(path.read_text(encoding="utf-8"))

    return read
