"""Examples of documents, run as a reader would."""

import pytest

import bayesmeta as bm


@pytest.fixture
def run_example(monkeypatch, tmp_path):
    """Run the text of an example in an empty folder; its fits of LMs are the shipped posterior."""
    reference, fit = bm.load_reference_fit(), bm.fit

    def fit_quickly(data, spec=None, *, seed):
        if isinstance(data, bm.Dataset):
            return reference
        return fit(data, spec, seed=seed, progress=False, cores=1)

    def run(text):
        monkeypatch.setattr(bm, "fit", fit_quickly)
        monkeypatch.chdir(tmp_path)
        names: dict[str, object] = {}
        exec(text, names)
        assert names["bm"] is bm
        return names

    return run
