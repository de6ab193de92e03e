"""A workspace's branch indicators proposed from an office's own workbook: what is certain is written, the rest is asked."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ..errors import DataError, Problems, UsageError, unknown
from ..file_access import accessing, made, put_in_place
from ..folder import check_folder, declarations
from ..spec.periods import order
from ..spec.settings import Settings
from ..spec.tables import find_file
from ..spec.units import Units
from .again import Proposal
from .book_values import Book, BookDecisions, Key, known_units, read_book
from .header_words import tight, without_points
from .indicator_page import IndicatorPage
from .indicator_ranges import ProposedRange, points_in_header, proposed_range
from .office_names import plain_name
from .proposed_tables import read_rows, toml_text, write_rows

INDICATOR_COLUMNS = (
    "code", "parent", "label_zh", "role", "direction", "weight", "minimum", "maximum", "about", "valid_from", "valid_to",
    "target", "owner_department", "choices", "question",
)  # fmt: skip
UNIT_COLUMNS = ("unit", "tree", "parent", "level", "type", "name_zh", "aliases")
VALUE_COLUMNS = ("unit", "period", "code", "value")
_INDEX, _INDEX_LABEL = "INDEX", "支部对标指数"
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\s*[-~—–至到:]\s*(-?\d+(?:\.\d+)?)")


def propose_indicators(folder: str | Path, source: str | Path, decisions: BookDecisions | None = None) -> Proposal:
    """Make branch indicators of an office's own workbook: in a new workspace, or in one that has none yet.

    Sheets may have titles above the header, two or three header rows (aspect above indicator, merged), rows of 合计 and
    平均, columns of 序号, 排名, 备注, one sheet a month; or one row a value (unit, indicator, value, month). ``/``, ``—``, 无 are
    not applicable, blanks are missing. Units are matched by name or alias, whatever the spaces and width of letters. Where
    every indicator has points (党课(10分)) these are its weight.

    Ranges and directions are written where header or values make them certain (points, percentages, 扣分, 投诉); the others get
    role ``ask`` in indicators.csv with the choices beside them: ``dj check`` lists them, and nothing is scored before. Names
    that may mean one unit, a year that is not told and cells that cannot be read are errors with the option that decides
    them, and nothing is written.

    Parameters
    ----------
    folder
        A folder that does not exist yet or is empty, or a workspace without indicators.
    source
        ``.xlsx``, ``.xls``, ``.xlsb``, ``.ods`` or ``.csv``.
    decisions
        What is decided already.

    Returns
    -------
    Proposal
        ``.table``: column (the header), code, role, why.

    Raises
    ------
    DataError
        Everything in the workbook that cannot be read or is doubtful.
    UsageError
        The folder holds something else, or has indicators; a decision names no indicator.
    """
    folder, source, decisions = Path(folder), Path(source), decisions or BookDecisions()
    is_new = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_new and not (folder / "workspace.toml").exists():
        raise UsageError(
            f"{folder} 不是空文件夹,也不是工作区 (neither empty nor a workspace);换一个名字 (choose another)"
        )
    for name in ("indicators", "indicator_values"):
        if find_file(folder, name) is not None:
            raise UsageError(
                f"{folder}: 已有 {name} 表 (there is a table {name} already);换一个文件夹 (choose another folder)"
            )
    problems = Problems()
    settings, spec = declarations(folder.resolve(), problems) if not is_new else (None, None)
    problems.raise_if_any()
    units = spec.units if spec is not None else Units(())
    book = read_book(source, decisions, units, problems)
    named = _units(book, units, decisions, settings, problems)
    problems.raise_if_any(DataError)
    rows, proposed = _indicator_rows(book, decisions)
    notices = [*book.notices, *_notices(book, rows, named)]
    values = [
        [named.codes[unit], period, proposed[key], _written(cell.kind, cell.value)]
        for (unit, period, key), cell in book.cells.items()
    ]
    with accessing(folder), tempfile.TemporaryDirectory(prefix=".dj-new-", dir=made(folder.parent)) as place:
        trial = Path(place) / "workspace"
        if is_new:
            trial.mkdir()
            lines = [
                "# 由 dj new 提出,请核对 (proposed by dj new, to be looked over)",
                f"name = {toml_text(folder.name)}",
            ]
            (trial / "workspace.toml").write_text("\n".join([*lines, 'language = "zh"', ""]), encoding="utf-8")
        else:
            shutil.copytree(folder, trial, ignore=shutil.ignore_patterns(".dj", "reports", "responses"))
        write_rows(
            trial / "indicators.csv", INDICATOR_COLUMNS, [[row[name] for name in INDICATOR_COLUMNS] for row in rows]
        )
        write_rows(trial / "indicator_values.csv", VALUE_COLUMNS, values)
        if named.rows is not None:
            header = list(dict.fromkeys([*UNIT_COLUMNS, *(name for row in named.rows for name in row)]))
            write_rows(trial / "units.csv", header, [[row.get(name, "") for name in header] for row in named.rows])
        periods = order(sorted({period for _, period, _ in book.cells}))
        IndicatorPage(rows, values, book.periods, periods, list(book.names.values()), notices).write(trial)
        _check_written(trial)
        if is_new:
            if folder.exists():
                folder.rmdir()
            trial.rename(folder)
        else:
            names = ("indicators.csv", "indicator_values.csv", "units.csv", "PROPOSAL.md", "PROPOSAL.en.md")
            there = [name for name in names if (trial / name).exists()]
            put_in_place({folder / name: trial / name for name in there}, made(Path(place) / "old"))
    return _proposal(folder, rows, notices)


def propose_indicators_again(folder: str | Path, decisions: BookDecisions) -> Proposal:
    """Decide the range and direction of indicators that are asked still; what was edited in indicators.csv stays.

    Raises
    ------
    UsageError
        The folder has no indicators.csv of ``dj new``, or a decision names no indicator.
    """
    folder = Path(folder)
    path = folder / "indicators.csv"
    if not path.exists():
        raise UsageError(f"{folder}: 没有 indicators.csv (there is no indicators.csv)")
    rows = read_rows(path)
    if not rows or "question" not in rows[0]:
        raise UsageError(f"{path}: 不是 dj new 所写 (not written by dj new: nothing is asked in it)")
    _decide(rows, decisions)
    header = list(rows[0])
    with accessing(folder), tempfile.TemporaryDirectory(prefix=".dj-new-", dir=folder) as place:
        trial = made(Path(place) / "new")
        for name in ("PROPOSAL.md", "PROPOSAL.en.md"):
            if (folder / name).exists():
                shutil.copy(folder / name, trial / name)
        write_rows(trial / "indicators.csv", header, [[row[name] for name in header] for row in rows])
        values = [list(row.values())[:4] for row in read_rows(folder / "indicator_values.csv")]
        IndicatorPage(rows, values, {}, [], [], []).write(trial)
        put_in_place({folder / file.name: file for file in sorted(trial.iterdir())}, made(Path(place) / "old"))
    return _proposal(
        folder, rows, [f"仍待决定 (still to be decided): {r['label_zh']}" for r in rows if r["role"] == "ask"]
    )


@dataclass(frozen=True)
class _NamedUnits:
    """Plain name → code of every unit of the book, and the rows of units.csv (None: they stay as they are)."""

    codes: Mapping[str, str]
    rows: list[dict[str, str]] | None
    told: tuple[str, ...] = ()


def _units(
    book: Book, units: Units, decisions: BookDecisions, settings: Settings | None, problems: Problems
) -> _NamedUnits:
    """Match the units of the book with those of the workspace; unknown ones are asked, all unknown are a tree of their own."""
    known = known_units(units)
    codes = {name: known[name] for name in book.names if name in known}
    new = [name for name in book.names if name not in codes]
    rows = [] if settings is None or not units.rows else _unit_rows(settings.folder)
    spelt = _aliases(decisions, codes, rows)
    if codes and new:
        chosen = {plain_name(name) for name in decisions.new_units}
        for name in new:
            if name not in chosen:
                shown = book.names[name]
                advice = f"--alias '{shown}=单位' 或 --new-unit '{shown}' (another spelling, or a new unit)"
                problems.add(
                    f"单位 {shown}", "unknown_unit", shown, "units 表中的名称、别名 (a unit of units.csv)", advice
                )
    if not new:
        return _NamedUnits(codes, rows if spelt else None)
    level = "branch" if "branch" not in units.levels else "indicator_unit"
    like = rows[0] if codes and rows else {"tree": "branches" if rows else "", "level": level}
    apart = "没有一个单位在 units 表中:另立单位树 branches (none of the units is in units.csv: they are a tree of their own)"
    told = (apart,) if rows and not codes else ()
    used = {row["unit"] for row in rows}
    uppers = list(dict.fromkeys(tight(book.uppers[name]) for name in new if book.uppers.get(name)))
    above = {}
    for upper in uppers if not codes else ():
        above[upper] = codes.get(upper) or _free("P", used)
        name_zh = next(text for text in book.uppers.values() if tight(text) == upper)
        rows.append({"unit": above[upper], "tree": like["tree"], "parent": "", "level": "upper", "name_zh": name_zh})
    for name in new:
        code = _free("B", used)
        codes[name] = code
        aliases = "|".join(spelling for spelling, unit in decisions.alias.items() if plain_name(unit) == name)
        rows.append(
            {
                "unit": code, "tree": like.get("tree", ""), "parent": above.get(tight(book.uppers.get(name, "")), ""),
                "level": like.get("level", "branch"), "type": book.kinds.get(name, ""), "name_zh": book.names[name],
                "aliases": aliases,
            }
        )  # fmt: skip
    return _NamedUnits(codes, rows, told)


def _unit_rows(folder: Path) -> list[dict[str, str]]:
    path = folder / "units.csv"
    if not path.exists():
        raise UsageError("units 须为 units.csv,才能加单位 (a units.csv is needed to add units)")
    return read_rows(path)


def _aliases(decisions: BookDecisions, codes: Mapping[str, str], rows: list[dict[str, str]]) -> bool:
    """Enter decided spellings of units that are known; tell whether there were any."""
    by_code = {row["unit"]: row for row in rows}
    entered = False
    for spelling, unit in decisions.alias.items():
        row = by_code.get(codes.get(plain_name(unit), ""))
        if row is not None and spelling not in row.get("aliases", "").split("|"):
            row["aliases"] = "|".join(part for part in (row.get("aliases", ""), spelling) if part)
            entered = True
    return entered


def _free(letter: str, used: set[str]) -> str:
    code = next(code for number in range(1, len(used) + 2) if (code := f"{letter}{number:03d}") not in used)
    used.add(code)
    return code


def _indicator_rows(book: Book, decisions: BookDecisions) -> tuple[list[dict[str, str]], dict[Key, str]]:
    """Return the rows of indicators.csv, and key → code."""
    keys = list(book.columns)
    codes = {key: f"K{number:02d}" for number, key in enumerate(keys, start=1)}
    ranges = {key: _range_of(book, key) for key in keys}
    weights = _weights(book, keys)
    aspects = list(dict.fromkeys(key[0] for key in keys if key[0]))
    aspect_codes = {aspect: f"A{number}" for number, aspect in enumerate(aspects, start=1)}
    blank = dict.fromkeys(INDICATOR_COLUMNS, "")
    rows = [blank | {"code": _INDEX, "label_zh": _INDEX_LABEL, "role": "index", "direction": "1", "weight": "1"}]
    for aspect in aspects:
        weight = sum(weights[key] for key in keys if key[0] == aspect) if _have_points(book, keys) else 1.0
        label = next(column.aspect for key in keys if key[0] == aspect for column in book.columns[key] if column.aspect)
        cells = {"code": aspect_codes[aspect], "parent": _INDEX, "label_zh": label, "role": "dimension"}
        rows.append(blank | cells | {"direction": "1", "weight": f"{weight:g}"})
    repeated = Counter(header for _, header in keys)
    for key in keys:
        column, chosen = book.columns[key][0], ranges[key]
        label = without_points(column.header)
        label = f"{column.aspect}·{label}" if repeated[key[1]] > 1 and column.aspect else label
        target = next((one.target for one in book.columns[key] if one.target == one.target), math.nan)
        owner = next((one.owner_department for one in book.columns[key] if one.owner_department), "")
        rows.append(
            blank | {
                "code": codes[key], "parent": aspect_codes.get(key[0], _INDEX), "label_zh": label,
                "role": "ask" if chosen.question else "item", "direction": str(chosen.direction or ""),
                "weight": f"{weights[key]:g}", "minimum": _figure(chosen.minimum), "maximum": _figure(chosen.maximum),
                "about": "units", "target": _figure(target), "owner_department": owner,
                "choices": chosen.choices, "question": chosen.question,
                "why": chosen.why,
            } | _validity(book, key)
        )  # fmt: skip
    _decide(rows, decisions)
    return rows, codes


def _range_of(book: Book, key: Key) -> ProposedRange:
    """Propose the range of an indicator; points that differ from sheet to sheet are asked."""
    columns = book.columns[key]
    points = dict.fromkeys(p for c in columns for p in (points_in_header(c.header), c.maximum) if p == p)
    header = max(
        (column.header for column in columns), key=lambda text: points_in_header(text) == points_in_header(text)
    )
    chosen = proposed_range(header, book.of(key), next(iter(points), math.nan))
    if len(points) < 2:
        return chosen
    listed = "、".join(f"{point:g}" for point in points)
    question = f"各表满分不同: {listed} (the sheets give different points)"
    return replace(chosen, minimum=math.nan, maximum=math.nan, question=question, choices=f"--range 0-{max(points):g}")


def _have_points(book: Book, keys: Sequence[Key]) -> bool:
    return all(
        any(points_in_header(c.header) == points_in_header(c.header) or c.maximum == c.maximum for c in book.columns[k])
        for k in keys
    )


def _weights(book: Book, keys: Sequence[Key]) -> dict[Key, float]:
    """Return what each indicator weighs: its points where all have some, else what a row of the sheet says, else 1."""
    if _have_points(book, keys):
        return {
            key: max(p for c in book.columns[key] for p in (points_in_header(c.header), c.maximum) if p == p)
            for key in keys
        }
    declared = {key: next((c.weight for c in book.columns[key] if c.weight == c.weight), math.nan) for key in keys}
    return declared if all(weight == weight for weight in declared.values()) else dict.fromkeys(keys, 1.0)


def _validity(book: Book, key: Key) -> dict[str, str]:
    """Return since when and until when an indicator is asked, where some sheets at the ends do not have it."""
    periods = order(sorted({period for _, period, _ in book.cells}))
    asked = [period for period in periods if period in book.periods_of(key)]
    return {
        "valid_from": asked[0] if asked[0] != periods[0] else "", "valid_to": asked[-1] if asked[-1] != periods[-1] else "",
    }  # fmt: skip


def _decide(rows: list[dict[str, str]], decisions: BookDecisions) -> None:
    """Put decided ranges and directions into rows of indicators.csv; what has both is asked no longer."""
    leaves = {row["code"]: row for row in rows if row["role"] in ("item", "ask")}
    by_name = {tight(text): code for code, row in leaves.items() for text in (code, row["label_zh"])}

    def code_of(name: str) -> str:
        code = by_name.get(tight(without_points(name)))
        if code is None:
            raise unknown("指标/indicator", name, [row["label_zh"] for row in leaves.values()])
        return code

    asked = {code for code, row in leaves.items() if row["role"] == "ask"}
    ranges = {code_of(name): text for name, text in decisions.ranges.items() if name}
    if "" in decisions.ranges:
        open_ones = [code for code in asked if code not in ranges and not leaves[code]["minimum"]]
        ranges |= dict.fromkeys(open_ones, decisions.ranges[""])
    for code, text in ranges.items():
        matched = _RANGE.fullmatch(text.strip())
        if matched is None or float(matched[1]) >= float(matched[2]):
            raise UsageError(
                f"--range {leaves[code]['label_zh']}={text}: 应为 0-100 这样的区间 (a range such as 0-100)"
            )
        leaves[code] |= {"minimum": matched[1], "maximum": matched[2]}
    if decisions.lower is not None:
        lower = {code_of(name) for name in decisions.lower}
        for code in lower | {code for code in asked if not leaves[code]["direction"]}:
            leaves[code]["direction"] = "-1" if code in lower else "1"
    for code in asked:
        row = leaves[code]
        if row["direction"] and row["minimum"] and row["maximum"]:
            row |= {"role": "item", "choices": "", "question": ""}


def _check_written(trial: Path) -> None:
    """Raise what is wrong with what was written, open questions aside: a range that was decided may not hold the values."""
    wrong = [problem for problem in check_folder(trial) if problem.rule != "open_question"]
    Problems(one for one in wrong if one.place.startswith(("indicator", "units"))).raise_if_any(DataError)


def _notices(book: Book, rows: list[dict[str, str]], named: _NamedUnits) -> list[str]:
    kinds = Counter(cell.kind for cell in book.cells.values())
    notices = [
        f"{len(book.names)} 个单位,{len(book.columns)} 项指标,{len({p for _, p, _ in book.cells})} 期;"
        f"不适用 {kinds['not_applicable']} 格,缺 {kinds['missing']} 格 (units, indicators, periods; not applicable, missing)"
    ]
    asked = [row["label_zh"] for row in rows if row["role"] == "ask"]
    if asked:
        notices.append(f"待决定 {len(asked)} 项,见 PROPOSAL.md (to be decided, see PROPOSAL.en.md): {'、'.join(asked)}")
    of_people = [row["label_zh"] for row in rows if re.search(r"满意度|测评|评议", row["label_zh"])]
    if of_people:
        notices.append(
            f"如是对人的统计,about 改为 persons 并补上人数 n (a statistic over people needs about = persons and n): {'、'.join(of_people)}"
        )
    if _have_points(book, list(book.columns)):
        notices.append("各项满分作权重 (the points of each indicator are its weight)")
    elif pointed := [
        row["label_zh"] for row, key in zip(_leaves(rows), book.columns, strict=True) if _have_points(book, [key])
    ]:
        notices.append(
            "有的指标有满分,有的没有:权重都写 1,请核对 weight (some have points, others none: every weight is 1, to be looked over): "
            + "、".join(pointed)
        )
    return notices + list(named.told)


def _leaves(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in rows if row["role"] in ("item", "ask")]


def _proposal(folder: Path, rows: Collection[dict[str, str]], notices: Sequence[str]) -> Proposal:
    cells = [
        (
            row["label_zh"],
            row["code"],
            row["role"],
            row["question"] or row.get("why", "") or "见 indicators.csv (as it says)",
        )
        for row in rows
        if row["role"] in ("item", "ask")
    ]
    return Proposal(folder, pd.DataFrame(cells, columns=["column", "code", "role", "why"]), tuple(notices))


def _figure(value: float) -> str:
    return "" if value != value else f"{value:.12g}"


def _written(kind: str, value: float) -> str:
    return "不适用" if kind == "not_applicable" else _figure(value)
