"""`dj new --indicators`: an office's own workbook becomes scores, or a question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import office_books as books
import pandas as pd
import pytest
import xlsxwriter
from typer.testing import CliRunner

import dj_analysis as dj
from dj_analysis.cli import app
from dj_analysis.errors import DataError
from dj_analysis.proposal import BookDecisions, propose_indicators, propose_indicators_again
from dj_analysis.workspace import check_folder

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

EXACT = 1e-9
DECIDED = BookDecisions(alias=books.ALIASES, lower=(books.LOWER,), ranges=books.RANGES)


def sheet_of(path: Path, sheets: dict[str, list[list[object]]], merged: dict[str, list[tuple]] | None = None) -> Path:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for i, row in enumerate(rows):
                for j, cell in enumerate(row):
                    if cell != "":
                        sheet.write(i, j, cell)
            for first_row, first, last_row, last, text in (merged or {}).get(name, []):
                sheet.merge_range(first_row, first, last_row, last, text)
    return path


def values_of(folder: Path) -> pd.DataFrame:
    """Values by the names of unit and indicator."""
    codes = pd.read_csv(folder / "indicators.csv").set_index("code")["label_zh"]
    units = pd.read_csv(folder / "units.csv").set_index("unit")["name_zh"]
    table = pd.read_csv(folder / "indicator_values.csv", keep_default_na=False, dtype=str)
    return table.assign(unit=table["unit"].map(units), code=table["code"].map(codes))


def cells(folder: Path) -> dict[tuple[str, str, str], str]:
    return {(row.unit, row.period, row.code): row.value for row in values_of(folder).itertuples()}


def rows_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "indicators.csv", dtype=str, keep_default_na=False).set_index("label_zh")


def critic(points: np.ndarray) -> np.ndarray:
    """Diakoulaki et al. (1995): spread times conflict, on min–max values of complete rows."""
    table = points[~np.isnan(points).any(axis=1)]
    table = (table - table.min(axis=0)) / (table.max(axis=0) - table.min(axis=0))
    content = table.std(axis=0, ddof=1) * (1 - np.corrcoef(table.T)).sum(axis=0)
    return content / content.sum()


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("books")
    book = books.write_months(place / "支部指标.xlsx", books.truth())
    typed = ["new", str(place / "office"), "--indicators", str(book), "--lower", books.LOWER]
    for option, pairs in (("--alias", books.ALIASES), ("--range", books.RANGES)):
        for left, right in pairs.items():
            typed += [option, f"{left}={right}"]
    done = CliRunner().invoke(app, typed)
    assert done.exit_code == 0, done.output
    return place / "office"


def six_lines() -> str:
    """The lines that docs/files.md shows."""
    page = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
    lines = page.split("<!-- six lines -->")[1].split("```python\n")[1].split("```")[0]
    assert len([line for line in lines.splitlines() if line.strip()]) <= 6
    assert "pandas" not in lines
    return lines


def test_sixty_branches_twenty_indicators_twelve_months(office, monkeypatch):
    assert len(check_folder(office)) == 0
    known, names, month = books.truth(), books.unit_names(), 11
    written = cells(office)
    assert len(written) == books.UNITS * len(books.COLUMNS) * books.MONTHS
    for (m, i, j), value in np.ndenumerate(known.values):
        text = written[names[i], f"2026-{m + 1:02d}", books.COLUMNS[j].label]
        assert text == "不适用" if known.exempt[m, i, j] else float(text) == pytest.approx(value, abs=EXACT)

    monkeypatch.chdir(office.parent)
    made: dict[str, object] = {}
    exec(six_lines(), made)
    weights, marks = made["weights"].table, made["marks"].table
    points, scores, by_code = known.points(month), [], weights.set_index("code")["weight"]
    codes = rows_of(office)["code"]
    for aspect in dict.fromkeys(column.aspect for column in books.COLUMNS):
        places = [j for j, column in enumerate(books.COLUMNS) if column.aspect == aspect]
        expected = critic(points[:, places])
        found = by_code.loc[[codes[books.COLUMNS[j].label] for j in places]].to_numpy()
        np.testing.assert_allclose(found, expected, atol=EXACT)
        there = ~np.isnan(points[:, places])
        plain = np.nanmean(points[:, places], axis=1)  # weights above are compared on scores under declared weights
        weighed = np.where(there, points[:, places], 0) @ expected / (there @ expected)
        scores.append((plain, weighed))
    above = critic(np.column_stack([plain for plain, _ in scores]))
    np.testing.assert_allclose(by_code.loc[["A1", "A2", "A3", "A4"]].to_numpy(), above, atol=EXACT)
    expected_whole = np.column_stack([weighed for _, weighed in scores]) @ above
    name_of = pd.read_csv(office / "units.csv").set_index("unit")["name_zh"]
    whole = marks[(marks["code"] == "INDEX") & (marks["period"] == "2026-12") & (marks["level"] == "branch")]
    found = whole.assign(name=whole["unit"].map(name_of)).set_index("name")["score"].loc[names].to_numpy()
    np.testing.assert_allclose(found, expected_whole, atol=EXACT)


def test_the_same_weights_on_a_span_are_of_the_means(office):
    ws = dj.open_workspace(office)
    points = np.mean([books.truth().points(month) for month in (9, 10, 11)], axis=0)
    places = [j for j, column in enumerate(books.COLUMNS) if column.aspect == "组织建设"]
    table = dj.weigh(ws.indicators("2026-10/2026-12"), "critic").table.query("parent == 'A1'")
    np.testing.assert_allclose(table["weight"].to_numpy(), critic(points[:, places]), atol=EXACT)


def test_what_is_certain_is_written_and_the_rest_is_asked(tmp_path):
    book = books.write_months(tmp_path / "支部指标.xlsx", books.truth())
    made = propose_indicators(tmp_path / "office", book, BookDecisions(alias=books.ALIASES))
    rows = rows_of(tmp_path / "office")
    for column in books.COLUMNS:
        row = rows.loc[column.label]
        assert row["role"] == ("ask" if column.asked else "item"), column.label
        if not column.asked:
            stated = (float(row["minimum"]), float(row["maximum"]), int(row["direction"]))
            assert stated == (column.low, column.high, column.direction), column.label
    asked = {column.label for column in books.COLUMNS if column.asked}
    assert set(made.questions["column"]) == asked
    problems = check_folder(tmp_path / "office").table
    assert problems["rule"].unique().tolist() == ["open_question"]
    assert len(problems) == len(asked)
    with pytest.raises(DataError, match="open_question"):
        dj.open_workspace(tmp_path / "office").indicators("2026-12")
    with pytest.raises(DataError, match="open_question"):
        dj.run_report("benchmark", tmp_path / "office", period="2026-12", formats=["html"])
    told = "\n".join(made.notices)
    for left_out in ("底稿", "填报说明", "序号、合计、备注", "第 65、66 行是合计", "第 67、68 行是备注"):
        assert left_out in told
    page = (tmp_path / "office" / "PROPOSAL.md").read_text(encoding="utf-8")
    assert "宣讲场次 (K07)" in page
    assert "| 2026年2月 | 2026-02 |" in page
    assert "Open questions" in (tmp_path / "office" / "PROPOSAL.en.md").read_text(encoding="utf-8")


def test_decisions_again_keep_what_was_edited(tmp_path):
    book = books.write_months(tmp_path / "支部指标.xlsx", books.truth())
    office = tmp_path / "office"
    propose_indicators(office, book, BookDecisions(alias=books.ALIASES))
    path = office / "indicators.csv"
    path.write_text(path.read_text("utf-8-sig").replace("三会一课", "三会一课落实"), encoding="utf-8-sig")
    half = propose_indicators_again(office, BookDecisions(lower=(books.LOWER,)))
    assert set(half.questions["column"]) == set(books.RANGES)
    rest = dict(list(books.RANGES.items())[:-1])
    done = CliRunner().invoke(
        app,
        [
            "new",
            str(office),
            "--again",
            "--range",
            "0-72",
            *(p for k, v in rest.items() for p in ("--range", f"{k}={v}")),
        ],
    )
    assert done.exit_code == 0, done.output
    assert len(check_folder(office)) == 0
    rows = rows_of(office)
    assert rows.loc["三会一课落实", "maximum"] == "10"
    assert rows.loc["平均处理时长(小时)", ["direction", "maximum"]].tolist() == ["-1", "72"]
    assert rows.loc["宣讲场次", ["direction", "maximum"]].tolist() == ["1", "12"]
    page = (office / "PROPOSAL.md").read_text(encoding="utf-8")
    assert "待定" not in page.split("## 工作表")[0].replace("待决定", "")
    assert "2026-12" in page.split("## 工作表")[1]


def test_names_that_may_be_one_unit_are_asked_and_nothing_is_written(tmp_path):
    book = books.write_months(tmp_path / "支部指标.xlsx", books.truth())
    with pytest.raises(DataError) as caught:
        propose_indicators(tmp_path / "office", book)
    table = caught.value.problems.table
    assert table["rule"].unique().tolist() == ["similar_name"]
    assert set(table["found"]) == {f"{short} / {full}" for short, full in books.ALIASES.items()}
    assert "--alias '云岭输电支部=云岭输电运检党支部'" in " ".join(table["advice"])
    assert not (tmp_path / "office").exists()
    propose_indicators(tmp_path / "two", book, BookDecisions(new_units=tuple(books.ALIASES)))
    assert len(pd.read_csv(tmp_path / "two" / "units.csv")) == books.UNITS + 2
