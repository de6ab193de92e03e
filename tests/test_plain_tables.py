"""Plain tables read by column are those that are read by record, and what is not plain is left to the reader of records."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dj_analysis.errors import Problems
from dj_analysis.spec.headers import with_header
from dj_analysis.spec.plain_tables import read_plain
from dj_analysis.spec.tables import read_text
from dj_analysis.spec.textfiles import Delimited, records_of

CELL = st.text(st.sampled_from('ab1,;\t"\r\n \u3000\xa0\x1c\ufeff合计支部'), max_size=4)
PLAIN_CELL = st.text(st.sampled_from("ab1 \u3000\xa0支部."), max_size=4)


def by_record(text: str, separator: str) -> tuple[pd.DataFrame | None, Problems, tuple[str, ...]]:
    problems = Problems()
    grid = records_of(Delimited(text, separator), "f.csv", problems)
    headed = with_header(grid, "f.csv", problems) if grid is not None and not len(problems) else None
    return (None, problems, ()) if headed is None else (headed.frame, problems, headed.notices)


def agree(text: str, separator: str) -> bool:
    """Compare both readers where the text is taken for plain; tell whether it was."""
    plain = read_plain(text, separator)
    if plain is None:
        return False
    frame, problems, notices = by_record(text, separator)
    assert not len(problems)
    assert notices == plain.notices == ()
    assert not plain.wordings
    pd.testing.assert_frame_equal(plain.frame, frame, check_index_type="exact", check_column_type="exact")
    return True


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=6),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
@example([["a", "b"], ['"x"', '"y,"']], ",", "\n")
@example([["a", "b"], ['"x"y', "z"]], ",", "\n")
@example([["a", "b"], ['x"y"', "z"]], ",", "\n")
@example([["a", "b"], ['"x""y"', '"\r\nz"']], ",", "\r\n")
def test_whatever_is_taken_for_plain_is_read_as_by_record(rows, separator, end):
    agree(end.join(separator.join(row) for row in rows), separator)
    agree(end.join(separator.join(row) for row in rows) + end, separator)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 5).flatmap(
        lambda width: st.lists(st.lists(PLAIN_CELL, min_size=width, max_size=width), min_size=1, max_size=8)
    )
)
def test_a_table_without_gaps_in_its_header_is_plain(rows):
    header = [f"h{i}" for i in range(len(rows[0]))]
    text = "\n".join(",".join(row) for row in [header, *rows]) + "\n"
    full = sum(map(bool, header)) > 2
    assert agree(text, ",") or not full or not any(any(cell.strip() for cell in row) for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("季度报表\nunit,value\nB1,1\nB2,2\n", id="title"),
        pytest.param("unit,value,more\nB1,1\nB2,2,3\n", id="ragged"),
        pytest.param("unit,,more\nB1,1,2\n", id="gap in the header"),
        pytest.param("unit,value,more\n,,\n", id="empty records"),
        pytest.param("unit,value,more\n", id="no records"),
        pytest.param('unit,value,more\nB1,"1"2,3\n', id="quotes inside"),
        pytest.param("unit,value,more\nB1,1,2\n" + 300 * "B1,1,2\n" + "B2,1\n", id="cut short"),
    ],
)
def test_what_is_not_plain_is_left_to_the_reader_of_records(text):
    assert read_plain(text, ",") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_rows_keep_their_number_in_the_file(tmp_path: Path, encoding: str):
    lines = ["unit,period,value", "一支部,2026-01,1", ",,", " 二支部 ,2026-02,\u30002", "", *["三支部,2026-03,3"] * 500]
    path = tmp_path / "values.csv"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    problems = Problems()
    table = read_text(path, problems)
    assert table is not None
    assert not len(problems)
    assert table.frame.iloc[1].tolist() == ["二支部", "2026-02", "2"]
    assert [int(i) + 2 for i in table.frame.index[:3]] == [2, 4, 6], "the line of the file, the header is the first"
