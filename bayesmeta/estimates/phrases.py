"""What people type, read as names: a table of words, numbers with units, one small grammar.

A phrase is cut into words and numbers. Every word has a meaning in the table, or the phrase is
refused: nothing is skipped that is not listed, nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bayesmeta.data.decisions import DECISIONS, Decision
from bayesmeta.design.composition import DOMAINS
from bayesmeta.errors import QueryError, listing, shorten, suggest
from bayesmeta.estimates.aliases import DECISION_WORDS, LEVEL_WORDS, TARGET_ALIASES, Words

_HIGHER = (">", "vs", "versus", "against", "or", "over", "beats", "beat", "better than",
           "outperforms", "outperform", "compared to", "compared with", "instead of",
           "rather than", "higher than", "helps more than", "in place of", "in contrast to",
           "in contrast with", "relative to", "minus", "than", "/", "superior to",
           "preferable to", "than to", "rather than to", "ahead of", "as opposed to",
           "opposed to", "wins over", "win over",
           "compare to", "compares to", "compare with", "compares with", "compare against",
           "compares against", "stack up against", "measured against",
           "beating", "v", "surpass", "surpasses", "exceed", "exceeds", "outscore", "outscores",
           "outdo", "outdoes", "tops", "trump", "trumps", "dominate", "dominates", "edges out",
           "edge out", "outperforming", "surpassing")  # fmt: skip
_LOWER = ("<", "worse than", "lower than", "inferior to", "behind", "loses to", "lose to",
          "loses against", "lose against", "losing to", "losing against", "beaten by",
          "outperformed by", "surpassed by", "outscored by", "outdone by", "topped by",
          "less than", "helps less than", "underperform", "underperforms", "underperforming",
          "trail", "trails", "lag", "lags", "lag behind", "lags behind", "fall behind",
          "falls behind", "fall short of", "falls short of", "worse off than")  # fmt: skip
_WORSE = ("worse", "inferior")
"""Before a `than` that stands apart: `worse on math than`."""

_BETWEEN = ("between", "difference")
"""Before two sides with `and` between them, of which the first is asked about."""

_KEYS = {
    "swap": ("swap", "swapping", "trade", "trading", "exchange", "drop", "dropping", "to drop",
             "to swap", "abandon", "abandoning"),
    "replace": ("replace", "replacing", "to replace", "replaced"),
    "substitute": ("substitute", "substituting", "to substitute"),
    "move": ("move", "moving", "moved", "shift", "shifting", "shifted", "take", "taking",
             "took", "transfer", "transferring"),
    "instead": ("instead of", "in place of", "at the expense of"), "from": ("from", "out of"),
    "to": ("to", "into"), "for": ("for",), "by": ("by",), "with": ("with",), "->": ("->",),
}  # fmt: skip
_CHANGES = (("from", "to"), ("to",), ("->",), ("replace", "by"), ("replace", "with"),
            ("swap", "for"), ("swap", "with"), ("move", "from", "to"), ("move", "to"),
            ("from", "by", "to"), ("swap", "from", "to"), ("from", "replace", "by"),
            ("from", "replace", "with"), ("from", "swap", "for"), ("substitute", "by"),
            ("substitute", "with"))  # fmt: skip
"""Keys of a change: what stands behind the last one is asked about, against what stands before."""

_BACK = (("to", "from"), ("substitute", "for"))
"""And those of one that is told the other way round."""

_UNITS = {"%": "%", "percent": "%", "per cent": "%", "pct": "%", "points": "%", "point": "%",
          "pp": "%", "pts": "%", "pt": "%",
          "percentage points": "%", "percent points": "%",
          "k": "k", "thousand": "k", "m": "m", "million": "m", "b": "b", "bn": "b",
          "billion": "b", "t": "t", "trillion": "t", "x": ""}  # fmt: skip
_SKIPPED = (
    "is are was does do did which what whats about the a an of it how much in on any help helps "
    "hurt hurts improve improves improved matter matters good bad best better effect effects use "
    "using train trained one longer larger bigger score scores model models lm lms llm llms data "
    "share fraction percentage training pretraining embedding embeddings weights with and percent "
    ": , ? . ( ) % should could would can i we you my our everywhere always only switch switching "
    "go going change changing wider smaller shorter twice double doubling instead really actually "
    "please tell me know whether if when happens happen like want wonder marginal posterior "
    "expected average contrast comparison compare compared standard vanilla regular usual plain "
    "normal adopt adopts adopted ones their them that this these those say be being been have has "
    "had give gives gain gains win wins lose losses benefit benefits advantage advantages worth "
    "pick choose prefer recommend recommended smarter stronger starting pass passing performance "
    "perform performs input output matrices layers heads so then there here at all task tasks "
    "benchmark benchmarks mistake used computed goes shrink shrinking grow growing text mix "
    "mixture out choice difference scaling halving hide ' s = just maybe perhaps basically simply "
    "still even ever yet generally usually typically overall significantly substantially "
    "noticeably clearly definitely probably possibly likely truly slightly considerably anyway "
    "also too very quite rather far today now days show find check test estimate predict curious "
    "wondering think thinking believe consider considering decide deciding need needs looking look "
    "see understand explain ask asking question answer quantify measure evaluate assess "
    "investigate explore suggest suggests impact influence outcome result results quality accuracy "
    "value evidence probability chance chances likelihood odds sign direction affect affects boost "
    "boosts beneficial harmful harm harms helpful useful deliver delivers yield yields produce "
    "produces lead leads bring brings cause causes make makes making made get gets getting got "
    "keep keeping run running build building built design designs architecture architectures setup "
    "recipe recipes pretrain pretrained language transformer transformers network networks neural "
    "corpus corpora dataset datasets pre per terms term regard regarding concerning between either "
    "each every another order he she they its itself us mine your yours who whose why where "
    "because since during as well sense let lets seem seems appear appears tend tends expect "
    "expects suppose supposed company team lab folks people someone anyone everyone hey hi hello "
    "thanks thank quick quickly brief briefly kind kinds sort sorts type types approach approaches "
    "option options variant variants version versions alternative alternatives setting settings "
    "away bump raised rose rise rises important scale react reacts leave reviewer asks reviewers "
    "went gone turn turning turned bumping drops dropped ordinary classic classical common style "
    "doing worse inferior proportion amount level levels content word put simple simpler "
    "importance true claim claims claimed student students colleague colleagues supervisor advisor "
    "boss friend ratio sure certain reason reasons says said tells gave material told argue argues "
    "opinion idea ideas real practice pay pays paying off work works worked working improvement "
    "improvements improving uses employ employs employing employed apply applies applied applying "
    "will might may must gained gaining losing winning edge penalty bonus downside downsides "
    "upside upsides drawback drawbacks positive negative detrimental valuable worthwhile wise "
    "sensible reasonable something anything lot lots bit little noticeable significant meaningful "
    "measurable widen widening extend extending extended lengthen lengthening expand expanding "
    "include includes including introduce introduces introducing wants wanted else favor favors "
    "favour favours justified justify hurting helping helped feed feeding fed treat treats though "
    "although however currently right roughly around approximately & smart thing things him her "
    "contribute contributes contribution substituted increased increases decreased decreases "
    "raises lowers lowered reduced reduces benefited detectable visible evident evidently "
    "apparently supposedly empirically statistically credibly buy buys upping upped wreck wrecks "
    "tank tanks kill kills ruin ruins damage damages break breaks destroy destroys degrade "
    "degrades lift lifts enhance enhances aid aids assist support supports promote promotes hamper "
    "hampers hinder hinders impair impairs worsen worsens diminish diminishes erode erodes weaken "
    "weakens strengthen strengthens suffer suffers elevate elevates undermine undermines crater "
    "nicer ok okay bother bothering hassle fuss trick tricks yes hmm btw fyi asap pls plz "
    "literature preferring having number count counts emb embs amounts giving "
    "putting seeing observed observe notice noticed reported report reports findings "
    "finding found hold holds mostly mainly"
)
"""Words that change no meaning: they are passed over."""

_MORE = ("more", "add", "adding", "increase", "increasing", "raise", "raising", "up", "extra",
         "additional", "higher")  # fmt: skip
_LESS = ("less", "fewer", "remove", "removing", "cut", "cutting", "decrease", "decreasing",
         "reduce", "reducing", "lower", "lowering", "down")  # fmt: skip
"""What two parts of the mix do: `10 points more code, 10 points less web`; else passed over."""

_VERBS = (
    "add adopt apply be build bump change choose compare cut decrease do double employ expand "
    "extend find get give go grow halve have include increase introduce keep know learn lengthen "
    "lower make pick prefer pretrain put raise reduce remove see shrink switch train try use widen"
)
"""What follows `to` where it says that something is done."""

_SKIPPED_TOGETHER = (
    "to train with", "good or bad", "better or worse", "help or hurt", "helpful or harmful",
    "or not", "or no", "or nah", "to the mix", "to the mixture", "to the data",
    "to the training data", "to the training mix", "to the pretraining data", "to the corpus",
    "to the dataset", "to training data", "input/output", "from the linear layers",
    "from linear layers", "from the layers", "from all layers", "cost anything", "cost something",
    "cost me", "cost us", "cost points", "cost accuracy", "cost performance",
)  # fmt: skip
_BEFORE = re.compile(r"(?:compared (?:to|with)|relative to|in contrast to) (.+?), (.+)")
"""What is asked about stands last where the comparison comes first."""

_NONE = ("none", "zero", "without")
_FRACTIONS = {"half": 50.0, "quarter": 25.0, "fifth": 20.0, "tenth": 10.0}
"""Words for shares of a training mix: nothing of a part, and parts of the mix in percent."""

_WHOLE = ("data", "mix", "mixture", "corpus", "dataset", "text")
"""Words for the mix: `half the data is code`, where `half the code` is half as much."""

_NUMBER_WORDS = {"five": 5.0, "ten": 10.0, "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0,
                 "forty": 40.0, "fifty": 50.0}  # fmt: skip
"""Before percent or points; of other numbers words are not read."""

_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_KIBI = 1024
"""Contexts of 2k, 4k, 8k ... have powers of two of tokens; other counts are thousands."""

_TOKEN = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+)(?:e[+-]?[0-9]+)?)"
    r"(?:/(?P<over>[1-9][0-9]*))?(?P<unit>%|bn|pp|pts|[kmbtx])?(?!\w|[./][0-9])"
    r"|(?P<word>->|[^\W_]+|\S)"
)
"""A number with its unit, a word, or a single character; no part of it can match in two ways."""

_DASH = re.compile(r"(?<=\w) [-\N{EN DASH}\N{EM DASH}] (?=\w)")
"""A difference, as it is typeset between two names."""

_ARROW = re.compile("=+>|[\N{RIGHTWARDS ARROW}\N{RIGHTWARDS DOUBLE ARROW}]")

_NAMES = ("decision", "level")
"""Kinds of meanings that are names, of which a typo may be one."""

_SHORT = 4
"""Letters that a word has at least whose last s may be that of a plural."""

_LONGEST = 9
"""Words and hyphens of the longest name in the table."""

FORMS = (
    "Allowed: 'DECISION: A > B', such as 'position_embedding: rotary > learned', 'code_share: 20% "
    "> 10%' or 'n_tokens: 2T > 1T', also 'GQA vs MHA'; and 'swap PART -> PART by POINTS', such as "
    "'swap web_share -> code_share by 10', which is the same as 'code_share: +10 from web_share'."
)
"""What a statement may look like."""


_IN_NAMES = " -_().,/+"
"""Signs inside names, which make no difference."""


def fold(text: str) -> str:
    """Reduce a name to its letters and digits, without case; what holds other signs is no name.

    Examples
    --------
    >>> fold("MMLU (5-shot)"), fold("mmlu_5shot")
    ('mmlu5shot', 'mmlu5shot')
    >>> fold("<b>gqa</b>")
    ''
    """
    plain = all(c.isalnum() or c in _IN_NAMES for c in text)
    return "".join(c for c in text.lower() if c.isalnum()) if plain else ""


def find_names(
    text: object, names: Sequence[str], *, labels: Sequence[str] = (), exact: bool = False
) -> list[str]:
    """List the names that a text may stand for: none, the one that is meant, or several.

    Parameters
    ----------
    text
        What was typed.
    names
        Names that are known.
    labels
        What tables and figures call them, in the same order.
    exact
        Whether a name alone will do, and not the beginning of several.

    Examples
    --------
    >>> find_names("MMLU", ["mmlu_0shot", "mmlu_5shot", "xnli"])
    ['mmlu_0shot', 'mmlu_5shot']
    >>> find_names("arc-c", ["arc_challenge", "xnli"])
    ['arc_challenge']
    """
    if not isinstance(text, str) or text in names:
        return [text] if isinstance(text, str) else []
    asked = fold(text)
    if not asked:
        return []
    written = [(name, [name, *TARGET_ALIASES.get(name, ())]) for name in names]
    for (_, known), label in zip(written, labels, strict=False):
        known.append(label)
    found = [name for name, known in written if asked in {fold(one) for one in known}]
    if not found and any(c.isdigit() for c in asked):  # 5-shot MMLU
        words = sorted(_cut(text))
        found = [name for name in names if sorted(_cut(name)) == words]
    if found or exact:
        return found
    begun = [name for name in names if fold(name).startswith(asked)]
    return begun if len(begun) > 1 else []


def _cut(text: str) -> list[str]:
    """Cut a name into letters and digits."""
    return re.findall(r"[a-z]+|[0-9]+", text.lower())


class Amount(NamedTuple):
    """A number as it was typed: its value without its unit, and the unit."""

    value: float
    unit: str


def read_amount(text: str) -> Amount | None:
    """Read a number with its unit, such as `7B`, `2 trillion`, `20%`; None where it is none.

    Examples
    --------
    >>> read_amount("7B"), read_amount("0.2 percent"), read_amount("seven")
    (Amount(value=7.0, unit='b'), Amount(value=0.2, unit='%'), None)
    """
    tokens = list(_tokens(text, words={}))
    if len(tokens) == 1 and isinstance(tokens[0], _Number):
        return tokens[0].amount
    return None


def read_count(amount: Amount, *, powers_of_two: bool = False) -> float | None:
    """Work out a count, such as 7e9 for 7B; None where the unit is percent.

    Examples
    --------
    >>> read_count(Amount(8.0, "k"), powers_of_two=True), read_count(Amount(8.0, "k"))
    (8192.0, 8000.0)
    """
    if amount.unit == "%":
        return None
    whole = amount.value.is_integer() and amount.value >= 1
    if (
        powers_of_two
        and amount.unit == "k"
        and whole
        and not int(amount.value) & (int(amount.value) - 1)
    ):
        return amount.value * _KIBI
    return float(f"{amount.value * _FACTORS[amount.unit]:.12g}")


# --- The grammar ----------------------------------------------------------------------------------


class _Meaning(NamedTuple):
    """What a word may be: a decision, a level of one, a sign, a key of the grammar, or nothing."""

    kind: str
    name: str = ""
    level: str = ""
    alone: bool = True


@dataclass(frozen=True, slots=True)
class _Number:
    amount: Amount


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    meanings: tuple[_Meaning, ...]

    def of(self, kind: str) -> list[_Meaning]:
        """List its meanings of one kind."""
        return [one for one in self.meanings if one.kind == kind]


_AND = _Word("and", (_Meaning("sign", ">"),))
"""Between the two that are compared."""

type Vocabulary = Mapping[str, tuple[_Meaning, ...]]
"""Meanings of every folded word or words."""


def build_vocabulary(
    levels: Mapping[str, Sequence[str]], *, decisions: Mapping[str, Decision] = DECISIONS
) -> Vocabulary:
    """List what every word means.

    Parameters
    ----------
    levels
        Levels of every decision and size that can be asked for; none of a number.
    decisions
        Decisions that are known, by name.

    Returns
    -------
    mapping
        From folded words to their meanings.
    """
    words: dict[str, list[_Meaning]] = {}

    def add(texts: Iterable[str], meaning: _Meaning) -> None:
        for text in texts:
            known = words.setdefault(fold(text) or text, [])
            if meaning not in known:
                known.append(meaning)

    done = [f"to {verb}" for verb in _VERBS.split()]
    add((*_SKIPPED.split(), *done, *_SKIPPED_TOGETHER, *_MORE, *_LESS), _Meaning("skip"))
    for sign, texts in ((">", _HIGHER), ("<", _LOWER)):
        add(texts, _Meaning("sign", sign))
    for key, texts in _KEYS.items():
        add(texts, _Meaning("key", key))
    for name, known in levels.items():
        also = DECISION_WORDS.get(name, Words(name))
        about = decisions.get(name)
        label = (about.label,) if about is not None and about.label else ()
        add((name, *label, *also.aliases), _Meaning("decision", name))
        merged = about.merge if about is not None else ()
        for level in known:
            theirs = LEVEL_WORDS.get((name, level), Words(level))
            same = (word for word, one in merged if one == level)
            add((level, *same, *theirs.aliases), _Meaning("level", name, level))
            add(theirs.context, _Meaning("level", name, level, alone=False))
    return {text: tuple(meanings) for text, meanings in words.items()}


def _tokens(text: str, words: Vocabulary) -> Iterator[_Number | _Word]:
    """Cut a text into numbers and words, the longest that are known first."""
    plain = _ARROW.sub("->", text.lower()).replace("\N{MULTIPLICATION SIGN}", "x")
    plain = re.sub(r"\bw/(o?)(?![^\W_])", lambda found: "with" + "out" * bool(found[1]), plain)
    if before := _BEFORE.fullmatch(plain.strip(" ?.!")):
        plain = f"{before[2]} vs {before[1]}"
    parts = list(_TOKEN.finditer(_DASH.sub(" vs ", plain)))
    k = 0
    while k < len(parts):
        part = parts[k]
        if part["number"]:
            unit, used = _UNITS.get(part["unit"] or "", ""), 0
            if not unit:
                unit, used = _find_unit([one.group() for one in parts[k + 1 : k + 3]])
            k += 1 + used
            value = float(part["number"].replace(",", "")) / float(part["over"] or 1)
            yield _Number(Amount(value, unit))
            continue
        unit, used = _find_unit([one.group() for one in parts[k + 1 : k + 3]])
        if part.group() in _NUMBER_WORDS and unit == "%":
            yield _Number(Amount(_NUMBER_WORDS[part.group()], unit))
            k += 1 + used
            continue
        for n in range(min(_LONGEST, len(parts) - k), 0, -1):
            raw = [one.group() for one in parts[k : k + n]]
            key = fold("".join(raw)) or "".join(raw)
            key = key if key in words or len(key) < _SHORT else key.removesuffix("s")
            if n == 1 or (key in words and _is_name(raw)):
                yield _Word(" ".join(raw), words.get(key, ()))
                k += n
                break


def _is_name(parts: Sequence[str]) -> bool:
    """Say whether words may be one name: with nothing but signs of names between them."""
    inside = all(part.isalnum() or part in "-_+/&" for part in parts)
    return inside and parts[0].isalnum() and parts[-1].isalnum()


def _find_unit(words: Sequence[str]) -> tuple[str, int]:
    """Find the unit that follows a number, and how many words it has."""
    for n in (2, 1):
        unit = _UNITS.get(" ".join(words[:n]), "")
        if unit and len(words) >= n:
            return unit, n
    return "", 0


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sides of one decision, each a level or a number as it was typed."""

    decision: str
    high: str | Amount
    low: str | Amount


@dataclass(frozen=True, slots=True)
class Moved:
    """Points of the mix moved from one part to another."""

    receiver: str
    donor: str
    points: Amount


@dataclass(frozen=True, slots=True)
class Named:
    """A decision, or a level of it, and nothing to compare it with."""

    decision: str
    level: str = ""


_MOVES = (
    "swap donor -> receiver by n",
    "swap donor for receiver by n",
    "swap n donor for receiver",
    "swap n donor for n receiver",
    "swap n donor with receiver",
    "replace n donor with receiver",
    "replace n donor by receiver",
    "replace donor with receiver by n",
    "move n from donor to receiver",
    "move n donor to receiver",
    "n from donor to receiver",
    "n donor to receiver",
    "n donor -> receiver",
    "donor -> receiver by n",
    "donor -> receiver n",
    "replace donor by receiver by n",
    "receiver n from donor",
    "n receiver instead donor",
    "n receiver instead n donor",
    "receiver by n instead donor",
    "receiver n instead donor",
    "substitute n donor with receiver",
    "substitute n donor by receiver",
    "substitute donor with receiver by n",
    "substitute donor by receiver by n",
    "substitute receiver for n donor",
    "substitute n receiver for donor",
    "substitute receiver for donor by n",
    "n donor replace by receiver",
    "n donor replace with receiver",
)
"""Every form of a substitution, with the words left out that are passed over."""


def read_phrase(
    text: str, words: Vocabulary, *, counts: Mapping[str, tuple[float, float]] | None = None
) -> Compared | Moved | Named:
    """Read what was typed.

    Parameters
    ----------
    text
        A phrase, such as `is GQA better than MHA?`.
    words
        What `build_vocabulary` gives.
    counts
        Least and largest recorded count of every size: two numbers that can be of only one size
        are of that.

    Returns
    -------
    Compared, Moved or Named
        What it says.

    Raises
    ------
    QueryError
        If a word is not known, the phrase has none of the forms, or it can be read in several ways.

    Examples
    --------
    >>> words = build_vocabulary({"attention": ["gqa", "mha"], "code_share": [], "web_share": []})
    >>> read_phrase("is GQA better than multi-head attention?", words)
    Compared(decision='attention', high='gqa', low='mha')
    >>> read_phrase("does code help?", words)
    Named(decision='code_share', level='')
    """
    tokens = _count_shares(list(_tokens(text, words)))
    if found := _read_opposite(tokens):
        return found
    said = [one.text for one in tokens if isinstance(one, _Word)]
    if said.count("and") == 1 and {*said} & {*_BETWEEN} and not any(map(_is_sign, tokens)):
        tokens = [_AND if isinstance(one, _Word) and one.text == "and" else one for one in tokens]
    tokens = [one for one in tokens if isinstance(one, _Number) or not _skips(one)]
    for token in tokens:
        if isinstance(token, _Word) and not token.meanings:
            names = {m.level or m.name for v in words.values() for m in v if m.kind in _NAMES}
            guess = suggest(token.text, sorted(names))
            raise _unread(text, f"'{shorten(token.text, most=50)}' is not understood.{guess}")
    if found := _read_move(tokens):
        return found
    if change := _split_change(tokens):
        return _compare(text, *change, _named(tokens) or _tell_size(change, counts))
    tokens = [one for one in tokens if isinstance(one, _Number) or one.text != "with"]
    signs = [k for k, one in enumerate(tokens) if _is_sign(one)]
    stray = [one.text for one in tokens if isinstance(one, _Word) and _is_key(one)]
    # `gain from A over B`, `drop biases`
    known = (["from"],) if signs else (["drop"], ["dropping"])
    if len(signs) > 1 or (stray and stray not in known):
        raise _unread(text, "Compare two sides, or name two parts of the mix and points.")
    decisions = _named(tokens)
    if not signs:
        return _read_name(text, tokens, decisions)
    sides = tokens[: signs[0]], tokens[signs[0] + 1 :]
    sign = next(iter(tokens[signs[0]].of("sign"))).name  # type: ignore[union-attr]
    if {*said} & {*_WORSE} and tokens[signs[0]].text == "than":  # type: ignore[union-attr]
        sign = "<"
    high, low = sides if sign == ">" else sides[::-1]
    return _compare(text, high, low, decisions or _tell_size(sides, counts))


def _tell_size(
    sides: Iterable[Sequence[_Number | _Word]], counts: Mapping[str, tuple[float, float]] | None
) -> list[str]:
    """Name the only size that two bare numbers can be of, as recorded LMs go: 13B vs 7B."""
    found = [_read_side(side, []) for side in sides]
    amounts = [side for side in found if isinstance(side, Amount) and side.unit]
    fit = []
    for name, (least, most) in (counts or {}).items() if len(amounts) == len(found) else ():
        values = [read_count(one, powers_of_two=name == "context_length") for one in amounts]
        if all(value is not None and least <= value <= most for value in values):
            fit.append(name)
    return fit if len(fit) == 1 else []


def _count_shares(tokens: Sequence[_Number | _Word]) -> list[_Number | _Word]:
    """Read `none` as 0 % and `half` as 50 %, where one share is named and nothing else.

    They count before the share (`no code`, `half the data is code`) and as a whole side (`half vs
    none`).
    """
    if any(map(_is_share, _named(tokens))):  # `10% of tokens`
        tokens = [one for one in tokens if isinstance(one, _Number) or one.text != "tokens"]
    decisions = _named(tokens)
    if len(decisions) != 1 or not _is_share(decisions[0]):
        return [*tokens]
    found: list[_Number | _Word] = []
    for k, token in enumerate(tokens):
        after = tokens[k + 1] if k + 1 < len(tokens) else None
        before_share = isinstance(after, _Word) and bool(after.of("decision"))
        ends = after is None or (isinstance(after, _Word) and (after.of("sign") or _ends(after)))
        text = token.text if isinstance(token, _Word) else ""
        if (text in _NONE and (before_share or ends)) or (text == "no" and before_share):
            found.append(_Number(Amount(0.0, "%")))
        elif text in _FRACTIONS and (before_share or ends or _tells_share(tokens[k + 1 :])):
            found.append(_Number(Amount(_FRACTIONS[text], "%")))
        else:
            found.append(token)
    return found


def _tells_share(tokens: Sequence[_Number | _Word]) -> bool:
    """Say whether a fraction is one of the mix: words for it stand between it and the share."""
    said = []
    for token in tokens:
        if isinstance(token, _Number) or not _skips(token):
            is_share = isinstance(token, _Word) and bool(token.of("decision"))
            return is_share and bool({*said} & {*_WHOLE})
        said.append(token.text)
    return False


def _ends(token: _Word) -> bool:
    return token.text in "?.!,"


def names_no_target(text: str, words: Vocabulary) -> bool:
    """Say whether a text is no part of a question: it has a strange word, no number and no sign.

    Examples
    --------
    >>> words = build_vocabulary({"attention": ["gqa", "mha"]})
    >>> names_no_target("the reasoning", words), names_no_target("GQA vs reasoning", words)
    (True, False)
    """
    tokens = list(_tokens(text, words))
    plain = [one for one in tokens if isinstance(one, _Word) and not one.of("sign")]
    return len(plain) == len(tokens) and any(not one.meanings for one in plain)


def _skips(token: _Word) -> bool:
    return bool(token.of("skip")) and all(m.kind == "skip" for m in token.meanings)


def _unread(text: str, why: str) -> QueryError:
    return QueryError(f"statement '{shorten(text)}' cannot be read. {why} {FORMS}")


def _named(tokens: Sequence[_Number | _Word]) -> list[str]:
    """List the decisions that are named, each once."""
    found = [m.name for t in tokens if isinstance(t, _Word) for m in t.of("decision")]
    if "context_length" in found:  # which is counted in tokens
        found = [name for name in found if name != "n_tokens"]
    return list(dict.fromkeys(found))


def _read_move(tokens: Sequence[_Number | _Word]) -> Moved | None:
    """Match the forms of a substitution."""
    for form in (one.split() for one in _MOVES):
        if len(form) != len(tokens):
            continue
        given: dict[str, str] = {}
        points = None
        for slot, token in zip(form, tokens, strict=True):
            if slot == "n" and isinstance(token, _Number):
                if points not in (None, token.amount):
                    break
                points = token.amount
            elif isinstance(token, _Word) and slot in ("donor", "receiver"):
                shares = [m.name for m in token.of("decision") if _is_share(m.name)]
                given |= {slot: shares[0]} if shares else {}
            elif not (isinstance(token, _Word) and slot in {m.name for m in token.of("key")}):
                break
        else:
            if points is not None and len(given) == 2:
                return Moved(given["receiver"], given["donor"], points)
    return None


def _is_sign(token: _Number | _Word) -> bool:
    return isinstance(token, _Word) and bool(token.of("sign"))


def _read_opposite(tokens: Sequence[_Number | _Word]) -> Moved | None:
    """Read two parts of the mix, one that grows by some points and one that shrinks by as many."""
    told: list[tuple[str, str | Amount]] = []
    for token in tokens:
        if isinstance(token, _Number):
            told.append(("points", token.amount))
            continue
        shares = [m.name for m in token.of("decision") if _is_share(m.name)]
        if shares:
            told.append(("part", shares[0]))
        elif token.text in (*_MORE, *_LESS):
            told.append(("more" if token.text in _MORE else "less", token.text))
        elif not (_skips(token) or token.text in ("by", "of", "to", "from")):
            return None
    if [kind for kind, _ in told] in (["points", "part"] * 2, ["part", "points"] * 2):
        told = [part for kind, value in told for part in _tell_sign(kind, value)]
    for cut in (3, 2):
        first, second = dict(told[:cut]), dict(told[cut:])
        if len(told) != len(first) + len(second) or not {"more", "less"} <= {*first, *second}:
            continue
        grows, shrinks = (first, second) if "more" in first else (second, first)
        points = [half["points"] for half in (first, second) if "points" in half]
        alike = len({one.value for one in points if isinstance(one, Amount)}) == 1
        if alike and "part" in grows and "part" in shrinks and "less" not in grows:
            return Moved(str(grows["part"]), str(shrinks["part"]), points[0])  # type: ignore[arg-type]
    return None


def _tell_sign(kind: str, value: str | Amount) -> Iterator[tuple[str, str | Amount]]:
    """Read `-3 web` as three points less of it."""
    if isinstance(value, Amount):
        yield ("less" if value.value < 0 else "more", "")
        value = Amount(abs(value.value), value.unit)
    yield kind, value


def _is_key(token: _Word) -> bool:
    """Say whether a word can be nothing but a key: some are signs as well."""
    return bool(token.of("key")) and not token.of("sign")


def _split_change(
    tokens: Sequence[_Number | _Word],
) -> tuple[Sequence[_Number | _Word], Sequence[_Number | _Word]] | None:
    """Split what goes from one level or value to another: the second, against the first."""
    words = {k: one for k, one in enumerate(tokens) if isinstance(one, _Word)}
    places = {k: one.of("key")[0].name for k, one in words.items() if _is_key(one)}
    keys = tuple(places.values())
    if keys not in (*_CHANGES, *_BACK) or any(one.of("sign") for one in words.values()):
        return None
    last = max(places)
    before, behind = (
        [token for k, token in enumerate(tokens) if k not in places and where(k, last)]
        for where in (int.__lt__, int.__gt__)
    )
    new, old = (before, behind) if keys in _BACK else (behind, before)
    return (new, old) if old and new else None


def _is_share(name: str) -> bool:
    return name in DOMAINS or (name in DECISIONS and DECISIONS[name].kind == "share")


def _read_name(text: str, tokens: Sequence[_Number | _Word], decisions: Sequence[str]) -> Named:
    """Read a decision or a level alone."""
    amounts = [one.amount for one in tokens if isinstance(one, _Number)]
    levels = {m.name: m.level for t in tokens if isinstance(t, _Word) and not t.of("decision")
              for m in t.of("level") if m.alone or m.name in decisions}  # fmt: skip
    names = list(dict.fromkeys([*decisions, *levels]))
    both = [*dict.fromkeys(m.level for t in tokens if isinstance(t, _Word) and not t.of("decision")
                           for m in t.of("level") if names == [m.name])]  # fmt: skip
    if len(both) > 1:
        raise _unread(text, f"Say which is asked about, such as '{both[0]} vs {both[1]}'.")
    if amounts and "+" in text and len(names) == 1 and names[0] in DOMAINS:
        donor = next(name for name in DOMAINS if name != names[0])
        value = f"{amounts[0].value:.10g}"
        raise _unread(text, f"Say in place of what, such as '{names[0]}: +{value} from {donor}'.")
    if amounts and len(names) == 1 and len(amounts) == 1:
        value = write_amount(amounts[0], names[0])
        raise _unread(text, f"Say against what, such as '{names[0]}: {value} > ...'.")
    if amounts or len(names) != 1:
        many = f" It names {listing(names)}." * (len(names) > 1)
        raise _unread(text, f"Name one decision, or compare two sides.{many}")
    return Named(names[0], levels.get(names[0], ""))


def write_amount(amount: Amount, decision: str = "") -> str:
    """Write a number as it might be typed; a share of a decision in percent."""
    unit = amount.unit.upper() or "%" * _is_share(decision)
    return f"{amount.value:.10g}{unit}"


def _compare(
    text: str,
    high: Sequence[_Number | _Word],
    low: Sequence[_Number | _Word],
    decisions: Sequence[str],
) -> Compared:
    """Find the one decision of which both sides name a level or a number."""
    sides = [_read_side(side, decisions) for side in (high, low)]
    if all(isinstance(side, Amount) for side in sides):
        if len(decisions) == 1:
            return Compared(decisions[0], *sides)  # type: ignore[arg-type]
        raise _ask_decision(text, sides, decisions)  # type: ignore[arg-type]
    if all(isinstance(side, dict) for side in sides):
        first, second = sides
        shared = [n for n in first if n in second and (not decisions or n in decisions)]  # type: ignore[operator,union-attr]
        alone = [n for n in shared if decisions or (first[n][1] and second[n][1])]  # type: ignore[index]
        readings = [f"'{n}: {first[n][0]} > {second[n][0]}'" for n in shared]  # type: ignore[index]
        if len(shared) == 1 and alone and len(decisions) < 2:
            return Compared(shared[0], first[shared[0]][0], second[shared[0]][0])  # type: ignore[index]
        if shared and len(decisions) < 2:
            raise _unread(text, f"Say which is meant: {listing(readings)}.")
    shares = [name for name in decisions if _is_share(name)]
    if len(decisions) == len(shares) == 2:
        raise _ask_swap(text, shares)
    named = [name for side in sides if isinstance(side, dict) for name in side]
    names = list(dict.fromkeys([*decisions, *named]))
    why = f"It names {listing(names)}; both sides have to be of one decision." if names else ""
    why += " To change several at once in one LM ask bayesmeta whatif." * (len(names) > 1)
    if len(names) == 1 and any(isinstance(side, Amount) for side in sides):
        why = f"It names {names[0]}; say one number of it on both sides, and no other."
    raise _unread(text, why or "Name two levels or values of one decision.")


def _read_side(
    side: Sequence[_Number | _Word], decisions: Sequence[str]
) -> Amount | dict[str, tuple[str, bool]] | None:
    """Read one side: a number, or levels by the decision that they may be of."""
    amounts = [one.amount for one in side if isinstance(one, _Number)]
    words = [one for one in side if isinstance(one, _Word)]
    plain = [one for one in words if one.of("level") and not one.of("decision")]
    if amounts:
        levels = [one for one in plain if not one.of("skip")]  # `on` is one of weight tying
        return amounts[0] if len(amounts) == 1 and not levels else None
    chosen = plain or [one for one in words if one.of("level")]
    alone = [one for one in chosen if any(m.alone for m in one.of("level"))]
    chosen = alone if alone and not decisions else chosen
    found = [{m.name: (m.level, m.alone) for m in one.of("level")
              if m.alone or not decisions or m.name in decisions} for one in chosen]  # fmt: skip
    return found[0] if found and all(one == found[0] for one in found) else None


def _ask_swap(text: str, shares: Sequence[str]) -> QueryError:
    """Word the question whether one part of the mix takes the place of another."""
    return _unread(
        text,
        f"More of one part of the mix is less of another: ask 'swap {shares[1]} -> {shares[0]} "
        f"by 10', or compare two shares of one, such as '{shares[0]}: 20% > 10%'.",
    )


def _ask_decision(text: str, sides: Sequence[Amount], decisions: Sequence[str]) -> QueryError:
    """Word the question what a number is a number of."""
    if decisions:
        shares = [name for name in decisions if _is_share(name)]
        if len(shares) == len(decisions) == 2:
            return _ask_swap(text, shares)
        return _unread(text, f"It names {listing(decisions)}; name one of them.")
    units = {side.unit for side in sides}
    names = ["n_params", "n_tokens"] if units & {"m", "b", "t"} else []
    names += ["context_length"] if units & {"k"} else []
    names += [name for name in DECISIONS if _is_share(name)] if "%" in units else []
    written = [" > ".join(_write_bare(side, name) for side in sides) for name in names]
    asked = [f"'{name}: {sides}'" for name, sides in zip(names, written, strict=True)]
    why = f"Say which is meant: {listing(asked)}." if asked else "Name the decision."
    return _unread(text, why)


def _write_bare(amount: Amount, name: str) -> str:
    count = read_count(amount, powers_of_two=name == "context_length")
    if count is None:
        return f"{amount.value:.10g}%"
    return re.sub(r"e\+0*", "e", f"{count:.{10 if count < 1e7 else 4}g}")
