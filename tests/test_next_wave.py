"""`dj add`: the next wave of an own survey is matched by wording, asked about where in doubt, and both waves read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import dj_analysis as dj
from dj_analysis.cli import app
from dj_analysis.errors import DataError, DjError, IdentifierError, UsageError
from dj_analysis.folder import check_folder
from dj_analysis.proposal import WaveDecisions, add_wave, propose_workspace

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

AGREE = np.array(["非常不同意", "不同意", "一般", "同意", "非常同意"])
QUESTIONS = ("我的工作量合适", "收入分配公平", "领导听取意见", "同事互相帮助")
OPTIONS = ("食堂", "班车", "宿舍")
PEOPLE = 60


def export(
    path: Path,
    month: int,
    *,
    questions: tuple[str, ...] = QUESTIONS,
    units: tuple[str, ...] = ("运维支部", "营销支部", "物资支部"),
    first: int = 1,
    by_number: bool = False,
    more: dict[str, Any] | None = None,
    seed: int = 1,
) -> Path:
    """An export as a platform gives it, its questions numbered from ``first`` on."""
    rng = np.random.default_rng([seed, month])
    table: dict[str, Any] = {
        "序号": range(1, PEOPLE + 1),
        "提交答卷时间": [f"2026/{month}/{i % 28 + 1} 09:{i % 60:02d}:00" for i in range(PEOPLE)],
        "所用时间": [f"{60 + i}秒" for i in range(PEOPLE)],
        f"{first}、您所在的党支部": [units[i % len(units)] for i in range(PEOPLE)],
    }
    mood = rng.normal(size=PEOPLE)
    for number, text in enumerate(questions, start=first + 1):
        steps = np.clip(np.round(2.5 + mood + rng.normal(size=PEOPLE)), 0, 4).astype(int)
        table[f"{number}、{text}"] = steps + 1 if by_number else AGREE[steps]
    chosen = rng.random((PEOPLE, 3)) < 0.5
    chosen[~chosen.any(axis=1), 0] = True
    last = first + len(questions) + 1
    table |= {f"{last}、您最关心什么({option})": chosen[:, k].astype(int) for k, option in enumerate(OPTIONS)}
    pd.DataFrame(table | (more or {})).to_csv(path, index=False, encoding="utf-8-sig")
    return path


@pytest.fixture
def office(tmp_path: Path) -> Path:
    propose_workspace(tmp_path / "office", export(tmp_path / "first.csv", 8))
    return tmp_path / "office"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and ".dj" not in p.parts
    }


def test_renumbered_questions_are_matched_by_wording(office: Path, tmp_path: Path) -> None:
    """Everything moved down by three, the options of the multiple choice too."""
    added = add_wave(office, export(tmp_path / "next.csv", 11, first=4))
    assert added.period == "2026Q4"
    assert check_folder(office).table.empty
    ws = dj.open_workspace(office)
    assert ws.periods == ["2026Q3", "2026Q4"]
    for period, month in (("2026Q3", 8), ("2026Q4", 11)):
        source = pd.read_csv(export(tmp_path / "again.csv", month))
        column = next(name for name in source if QUESTIONS[0] in name)
        expected = 25 * source[column].map({text: i for i, text in enumerate(AGREE)}).mean()
        code = next(n.code for n in ws.spec.codebook.tree.leaves if n.text_zh == QUESTIONS[0])
        assert ws.scores(period).at("ALL", code)["score"] == pytest.approx(expected)
        shares = dj.choices(ws.survey(period), next(iter(ws.spec.codebook.choices.inner)).code).table
        counted = [source[name].mean() for name in source if "您最关心" in name]
        assert shares["share"].tolist() == pytest.approx(counted)


def test_reworded_questions_are_asked_and_then_both_waves_read(office: Path, tmp_path: Path) -> None:
    words = ("我的工作量总体上合适", "收入分配公平", "上级愿意听取一线意见", "同事互相帮助")
    following = export(tmp_path / "next.csv", 11, questions=words, first=3)
    before = contents(office)
    with pytest.raises(DataError) as error:
        add_wave(office, following)
    told = error.value.problems.table
    assert told["rule"].tolist() == ["reworded_question"] * 2
    assert contents(office) == before
    book = dj.open_workspace(office).spec.codebook.tree
    codes = {leaf.text_zh: leaf.code for leaf in book.leaves}
    assert codes[QUESTIONS[0]] in told["advice"].iloc[0]
    decisions = WaveDecisions(same={"4": codes[QUESTIONS[0]]}, replaced={f"6、{words[2]}": codes[QUESTIONS[2]]})
    add_wave(office, following, decisions=decisions)
    assert check_folder(office).table.empty
    ws = dj.open_workspace(office)
    new = f"{codes[QUESTIONS[2]]}b"
    assert ws.spec.codebook.tree[new].replaces == codes[QUESTIONS[2]]
    assert ws.scores("2026Q4").at("ALL", new)["n"] == PEOPLE
    assert codes[QUESTIONS[2]] not in set(ws.scores("2026Q4").table["code"])
    assert ws.scores("2026Q3").at("ALL", codes[QUESTIONS[2]])["n"] == PEOPLE
    change = dj.compare(ws.scores("2026Q4"), ws.scores("2026Q3")).where(unit="ALL", code="INDEX").table.iloc[0]
    assert (change["items"], change["common_items"]) == (4, 3)


def test_a_merged_department_and_another_spelling_are_asked(office: Path, tmp_path: Path) -> None:
    following = export(tmp_path / "next.csv", 11, units=("运维支部", "营销党支部", "物资后勤支部"))
    with pytest.raises(DataError) as error:
        add_wave(office, following)
    assert error.value.problems.table["found"].tolist() == ["物资后勤支部", "营销党支部"]
    add_wave(
        office, following,
        decisions=WaveDecisions(became={"物资支部": "物资后勤支部"}, alias={"营销党支部": "营销支部"}),
    )  # fmt: skip
    ws = dj.open_workspace(office)
    change = dj.compare(ws.scores("2026Q4"), ws.scores("2026Q3")).table
    rows = change[(change["code"] == "INDEX") & (change["level"] == "unit")]
    assert len(rows) == 3
    assert rows["before"].notna().all()  # the merged unit is compared with its parts
    assert ws.units.at("2026Q4").find("物资后勤支部") not in ws.units.at("2026Q3")


def test_two_departments_become_one(office: Path, tmp_path: Path) -> None:
    following = export(tmp_path / "next.csv", 11, units=("运维支部", "综合支部"))
    merged = {"营销支部": "综合支部", "物资支部": "综合支部"}
    add_wave(office, following, decisions=WaveDecisions(became=merged))
    ws = dj.open_workspace(office)
    change = dj.compare(ws.scores("2026Q4"), ws.scores("2026Q3"))
    row = change.where(unit=ws.units.at("2026Q4").find("综合支部"), code="INDEX").table.iloc[0]
    assert row["n_before"] == 40


def test_a_question_left_out_makes_a_shorter_wave_an_error_and_a_new_one_asked_for_nothing(
    office: Path, tmp_path: Path
) -> None:
    """Without forms every question belongs to every wave: one that is missing is told by its wording."""
    with pytest.raises(DataError, match="同事互相帮助"):
        add_wave(office, export(tmp_path / "next.csv", 11, questions=QUESTIONS[:3]))
    more = {
        "9、您的工龄段": ["5年以下", "5年以上"] * (PEOPLE // 2),
        "10、还想说什么": [f"意见{i}" for i in range(PEOPLE)],
    }
    added = add_wave(office, export(tmp_path / "third.csv", 11, more=more))
    assert "工龄段" in "".join(added.notices)
    stored = (office / "responses" / "2026Q4.csv").read_text(encoding="utf-8-sig")
    assert "意见3" not in stored


@pytest.mark.parametrize(
    ("month", "options", "period", "said"),
    [
        (8, {}, "2026Q4", "完全相同"),
        (8, {"seed": 3}, None, "已有 2026Q3"),
        (2, {}, "2026Q4", "dates_outside"),
        (11, {"more": {"姓名": ["某某"] * PEOPLE, "手机": ["13800138000"] * PEOPLE}}, None, ""),
    ],
)
def test_what_cannot_be_added_is_told_and_nothing_changes(
    office: Path, tmp_path: Path, month: int, options: dict[str, Any], period: str | None, said: str
) -> None:
    before = contents(office)
    path = export(tmp_path / "next.csv", month, **options)
    if not said:  # columns that name people are left out, and told
        assert "姓名" in add_wave(office, path, period).notices[0]
        assert "某某" not in (office / "responses" / "2026Q4.csv").read_text(encoding="utf-8-sig")
        return
    with pytest.raises(DjError, match=said):
        add_wave(office, path, period)
    assert contents(office) == before


def test_identifiers_in_answers_stop_at_this_door_too(office: Path, tmp_path: Path) -> None:
    before = contents(office)
    units = ("运维支部", "营销支部", "110101199003071233")
    with pytest.raises((IdentifierError, DataError)):
        add_wave(office, export(tmp_path / "next.csv", 11, units=units))
    assert contents(office) == before


def test_a_decision_about_nothing_is_named(office: Path, tmp_path: Path) -> None:
    following = export(tmp_path / "next.csv", 11)
    for decisions in (
        WaveDecisions(same={"没有这列": "item5"}), WaveDecisions(same={"2": "没有"}), WaveDecisions(became={"没有": "x"}),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="没有"):
            add_wave(office, following, decisions=decisions)


def test_the_command_does_it(office: Path, tmp_path: Path) -> None:
    words = (*QUESTIONS[:3], "同事之间互相帮助")
    following = export(tmp_path / "next.csv", 11, questions=words)
    runner = CliRunner()
    asked = runner.invoke(app, ["add", str(office), "--from", str(following)])
    assert isinstance(asked.exception, DataError)
    code = next(
        leaf.code for leaf in dj.open_workspace(office).spec.codebook.tree.leaves if leaf.text_zh == QUESTIONS[3]
    )
    done = runner.invoke(app, ["add", str(office), "--from", str(following), "--same", f"5={code}"])
    assert done.exit_code == 0, done.output
    assert "2026Q4" in done.output
    declared = tomllib.loads((office / "workspace.toml").read_text(encoding="utf-8"))["waves"]
    assert declared["2026Q4"]["from"] < declared["2026Q4"]["to"], "the days of submission"
    assert declared["2026Q4"]["from"].year == 2026


def test_a_wave_is_not_closed_on_a_placeholder(office: Path) -> None:
    """`dj new` writes a notice to be put right; until it is, the wave stays open."""
    with pytest.raises(DataError, match="placeholder"):
        dj.open_workspace(office).close("2026Q3")
    settings = office / "workspace.toml"
    text = settings.read_text(encoding="utf-8").replace("（由 dj new 填写，请改为实际的告知方式）", "")
    settings.write_text(text, encoding="utf-8")
    ws = dj.open_workspace(office)
    ws.close("2026Q3")
    assert not ws.is_draft("2026Q3")
