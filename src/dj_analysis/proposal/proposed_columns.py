"""What each column of an export asks for: proposed where the evidence is plain, asked where it is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from ..errors import unknown
from ..measure.intake import wjx
from ..measure.intake.anonymity import quasi_kind
from ..measure.intake.row_consent import CONSENTS, OWN_CODE, consent_columns
from ..spec.codebook import Option, Scale, default_codebook
from ..spec.tables import numbers, whole_numbers
from ..spec.tree import CHOICE_ROLES, Node
from .options import Doubt, OrderedOptions, order_options, points_of
from .question_headers import header_names, matrix_row, matrix_stems, question_number

Dimensions = Literal["by-section", "by-number", "one"]
DIMENSIONS: tuple[Dimensions, ...] = ("by-section", "by-number", "one")
ROLES = ("item", "group", "unit", "choice", "ranking", "text", "none")
LEFT_OUT = "none"
OUTCOME = "结果题"  # section of what is an outcome and no part of the index
_MOST_CATEGORIES = 12
_PEOPLE_A_CATEGORY = 5
_SHOWN = 4

_PLACES = "单位|部门|支部|公司|班组|车间|工区|科室|站所|分厂|项目部"
_UNIT = re.compile(
    rf"(所在|所属|隶属|在哪个|哪一?个|工作).{{0,8}}({_PLACES})|^(您的|你的)?.{{0,4}}({_PLACES})(名称)?$|^(unit|department|branch)( name)?$"
    r"|your (unit|department|branch|office)",
    re.IGNORECASE,
)
_UNIT_WORD = re.compile(rf"{_PLACES}|\b(unit|department|branch)\b", re.IGNORECASE)
_OWN_CODE = re.compile(r"自(编|设|拟|定)的?(编码|代码|编号|码)|own[_ ]?code|self-chosen code", re.IGNORECASE)
_CATEGORY = re.compile(
    r"收入|工资|薪|婚|性别|民族|地点|地区|城市|方式|类型|类别|性质|种类|哪|几|多少|数量|人数|次数|时长|价格|频次|是否|有没有|income|marital|gender|how many",
    re.IGNORECASE,
)
_RATING = re.compile(
    r"^(我|我们|本人|领导|同事|单位|公司|上级|企业|班组|部门)|满意|同意|评分|打分|评价|认可|程度|愿意|推荐|清楚|合理|及时|公平|信任|符合|感到|觉得"
    r"|^i |^my |^we |satisf|agree|rate|recommend",
    re.IGNORECASE,
)
_OPEN = re.compile(r"建议|意见|希望|想说|请写|请填|原因|为什么|具体|说明|举例|最想|comment|suggest|please describe|why", re.IGNORECASE)  # fmt: skip
_RECOMMEND = re.compile(r"推荐|recommend", re.IGNORECASE)
#: A range that the header itself gives: (0-10分).
_GIVEN_RANGE = re.compile(r"[(（]\s*([01])\s*分?\s*[-–—~～至到]\s*(\d{1,2})\s*分?\s*[)）]")
#: Words for how much of something one is content with; what of, such as pay, makes no question of categories then.
_CONTENT = re.compile(r"满意|认可|同意|satisf|agree", re.IGNORECASE)
_PAY = re.compile(r"收入|工资|薪|income", re.IGNORECASE)
_JOINTS = re.compile(r"\s*[;；|,，、]\s*")  # between the options of a multiple choice in one cell
_SHORT = re.compile(r"^(G\d{1,3})?[A-Za-z]{1,4}_?\d{1,3}([_.]\d{1,3}|\[\w{1,8}\])?$")  # L1, Q2_3, G01Q02[SQ003]


@dataclass(frozen=True)
class Decisions:
    """What whoever makes the workspace has decided: these are taken as they are.

    Attributes
    ----------
    roles
        Header (or number of the question) → role.
    reverse
        Numbers of questions, or headers, for which a high answer is bad.
    scales
        Sets of options, each from the worst to the best.
    """

    unit: str = ""
    reverse: tuple[str, ...] = ()
    dimensions: Dimensions = "by-section"
    scales: tuple[tuple[str, ...], ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)

    def check(self, headers: Sequence[str]) -> None:
        """Raise an error for a decision about something that is not there."""
        names = {name for header in headers for name in header_names(header)}
        for named in (self.unit, *self.reverse, *self.roles):
            if named and named not in names:
                raise unknown("列/column", named, headers)
        for role in self.roles.values():
            if role not in ROLES:
                raise unknown("作用/role", role, ROLES)
        if self.dimensions not in DIMENSIONS:
            raise unknown("维度/dimensions", self.dimensions, DIMENSIONS)


@dataclass(frozen=True)
class ProposedColumn:
    """One column: the node it becomes (``None``: left out), why, its options and the section it stands in."""

    header: str
    node: Node | None
    why: str
    scale: Scale | None = None
    section: str = ""

    @property
    def role(self) -> str:
        """Role of the node, ``""`` for a column left out."""
        return "" if self.node is None else self.node.role


@dataclass(frozen=True)
class _Column:
    header: str
    stem: str  # the question it stands under with others, "" for a question of its own
    cells: pd.Series  # answered cells, as text
    values: pd.Series  # the same as numbers, NaN where they are none

    @property
    def number(self) -> str:
        return question_number(self.header)

    @property
    def is_whole(self) -> bool:
        return bool(len(self.values) and self.values.notna().all() and (self.values % 1 == 0).all())

    @property
    def label(self) -> str:
        text = wjx.unnumbered(self.header)
        return text[1:-1] if re.fullmatch(r"[(（][^()（）]+[)）]", text) else text  # 第3题(题干)


def propose_columns(frame: pd.DataFrame, decisions: Decisions) -> list[ProposedColumn]:
    """Say for each column of a table of text cells what it becomes.

    Parameters
    ----------
    frame
        Text cells, ``""`` where nobody answered; multiple choices already one 0/1 column an option.
    decisions
        What has been decided already.
    """
    columns = {}
    stems = matrix_stems(str(c) for c in frame.columns if c not in wjx.META)
    for header, stem in stems.items():
        cells = frame[header].str.strip()
        cells = cells[cells != ""]
        columns[header] = _Column(header, stem, cells, numbers(whole_numbers(cells)))
    known = _known_columns(frame, columns)
    decided = {column.header: role for column in columns.values() if (role := _decided(column, decisions))}
    free = {header: c for header, c in columns.items() if header not in known and header not in decided}
    blocks = _blocks(free.values())
    found = known | _options(blocks)
    free = {header: column for header, column in free.items() if header not in found}
    ordered = _ordered(list(free.values()), decisions.scales)
    found |= _units(free, ordered, has_unit="unit" in decided.values() or any(c.role == "unit" for c in found.values()))
    free = {header: column for header, column in free.items() if header not in found}
    ranges = _ranges(list(free.values()))
    for header, column in columns.items():
        if header in decided:
            found[header] = _as_decided(column, decided[header], decisions, columns)
        elif header not in found:
            found[header] = _question(column, ordered.get(header), ranges.get(header))
    return _coded([found[header] for header in columns], decisions)


def _decided(column: _Column, decisions: Decisions) -> str:
    if decisions.unit in header_names(column.header):
        return "unit"
    called = (column.header, column.number, column.label)  # the header decides before the number of its question
    return next((decisions.roles[name] for name in called if name in decisions.roles), "")


def _known_columns(frame: pd.DataFrame, columns: Mapping[str, _Column]) -> dict[str, ProposedColumn]:
    """Columns recognised by their wording: the package's own instrument, consents, the self-chosen code."""
    codebook = default_codebook()
    nodes = {node.code: node for node in (*codebook.tree.leaves, *codebook.others)}
    wordings = {code: tuple(t for t in (node.text_zh, node.text_en) if t) for code, node in nodes.items()}
    known: dict[str, ProposedColumn] = {}
    for code, headers in wjx.match_headers(columns, wordings, by_code=False).items():
        if _fits(columns[headers[0]], nodes[code], codebook.scales):
            why = "题干与默认问卷相同 (wording of the default instrument)"
            known[headers[0]] = ProposedColumn(headers[0], nodes[code], why)
    others = [header for header in columns if header not in known]
    agreed = {header: name for name, header in consent_columns(frame, others).items()}
    agreed |= {name: name for name in CONSENTS if name in others}
    for header, name in agreed.items():
        node = Node(name, role="consent", label_zh="知情同意")
        known[header] = ProposedColumn(header, node, "询问是否同意 (asks for consent)")
    for header in others:
        if header not in known and (header == OWN_CODE or _OWN_CODE.search(header)):
            node = Node(OWN_CODE, role="own_code", label_zh="自编码")
            known[header] = ProposedColumn(header, node, "自编码，导入时即行散列 (self-chosen code, hashed on import)")
    return known


def _fits(column: _Column, node: Node, scales: Mapping[str, Scale]) -> bool:
    """Tell whether the answers are those the question of the instrument allows."""
    if node.role != "item":
        return True
    options = scales[node.scale].options if node.scale in scales else ()
    texts = {text for option in options for text in (option.code, option.label_zh, option.label_en.lower()) if text}
    inside = column.values.between(node.minimum, node.maximum) | column.cells.str.lower().isin(texts)
    return bool(inside.mean() > 0.5) if len(column.cells) else True


def _blocks(columns: Iterable[_Column]) -> dict[str, list[_Column]]:
    """Columns that stand under one question, by what they share."""
    blocks: dict[str, list[_Column]] = {}
    for column in columns:
        stem = column.stem or (column.number and f"第{column.number}题")
        if stem:
            blocks.setdefault(stem, []).append(column)
    return {stem: rows for stem, rows in blocks.items() if len(rows) > 1}


def _options(blocks: Mapping[str, list[_Column]]) -> dict[str, ProposedColumn]:
    """Options of multiple choices and of rankings: several columns of one question."""
    found: dict[str, ProposedColumn] = {}
    for stem, rows in blocks.items():
        if _are_chosen(rows):
            role, why = "choice", "多选题的选项 (an option of a multiple choice)"
        elif _are_places(rows):
            role, why = "ranking", "排序题的选项 (an option of a ranking)"
        else:
            continue
        for row in rows:
            node = Node("", role=role, label_zh=matrix_row(row.header))
            found[row.header] = ProposedColumn(row.header, node, why, None, stem)
    return found


def _are_chosen(rows: Sequence[_Column]) -> bool:
    """Tell whether columns hold 0 and 1 only."""
    return all(row.is_whole and set(row.values) <= {0.0, 1.0} for row in rows)


def _are_places(rows: Sequence[_Column]) -> bool:
    """Tell whether in each of at least five sheets the numbers given are the places 1 … k, each once.

    Ratings may differ in every row by chance, but not be 1 … k without gaps in every row of many.
    """
    if len(rows) < 3 or not all(row.is_whole for row in rows if len(row.values)):
        return False
    table = pd.concat([row.values for row in rows], axis=1)
    given = table.notna().sum(axis=1)
    places = (table.nunique(axis=1) == given) & (table.max(axis=1) == given) & (table.min(axis=1) == 1)
    return len(table) >= 5 and bool(places.all())


def _ordered(columns: Sequence[_Column], declared: Sequence[tuple[str, ...]]) -> dict[str, OrderedOptions | Doubt]:
    """Order the options of text columns: a matrix together, then by the sets that other questions established."""
    groups: dict[str, list[_Column]] = {}
    for column in columns:
        if len(column.cells) and not column.is_whole:
            stem = column.stem
            groups.setdefault(stem or column.header, []).append(column)
    found: dict[str, OrderedOptions | Doubt] = {}
    shown_by = {stem: {text for row in rows for text in row.cells} for stem, rows in groups.items()}
    results = {
        stem: order_options(shown, declared) if len(shown) <= 2 * _MOST_CATEGORIES else None
        for stem, shown in shown_by.items()
    }
    established = {options.texts for options in results.values() if isinstance(options, OrderedOptions)}
    for stem, result in results.items():
        if isinstance(result, Doubt):
            again = [order_options(shown_by[stem], [texts]) for texts in established]
            fitting = [one for one in again if isinstance(one, OrderedOptions) and one.family == "declared"]
            result = fitting[0] if len(fitting) == 1 else result
        if result is not None:
            found |= {row.header: result for row in groups[stem]}
    return found


def _units(
    columns: Mapping[str, _Column], ordered: Mapping[str, object], *, has_unit: bool
) -> dict[str, ProposedColumn]:
    """The single choice that asks for the unit; several of them, or a doubtful one, are asked about."""
    if has_unit:
        return {}
    named = [c for c in columns.values() if c.header not in ordered and _repeats(c) and not _OPEN.search(c.label)]
    plain = [column for column in named if _UNIT.search(column.label)]
    likely = plain or [c for c in named if _UNIT_WORD.search(c.label) and not c.is_whole and not quasi_kind(c.header)]
    if len(plain) == 1:
        (column,) = plain
        node = Node("unit", role="unit", label_zh="单位")
        return {column.header: ProposedColumn(column.header, node, "询问单位 (asks for the unit)")}
    evidence = "可能是单位 (may be the unit)"
    return {
        c.header: _ask(c, ("unit", "group", LEFT_OUT), f"{evidence}: {c.cells.nunique()} 种 (kinds)") for c in likely
    }


def _repeats(column: _Column) -> bool:
    """Tell whether a column holds the options of a single choice: few names, each given several times."""
    kinds = column.cells.nunique()
    return 2 <= kinds <= len(column.cells) / 2 and float(column.cells.str.len().mean()) <= 30


def _ranges(columns: Sequence[_Column]) -> dict[str, tuple[int, int]]:
    """Range of numeric ratings, from all questions of one kind together: one nobody rates 5 is still of 1–5."""
    kinds: dict[str, list[_Column]] = {}
    found: dict[str, tuple[int, int]] = {}
    for column in columns:
        if column.is_whole and column.values.min() >= 0 and column.values.max() <= 10:
            if (given := _given_range(column)) is not None:
                found[column.header] = given
                continue
            kind = "short" if _SHORT.match(column.header) else column.stem
            kind = kind or ("1-5" if column.values.max() <= 5 and column.values.min() >= 1 else column.header)
            kinds.setdefault(kind, []).append(column)
    for rows in kinds.values():
        low, high = min(row.values.min() for row in rows), max(row.values.max() for row in rows)
        limits = _limits(low, high)
        if limits is not None:
            found |= {row.header: limits for row in rows}
    return found


def _given_range(column: _Column) -> tuple[int, int] | None:
    """Return the range that the header gives, where all answers lie in it."""
    given = _GIVEN_RANGE.search(column.header)
    if given is None:
        return None
    low, high = int(given[1]), int(given[2])
    return (low, high) if low < high and column.values.between(low, high).all() else None


def _limits(low: float, high: float) -> tuple[int, int] | None:
    """Return the usual range that holds ratings from low to high, None where several may."""
    if low >= 1 and high in (5, 6, 7, 10):
        return 1, int(high)
    if high > 7:
        return 0, 10
    return (0, 5) if high == 5 else None


def _question(
    column: _Column, options: OrderedOptions | Doubt | None, limits: tuple[int, int] | None
) -> ProposedColumn:
    """A column that is no unit, choice or ranking: a rating, a group, free text, or a question to whoever decides."""
    label, section = column.label, column.stem
    if not len(column.cells):
        return ProposedColumn(column.header, None, "没有回答 (nobody answered)")
    if isinstance(options, OrderedOptions):
        scale = scale_of(options)
        node = Node("", label_zh=label, text_zh=label, minimum=_low(options), maximum=_high(options), scale=scale.name)
        return ProposedColumn(
            column.header, node, f"评分选项 (rating options): {' < '.join(options.texts)}", scale, section
        )
    if isinstance(options, Doubt):
        return _ask(column, ("item", "group", LEFT_OUT), options.reason)
    if column.is_whole:
        return _numeric(column, limits, section)
    if _OPEN.search(label) or not _repeats(column):
        return ProposedColumn(column.header, None, "文字回答，未存 (free text, not stored)")
    kinds = column.cells.nunique()
    if _SHORT.match(column.header):
        shown = "、".join(sorted(column.cells.unique())[:_SHOWN])
        evidence = f"列名只是代码，不知问的是什么 (a code, so what it asks is not known): {shown}"
        return _ask(column, ("unit", "group", LEFT_OUT), evidence)
    if _are_combinations(column.cells.unique()):
        shown = "；".join(sorted(column.cells.unique(), key=len)[-_SHOWN:])
        evidence = f"像是多选题的组合，请分列导出 (choices of several: export them in columns of their own): {shown}"
        return _ask(column, (LEFT_OUT, "group"), evidence)
    if kinds <= _MOST_CATEGORIES and kinds <= len(column.cells) / _PEOPLE_A_CATEGORY:
        node = Node("", role="group", label_zh=label, text_zh=label)
        return ProposedColumn(column.header, node, "少数几种答案 (few answers)")
    return ProposedColumn(column.header, None, f"{kinds} 种答案，未存 ({kinds} different answers, not stored)")


def _are_combinations(answers: Iterable[str]) -> bool:
    """Tell whether answers are choices of several options, joined: parts that stand in other answers as well."""
    parts = [frozenset(part for part in _JOINTS.split(answer) if part) for answer in answers]
    seen = Counter(part for answer in parts for part in answer)
    joined = [answer for answer in parts if len(answer) > 1]
    return bool(joined) and all(seen[part] > 1 for answer in joined for part in answer)


def _numeric(column: _Column, limits: tuple[int, int] | None, section: str) -> ProposedColumn:
    label, kinds = column.label, column.cells.nunique()
    asked_of = _PAY.sub("", label) if _CONTENT.search(label) else label
    is_category = bool(quasi_kind(column.header) or _CATEGORY.search(asked_of)) and not section
    is_rating = bool(section or _RATING.search(label) or _SHORT.match(column.header))
    if is_category and not _RATING.search(label):
        if 2 <= kinds <= _MOST_CATEGORIES:
            node = Node("", role="group", label_zh=label, text_zh=label)
            return ProposedColumn(column.header, node, "选项序号，作分组 (numbers of options: a group)")
        return ProposedColumn(column.header, None, "数字，不是评分 (numbers that rate nothing)")
    if limits is not None and is_rating and not is_category:
        low, high = limits
        if limits == (1, 10) and _RECOMMEND.search(label) and _given_range(column) is None:
            low = 0  # as such questions are asked; that nobody chose 0 does not tell
        node = Node("", label_zh=label, text_zh=label, minimum=low, maximum=high)
        if (low, high) == (0, 10) and _RECOMMEND.search(label):
            return ProposedColumn(
                column.header, node, "0–10 的推荐意愿，作结果题 (likelihood to recommend: an outcome)", None, OUTCOME
            )
        return ProposedColumn(column.header, node, f"{low}–{high} 的评分 (ratings {low}–{high})", None, section)
    if kinds > _MOST_CATEGORIES:
        return ProposedColumn(column.header, None, "数字，不是评分 (numbers that rate nothing)")
    shown = "、".join(f"{value:g}" for value in sorted(column.values.unique()))
    return _ask(column, ("item", "group", LEFT_OUT), f"数字不知何意 (numbers of unknown meaning): {shown}")


def _ask(column: _Column, choices: tuple[str, ...], evidence: str) -> ProposedColumn:
    node = Node(
        "", role="ask", label_zh=column.label, text_zh=column.label, choices="|".join(choices), evidence=evidence
    )
    return ProposedColumn(column.header, node, f"请决定 (to be decided): {evidence}", None, column.stem)


def _as_decided(column: _Column, role: str, decisions: Decisions, columns: Mapping[str, _Column]) -> ProposedColumn:
    label, section = column.label, column.stem
    why = "按您的决定 (as you decided)"
    if role == LEFT_OUT:
        return ProposedColumn(column.header, None, why)
    if role == "unit":
        return ProposedColumn(column.header, Node("unit", role="unit", label_zh="单位"), why)
    if role in CHOICE_ROLES:
        return ProposedColumn(
            column.header, Node("", role=role, label_zh=matrix_row(column.header)), why, None, section
        )
    if role != "item":
        return ProposedColumn(column.header, Node("", role=role, label_zh=label, text_zh=label), why, None, section)
    options = _ordered([column], decisions.scales).get(column.header)
    limits = _ranges(list(columns.values())).get(column.header)
    if isinstance(options, OrderedOptions):
        return replace(_question(column, options, None), why=why)
    if column.is_whole:
        low, high = limits or (1, int(column.values.max()))
        node = Node("", label_zh=label, text_zh=label, minimum=low, maximum=high)
        return ProposedColumn(column.header, node, why, None, section)
    reason = options.reason if isinstance(options, Doubt) else "选项高低未知 (the order of its options is not known)"
    return _ask(column, ("item", "group", LEFT_OUT), f"{reason};--scale '最差,…,最好'")


def scale_of(options: OrderedOptions) -> Scale:
    """Return the scale of ordered options: values 1 … k in even steps, or the points they give."""
    points = [points_of(text) for text in options.texts]
    rated = [
        Option(str(step), float(step) if point is None else point, text)
        for step, (text, point) in enumerate(zip(options.texts, points, strict=True), start=1)
    ]
    none = [Option(str(len(rated) + k), float("nan"), text) for k, text in enumerate(options.missing, start=1)]
    return Scale(f"scale_{options.family}{len(rated)}", (*rated, *none))


def _low(options: OrderedOptions) -> float:
    points = points_of(options.texts[0])
    return 1.0 if points is None else min(1.0, points)


def _high(options: OrderedOptions) -> float:
    points = [points_of(text) or 0.0 for text in options.texts]
    return max(points) if any(points) else float(len(options.texts))


def _coded(columns: list[ProposedColumn], decisions: Decisions) -> list[ProposedColumn]:
    """Give codes, directions, sections and names of scales that do not clash."""
    scales: dict[str, Scale] = {}
    questions: dict[tuple[str, str], tuple[str, int]] = {}  # role and wording of a choice → its code, options so far
    coded = []
    for place, column in enumerate(columns, start=1):
        node = column.node
        if node is None or node.code:
            coded.append(column)
            continue
        if node.role in CHOICE_ROLES:
            question, options = questions.get((node.role, column.section), (f"{node.role}{place}", 0))
            questions[node.role, column.section] = question, options + 1
            coded.append(replace(column, node=replace(node, code=f"{question}_{options + 1}", parent=question)))
            continue
        node = replace(node, code=f"{node.role}{place}")
        if node.role == "item" and header_names(column.header) & set(decisions.reverse):
            node = replace(node, direction=-1)
        scale = column.scale
        if scale is not None:
            name = scale.name
            while name in scales and scales[name].options != scale.options:
                name += "b"
            scale = replace(scale, name=name)
            scales[name] = scale
            node = replace(node, scale=name)
        section = column.section
        if section != OUTCOME and decisions.dimensions == "one":
            section = ""
        elif section != OUTCOME and decisions.dimensions == "by-number":
            number = question_number(column.header)
            section = f"第{number}题" if number else ""
        coded.append(replace(column, node=node, scale=scale, section=section))
    return coded
