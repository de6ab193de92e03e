"""The declarations of a workspace, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from datetime import timedelta
from pathlib import Path

import pandas as pd

from ..spec import assessment
from ..spec.codebook import Codebook
from ..spec.periods import parse
from ..spec.rubrics import Rubric
from ..spec.schemas import CODEBOOK, INDICATORS, RUBRICS, SCALES
from ..spec.specification import Specification
from ..spec.tree import Node
from ..spec.units import ALL, Unit, Units
from . import names
from .exports import fieldwork
from .layout import Layout, is_full

README = """# {name} · 合成数据

本文件夹中的**全部数据均由程序合成**:单位、地名、人数、答卷、指标、开放题文字都是虚构的,不对应任何真实的企业、地方或个人。
答卷中没有姓名、工号、电话等任何可以识别个人的内容,`来自IP` 一列只有形如 `x.x.x.x(地名)` 的遮蔽写法。

用途:学习和测试 `dj_analysis`。不得当作任何真实单位的情况引用。

- `workspace.toml` 设置 · `rules.toml` 各审核环节的时限 · `codebook.csv`、`scales.csv` 问卷 · `units.csv`、`headcounts.csv` 单位与人数
- `impact-assessment.toml` 影响评估(合成)· `responses/` 各季度答卷(问卷星导出的样子,格式有意各不相同)
- `indicators.csv`、`indicator_values.csv` 支部对标指标 · `teams.csv` 班组星级
- `obligations.csv`、`obligation_events.csv` 上季措施、预警通气反馈和复核申请（有则列）
- `context.csv` 背景事件（日期和名称，只作标注）
- `rubrics.csv` 评价细则 · `ratings.csv` 自评、检查组评分、竞标评分、支部互查、群众评议、四个一

生成参数:{employees} 人,{branches} 个党支部,{quarters} 个季度(截至 {last}),种子 {seed}。

---

# {name_en} · synthetic data

**Everything in this folder is computer-made**: units, places, headcounts, answers, indicators and comments. It describes no
real enterprise, place or person and must not be quoted as such.
"""


def write_declarations(folder: Path, spec: Specification, layout: Layout, seed: int) -> None:
    """Write the settings, the tables they refer to, a note that all data are synthetic."""
    assert spec.indicators is not None, "the demo declares branch indicators"
    (folder / "README.md").write_text(_readme(layout, seed), encoding="utf-8")
    (folder / "workspace.toml").write_text(_settings(spec, layout.periods), encoding="utf-8")
    (folder / assessment.FILE).write_text(_assessment(layout.periods), encoding="utf-8")
    (folder / "rules.toml").write_text(_rules(spec), encoding="utf-8")
    write_csv(folder / "codebook.csv", _nodes([*spec.codebook.tree, *spec.codebook.others], CODEBOOK.names))
    write_csv(folder / "scales.csv", _scales(spec.codebook))
    write_csv(folder / "units.csv", _units(spec.units))
    write_csv(folder / "headcounts.csv", spec.headcounts.astype({"headcount": int}))
    write_csv(folder / "indicators.csv", _nodes(spec.indicators.nodes, INDICATORS.names))
    write_csv(folder / "rubrics.csv", _rubrics(spec.rubrics))


def context_events(units: Units, periods: Sequence[str]) -> pd.DataFrame:
    """Return two dated events: one of the whole before the last wave, one of the first unit below it a quarter earlier."""
    first, latest = units.children(ALL)[0].unit, parse(periods[-1])
    days = [latest.shift(-1).start + timedelta(14), latest.start + timedelta(19)]
    return pd.DataFrame({"date": [str(day) for day in days], "label": names.EVENTS, "unit": [first, ""]})


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV file that Excel opens with its Chinese characters intact."""
    table.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")


def _readme(layout: Layout, seed: int) -> str:
    return README.format(
        name=names.COMPANY[0],
        name_en=names.COMPANY[1],
        employees=int(layout.sizes.sum()),
        branches=len(layout.home),
        quarters=len(layout.periods),
        last=layout.periods[-1],
        seed=seed,
    )


def _settings(spec: Specification, periods: Sequence[str]) -> str:
    waves = "\n".join(_wave(period) for period in periods)
    types = "\n".join(f'"{kind}" = "{english}"' for kind, english in spec.types_en.items())
    columns = f'unit = "{names.UNIT_QUESTION}"\nline = "{names.LINE_QUESTION}"'
    return f"""# 合成数据:本工作区由程序生成,不对应任何真实单位 (synthetic data, no real enterprise)
name = "{spec.name}"
name_en = "{spec.units.root_name_en}"
office = "{spec.office}"
office_en = "{spec.office_en}"
recipient = "{spec.recipient}"
recipient_en = "{spec.recipient_en}"
language = "{spec.language}"
min_group = {spec.min_group}

[waves]  # 问卷和起止日期 (the form, and the first and last day)
{waves}

[units.types_en]  # 英文报告中单位类别的名称 (names of the types of units in English reports)
{types}

[consent]  # 最近一期之前的问卷没有同意题 (the waves before the latest did not ask for consent)
basis = "notice"
date = "{parse(periods[0]).start}"
text = "{names.CONSENT_TEXT}"

[document]  # 公文要素，不写的不印 (what is not given is not printed)
kind = "报告"

[codebook]
recall = "{spec.codebook.recall}"

[tables.responses.columns]  # 其余各列按题干对应 (the other columns are matched by their wording)
{columns}
"""


def _wave(period: str) -> str:
    first, last = fieldwork(period)
    form = "full" if is_full(period) else "pulse"
    return f'{period} = {{ form = "{form}", from = {first.isoformat()}, to = {last.isoformat()} }}'


def _rules(spec: Specification) -> str:
    """Write the only rule in which the demo differs from the package: within how many days a stage of the review is due."""
    days = "\n".join(f"{stage} = {limit}" for stage, limit in asdict(spec.rules.review).items())
    return f"[review]  # 各环节的时限(日历日) (days within which a stage is due)\n{days}\n"


def _assessment(periods: Sequence[str]) -> str:
    """Write the impact assessment of an enterprise that does not exist."""
    head = "# 合成数据，不对应任何真实单位 (synthetic data, no real enterprise)\n"
    return head + assessment.filled({"date": str(parse(periods[0]).start), **names.ASSESSMENT})


def _nodes(nodes: Sequence[Node], columns: Sequence[str]) -> pd.DataFrame:
    rows = [{name: _plain(getattr(node, name)) for name in columns if hasattr(node, name)} for node in nodes]
    return pd.DataFrame(rows, columns=list(columns), dtype=object).fillna("")


def _rubrics(rubrics: Mapping[str, Rubric]) -> pd.DataFrame:
    rows: list[dict[str, str]] = []
    for one in rubrics.values():
        rows.append(
            {
                "code": one.code,
                "kind": one.kind,
                "label_zh": one.label_zh,
                "label_en": one.label_en,
                "types": "|".join(one.types),
                "raters": one.raters,
            }
        )
        for item in one.items:
            rows.append({name: _plain(getattr(item, name)) for name in RUBRICS.names if hasattr(item, name)})
    return pd.DataFrame(rows, columns=list(RUBRICS.names), dtype=object).fillna("")


def _scales(codebook: Codebook) -> pd.DataFrame:
    rows = []
    for name, scale in codebook.scales.items():
        for option in scale.options:
            missing = "1" if option.value != option.value else ""
            rows.append((name, option.code, _plain(option.value), option.label_zh, option.label_en, missing))
    return pd.DataFrame(rows, columns=list(SCALES.names))


def _units(units: Units) -> pd.DataFrame:
    """Return the table of units, with the unit and its tree as the first columns."""
    columns = list(Unit.__dataclass_fields__)
    table = pd.DataFrame([[_plain(value) for value in astuple(unit)] for unit in units.rows], columns=columns)
    return table[["unit", "tree", *(name for name in columns if name not in ("unit", "tree"))]]


def _plain(value: object) -> str:
    """Return a cell's text: no decimals on whole numbers, empty for a missing number."""
    if isinstance(value, float):
        return "" if value != value else f"{value:g}"
    return str(value)
