"""Shared fixtures of the data tests: a small valid folder, and the audited facts where present."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"

LMS = """lm,lm_family,released,n_params,n_tokens,position_embedding,code_share,web_share
small,one,2022-05,1000000000,20000000000,learned,10,80
large,one,2023-07,7000000000,300000000000,rotary,20,80
other,two,,2000000000,100000000000,,,
"""
SCORES = """lm,benchmark,score,se
small,reading,0.30,0.01
small,proofs,1.10,
large,reading,0.60,0.01
large,proofs,0.90,
other,reading,0.40,0.01
"""
BENCHMARKS = """benchmark,task_family,metric
reading,language,accuracy
proofs,logic,brier
"""


@pytest.fixture
def texts():
    """The three tables of a small valid dataset as text."""
    return {"lms": LMS, "scores": SCORES, "benchmarks": BENCHMARKS}


@pytest.fixture
def write_folder(tmp_path):
    """Write tables, given as text by name, and return their folder."""

    def write(tables):
        for name, text in tables.items():
            content = text if isinstance(text, bytes) else text.encode()
            (tmp_path / f"{name}.csv").write_bytes(content)
        return tmp_path

    return write


@pytest.fixture
def audited():
    """The folder with the audited facts."""
    if not (SHARED / "lms_audited.csv").is_file():
        pytest.skip("the audited facts are not on this machine")
    return SHARED


@pytest.fixture
def upstream():
    """A copy of the public database."""
    folder = Path(os.environ.get("BAYESMETA_UPSTREAM", SHARED / "upstream"))
    if not folder.is_dir():
        pytest.skip("no copy of the public database: set BAYESMETA_UPSTREAM to its folder")
    return folder
