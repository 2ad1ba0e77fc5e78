"""The design decisions whose effects are asked for: names, kinds, levels and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bayesmeta.data.vocabulary import MIX_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

DISCLOSURE = "disclosure"
"""Whether anything is said of the training mix. It follows from the shares and has no column."""

UNDISCLOSED = "undisclosed"
"""The level of an LM whose choice is not recorded; its effect is reported, never absorbed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One design decision of an LM.

    Parameters
    ----------
    name
        Column of the table of LMs, or `disclosure`, which follows from the shares.
    kind
        `categorical`; `numeric`, which enters as its base-2 logarithm; or `share`, in percent of
        the training tokens.
    step
        Size of the reported change of a numeric decision: a factor, or percentage points.
    merge
        Pairs (recorded word, level) where several words make one level.

    Examples
    --------
    >>> DECISIONS["biases"].level_of("qkv_only")
    'partial'
    """

    name: str
    kind: str
    step: float = 1.0
    merge: tuple[tuple[str, str], ...] = ()

    @property
    def in_mix(self) -> bool:
        """Whether it is a part of the composition of the training data."""
        return self.name in MIX_COLUMNS

    def read(self, lms: pd.DataFrame) -> pd.Series:
        """Read what is recorded of every LM: words, or numbers in the units of the table.

        Returns
        -------
        pandas.Series
            With the index of the table; missing where nothing is recorded.

        Examples
        --------
        >>> from bayesmeta.data.load import load_dataset
        >>> DECISIONS["disclosure"].read(load_dataset().lms).value_counts().to_dict()
        {'disclosed': 75, 'withheld': 17}
        """
        if self.name != DISCLOSURE:
            return lms[self.name]
        some = lms[list(MIX_COLUMNS)].notna().any(axis=1)
        return some.map({True: "disclosed", False: "withheld"})

    def level_of(self, word: str) -> str:
        """Translate a recorded word into the level that the model uses."""
        return dict(self.merge).get(word, word)

    def read_levels(self, lms: pd.DataFrame) -> pd.Series:
        """Read the level of every LM, `undisclosed` where nothing is recorded, as `read` does.

        Examples
        --------
        >>> from bayesmeta.data.load import load_dataset
        >>> lms = load_dataset(version="as-published").lms
        >>> int((DECISIONS["position_embedding"].read_levels(lms) == UNDISCLOSED).sum())
        37
        """
        import pandas as pd

        words = self.read(lms).astype(object)
        return words.map(lambda word: UNDISCLOSED if pd.isna(word) else self.level_of(word))

    def record(self, lms: pd.DataFrame) -> NDArray[Any]:
        """List what every LM records: levels, or numbers with NaN where there is none; (lm,)."""
        if self.kind == "categorical":
            return self.read_levels(lms).to_numpy(object)
        return self.read(lms).to_numpy(float)


_PARTIAL = (
    ("qkv_only", "partial"),
    ("no_qkv", "partial"),
    ("no_attn", "partial"),
    ("ln_only", "partial"),
    ("attn_only", "partial"),
    ("some", "partial"),
)
_SAME_ACTIVATION = (("gelu_new", "gelu"), ("gelu_fast", "gelu"), ("silu", "swiglu"))

DECISIONS: dict[str, Decision] = {
    decision.name: decision
    for decision in (
        Decision("position_embedding", "categorical"),
        Decision("norm", "categorical"),
        Decision("attention", "categorical", merge=(("mha_local", "mha"),)),
        # Six ways of having some biases occur in one to four families each: one level.
        Decision("biases", "categorical", merge=_PARTIAL),
        Decision("block", "categorical"),
        Decision("activation", "categorical", merge=_SAME_ACTIVATION),
        Decision("weight_tying", "categorical"),
        Decision("code_share", "share", step=10.0),
        Decision("web_share", "share", step=10.0),
        Decision("books_share", "share", step=10.0),
        Decision("reference_share", "share", step=10.0),
        Decision("academic_share", "share", step=10.0),
        Decision("english_share", "share", step=10.0),
        Decision(DISCLOSURE, "categorical"),
        Decision("context_length", "numeric", step=2.0),
        Decision("mlp_ratio", "numeric", step=2.0),
    )
}
"""Every decision the tables can inform, by name."""

SIZES: dict[str, Decision] = {
    name: Decision(name, "numeric", step=2.0) for name in ("n_params", "n_tokens")
}
"""Size and data: no decisions of the matrix, but they can be asked for in the same way."""

FACTS: dict[str, Decision] = {**DECISIONS, **SIZES}
"""Whatever a question may set."""

DEFAULT_DECISIONS: tuple[str, ...] = tuple(DECISIONS)
