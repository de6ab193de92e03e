"""Workbooks that would fill memory or a disk, and sheets nobody sees: one clear error each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from offices import PERIOD, office, people

import dj_analysis as dj
from dj_analysis.errors import DjError
from dj_analysis.measure.intake.copies import clean_file

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")


def workspace(tmp_path: Path, *, change: object = None, hidden: pd.DataFrame | None = None) -> Path:
    """A workspace whose wave is a workbook."""
    folder = office(tmp_path / "office", people())
    (folder / "responses" / f"{PERIOD}.csv").unlink()
    path = folder / "responses" / f"{PERIOD}.xlsx"
    people().to_excel(path, index=False)
    book = openpyxl.load_workbook(path)
    if isinstance(change, str):
        book.active[change] = "x"
    if hidden is not None:
        sheet = book.create_sheet("名单")
        sheet.sheet_state = "hidden"
        sheet.append(list(hidden.columns))
        for row in hidden.itertuples(index=False):
            sheet.append(list(row))
    book.save(path)
    return folder


@pytest.mark.parametrize("cell", ["XFD1048576", "A1048576", "XFD1", "H900000"])
def test_a_stray_cell_is_named(tmp_path: Path, cell: str):
    with pytest.raises(DjError, match=rf"{cell}.*stray_cell"):
        dj.open_workspace(workspace(tmp_path, change=cell)).scores(PERIOD)


@pytest.mark.parametrize("cell", ["A2000", "AZ1", "G9000"])
def test_a_remark_near_the_table_is_no_stray_cell(tmp_path: Path, cell: str):
    survey = dj.read_survey(
        workspace(tmp_path, change=cell) / "responses" / f"{PERIOD}.xlsx",
        dj.read_codebook(tmp_path / "office" / "codebook.csv"),
        units=dj.read_units(tmp_path / "office" / "units.csv"),
        period=PERIOD,
    )
    assert len(survey.frame) >= len(people())


def test_a_bomb_is_not_unpacked(tmp_path: Path):
    folder = workspace(tmp_path)
    path = folder / "responses" / f"{PERIOD}.xlsx"
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/worksheets/sheet9.xml", b"0" * (150 * 2**20))
    with pytest.raises(DjError, match="oversized"):
        dj.open_workspace(folder).scores(PERIOD)


@pytest.mark.parametrize(
    "hidden",
    [
        pd.DataFrame({"姓名": ["甲某"], "单位": ["一支部"]}),
        pd.DataFrame({"a": ["13812345678"], "b": ["x"]}),
    ],
)
def test_a_hidden_sheet_with_names_stops_the_file(tmp_path: Path, hidden: pd.DataFrame):
    with pytest.raises(DjError, match=r"名单.*identifier_content") as error:
        dj.open_workspace(workspace(tmp_path, hidden=hidden)).scores(PERIOD)
    assert "甲某" not in str(error.value)
    assert "13812345678" not in str(error.value)


def test_another_sheet_without_names_is_let_be(tmp_path: Path):
    notes = pd.DataFrame({"题号": ["Q1"], "说明": ["五级"]})
    ws = dj.open_workspace(workspace(tmp_path, hidden=notes))
    assert ws.scores(PERIOD).at("ALL", "INDEX").n == len(people())


ACTIVE = [
    "=1+1",
    '=HYPERLINK("http://x")',
    "@SUM(A1)",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "\\\\server\\x",
    "file:///c:/x",
    "HTTPS://x.org",
]
PLAIN = ["-2", "+1.5", "-5%", "3", "一般=普通", "a@b", "很好"]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_clean_copy_holds_no_formula_and_no_link(tmp_path: Path, suffix: str):
    texts = ACTIVE + PLAIN
    source = tmp_path / "s.csv"
    pd.DataFrame({"=意见": texts, "分数": ["4"] * len(texts)}).to_csv(source, index=False)
    copy = clean_file(source, out=tmp_path / f"copy{suffix}")
    assert copy.neutralised == len(ACTIVE) + 1
    read = pd.read_csv(copy.file, dtype=str) if suffix == ".csv" else pd.read_excel(copy.file, dtype=str)
    assert list(read.columns) == ["'=意见", "分数"]
    assert read["'=意见"].tolist()[: len(ACTIVE)] == [f"'{text}" for text in ACTIVE]
    assert [text.lstrip("+") for text in read["'=意见"].tolist()[len(ACTIVE) :]] == [text.lstrip("+") for text in PLAIN]
    if suffix == ".xlsx":
        sheet = openpyxl.load_workbook(copy.file).active
        assert not [cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f" or cell.hyperlink]
