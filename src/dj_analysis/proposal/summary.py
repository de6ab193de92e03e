"""PROPOSAL.md: what each column was taken for and why, the index as it would be, the units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..spec.codebook import Scale
from ..spec.tree import Node
from .proposed_columns import ProposedColumn

#: The line behind which PROPOSAL.md tells of branch indicators.
SECTION = "<!-- dj: indicators -->"
PAGES = {"zh": "PROPOSAL.md", "en": "PROPOSAL.en.md"}

_FIRST_VALUES = 5
_LONGEST = 24
_ROLE_WORDS = {
    "item": ("评分题", "rating"),
    "group": ("分组", "group"),
    "unit": ("单位", "unit"),
    "choice": ("多选题选项", "multiple choice"),
    "ranking": ("排序题选项", "ranking"),
    "ask": ("**待定**", "**to be decided**"),
    "consent": ("同意栏", "consent"),
    "own_code": ("自编码", "own code"),
    "text": ("文字题", "text"),
    "check": ("核对题", "check"),
    "": ("未存", "not stored"),
}
_WORDS = {
    "title": ("工作区提案", "Proposed workspace"),
    "intro": (
        "下面是 `dj new` 对每一列的理解。请逐行核对；不对的，用命令行选项重做，或改 codebook.csv。",
        "What `dj new` took each column for. Look over every line; put wrong ones right by an option or in codebook.csv.",
    ),
    "open": ("待决定的问题", "Open questions"),
    "none": ("没有。", "None."),
    "how": (
        "在 codebook.csv 把 role 从 ask 改为所选项，或在命令行写 `--as '列名=group'`，再运行 `dj new 文件夹 --again`。",
        "Change role from ask in codebook.csv, or give `--as 'HEADER=group'`, then run `dj new FOLDER --again`.",
    ),
    "columns": ("各列", "Columns"),
    "head": ("列|头几个值|当作|理由", "column|first values|taken for|why"),
    "index": ("指数", "The index"),
    "index_head": ("维度|题目|方向|量表|权重", "dimension|question|direction|scale|weight"),
    "one": (
        "只有一个维度：指数就是各题的平均。",
        "There is one dimension: the index is the mean of all questions.",
    ),
    "good": ("高为好", "high is good"),
    "bad": ("高为差（反向）", "high is bad (reversed)"),
    "numbers": (
        "按数字答的题，数越大算越好；如果 1 代表最好，请用 `--reverse 题号`。",
        "Answers given as numbers: larger counts as better. Where 1 is the best, give `--reverse NUMBER`.",
    ),
    "units": ("单位", "Units"),
    "no_units": ("没有单位列：全体作为一个整体。", "No column gives the unit: everybody is one whole."),
    "unit_numbers": (
        "单位是选项序号：请在 units.csv 的 name_zh 填上名称。",
        "Units are numbers of options: put their names into name_zh of units.csv.",
    ),
    "notes": ("说明", "Notes"),
}


@dataclass(frozen=True)
class ProposalPage:
    """What a page tells: columns with their answers, those left out, the nodes and scales of the codebook, the units."""

    columns: Sequence[ProposedColumn]
    frame: pd.DataFrame
    identifying: Sequence[str]
    nodes: Sequence[Node]
    scales: Sequence[Scale]
    units: Sequence[str]
    notices: Sequence[str]

    def write(self, folder: Path, before: Path | None = None) -> None:
        """Write the page in both languages; a section on indicators in the pages of ``before`` is kept."""
        for language, name in PAGES.items():
            old = "" if before is None or not (before / name).exists() else (before / name).read_text(encoding="utf-8")
            section = "".join(old.partition(SECTION)[1:])
            text = self.text(language) + (f"\n{section}" if section else "")
            (folder / name).write_text(text, encoding="utf-8")

    def text(self, language: str) -> str:
        """Return the page in ``zh`` or ``en``; answers of columns that are not kept are not shown."""
        here = 0 if language == "zh" else 1
        say = {name: words[here] for name, words in _WORDS.items()}
        lines = [f"# {say['title']}", "", say["intro"], "", f"## {say['open']}", "", *self._questions(say, here)]
        lines += ["", f"## {say['columns']}", "", *_table(say["head"]), *self._rows(here)]
        lines += ["", f"## {say['index']}", "", *self._index(say)]
        lines += ["", f"## {say['units']}", ""]
        names = "、".join(safe_cell(name) for name in self.units[:12])
        lines += [f"{len(self.units)}: {names}" if self.units else say["no_units"]]
        if self.units and all(name.isdigit() for name in self.units):
            lines += ["", say["unit_numbers"]]
        if self.notices:
            lines += [
                "",
                f"## {say['notes']}",
                "",
                *(f"- {safe_cell(one_language(notice, here))}" for notice in self.notices),
            ]
        return "\n".join(lines) + "\n"

    def _questions(self, say: dict[str, str], here: int) -> list[str]:
        asked = [(column.header, column.node) for column in self.columns if column.node and column.role == "ask"]
        lines = [
            f"- {safe_cell(header)}: {one_language(node.evidence, here)} → {node.choices.replace('|', ' / ')}"
            for header, node in asked
        ]
        return [*lines, "", say["how"]] if asked else [say["none"]]

    def _rows(self, here: int) -> list[str]:
        lines = []
        for column in self.columns:
            is_shown = column.node is not None and column.role != "own_code"
            shown = _first_values(self.frame[column.header]) if is_shown else "—"
            role = _ROLE_WORDS[column.role][here] if column.role in _ROLE_WORDS else column.role
            lines.append(
                f"| {safe_cell(column.header)} | {shown} | {role} | {safe_cell(one_language(column.why, here))} |"
            )
        out = ("会指向个人，已删去", "left out: leads to a person")[here]
        return lines + [f"| {safe_cell(header)} | — | {_ROLE_WORDS[''][here]} | {out} |" for header in self.identifying]

    def _index(self, say: dict[str, str]) -> list[str]:
        texts = {
            scale.name: " < ".join(option.label_zh for option in scale.options if option.value == option.value)
            for scale in self.scales
        }
        names = {node.code: node.label_zh for node in self.nodes}
        lines = _table(say["index_head"])
        items = [node for node in self.nodes if node.role == "item"]
        for node in items:
            direction = say["bad"] if node.direction == -1 else say["good"]
            scale = texts.get(node.scale) or f"{node.minimum:g}–{node.maximum:g}"
            cells = (names.get(node.parent, ""), node.text_zh or node.label_zh, direction, scale, f"{node.weight:g}")
            lines.append(f"| {' | '.join(map(safe_cell, cells))} |")
        if len({node.code for node in self.nodes if node.role == "dimension"}) == 1:
            lines += ["", say["one"]]
        if any(not node.scale for node in items):
            lines += ["", say["numbers"]]
        return lines


def _first_values(cells: pd.Series) -> str:
    values = list(dict.fromkeys(cell.strip() for cell in cells if cell.strip()))[:_FIRST_VALUES]
    return "、".join(safe_cell(value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…") for value in values)


def _table(head: str) -> list[str]:
    names = head.split("|")
    return [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]


def one_language(text: str, here: int) -> str:
    """Return one language of a bilingual remark, ``中文 (English)``."""
    zh, opening, rest = text.partition(" (")
    if not opening:
        return text
    en, closing, tail = rest.partition(")")
    return (zh if here == 0 else en) + (tail if closing else "")


def safe_cell(text: str) -> str:
    """Keep a cell of a Markdown table one cell, whatever a header or a name holds."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ").replace("<", "&lt;")
