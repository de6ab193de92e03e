"""Order of the answer options of a rating question, read from their words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

#: How strongly a word says what follows: 非常满意 > 满意 > 比较满意 > 基本满意. Equal numbers cannot be told apart by words.
_DEGREES: Mapping[str, float] = {
    "非常": 3, "十分": 3, "完全": 3, "极其": 3, "极": 3, "极度": 3, "特别": 3, "绝对": 3, "强烈": 3, "很": 3, "最": 3,
    "比较": 1.5, "较": 1.5, "较为": 1.5, "大部分": 1.5, "多半": 1.5,
    "基本": 1, "基本上": 1, "大体": 1, "大致": 1, "还算": 1, "有点": 1, "有些": 1, "稍微": 1, "略": 1, "部分": 1, "倾向": 1,
    "strongly": 3, "very": 3, "completely": 3, "extremely": 3, "totally": 3,
    "fairly": 1.5, "quite": 1.5, "mostly": 1.5, "rather": 1.5,
    "somewhat": 1, "slightly": 1, "a little": 1, "tend to": 1,
}  # fmt: skip
#: How strongly a negation denies: 很不满意 < 不满意 < 不太满意; a degree before it counts as it does without one.
_DENIALS: Mapping[str, float] = {
    "不太": 1, "不大": 1, "不怎么": 1, "不很": 1, "不够": 1, "不": 2, "没有": 2, "没": 2, "无": 2, "not very": 1, "not": 2,
}  # fmt: skip
_POSITIVE = {
    "同意": "agree", "赞同": "agree", "赞成": "agree", "认同": "agree", "满意": "satisfied", "符合": "fit", "相符": "fit",
    "支持": "support", "重要": "important", "了解": "know", "清楚": "clear", "愿意": "willing", "信任": "trust", "有帮助": "help",
    "及时": "timely", "公平": "fair", "合理": "reasonable", "认可": "agree", "关心": "care", "有信心": "confident",
    "agree": "agree", "satisfied": "satisfied", "true": "fit", "likely": "likely", "important": "important",
    "好": "good", "优秀": "good", "good": "good",
}  # fmt: skip
_NEGATIVE = {
    "反对": "agree", "差": "good", "糟": "good", "disagree": "agree", "dissatisfied": "satisfied", "unsatisfied": "satisfied",
    "untrue": "fit", "unlikely": "likely", "unimportant": "important", "poor": "good", "bad": "good",
}  # fmt: skip
_MIDDLE = frozenset(
    {
        "一般", "一般般", "中立", "普通", "中等", "适中", "尚可", "还可以", "还行", "说不上", "不好不差", "不同意也不反对",
        "既不同意也不反对", "既不满意也不不满意", "neutral", "neither", "neither agree nor disagree", "average",
        "neither satisfied nor dissatisfied", "undecided",
    }
)  # fmt: skip
#: These say that somebody has no answer: missing, never the middle. 不确定 is the middle where nothing else is.
NO_ANSWER = frozenset(
    {
        "说不清", "说不清楚", "不清楚", "不知道", "不了解", "不适用", "无法回答", "无法评价", "不好说", "未涉及", "没有接触", "拒绝回答",
        "不了解/不适用", "不适用/不了解", "don't know", "do not know", "not applicable", "n/a", "no opinion", "cannot say",
    }
)  # fmt: skip
_UNSURE = frozenset({"不确定", "不好确定", "unsure", "not sure", "uncertain"})
#: Sets whose order is no matter of degree words.
_LADDERS: tuple[tuple[str, ...], ...] = (
    ("从不|从未|从来没有|never", "很少|极少|几乎不|偶尔很少|rarely|seldom", "偶尔|有时|有时候|sometimes|occasionally",
     "经常|常常|often|frequently", "总是|一直|始终|每次|always"),
    ("很差|非常差|极差|very poor", "较差|差|比较差|poor", "一般|中等|fair|average", "较好|好|良好|比较好|good", "很好|非常好|优秀|excellent|very good"),
    ("不合格|不称职", "基本合格|基本称职", "合格|称职", "良好", "优秀"),
    ("没有|无", "较少|少", "一般", "较多|多", "很多|非常多"),
    ("很低|非常低", "较低|低", "一般|中等", "较高|高", "很高|非常高"),
)  # fmt: skip
_LABEL = re.compile(r"^\s*(?:[A-Za-zＡ-Ｚ]\s*[.．、:：)）]|[(（]?[0-9０-９]{1,2}[)）]?\s*[.．、:：])\s*(?=\D)")
_POINTS = re.compile(r"^\s*(\d{1,2})\s*(?:分|points?|stars?|星)\s*$", re.IGNORECASE)
_STARS = re.compile(r"^\s*([★⭐]+)\s*[☆]*\s*$")
_WIDE = str.maketrans("０１２３４５６７８９", "0123456789")


@dataclass(frozen=True)
class OrderedOptions:
    """Options from the worst to the best, and those that count as no answer.

    Attributes
    ----------
    family
        What the words are about (``satisfied``, ``agree`` …): questions of one family are read together.
    """

    family: str
    texts: tuple[str, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Doubt:
    """Why the order of options cannot be told, in the words shown to whoever decides."""

    reason: str


def plain_option(text: str) -> str:
    """Return an option without its letter or number and without what was typed beside it.

    Examples
    --------
    >>> plain_option("A.非常满意"), plain_option("其他〖门岗那边〗")
    ('非常满意', '其他')
    """
    return _LABEL.sub("", re.sub(r"〖.*?〗", "", text)).strip().lower()


def points_of(text: str) -> float | None:
    """Return the number of points or stars an option gives, ``None`` where it gives none.

    Examples
    --------
    >>> points_of("5分"), points_of("★★★☆☆"), points_of("满意")
    (5.0, 3.0, None)
    """
    plain = text.translate(_WIDE)
    matched = _POINTS.match(plain)
    if matched:
        return float(matched.group(1))
    stars = _STARS.match(plain)
    return float(len(stars.group(1))) if stars else None


def strength_of(text: str) -> tuple[str, float] | None:
    """Return what an option is about and how strongly it says it (−3 … 3), ``None`` where its words are not known.

    Examples
    --------
    >>> strength_of("不太满意"), strength_of("非常同意"), strength_of("食堂")
    (('satisfied', -1.0), ('agree', 3.0), None)
    """
    plain = plain_option(text)
    if plain in _MIDDLE:
        return "", 0.0
    for words, sign in ((_NEGATIVE, -1.0), (_POSITIVE, 1.0)):
        for word in sorted(words, key=len, reverse=True):
            if plain.endswith(word) or (plain.isascii() and plain.split()[-1:] == [word]):
                strength = _degree(plain.removesuffix(word).strip())
                if strength is not None:
                    return words[word], sign * strength
    return None


def _degree(before: str) -> float | None:
    """Return the strength of the words before a stem: negative where they deny it."""
    if not before:
        return 2.0
    if before in _DEGREES:
        return float(_DEGREES[before])
    for denial in sorted(_DENIALS, key=len, reverse=True):
        if before == denial:
            return -float(_DENIALS[denial])
        if before.endswith(denial):
            degree = _DEGREES.get(before.removesuffix(denial).strip())
            return None if degree is None else -float(degree)
    return None


def order_options(shown: Collection[str], declared: Iterable[tuple[str, ...]] = ()) -> OrderedOptions | Doubt | None:
    """Order the options that one kind of question shows, from the worst to the best.

    Two options never share a place: where the words do not tell them apart, or leave open whether one that nobody chose
    stands between or beside them, the answer is a doubt.

    Parameters
    ----------
    shown
        Options as written, of all questions that plainly use one set.
    declared
        Sets the office has put in order itself, each from the worst to the best; they are taken first.

    Returns
    -------
    OrderedOptions, Doubt or None
        ``None`` where these are no rating options at all.

    Examples
    --------
    >>> order_options(["满意", "不满意", "一般", "非常满意", "不太满意"]).texts
    ('不满意', '不太满意', '一般', '满意', '非常满意')
    >>> order_options(["食堂", "班车"]) is None
    True
    """
    by_plain = {plain_option(text): text for text in shown}
    if len(by_plain) < len(set(shown)):
        by_plain = {text.strip(): text for text in shown}
    for given in declared:
        plain_given = [plain_option(text) for text in given]
        if set(by_plain) - NO_ANSWER <= set(plain_given):
            texts = tuple(by_plain.get(plain, text) for plain, text in zip(plain_given, given, strict=True))
            return OrderedOptions("declared", texts, tuple(by_plain[p] for p in by_plain if p in NO_ANSWER))
    missing = tuple(text for plain, text in by_plain.items() if plain in NO_ANSWER)
    rated = {plain: text for plain, text in by_plain.items() if plain not in NO_ANSWER}
    if len(rated) < 2:
        return None
    points = {text: points_of(text) for text in rated.values()}
    if all(value is not None for value in points.values()):
        return OrderedOptions("points", tuple(sorted(points, key=lambda text: points[text] or 0.0)), missing)
    return _by_degree(rated, missing) or _by_ladder(rated, missing)


def _by_degree(rated: Mapping[str, str], missing: tuple[str, ...]) -> OrderedOptions | Doubt | None:
    strengths = {text: strength_of(text) for text in rated.values()}
    unsure = [text for plain, text in rated.items() if plain in _UNSURE]
    known = {text: found for text, found in strengths.items() if found is not None}
    families = {family for family, _ in known.values() if family}
    if len(families) != 1 or len(known) + len(unsure) < len(rated):
        return None
    values = {text: strength for text, (_, strength) in known.items()}
    if unsure and 0.0 not in values.values():
        values[unsure[0]] = 0.0
    elif unsure:
        missing, values = (*missing, *unsure), values
    tied = [text for text in values if sum(other == values[text] for other in values.values()) > 1]
    if tied:
        return Doubt(f"不能分出高低 (which is higher cannot be told): {'、'.join(sorted(tied))}")
    texts = tuple(sorted(values, key=values.__getitem__))
    strengths_shown = tuple(sorted(values.values()))
    (family,) = families
    if strengths_shown in _COMMON or _is_balanced(strengths_shown):
        return OrderedOptions(family, texts, missing)
    completed = _completed(values, family)
    return completed if isinstance(completed, Doubt) else OrderedOptions(family, completed, missing)


def _is_balanced(strengths: tuple[float, ...]) -> bool:
    """Tell whether options look like a whole set: as many on either side, and of few ones the same words on both."""
    below, above = [s for s in strengths if s < 0], [s for s in strengths if s > 0]
    return len(below) == len(above) and (len(strengths) > 3 or [-s for s in below] == above)


#: Sets in common use, as strengths: one of them completes options of which some were chosen by nobody.
_COMMON: tuple[tuple[float, ...], ...] = (
    (-3, -2, 0, 2, 3), (-3, -1.5, 0, 1.5, 3), (-3, -1, 0, 1.5, 3), (-2, -1, 0, 2, 3), (-2, -1, 0, 1.5, 2), (-3, -2, 1, 2, 3),
    (-3, -1, 0, 2, 3), (-2, -1.5, 0, 1.5, 2), (-3, -2, 0, 1, 3), (-3, -2, 0, 1.5, 3), (-2, -1, 0, 1, 2), (-2, 0, 1, 2, 3),
    (-3, -1, 0, 1, 3), (-3, -2, -1, 2, 3),
)  # fmt: skip
_WORDS_OF: Mapping[str, str] = {"agree": "同意", "satisfied": "满意", "fit": "符合", "support": "支持"}
_TEXT_OF = {-3.0: "非常不{}", -2.0: "不{}", -1.5: "比较不{}", -1.0: "不太{}", 0.0: "一般", 1.0: "基本{}", 1.5: "比较{}", 2.0: "{}", 3.0: "非常{}"}  # fmt: skip


def _completed(values: Mapping[str, float], family: str) -> tuple[str, ...] | Doubt:
    """Complete options by the common sets that hold them; a doubt where none does or several give them other places."""
    fitting = [common for common in _COMMON if set(values.values()) <= set(common)]
    places = {tuple(common.index(value) for value in sorted(values.values())) for common in fitting}
    if len(places) != 1 or family not in _WORDS_OF:
        shown = " < ".join(sorted(values, key=values.__getitem__))
        return Doubt(f"可能有无人选的选项 (an option nobody chose may be missing): {shown}")
    by_value = {value: text for text, value in values.items()}
    return tuple(by_value.get(value, _TEXT_OF[value].format(_WORDS_OF[family])) for value in fitting[0])


def _by_ladder(rated: Mapping[str, str], missing: tuple[str, ...]) -> OrderedOptions | Doubt | None:
    for number, ladder in enumerate(_LADDERS):
        place = {word: step for step, words in enumerate(ladder) for word in words.split("|")}
        if not set(rated) <= set(place):
            continue
        steps = [place[plain] for plain in rated]
        if len(set(steps)) < len(steps):
            return Doubt(f"不能分出高低 (which is higher cannot be told): {'、'.join(rated.values())}")
        by_step = {place[plain]: text for plain, text in rated.items()}
        texts = tuple(by_step.get(step, words.split("|")[0]) for step, words in enumerate(ladder))
        return OrderedOptions(f"ladder{number}", texts, missing)
    return None
