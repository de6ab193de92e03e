"""Dated events an office wrote down are marked beside the series and listed; they change no number and name no cause."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from offices import office, people
from shared import copied, demo_office

import dj_analysis as dj
from dj_analysis.errors import DataError
from dj_analysis.folder import check_folder

PERIODS = ("2026Q2", "2026Q3")
LONGEST = "启用新食堂并调整就餐补贴标准同步开放夜班供餐窗口试行两个月整"  # 30 characters


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return office(tmp_path / "office", people(seed=1), people(seed=2, first=301), periods=PERIODS)


def with_events(folder: Path, *rows: str, lang: str = "zh") -> dj.Workspace:
    (folder / "context.csv").write_text("\n".join(["date,label,unit", *rows]) + "\n", "utf-8")
    return dj.open_workspace(folder, lang=lang)


def trend_of(ws: dj.Workspace) -> dj.Result:
    return dj.trend([ws.scores(one) for one in PERIODS], context=ws.context())


def marks(ws: dj.Workspace, unit: str = "ALL") -> tuple[list[float], list[str]]:
    """Places of the marks of a trend's figure, and their labels."""
    axes = dj.plot_trend(dj.protect(trend_of(ws), ws.release_plan("2026Q3")), unit=unit)
    lines = [float(line.get_xdata()[0]) for line in axes.get_lines() if line.get_linestyle() == ":"]
    labels = [text.get_text() for text in axes.texts if text.get_text()[:2].isdigit() and "-" in text.get_text()[:4]]
    return sorted(lines), sorted(labels)


def test_without_a_table_nothing_is_marked(folder: Path):
    ws = dj.open_workspace(folder)
    assert ws.context() is None
    assert not trend_of(ws).parts
    assert marks(ws) == ([], [])


def test_events_stand_in_order_of_time_where_they_happened(folder: Path):
    ws = with_events(folder, "2026-08-20,启用新食堂,", "2026-05-06,薪酬改革,", "2026-05-06,机构调整,C1")
    assert ws.context().table[["date", "unit", "label"]].to_numpy().tolist() == [
        ["2026-05-06", "ALL", "薪酬改革"], ["2026-05-06", "C1", "机构调整"], ["2026-08-20", "ALL", "启用新食堂"],
    ]  # fmt: skip
    places, labels = marks(ws)
    assert labels == ["05-06 薪酬改革", "08-20 启用新食堂"]  # what one city did is told in its own report
    months = [12 * day.year + day.month + (day.day - 1) / 31 for day in (date(2026, 5, 6), date(2026, 8, 20))]
    assert places == pytest.approx(months)
    assert marks(ws, "B11")[1] == ["05-06 机构调整", "05-06 薪酬改革", "08-20 启用新食堂"]
    assert marks(ws, "C2")[1] == ["05-06 薪酬改革", "08-20 启用新食堂"]


def test_no_number_changes(folder: Path):
    bare = trend_of(dj.open_workspace(folder)).table
    assert trend_of(with_events(folder, "2026-05-06,薪酬改革,")).table.equals(bare)


def test_events_outside_the_series_are_not_told(folder: Path):
    ws = with_events(folder, "2026-03-31,太早,", "2026-04-01,首日,", "2026-09-30,末日,", "2026-10-01,太晚,")
    assert list(trend_of(ws).parts["context"].table["label"]) == [
        "首日", "末日",
    ]  # fmt: skip
    assert list(ws.context(until="2026Q3").table["label"]) == ["太早", "首日", "末日"]
    assert "context" not in trend_of(with_events(folder, "2027-01-01,太晚,")).parts


def test_a_wave_stands_at_the_days_it_was_asked(folder: Path):
    """An event after the last day of a survey stands after its mark though both are of one quarter."""
    settings = folder / "workspace.toml"
    days = '[waves]\n"2026Q3" = { form = "full", from = 2026-07-06, to = 2026-07-10 }\n'
    settings.write_text(settings.read_text("utf-8") + days, "utf-8")
    ws = with_events(folder, "2026-07-20,启用新食堂,")
    axes = dj.plot_trend(trend_of(ws))
    waves = axes.get_xticks()
    assert waves[1] == pytest.approx(12 * 2026 + 7 + 7 / 31)
    assert waves[1] < marks(ws)[0][0]


def test_labels_of_near_events_do_not_meet(folder: Path):
    ws = with_events(
        folder, f"2026-05-06,{LONGEST},", "2026-05-06,Pay reform,", "2026-05-07,新食堂,", "2026-09-28,调整,"
    )
    axes = dj.plot_trend(trend_of(ws))
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()[:3] in ("05-", "09-")]
    title = next(one for one in axes.get_children() if "固定跟踪题" in getattr(one, "get_text", str)())
    assert len(boxes) == 4
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
        assert not box.overlaps(title.get_window_extent())
        assert box.x0 > 0
        assert box.x1 < axes.figure.bbox.x1


def test_many_events_carry_their_day_alone(folder: Path):
    ws = with_events(folder, *(f"2026-05-{day:02d},事项{day}的说明文字较长些,C1" for day in range(1, 13)))
    assert marks(ws, "C1")[1] == [f"05-{day:02d}" for day in range(1, 13)]


def test_mistakes_in_the_table_are_told_at_once(folder: Path):
    ws = with_events(
        folder, "2026-02-30,无此日,", "2026Q2,季度,", f"2026-05-06,{LONGEST}多,", "2026-05-07,新食堂,X9",
        "2026-05-08,找13812345678,", "2026-05-09,,", "2026-05-10,重复,", "2026-05-10,重复,",
    )  # fmt: skip
    with pytest.raises(DataError) as caught:
        ws.context()
    table = caught.value.problems.table
    rules = {"bad_date", "too_long", "unknown_unit", "identifier_content", "missing_value", "duplicate_row"}
    assert set(table["rule"]) == rules
    assert not table["found"].str.contains("13812345678").any()
    assert set(check_folder(folder).table["rule"]) == rules


def test_columns_of_persons_are_refused(folder: Path):
    (folder / "context.csv").write_text("date,label,姓名\n2026-05-06,新食堂,某人\n", "utf-8")
    with pytest.raises(DataError, match="姓名"):
        dj.open_workspace(folder).context()


@pytest.mark.parametrize(("lang", "words"), [
    ("zh", "不表示因果"), pytest.param("en", "no cause is meant", marks=pytest.mark.everything),
])  # fmt: skip
def test_the_quarterly_report_lists_them_under_the_figure(folder: Path, lang: str, words: str):
    ws = with_events(folder, "2026-05-06,薪酬改革,", "2026-08-20,New canteen <b>,", "2026-12-01,太晚,", lang=lang)
    run = ws.run_report("quarterly", period="2026Q3", formats=["html"])
    text = run.files["html"].read_text("utf-8")
    assert words in text
    assert "2026-08-20" in text
    assert "New canteen &lt;b&gt;" in text
    assert "太晚" not in text


def test_the_demo_has_two(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory):
    shared = demo_office(tmp_path_factory, employees=900, branches=20, quarters=2, seed=3)
    ws = dj.open_workspace(copied(shared, tmp_path / "demo"))
    assert len(ws.context().table) == 2
    assert len(ws.context(until=ws.periods[0]).table) == 1
