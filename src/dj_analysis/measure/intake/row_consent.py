"""Consent: reading of the three consent questions, exclusion of respondents who refused any use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from ...errors import Problems
from ...spec.consent import Door
from ..engines import collected

OWN_CODE = "own_code"
USE, CONNECT, CARE = CONSENTS = ("consent_use", "consent_link", "consent_care")

_YES = re.compile(r"1|是|是的|对|好|行|√|✓|y|yes|t|true|on|ok")
_AGREED = re.compile(r"同意|愿意|接受|agree|consent|accept")
_REFUSED = re.compile(
    r"(不|未|没有?|非|无法|难以|拒绝?)[^,，。;；、\s]{0,3}(同意|愿|接受|参加)|拒绝|^否|^[不无](?![一-鿿])|不方便"
    r"|\bdis|\bnot?\b|n['’]t\b|declin|refus|withdraw"
)
# How a question for consent is worded; a question about anything else that happens to ask 是否同意 does not count.
_ASKED = {
    CONNECT: r"(同意|愿意).*(关联|匹配|前后|跨期|历次|多次|对比)|(agree|consent).*(link|match|waves)",
    CARE: r"(同意|愿意).*(帮扶|关爱|联系我|与我联系|回访)|(agree|consent).*(contacted|support)",
    USE: r"知情同意|是否同意(自愿)?(参加|参与|填写|接受)|(同意|愿意)(自愿)?(参加|参与|接受|填写).*(调查|问卷|调研)"
    r"|已?(阅读|知晓|了解).*(告知|说明|须知|上述|以上|并|且).*同意|告知书|同意.*(使用|用于|处理).*(答案|答卷|信息|数据|分析)"
    r"|informed consent|(agree|consent) to (take part|participate|the use)",
}


@dataclass(frozen=True)
class Consented:
    """Answers of the respondents who consented to use.

    Attributes
    ----------
    frame
        Rows of those who agreed to use, or all rows where nobody was asked.
    basis
        ``column``: everybody left agreed; ``notice``: the declared notice stands for it; ``""``: neither.
    refused
        How many rows were left out.
    counts
        Consent → how many of the rows left gave it, for every consent that was asked.
    yes
        Consent → the answers that mean yes.
    """

    frame: Any = field(repr=False)
    basis: str
    refused: int
    counts: Mapping[str, int] = field(default_factory=dict)
    yes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


def says_yes(answer: str) -> bool:
    """Tell whether an answer means yes, in Chinese or English, as text, tick or number; an unclear answer means no.

    Examples
    --------
    >>> [says_yes(answer) for answer in ("我已知晓并同意", "不同意", "1", "2", "")]
    [True, False, True, False, False]
    """
    text = re.sub(r"^[a-d][.、)）:：]\s*", "", unicodedata.normalize("NFKC", answer).strip().casefold())
    text = re.sub(r"\.0+$", "", text).rstrip("。.!;,")
    if _REFUSED.search(text):
        return False
    return bool(_YES.fullmatch(text) or _AGREED.search(text))


def asked_consent(header: str) -> str:
    """Return which consent a header asks for by its wording, or ``""``."""
    return next((name for name, words in _ASKED.items() if re.search(words, header, re.IGNORECASE)), "")


def without_unasked(columns: Mapping[str, str], headers: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Split a column mapping into its usable part and the consents declared for other waves but not asked here."""
    here = set(headers)
    absent = [name for name, header in columns.items() if name in (*CONSENTS, OWN_CODE) and header not in here]
    return {name: header for name, header in columns.items() if name not in absent}, absent


def consent_columns(frame: Any, free: Iterable[str]) -> dict[str, str]:
    """Recognise undeclared consent questions among unused columns by wording and yes/no answers.

    Parameters
    ----------
    frame
        A pandas table of text, or any dataframe wrapped by narwhals.
    """
    columns: dict[str, str] = {}
    for header in free:
        name = asked_consent(header)
        if name and name not in columns:
            text = isinstance(frame, pd.DataFrame)
            if _yes_and_no(frame[header].unique() if text else _answers(frame, header)):
                columns[name] = header
    return columns


def consented_rows(frame: pd.DataFrame, roles: Mapping[str, str], door: Door) -> Consented:
    """Keep the rows of a text table whose respondents consented to use."""
    asked = {name: roles[name] for name in CONSENTS if name in roles}
    yes = {name: tuple(v for v in frame[header].unique() if says_yes(v)) for name, header in asked.items()}
    agreed = frame[frame[asked[USE]].isin(yes[USE])] if USE in asked else frame
    counts = {name: int(agreed[header].isin(yes[name]).sum()) for name, header in asked.items()}
    return Consented(agreed, _basis(asked, door), len(frame) - len(agreed), counts, yes)


def consented_frame(frame: Any, roles: Mapping[str, str], door: Door) -> Consented:
    """Keep the rows of any dataframe whose respondents consented to use; only distinct answers are collected."""
    asked = {name: roles[name] for name in CONSENTS if name in roles}
    refused, counts, yes = 0, {}, {}
    for name, header in asked.items():  # use comes first: the others are counted among those who agreed to it
        answers = _answers(frame, header)
        yes[name] = tuple(answer for answer in answers if says_yes(answer))
        counts[name] = sum(answers[answer] for answer in yes[name])
        if name == USE:
            refused = sum(answers.values()) - counts[name]
            frame = frame.filter(nw.col(header).cast(nw.String).is_in(list(yes[name])))
    return Consented(frame, _basis(asked, door), refused, counts, yes)


def note_consent(
    place: str, consented: Consented, unasked: Iterable[str], door: Door, problems: Problems
) -> tuple[str, ...]:
    """Return notices of excluded answers and missing consent; a wave in which nobody agreed is an error.

    A missing basis is reported where a workspace could declare one.
    """
    notices = []
    if consented.refused:
        notices.append(f"{place}: {consented.refused} 份未同意使用的答卷未导入 (answers without consent left out)")
    if consented.basis == "column" and consented.counts[USE] == 0:
        allowed = "是/否, 同意/不同意, 1/0 (yes/no)"
        advice = "核对同意栏的列和写法 (check the column and how yes is written)"
        problems.add(f"{place}: {USE}", "no_consent", "没有一份同意 (nobody agreed)", allowed, advice)
    if USE in unasked:
        notices.append(f"{place}: 声明的同意栏不在此期中 (the declared consent column is not in this wave)")
    if not consented.basis and door.places:
        notices.append(
            f'{place}: 未见同意栏，也未声明告知依据；结期前须补上 consent_use 列，或在 workspace.toml 写 [consent] basis = "notice"'
            " (no consent column and no declared notice; closing the wave will ask for one)"
        )
    return tuple(notices)


def _basis(asked: Mapping[str, str], door: Door) -> str:
    return "column" if USE in asked else door.consent.basis


def _yes_and_no(answers: Iterable[str]) -> bool:
    """Tell whether a column holds only yes and no, so that a rating is never taken for a consent."""
    filled = {answer.strip().casefold() for answer in answers if answer.strip()}
    return bool(filled) and len(filled) <= 4 and all(map(_plain, filled))


def _plain(answer: str) -> bool:
    normal = unicodedata.normalize("NFKC", answer)
    return says_yes(answer) or bool(_REFUSED.search(normal) or re.fullmatch(r"[02](\.0)?|f(alse)?|n|off", normal))


def _answers(frame: Any, header: str) -> dict[str, int]:
    """Count the distinct answers of a column."""
    counted = frame.select(nw.col(header).cast(nw.String).alias("v")).group_by("v").agg(nw.len().alias("n"))
    columns = collected(counted).to_dict(as_series=False)
    answers: dict[str, int] = {}
    for answer, n in zip(columns["v"], columns["n"], strict=True):
        text = "" if pd.isna(answer) else str(answer)
        answers[text] = answers.get(text, 0) + int(n)
    return answers
