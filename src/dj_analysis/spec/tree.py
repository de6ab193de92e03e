"""The indicator tree: leaves with a direction and a range, aggregated by weighted means."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, Literal, Self

from ..errors import Problems, unknown
from ..result import rows_of
from .periods import bound, parse
from .tables import Table, numbers, whole_numbers

Form = Literal["anchors", "full"]
FORMS: tuple[Form, ...] = ("anchors", "full")
SCORED = ("item", "dimension", "index", "outcome")
#: Multiple choices and rankings: a question and its options; they are counted, and no part of any score.
CHOICES, CHOICE_ROLES = "choices", ("choice", "ranking")

# Least share of answered leaves, or of scored children, for which a node gets a score (design: forms and waves).
MIN_SHARE_LEAVES = {"anchors": 0.5, "full": 0.6}
MIN_SHARE_NODES = 0.75


#: How ``nature`` marks an indicator of quantity and one of quality (三比三看).
AXIS_MARKS: Mapping[str, tuple[str, str]] = {"quantity": ("数量", "quantity"), "quality": ("质量", "quality")}


@dataclass(frozen=True)
class Node:
    """One code of a tree: an item or indicator (leaf), or something averaged from its children.

    ``minimum`` and ``maximum`` bound a leaf's value after its scale; ``direction`` is -1 where high is bad; ``expected`` is the
    answer a question asks for that only checks whether people read it. ``choices`` and ``evidence`` stand with a column that
    is still to be decided (role ``ask``).
    """

    code: str
    parent: str = ""
    label_zh: str = ""
    label_en: str = ""
    role: str = "item"
    direction: int = 1
    weight: float = 1.0
    minimum: float = float("nan")
    maximum: float = float("nan")
    text_zh: str = ""
    text_en: str = ""
    scale: str = ""
    form: str = ""
    min_share: float = float("nan")
    about: str = ""
    rollup: str = ""
    valid_from: str = ""
    valid_to: str = ""
    replaces: str = ""
    expected: float = float("nan")
    choices: str = ""
    evidence: str = ""

    def label(self, language: str = "zh") -> str:
        """Name for a reader; the code where none is given."""
        return (self.label_en or self.label_zh if language == "en" else self.label_zh) or self.code

    def valid_on(self, day: date) -> bool:
        """Tell whether this version of the code holds on a day."""
        first, last = valid_between(self.valid_from, self.valid_to)
        return first <= day <= last


@dataclass(frozen=True)
class Indicator(Node):
    """A node of an indicator tree about units, with what only indicators declare.

    Attributes
    ----------
    aggregator
        How the children make this node: ``arithmetic`` (default), ``geometric``, ``harmonic`` or ``points``. All but ``points`` hold for
        the nodes below as well, unless these declare their own: see :meth:`Tree.aggregator_of`.
    denominator
        Code of the indicator each value is divided by, or ``headcount``; the range is that of the ratio.
    kind
        Under ``points``: empty for a value on its range, ``deduct`` (points off for each count, never below 0), ``bonus``
        (points on for each count, up to the weight), ``veto`` (any count makes the whole 0).
    points_each
        Points off or on for each count.
    target
        The value aimed at (专业标杆); NaN where none is declared.
    minutes
        Minutes a branch spends on it each month.
    criterion, evidence, owner_department, nature
        Standard of assessment (考核标准), what proves the value, who is responsible, and attributes (党政、定性定量、共性个性、
        数量质量), separated by ``|``.
    question
        Why its range or direction is still to be decided (role ``ask``).
    """

    aggregator: str = ""
    denominator: str = ""
    kind: str = ""
    points_each: float = float("nan")
    target: float = float("nan")
    minutes: float = float("nan")
    criterion: str = ""
    evidence: str = ""
    owner_department: str = ""
    nature: str = ""
    question: str = ""

    @property
    def attributes(self) -> tuple[str, ...]:
        """What ``nature`` says, one by one."""
        return tuple(dict.fromkeys(part.strip() for part in self.nature.split("|") if part.strip()))


def fields_of(declared: Any) -> tuple[Any, ...]:
    """Return the fields of a node or unit, plain values all of them, as ``astuple`` does, which copies each."""
    return tuple(getattr(declared, name) for name in declared.__dataclass_fields__)


def is_counted(node: Node) -> bool:
    """Tell whether a leaf earns or loses points by count, and so needs no range."""
    return isinstance(node, Indicator) and node.kind != ""


def is_extra(node: Node) -> bool:
    """Tell whether a part of a points sheet stands beside its weights: a bonus or a veto."""
    return isinstance(node, Indicator) and node.kind in ("bonus", "veto")


@dataclass(frozen=True)
class Tree:
    """A frozen, versioned tree of nodes; ``about`` tells whether its values are about persons or about units.

    Nodes keep their declared order. A tree read from a file holds every version of a code; ``at(period)`` keeps those
    valid on the last day of the period.
    """

    nodes: tuple[Node, ...]
    about: Literal["persons", "units"] = "persons"
    form: Form = "full"

    def at(self, period: str) -> Self:
        """Keep the versions valid at the end of a period; without a period, keep all."""
        if not period:
            return self
        day = parse(period).end
        return replace(self, nodes=tuple(node for node in self.nodes if node.valid_on(day)))

    def in_form(self, form: Form) -> Self:
        """Keep the leaves asked in a form, and the nodes above them.

        Anchors are the leaves with ``form = both``; a tree without forms has only anchors.
        """
        asked = [leaf for leaf in self.leaves if self._asked(leaf, form)]
        codes = {leaf.code for leaf in asked} | {code for leaf in asked for code in self.ancestors(leaf.code)}
        return replace(self, nodes=tuple(node for node in self.nodes if node.code in codes), form=form)

    @cached_property
    def has_forms(self) -> bool:
        """Tell whether some leaves are asked only in the full form."""
        return any(node.form for node in self.nodes)

    @cached_property
    def leaves(self) -> tuple[Node, ...]:
        """Nodes without children that carry answers or values."""
        parents = {node.parent for node in self.nodes}
        return tuple(node for node in self.nodes if node.code not in parents and node.role == "item")

    @cached_property
    def inner(self) -> tuple[Node, ...]:
        """Nodes averaged from children, each after its children."""
        depth = {node.code: len(self.ancestors(node.code)) for node in self.nodes}
        with_children = [node for node in self.nodes if self.children(node.code)]
        return tuple(sorted(with_children, key=lambda node: -depth[node.code]))

    @property
    def top(self) -> str:
        """Code of the first node without a parent; ``""`` in an empty tree."""
        return next((node.code for node in self.nodes if not node.parent), "")

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Codes of all nodes in their declared order."""
        return tuple(dict.fromkeys(node.code for node in self.nodes))

    def __getitem__(self, code: str) -> Node:
        node = self._by_code.get(code)
        if node is None:
            raise unknown("代码/code", code, self._by_code)
        return node

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def children(self, code: str) -> tuple[Node, ...]:
        """Return the direct children, in their declared order."""
        return self._children.get(code, ())

    def ancestors(self, code: str) -> list[str]:
        """Return the codes above, nearest first."""
        above: list[str] = []
        while (parent := self._by_code[code].parent) and parent in self._by_code and parent not in above:
            above.append(parent)
            code = parent
        return above

    def leaves_of(self, code: str) -> tuple[Node, ...]:
        """Return the leaves below a node, or the leaf itself."""
        return tuple(leaf for leaf in self.leaves if leaf.code == code or code in self.ancestors(leaf.code))

    def weight_in_whole(self, code: str, top: str = "") -> float:
        """Return what a node weighs in the whole tree (or below ``top``), 0–1: its share among its siblings, times that of its parent.

        A bonus and a veto have no share.
        """
        share, node = 1.0, self[code]
        while node.code != top and node.parent in self:
            siblings = self.children(node.parent)
            share *= node.weight / sum(
                one.weight for one in siblings if getattr(one, "kind", "") not in ("bonus", "veto")
            )
            node = self[node.parent]
        return share

    def least(self, node: Node) -> int:
        """Return the number of children that must have a value for the node to get a score."""
        children = self.children(node.code)
        share = node.min_share
        if share != share:
            leaves = all(not self.children(child.code) for child in children)
            share = MIN_SHARE_LEAVES[self.form if self.has_forms else "full"] if leaves else MIN_SHARE_NODES
        whole = share * len(children)
        return max(1, int(whole) + (whole - int(whole) > 1e-9))

    def aggregator_of(self, node: Node) -> str:
        """Return how the children make a node: by what it declares, else by what the nearest node above it declares.

        ``points`` holds for the node that declares it only: what a points sheet adds up are the points of its parts.
        """
        for one in (node, *(self[code] for code in self.ancestors(node.code))):
            name = one.aggregator if isinstance(one, Indicator) else ""
            if name == "points" and one is not node:
                break
            if name:
                return name
        return "arithmetic"

    @cached_property
    def version(self) -> str:
        """Short hash of the whole declaration; it changes when anything that decides a number changes."""
        return hashlib.sha256(repr([fields_of(node) for node in self.nodes]).encode()).hexdigest()[:12]

    def scoring_version(self, code: str) -> str:
        """Short hash of what decides the score of a code: the leaves below it, their ranges, relative weights, aggregation.

        Labels, targets and dates do not change it; ``""`` where the tree has no such code.
        """
        if code not in self:
            return ""
        node, children = self[code], self.children(code)
        whole = sum(child.weight for child in children if not is_extra(child)) or 1.0
        below = [(child.code, round(child.weight / whole, 9), self.scoring_version(child.code)) for child in children]
        how = self.aggregator_of(node) if children else ""
        how = getattr(node, "aggregator", "") if how == "arithmetic" else how  # as it was before there were others
        own: tuple[object, ...] = (node.rollup, how, f"{node.min_share:g}")
        if not children:
            kind, each = getattr(node, "kind", ""), getattr(node, "points_each", float("nan"))
            own = (*own, node.direction, f"{node.minimum:g}", f"{node.maximum:g}", node.scale, kind, f"{each:g}")
            own = (*own, node.weight) if kind in ("deduct", "bonus") else own
            own = (*own, below_line) if (below_line := getattr(node, "denominator", "")) else own
        return hashlib.sha256(repr((own, below)).encode()).hexdigest()[:8]

    @cached_property
    def _by_code(self) -> dict[str, Node]:
        return {node.code: node for node in self.nodes}

    @cached_property
    def _children(self) -> dict[str, tuple[Node, ...]]:
        by_parent: dict[str, list[Node]] = {}
        for node in self.nodes:
            by_parent.setdefault(node.parent, []).append(node)
        return {code: tuple(nodes) for code, nodes in by_parent.items() if code}

    def _asked(self, leaf: Node, form: Form) -> bool:
        if not self.has_forms:
            return True
        return leaf.form == "both" or (form == "full" and leaf.form in ("full", ""))


def read_nodes(table: Table, problems: Problems, kind: type[Node] = Node) -> list[Node]:
    """Build nodes from a checked table; invalid cells were noted by the schema check and take their default."""
    frame, nodes = table.frame, []
    if "direction" in frame:
        frame = frame.assign(direction=whole_numbers(frame["direction"]))
    numeric = ("weight", "minimum", "maximum", "min_share", "expected", "points_each", "target", "minutes")
    figures = {
        name: numbers(frame[name]).tolist() for name in numeric if name in frame and name in kind.__dataclass_fields__
    }
    for row, cells in enumerate(rows_of(frame)):
        if not cells["code"]:
            problems.add(f"{table.place}: 第 {row + 2} 行", "missing_code", "(空)", "code", "填上代码 (give a code)")
            continue
        values = {name: figures[name][row] for name in figures}
        text = {name: str(cells[name]) for name in kind.__dataclass_fields__ if name in cells and name not in values}
        direction = -1 if text.pop("direction", "") == "-1" else 1
        values["weight"] = 1.0 if values["weight"] != values["weight"] else values["weight"]
        role = text.pop("role", "") or "item"
        nodes.append(kind(**text, role=role, direction=direction, **values))  # type: ignore[arg-type]
    return nodes


def check_tree(place: str, nodes: list[Node], problems: Problems) -> None:
    """Note errors in the tree: orphans, cycles, overlapping versions, weights, ranges."""
    codes = {node.code for node in nodes}
    parents = {node.parent for node in nodes}
    by_code: dict[str, list[Node]] = {}
    for node in nodes:
        by_code.setdefault(node.code, []).append(node)
        where = f"{place}: {node.code}"
        if node.parent and node.parent not in codes:
            problems.add(
                where, "orphan_node", node.parent, "已有代码 (an existing code)", "补上上级或改正 (correct parent)"
            )
        if node.weight < 0:
            problems.add(where, "negative_weight", node.weight, ">= 0", "反向请用 direction = -1 (use direction)")
        if (
            node.code not in parents
            and node.role == "item"
            and not is_counted(node)
            and not node.minimum < node.maximum
        ):
            bounds = f"minimum={node.minimum}, maximum={node.maximum}"
            problems.add(where, "range", bounds, "minimum < maximum", "填上量表两端 (give both ends of the range)")
        if node.role in ("dimension", "index", "outcome") and node.code not in parents:
            problems.add(
                where, "no_children", node.role, "至少一个下级", "补上题目或改 role (add items or correct role)"
            )
        if node.min_share == node.min_share and not 0 < node.min_share <= 1:
            problems.add(where, "range", node.min_share, "0 < min_share <= 1", "改正 (correct it)")
    for code, versions in by_code.items():
        _check_overlap(f"{place}: {code}", versions, problems)
        if _in_cycle(code, by_code):
            problems.add(f"{place}: {code}", "cycle", code, "无环 (no cycle)", "改正 parent (correct parent)")
    for parent in parents - {""}:
        weights = [node.weight for node in nodes if node.parent == parent]
        if sum(weights) == 0:
            zero_weights = f"{len(weights)} × 0"
            problems.add(
                f"{place}: {parent}", "zero_weights", zero_weights, "权重之和 > 0", "改正 weight (correct weight)"
            )


def check_nature(place: str, nodes: list[Indicator], problems: Problems) -> None:
    """Note indicators that are marked as quantity and as quality at once: the two are set against each other."""
    marks = [word for words in AXIS_MARKS.values() for word in words]
    for node in nodes:
        if all(set(words) & set(node.attributes) for words in AXIS_MARKS.values()):
            found = "、".join(one for one in node.attributes if one in marks)
            problems.add(f"{place}: {node.code} nature", "nature", found, "其一 (one of them)", "留下一个 (keep one)")


def check_points(place: str, nodes: list[Indicator], problems: Problems) -> None:
    """Note errors in how indicators earn points: kinds outside a points sheet, no points for a count, a sum other than 100."""
    by_code: dict[str, list[Indicator]] = {}
    for node in nodes:
        by_code.setdefault(node.code, []).append(node)
    for node in nodes:
        above = by_code.get(node.parent, [])
        on_sheet = any(parent.aggregator == "points" for parent in above)
        where = f"{place}: {node.code}"
        if node.kind and not on_sheet:
            advice = "上级的 aggregator 填 points (give its parent the aggregator points)"
            problems.add(where, "kind_outside_points", node.kind, "上级 aggregator = points", advice)
        if node.kind in ("deduct", "bonus") and not node.points_each > 0:
            problems.add(
                where, "range", node.points_each, "> 0", "填上每次扣(加)几分 (points off or on for each count)"
            )
    for code, versions in by_code.items():
        for node in versions:
            if node.aggregator == "points" and not any(p.aggregator == "points" for p in by_code.get(node.parent, [])):
                _check_sum(f"{place}: {code}", node, nodes, problems)


def _check_sum(where: str, node: Indicator, nodes: list[Indicator], problems: Problems) -> None:
    """Note a points sheet whose items, as they were on the day it began, do not add to 100."""
    for day in sorted({valid_between(one.valid_from, one.valid_to)[0] for one in nodes if one.parent == node.code}):
        if not node.valid_on(day):
            continue
        parts = [one for one in nodes if one.parent == node.code and one.valid_on(day)]
        total = sum(one.weight for one in parts if one.kind not in ("bonus", "veto"))
        if parts and abs(total - 100) > 1e-6:
            problems.add(
                where, "points_sum", f"{total:g}", "100", "各项分值合计应为 100 (the points of its parts add to 100)"
            )


def _check_overlap(where: str, versions: list[Node], problems: Problems) -> None:
    spans = sorted((valid_between(node.valid_from, node.valid_to) for node in versions), key=lambda span: span[0])
    for (_, end), (start, _) in itertools.pairwise(spans):
        if start <= end:
            overlap = f"{len(versions)} 个版本,{start} 起重叠"
            advice = "给旧版本填 valid_to (end the old version with valid_to)"
            problems.add(where, "two_versions_at_once", overlap, "同一时间一个版本", advice)


def valid_between(valid_from: str, valid_to: str) -> tuple[date, date]:
    """Return first and last day; an unreadable or missing bound is open."""
    try:
        first = bound(valid_from, last=False) if valid_from else date.min
    except Exception:  # noted by the schema as bad_date
        first = date.min
    try:
        last = bound(valid_to, last=True) if valid_to else date.max
    except Exception:  # noted by the schema as bad_date
        last = date.max
    return first, last


def _in_cycle(code: str, by_code: dict[str, list[Node]]) -> bool:
    seen, here = set(), code
    while here in by_code and (here := by_code[here][0].parent):
        if here == code:
            return True
        if here in seen:
            return False
        seen.add(here)
    return False
