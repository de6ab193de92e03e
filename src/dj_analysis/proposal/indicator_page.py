"""The section of PROPOSAL.md on branch indicators: what each column was taken for, what is asked, which sheets were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .summary import PAGES, SECTION, one_language, safe_cell

#: The line before the part that stays when questions are decided.
KEPT = "<!-- dj: sheets -->"
_FIRST_VALUES = 5
_WORDS = {
    "title": ("支部指标", "Branch indicators"),
    "open": ("待决定的问题", "Open questions"),
    "none": ("没有。", "None."),
    "how": (
        "用 `dj new 文件夹 --again --lower '越低越好的指标' --range '指标=0-100'` 决定(没有越低越好的写 `--lower none`),"
        "或在 indicators.csv 填好 direction、minimum、maximum,再把 role 改为 item。",
        "Decide with `dj new FOLDER --again --lower 'INDICATORS' --range 'INDICATOR=0-100'` (`--lower none` where of none less is "
        "better), or fill in direction, minimum, maximum in indicators.csv and change role to item.",
    ),
    "head": ("指标|方面|头几个值|区间|方向|权重|理由", "indicator|aspect|first values|range|direction|weight|why"),
    "sheets": ("工作表", "Sheets"),
    "sheet_head": ("工作表|时期", "sheet|period"),
    "in_rows": ("见各行", "told by its rows"),
    "units": ("单位", "Units"),
    "notes": ("说明", "Notes"),
    "good": ("高为好", "high is good"),
    "bad": ("高为差", "high is bad"),
    "ask": ("**待定**", "**to be decided**"),
}


@dataclass(frozen=True)
class IndicatorPage:
    """What the section tells: rows of indicators.csv, values (unit, period, code, value), sheets with their periods, units, notices."""

    rows: Sequence[Mapping[str, str]]
    values: Sequence[Sequence[str]]
    sheets: Mapping[str, str]
    periods: Sequence[str]
    units: Sequence[str]
    notices: Sequence[str]

    def write(self, folder: Path) -> None:
        """Write the section in both languages behind what stands there; without sheets what was said of them stays."""
        for language, name in PAGES.items():
            path = folder / name
            before, _, section = (path.read_text(encoding="utf-8") if path.exists() else "").partition(SECTION)
            here = 0 if language == "zh" else 1
            tail = self._sheets(here) if self.sheets else section.partition(KEPT)[2].strip("\n").split("\n")
            lines = [SECTION, "", *self._indicators(here), "", KEPT, "", *tail]
            path.write_text((before.rstrip("\n") + "\n\n" if before.strip() else "") + "\n".join(lines) + "\n", "utf-8")

    def _indicators(self, here: int) -> list[str]:
        say = {name: words[here] for name, words in _WORDS.items()}
        lines = [f"# {say['title']}", "", f"## {say['open']}", ""]
        asked = [row for row in self.rows if row["role"] == "ask"]
        lines += [
            f"- {safe_cell(r['label_zh'])} ({r['code']}): {safe_cell(one_language(r['question'], here))} → {r['choices'].replace('|', ' / ')}"
            for r in asked
        ]
        lines += ["", say["how"]] if asked else [say["none"]]
        names = say["head"].split("|")
        lines += ["", f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
        labels = {row["code"]: row["label_zh"] for row in self.rows if row["role"] == "dimension"}
        first: dict[str, list[str]] = {}
        for _, _, code, value in self.values:
            shown = first.setdefault(code, [])
            if value and len(shown) < _FIRST_VALUES and value not in shown:
                shown.append(value)
        for row in self.rows:
            if row["role"] not in ("item", "ask"):
                continue
            span = f"{row['minimum']}–{row['maximum']}" if row["minimum"] else say["ask"]
            direction = {"1": say["good"], "-1": say["bad"]}.get(row["direction"], say["ask"])
            cells = (
                row["label_zh"], labels.get(row["parent"], ""), "、".join(first.get(row["code"], [])), span, direction,
                row["weight"], one_language(row.get("why", ""), here),
            )  # fmt: skip
            lines.append(f"| {' | '.join(map(safe_cell, cells))} |")
        return lines

    def _sheets(self, here: int) -> list[str]:
        say = {name: words[here] for name, words in _WORDS.items()}
        names = say["sheet_head"].split("|")
        lines = [f"## {say['sheets']}", "", f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
        lines += [f"| {safe_cell(name)} | {period or say['in_rows']} |" for name, period in self.sheets.items()]
        shown = "、".join(safe_cell(name) for name in self.units[:12]) + (" …" if len(self.units) > 12 else "")
        lines += ["", f"## {say['units']}", "", f"{len(self.units)}: {shown}"]
        if self.notices:
            lines += ["", f"## {say['notes']}", "", *(f"- {safe_cell(one_language(n, here))}" for n in self.notices)]
        return lines
