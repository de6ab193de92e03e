"""The survey instrument: a tree of questions with their wording, scales and forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from ..errors import Problems, SpecError
from ..result import rows_of
from .indicator_methods import check_denominators, check_headers, check_methods
from .lint import check_records, check_subjects, craft_warnings
from .periods import parse
from .schemas import CODEBOOK, INDICATORS, SCALES
from .settings import MOST_TOGETHER, Settings
from .tables import Table, conform, load_table, numbers, read_text, whole_numbers
from .tree import (
    CHOICE_ROLES,
    SCORED,
    Indicator,
    Node,
    Tree,
    check_nature,
    check_points,
    check_tree,
    is_counted,
    read_nodes,
)


@dataclass(frozen=True)
class Option:
    """One answer option: its number in the form, its value (NaN = counts as missing) and its wording."""

    code: str
    value: float
    label_zh: str = ""
    label_en: str = ""


@dataclass(frozen=True)
class Scale:
    """The options of a question in the order shown."""

    name: str
    options: tuple[Option, ...]

    @cached_property
    def values(self) -> Mapping[str, float]:
        """Value by option wording (either language), else by option number; NaN where the option counts as missing."""
        by_text: dict[str, float] = {}
        for option in self.options:
            by_text.update({label: option.value for label in (option.label_zh, option.label_en) if label})
        return {**{option.code: option.value for option in self.options}, **by_text}

    @property
    def offers_way_out(self) -> bool:
        """Tell whether an option counts as missing (不了解/不适用)."""
        return any(option.value != option.value for option in self.options)


@dataclass(frozen=True)
class Codebook:
    """A frozen instrument: the scored tree, what is asked beside it, and the scales.

    Attributes
    ----------
    tree
        Items, dimensions, index and outcomes, every version of them.
    others
        Check questions, free texts, group columns, the weight column and the column of work teams.
    scales
        Scale by name.
    """

    tree: Tree
    others: tuple[Node, ...] = ()
    scales: Mapping[str, Scale] = field(default_factory=dict)
    recall: str = ""
    not_applicable: bool = False

    def at(self, period: str) -> Self:
        """Keep the versions valid at the end of a period; without a period, keep all."""
        if not period:
            return self
        day = parse(period).end
        return replace(
            self, tree=self.tree.at(period), others=tuple(node for node in self.others if node.valid_on(day))
        )

    @property
    def groups(self) -> tuple[Node, ...]:
        """Declared group columns (年龄段, 岗位类别 …)."""
        return tuple(node for node in self.others if node.role == "group")

    @cached_property
    def choices(self) -> Tree:
        """Multiple choices and rankings: each question above its options.

        An option of a multiple choice counts 1 where it was chosen and 0 where another was; an option of a ranking counts its
        place among those of its question, 1 first.
        """
        listed = [node for node in self.others if node.role in CHOICE_ROLES]
        options = {node.code: [one.code for one in listed if one.parent == node.code] for node in listed}
        nodes = []
        for node in listed:
            if options[node.code]:
                nodes.append(replace(node, role="dimension", parent="", min_share=1 / len(options[node.code])))
            elif node.parent:
                places = len(options.get(node.parent, ()))
                low, high, direction = (0.0, 1.0, 1) if node.role == "choice" else (1.0, float(max(places, 2)), -1)
                nodes.append(replace(node, role="item", minimum=low, maximum=high, direction=direction, form=""))
        return Tree(tuple(nodes))

    def is_ranking(self, question: str) -> bool:
        """Tell whether a question above options is a ranking, and no multiple choice."""
        return any(node.code == question and node.role == "ranking" for node in self.others)

    @property
    def weight(self) -> str | None:
        """Code of the column with respondents' weights, if one is declared."""
        return next((node.code for node in self.others if node.role == "weight"), None)

    @property
    def team(self) -> str | None:
        """Code of the column with respondents' work teams (班组), if one is declared: it serves errors alone."""
        return next((node.code for node in self.others if node.role == "team"), None)

    @property
    def index(self) -> str | None:
        """Code of the index, if the tree has one."""
        return next((node.code for node in self.tree if node.role == "index"), None)

    @property
    def dimensions(self) -> tuple[Node, ...]:
        """The index's direct children, or all nodes right above leaves where there is no index."""
        if self.index:
            return self.tree.children(self.index)
        return tuple(node for node in self.tree.inner if node.role == "dimension")

    def forms(self, asked: Literal["full", "pulse"]) -> tuple[Literal["anchors", "full"], ...]:
        """Forms of rows a wave has: anchors always, full as well when the full form was asked and forms exist."""
        return ("anchors", "full") if self.tree.has_forms and asked == "full" else ("anchors",)

    @property
    def version(self) -> str:
        """Short hash of the tree's declaration."""
        return self.tree.version

    @property
    def warnings(self) -> Problems:
        """Poorly worded questions; these are warnings, not errors."""
        return craft_warnings(
            self.tree,
            recall_declared=bool(self.recall),
            not_applicable=[name for name, scale in self.scales.items() if scale.offers_way_out],
            declared_everywhere=self.not_applicable,
        )


def read_codebook(path: str | Path, scales: str | Path | None = None) -> Codebook:
    """Read an instrument from a table file.

    Parameters
    ----------
    path
        codebook.csv (or .xlsx, .parquet): code, parent, label_zh, role, direction, weight; minimum, maximum, label_en,
        text_zh, text_en, scale, form, min_share, valid_from, valid_to, replaces.
    scales
        The scales table; ``scales.csv`` beside the codebook by default, when it exists.

    Raises
    ------
    SpecError
        Lists everything that is wrong, forbidden subjects among it.

    Examples
    --------
    >>> dj.read_codebook(folder / "codebook.csv").index
    'INDEX'
    """
    problems, path = Problems(), Path(path)
    table = read_text(path, problems)
    beside = Path(scales) if scales else next((p for p in path.parent.glob("scales.*") if p.suffix != ".toml"), None)
    options = read_text(beside, problems) if beside else None
    codebook = build_codebook(
        conform(table, CODEBOOK, problems) if table else None,
        conform(options, SCALES, problems) if options else None,
        problems,
    )
    problems.raise_if_any(SpecError)
    return codebook


def load_codebook(settings: Settings, problems: Problems) -> Codebook:
    """Read a workspace's instrument; what is wrong goes into ``problems``."""
    codebook = build_codebook(
        load_table(settings, "codebook", CODEBOOK, problems),
        load_table(settings, "scales", SCALES, problems),
        problems,
    )
    _check_cross(settings, {node.code for node in codebook.groups}, problems)
    return replace(codebook, recall=settings.recall, not_applicable=settings.not_applicable)


def load_indicators(settings: Settings, problems: Problems) -> Tree | None:
    """Read a workspace's branch indicators as a tree about units; None where there are none."""
    table = load_table(settings, "indicators", INDICATORS, problems)
    if table is None:
        return None
    nodes = read_nodes(table, problems, Indicator)
    check_tree(table.place, nodes, problems)
    indicators = [node for node in nodes if isinstance(node, Indicator)]
    check_headers(table, problems)
    check_methods(table, problems)
    check_denominators(table.place, indicators, problems)
    check_points(table.place, indicators, problems)
    check_nature(table.place, indicators, problems)
    return Tree(_sound(nodes), about="units")


def build_codebook(table: Table | None, scales: Table | None, problems: Problems) -> Codebook:
    """Build a codebook from checked tables; forbidden subjects and invalid trees go into ``problems``."""
    if table is None:
        return Codebook(Tree(()))
    nodes = read_nodes(table, problems)
    scored = [node for node in nodes if node.role in SCORED]
    others = [node for node in nodes if node.role not in SCORED]
    scales_by_name = _scales(scales, problems)
    check_tree(table.place, scored, problems)
    _check_choices(table.place, others, problems)
    check_subjects(table.place, nodes, problems)
    check_records(table.place, nodes, problems)
    for node in nodes:
        if node.scale and node.scale not in scales_by_name:
            advice = "在 scales 表补上 (add it to scales)"
            allowed = ", ".join(scales_by_name) or "scales 表中的量表 (a scale of the table scales)"
            problems.add(f"{table.place}: {node.code}", "unknown_scale", node.scale, allowed, advice)
    return Codebook(Tree(_sound(scored)), tuple(others), scales_by_name)


@cache
def default_codebook() -> Codebook:
    """Return the instrument this package ships (spec/defaults/codebook.csv; domain E), free to use and to change."""
    with resources.as_file(resources.files(__package__).joinpath("defaults")) as folder:
        codebook = read_codebook(folder / "codebook.csv")
    return replace(codebook, recall="最近三个月")


def _check_cross(settings: Settings, groups: set[str], problems: Problems) -> None:
    """Note cross-classifications of more group columns than are allowed together (R16)."""
    for crossed in settings.cross:
        together = [name for name in crossed if name in groups]
        if len(together) > MOST_TOGETHER:
            allowed = f"至多 {MOST_TOGETHER} 个分组 (at most {MOST_TOGETHER} group columns)"
            advice = "去掉几个分组,越细越能认出个人 (drop some: finer cells tell who people are)"
            problems.add("workspace.toml [publish] cross", "too_many_groups", " × ".join(together), allowed, advice)


def _check_choices(place: str, others: list[Node], problems: Problems) -> None:
    """Note a multiple choice or ranking without options, and an option whose question is missing or of another role."""
    questions = {node.code: node.role for node in others if node.role in CHOICE_ROLES and not node.parent}
    for node in others:
        where = f"{place}: {node.code}"
        if node.role not in CHOICE_ROLES:
            continue
        if node.parent and questions.get(node.parent) != node.role:
            allowed = ", ".join(code for code, role in questions.items() if role == node.role) or f"role = {node.role}"
            advice = "每个选项的 parent 写它的题 (give each option its question as parent)"
            problems.add(where, "orphan_node", node.parent, allowed, advice)
        elif not node.parent and sum(other.parent == node.code for other in others) < 2:
            advice = "每个选项一行，parent 写本题 (one row an option, with this question as parent)"
            problems.add(where, "no_children", node.role, "至少两个选项 (two options at least)", advice)


def _scales(table: Table | None, problems: Problems) -> dict[str, Scale]:
    if table is None:
        return {}
    frame = table.frame
    values, codes = numbers(frame["value"]).tolist(), whole_numbers(frame["code"]).tolist()
    options: dict[str, list[Option]] = {}
    for row, cells in enumerate(rows_of(frame)):
        value = float("nan") if cells["missing"] == "1" else values[row]
        option = Option(codes[row], value, cells["label_zh"], cells["label_en"])
        options.setdefault(cells["scale"], []).append(option)
        if value != value and cells["missing"] != "1":
            advice = "填分值,或 missing 写 1 (give a value, or missing = 1)"
            problems.add(f"{table.place}: {cells['scale']} {option.code}", "no_value", "(空)", "数 (number)", advice)
    return {name: Scale(name, tuple(scale_options)) for name, scale_options in options.items()}


def _sound(nodes: list[Node]) -> tuple[Node, ...]:
    """Keep the valid nodes, so that one wrong row does not hide errors in the data read next."""
    codes = {node.code for node in nodes}
    sound = [node for node in nodes if (not node.parent or node.parent in codes) and node.weight >= 0]
    parents = {node.parent for node in sound}
    return tuple(
        node
        for node in sound
        if node.code in parents
        or node.role == "ask"
        or (node.role == "item" and (node.minimum < node.maximum or is_counted(node)))
    )
