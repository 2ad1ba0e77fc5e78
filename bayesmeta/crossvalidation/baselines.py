"""The models that a Bayesian one has to beat: one regression per benchmark, point forecasts."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.data.dataset import Dataset
from bayesmeta.data.decisions import DECISIONS
from bayesmeta.design.sizes import fill_sizes
from bayesmeta.errors import EvaluationError

_SCALE = ["log_n_params", "log_n_tokens"]
_PRODUCT = "product"
_NUMBERS = [
    "d_model",
    "n_heads",
    "mlp_ratio",
    "context_length",
    "code_share",
    "web_share",
    "books_share",
    "reference_share",
    "academic_share",
    "english_share",
]
_WORDS = ["position_embedding", "norm", "attention", "biases", "block", "activation"]
_FAMILY = "lm_family"

_alone = threading.Lock()
"""scikit-learn changes the warning filters of the whole process while it works, so that two threads
disturb each other."""

_TREES = {"max_depth": 3, "learning_rate": 0.1, "n_estimators": 100}
"""Settings of the paper's greedy search; chosen by its authors, not tuned here."""


def _median() -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(strategy="median")


def _least_squares() -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    columns = make_column_transformer(("passthrough", [*_SCALE, _PRODUCT]))
    return make_pipeline(columns, LinearRegression())


def _trees(*parts: tuple[Any, Any]) -> Any:
    """Boosted trees on the scale and further columns."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from xgboost import XGBRegressor

    columns = make_column_transformer(("passthrough", _SCALE), *parts)
    return make_pipeline(columns, XGBRegressor(**_TREES, n_jobs=1, random_state=0))


def _trees_on_all() -> Any:
    """Boosted trees on every recorded fact; a missing one is left to the trees' own handling."""
    from sklearn.preprocessing import OrdinalEncoder

    words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return _trees(("passthrough", _list_numbers), (words, _list_words))


def _list_numbers(features: pd.DataFrame) -> list[str]:
    """List the recorded numbers among the features, beside scale."""
    kept = features.drop(columns=[*_SCALE, _PRODUCT]).select_dtypes("number")
    return [str(name) for name in kept]


def _list_words(features: pd.DataFrame) -> list[str]:
    """List the recorded words among the features, beside the family."""
    return [str(name) for name in features.drop(columns=_FAMILY).select_dtypes("object")]


def _trees_on_families() -> Any:
    from sklearn.preprocessing import OneHotEncoder

    return _trees((OneHotEncoder(handle_unknown="ignore", sparse_output=False), [_FAMILY]))


BASELINES: dict[str, Callable[[], Any]] = {
    "median": _median,
    "ols": _least_squares,
    "xgboost-scale": _trees,
    "xgboost-all": _trees_on_all,
    "scale+family-dummies": _trees_on_families,
}
"""Every baseline by name. The last knows whose an LM is and nothing of its design: what is gained
beyond it under random folds is gained by design facts, and not by telling families apart."""


def check_installed() -> None:
    """Refuse before the work where the libraries of the baselines are missing.

    Raises
    ------
    EvaluationError
        If scikit-learn or xgboost is not installed.
    """
    for module in ("sklearn", "xgboost"):
        if importlib.util.find_spec(module) is None:
            raise EvaluationError(
                f"The baselines need {module}, which is not installed. Install it with: pip "
                "install bayesmeta[baselines]"
            )


def predict_baseline(
    name: str, dataset: Dataset, *, train: NDArray[np.bool_], test: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Predict held-out scores with one baseline, benchmark by benchmark.

    Parameters
    ----------
    name
        A key of `BASELINES`.
    dataset
        Validated tables.
    train, test
        Which scores to learn from and which to predict, shape (obs,).

    Returns
    -------
    ndarray
        Predicted scores in native units, shape (test obs,).

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmeta.data.load import load_dataset
    >>> even = np.arange(1105) % 2 == 0
    >>> predict_baseline("median", load_dataset(), train=even, test=~even).shape
    (552,)
    """
    features = _features(dataset).loc[dataset.scores["lm"]]
    benchmark = dataset.scores["benchmark"].to_numpy()
    y = dataset.scores["score"].to_numpy(float)
    out = np.full(len(y), np.nan)
    for wanted in np.unique(benchmark[test]):
        learn, predict = train & (benchmark == wanted), test & (benchmark == wanted)
        with _alone:
            fitted = BASELINES[name]().fit(features[learn], y[learn])
            out[predict] = fitted.predict(features[predict])
    return out[test]


def _features(dataset: Dataset) -> pd.DataFrame:
    """List what the baselines may see of every LM, declared decisions included, indexed by lm."""
    lms = fill_sizes(dataset.lms)
    own = [one for one in dataset.decisions if one.name not in DECISIONS]
    numbers = [*_NUMBERS, *(one.name for one in own if one.kind != "categorical")]
    kept = [*_WORDS, *(one.name for one in own if one.kind == "categorical"), _FAMILY]
    log_n = np.log(lms["n_params"].to_numpy(float))
    log_d = np.log(lms["n_tokens"].to_numpy(float))
    words = lms[kept].astype(object).where(lms[kept].notna(), np.nan)
    return pd.DataFrame(
        {
            "log_n_params": log_n,
            "log_n_tokens": log_d,
            "product": log_n * log_d,
            **lms[numbers].astype(float),
            **words,
        }
    ).set_index(lms["lm"].to_numpy())
