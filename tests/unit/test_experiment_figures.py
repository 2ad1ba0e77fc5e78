"""Effects beside associations, and a funnel of comparisons: figures and the numbers in them."""

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.errors import QueryError

KINDS = ("effect", "new_setting", "association")


@pytest.fixture(scope="module")
def fit(bundled_informed, build_fake_fit):
    return build_fake_fit(bundled_informed, spec=bm.ModelSpec(), draws=20)


@pytest.mark.parametrize("asked", [{"by": "overall"}, {"by": "benchmark", "decision": "block"}])
def test_three_answers_are_the_tables_of_the_three_kinds(fit, asked):
    kinds = {kind: bm.effects(fit, kind=kind, **asked) for kind in KINDS}
    drawn = bm.plot.three_answers(kinds.pop("effect"), **kinds)
    for kind in KINDS:
        table = bm.effects(fit, kind=kind, **asked).table()
        shown = drawn.table[drawn.table["kind"] == kind].reset_index(drop=True)
        pd.testing.assert_frame_equal(shown[table.columns], table)
    texts = " ".join(t.get_text() for t in drawn.figure.findobj() if hasattr(t, "get_text"))
    for words in ("effect on average", "in a new setting", "association"):
        assert words in texts
    marks = [line for line in drawn.figure.axes[0].lines if line.get_marker() == "D"]
    middles = bm.effects(fit, kind="association", **asked).table()["estimate"]
    assert sorted(marks[0].get_xdata()) == pytest.approx(sorted(middles))


def test_kinds_and_questions_that_are_mixed_up_are_refused(fit):
    effect, new = (bm.effects(fit, "block", kind=kind) for kind in KINDS[:2])
    with pytest.raises(QueryError, match="given as association is of the kind 'effect'"):
        bm.plot.three_answers(effect, new_setting=new, association=effect)
    other = bm.effects(fit, "norm", kind="association")
    with pytest.raises(QueryError, match="are of different questions"):
        bm.plot.three_answers(effect, new_setting=new, association=other)


def test_funnel_has_a_dot_per_group_and_benchmark(fit):
    found = bm.evidence(fit, "attention: gqa > mha")
    drawn = bm.plot.study_funnel(found)
    dots = np.concatenate([
        np.column_stack(line.get_data()) for line in drawn.figure.axes[0].lines
        if line.get_linestyle() == "None"
    ])  # fmt: skip
    assert len(drawn.table) >= defaults.FUNNEL_LEAST
    expected = drawn.table[["estimate", "se"]].to_numpy()
    np.testing.assert_allclose(dots[np.lexsort(dots.T)], expected[np.lexsort(expected.T)])
    mmlu = found.comparisons[found.comparisons["benchmark"] == "mmlu_5shot"]
    assert mmlu[mmlu["study"] == "deepseek-v2"]["estimate"].tolist() == pytest.approx([-4.0])


def test_funnel_of_few_comparisons_is_refused(fit):
    found = bm.evidence(fit, "attention: gqa > mha", benchmark="mmlu_5shot")
    assert set(found.comparisons["benchmark"]) == {"mmlu_5shot"}
    with pytest.raises(QueryError, match="a funnel of so few shows nothing"):
        bm.plot.study_funnel(found)
