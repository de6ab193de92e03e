"""Range and direction of an indicator, where its header or its values make them certain; else what is to be decided."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .header_words import half_width, tight
from .indicator_cells import Cell

_POINTS = re.compile(
    r"[(\[](?:满分|分值|标准分|共|上限)?[:：]?(?:(?P<low>\d+(?:\.\d+)?)[-~—–至])?(?P<high>\d+(?:\.\d+)?)分[)\]]|满分(?P<full>\d+(?:\.\d+)?)"
)
_DEDUCTED = re.compile(r"扣分|扣减|减分|倒扣")
_ADDED = re.compile(r"加分|奖励分")
_OPEN_ENDED = re.compile(r"增长|增幅|增速|同比|环比|变化|下降|降幅|波动|超额|超计划")
_SHARE = re.compile(r"(率|比例|占比|比重|覆盖面|满意度|百分比)$")
_MARK = re.compile(r"(得分|评分|分数|分值|测评|评价|打分)(结果)?$")
_BAD = re.compile(
    r"投诉|违规|违纪|违法|违章|事故|差错|缺陷|逾期|超期|超时|未完成|未整改|不合格|处分|信访|上访|隐患|缺勤|旷工|迟到|流失|离职|通报批评|负面|失误|欠费|亏损|问责|约谈|故障"
)
_REMEDY = re.compile(
    r"整改|办结|化解|处理|处置|解决|消除|完成|下降|压降|降低|回复|及时|满意|治理|销号|培训|宣传|教育|竞赛|演练|排查|零"
)
_GOOD = re.compile(
    r"(完成|整改|办结|化解|覆盖|参与|参加|参会|出勤|到课|到会|到会|达标|合格|优良|优秀|满意|及时|落实|通过|执行|学习|培训|按期|按时|参学|上线|回复|销号|兑现|准确|规范|达成|转化|排查|治理|解决|处置)"
    r"(率|度|比例|面|得分|评分)$|满意度|获奖|表彰|荣誉|先进"
)


@dataclass(frozen=True)
class ProposedRange:
    """Range and direction that are certain (NaN, 0 where they are not), why, and what is asked."""

    minimum: float
    maximum: float
    direction: int
    why: str
    question: str = ""
    choices: str = ""


def points_in_header(header: str) -> float:
    """Return the points an indicator can earn by its header, NaN where it does not say.

    Examples
    --------
    >>> points_in_header("党课(10分)"), points_in_header("支部建设（满分20分）"), points_in_header("完成率(%)")
    (10.0, 20.0, nan)
    """
    matched = _POINTS.search(half_width(header).replace(" ", ""))
    return float(matched["high"] or matched["full"]) if matched else math.nan


def proposed_range(header: str, cells: Sequence[Cell], maximum: float = math.nan) -> ProposedRange:
    """Propose the range and direction of an indicator.

    Parameters
    ----------
    maximum
        Points that a row of the sheet gives (满分); those in the header come first.
    """
    name = re.sub(r"[(][^()]*[)]$", "", tight(header)) or tight(header)
    values = [cell.value for cell in cells if cell.kind in ("number", "percent")]
    low, high = (min(values), max(values)) if values else (math.nan, math.nan)
    points = points_in_header(header)
    points = maximum if points != points else points
    direction, because = _direction(name, points, values)
    minimum, top, why, doubt = _bounds(header, name, cells, low, high, points)
    questions, choices = [], []
    if minimum != minimum:
        held = f"都是 {low:g}" if low == high else f"在 {low:g}–{high:g} 之间"
        questions.append(doubt or f"区间不知,数据{held}")
        choices += [f"--range {choice}" for choice in _suggested(low, high, points)]
    if not direction:
        questions.append("越高越好还是越低越好")
        choices += ["direction 1", "direction -1 (--lower)"]
    question = f"{';'.join(questions)} (range or direction not certain)" if questions else ""
    return ProposedRange(minimum, top, direction, "、".join(filter(None, (why, because))), question, "|".join(choices))


def _bounds(
    header: str, name: str, cells: Sequence[Cell], low: float, high: float, points: float
) -> tuple[float, float, str, str]:
    """Return minimum, maximum, why they are certain; else NaN twice, and the doubt."""
    asked = (math.nan, math.nan, "")
    if low != low:
        return *asked, "没有数值"
    if _DEDUCTED.search(name) or _ADDED.search(name):
        if low < 0 < high:
            return *asked, f"扣分有正有负: {low:g}–{high:g}"
        if points == points and -points <= low and high <= points:
            return (-points, 0.0, f"上限 {points:g} 分", "") if low < 0 else (0.0, points, f"上限 {points:g} 分", "")
        return *asked, ""
    if points == points:
        inside = low >= 0 and high <= points
        return (
            (0.0, points, f"满分 {points:g}", "")
            if inside
            else (*asked, f"有值 {high if high > points else low:g} 在满分 {points:g} 之外")
        )
    percent = "%" in half_width(header) or any(cell.kind == "percent" for cell in cells)
    if _OPEN_ENDED.search(name) and not _BAD.search(name):
        return *asked, ""
    fraction = low >= 0 and high <= 1 and any(cell.value % 1 for cell in cells if cell.kind == "number")
    if percent and fraction and not any(cell.kind == "percent" for cell in cells):
        return *asked, "表头是 %,数值都不超过 1: 是比例还是百分数"
    if percent or _SHARE.search(name):
        if fraction and not percent:
            return 0.0, 1.0, "比率,数值在 0–1", ""
        return (0.0, 100.0, "百分数", "") if low >= 0 and high <= 100 and high > 1 else (*asked, "")
    if _MARK.search(name) and low >= 0 and 60 < high <= 100:
        return 0.0, 100.0, "得分,数值在 0–100", ""
    return *asked, ""


def _direction(name: str, points: float, values: Sequence[float]) -> tuple[int, str]:
    """Return 1 or -1 and why, 0 where words do not make it certain."""
    if _DEDUCTED.search(name):
        if values and min(values) < 0 < max(values):
            return 0, ""
        return (1, "扣分记为负数") if values and min(values) < 0 else (-1, "扣分越少越好")
    if _ADDED.search(name) or points == points:
        return 1, "得分越高越好"
    if _BAD.search(name) and not _REMEDY.search(name):
        return -1, f"“{_BAD.search(name).group()}”越少越好"  # type: ignore[union-attr]
    if _GOOD.search(name) or (_MARK.search(name) and not _BAD.search(name)):
        return 1, "越高越好"
    return 0, ""


def _suggested(low: float, high: float, points: float) -> list[str]:
    """Return ranges that hold all values: from 0, up to the next round number, and up to 100."""
    if high != high:
        return ["0-100"]
    top = max(abs(low), abs(high), points if points == points else 0.0, 1.0)
    step = 10 ** math.floor(math.log10(top))
    round_up = math.ceil(top / step) * step
    ends = dict.fromkeys([round_up, *([100.0] if round_up < 100 else [])])
    if low < 0:
        return [f"-{end:g}-{'0' if high <= 0 else f'{end:g}'}" for end in ends]
    return [f"0-{end:g}" for end in ends]
