"""What the shipped posterior and the records say stays as it is pinned, to nine digits."""

import importlib.util
import math
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("pinned_blocks", Path(__file__).parent / "blocks.py")
blocks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(blocks)

SHOWN = 20


@pytest.mark.parametrize("name", list(blocks.BLOCKS))
def test_a_pinned_block_stays_as_it_is(name):
    found, pinned = blocks.BLOCKS[name](), blocks.read(name)
    differences = blocks.compare(found, pinned, may_grow=name in blocks.ANSWERS)
    shown = "\n".join(differences[:SHOWN])
    assert not differences, (
        f"{len(differences)} of {len(pinned)} values of '{name}' differ:\n{shown}\n"
        f"Was that meant? Then pin them anew: python tests/pinned/blocks.py --write {name}"
    )


def test_every_file_of_pinned_values_belongs_to_a_block():
    assert {path.stem for path in blocks.FOLDER.glob("*.json")} == set(blocks.BLOCKS)


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"a": 1.0, "b": "x", "c": math.nan, "d": 0.0},
        {"a": 1 + 3e-9, "b": "x", "c": math.nan},
        {"a": 1.0, "b": "y", "c": math.nan},
        {"a": 1.0, "b": "x", "c": 0.0},
        {"a": math.nan, "b": "x", "c": math.nan},
        {"a": "1.0", "b": "x", "c": math.nan},
    ],
)
def test_whatever_differs_is_seen(found):
    assert blocks.compare(found, {"a": 1.0, "b": "x", "c": math.nan})


def test_nothing_is_seen_where_nothing_differs():
    pinned = {"a": 1.0, "b": "x", "c": math.nan}
    assert not blocks.compare({"a": 1 + 1e-9, "b": "x", "c": math.nan}, pinned)
    assert not blocks.compare({**pinned, "d": 0.0}, pinned, may_grow=True)
    assert blocks.compare({"a": 1.0}, pinned, may_grow=True)
