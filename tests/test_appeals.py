"""Appeals against released values: what a granted one moves, and that nothing else moves anything.

The small workspace has five branches and one indicator on 0–100, so that a value is a score and every rank is read off the list.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import DataError, UsageError
from dj_analysis.judge.corrections import Corrections

FIRST = {"B1": 90, "B2": 80, "B3": 70, "B4": 60, "B5": 50}
OBLIGATIONS = "obligation,kind,unit,opened,subject,cycle\n"
EVENTS = "obligation,state,time\n"
GRANTED = "A1,opened,2026-10-12\nA1,accepted,2026-10-13\nA1,granted,2026-10-15\n"
CORRECTED = "B4,2026-09,K,85,released,2026-10-16\n"


def office(
    folder: Path, *, values: str = "", appeals: str = "A1,appeal,B4,2026-10-12,K,2026-09\n", events: str = "",
    months: tuple[str, ...] = ("2026-08", "2026-09"), about: str = "units", n: str = "",
) -> Path:  # fmt: skip
    """Five branches with the same values every month, an appeal of B4 of September, and what became of it."""
    folder.mkdir(exist_ok=True)
    (folder / "workspace.toml").write_text('name = "试"\n', encoding="utf-8")
    (folder / "units.csv").write_text(
        "unit,parent,level,type,name_zh\n" + "".join(f"{unit},,branch,党支部,第{unit[1]}支部\n" for unit in FIRST), encoding="utf-8"
    )  # fmt: skip
    tree = f"code,parent,label_zh,role,direction,weight,minimum,maximum,about\nP,,对标,index,1,1,,,\nK,P,完成率,item,1,1,0,100,{about}\n"
    (folder / "indicators.csv").write_text(tree, encoding="utf-8")
    rows = "".join(f"{unit},{month},K,{value},released,{n}\n" for month in months for unit, value in FIRST.items())
    header = "unit,period,code,value,stage,time\n" if not n else "unit,period,code,value,stage,n\n"
    (folder / "indicator_values.csv").write_text(header + rows + values, encoding="utf-8")
    (folder / "obligations.csv").write_text(OBLIGATIONS + appeals, encoding="utf-8")
    (folder / "obligation_events.csv").write_text(EVENTS + events, encoding="utf-8")
    return folder


def corrected(folder: Path, period: str = "2026-09", **options) -> Corrections:
    ws = dj.open_workspace(folder)
    now, first = (dj.score(ws.indicators(period, corrected=one), by="branch") for one in (True, False))
    return methods.corrections(now, first, ws.appeals(period), "branch", **options)


def problems_of(folder: Path) -> pd.DataFrame:
    return dj.open_workspace(folder).check().table.set_index("rule")


def test_a_granted_appeal_moves_three_units(tmp_path):
    found = corrected(office(tmp_path / "o", values=CORRECTED, events=GRANTED))
    table = found.table.sort_values("unit").set_index("unit")
    assert table.index.tolist() == ["B2", "B3", "B4"]
    assert table["rank_before"].tolist() == [2, 3, 4]
    assert table["rank"].tolist() == [3, 4, 2]
    assert table["own"].tolist() == [0, 0, 2]
    assert table["others"].tolist() == [-1, -1, 0]
    assert table["score_before"].tolist() == [80, 70, 60]
    assert table["score"].tolist() == [80, 70, 85]
    assert table["reason"].tolist() == ["others_corrected", "others_corrected", "value_corrected"]
    assert table["se_source"].tolist() == ["none"] * 3  # two months give no error: a description
    assert table[["rank_low", "rank_high"]].isna().all(axis=None)
    named = found.appeals.table
    assert named[["appeal", "unit", "code", "value_before", "value", "settled"]].to_numpy().tolist() == [
        ["A1", "B4", "K", 60.0, 85.0, "2026-10-15"]
    ]
    assert found.counts.table["appeals"].tolist() == [1, 0, 0, 0]
    assert found.received == 1


def test_the_corrected_value_counts_in_every_score_and_the_first_is_kept(tmp_path):
    ws = dj.open_workspace(office(tmp_path / "o", values=CORRECTED, events=GRANTED))
    for period in ("2026-09", "2026-08/2026-09"):
        table = dj.score(ws.indicators(period), by="branch").table
        month = table[(table["period"] == "2026-09") & (table["code"] == "P")].set_index("unit")["score"]
        assert month["B4"] == 85
    span = dj.score(ws.indicators("2026-08/2026-09"), by="branch")
    assert span.table[(span.table["unit"] == "B4") & (span.table["period"] == span.period)]["score"].iloc[0] == 72.5
    first = ws.indicators("2026-09", corrected=False).values.set_index("unit")["value"]
    assert first.to_dict() == FIRST
    assert ws.indicators("2026-08").values["value"].tolist() == list(FIRST.values())
    assert len(ws.check()) == 0


@pytest.mark.parametrize("outcome", ["refused", "withdrawn", "accepted", ""])
def test_an_appeal_that_was_not_granted_changes_nothing_and_is_counted(tmp_path, outcome):
    events = "A1,opened,2026-10-12\n" + (f"A1,{outcome},2026-10-14\n" if outcome else "")
    folder = office(tmp_path / "o", events=events)
    found = corrected(folder)
    assert found.table.empty
    assert found.appeals.table.empty
    counts = found.counts.table.set_index("state")["appeals"]
    assert counts.to_dict() == {"granted": 0, "refused": 0, "withdrawn": 0, "pending": 0} | {
        outcome if outcome in ("refused", "withdrawn") else "pending": 1
    }
    ws = dj.open_workspace(folder)
    pd.testing.assert_frame_equal(ws.indicators("2026-09").values, ws.indicators("2026-09", corrected=False).values)
    assert len(problems_of(folder)) == 0


def test_without_appeals_there_is_nothing(tmp_path):
    folder = office(tmp_path / "o", appeals="D1,task,B4,2026-10-12,,\n", events="D1,done,2026-10-14\n")
    found = corrected(folder)
    assert found.received == 0
    assert found.table.empty
    assert dj.open_workspace(folder).appeals().empty


def test_two_appeals_after_each_other_are_two_corrections(tmp_path):
    folder = office(
        tmp_path / "o",
        values=CORRECTED + "B4,2026-09,K,65,released,2026-11-03\n",
        appeals="A1,appeal,B4,2026-10-12,K,2026-09\nA2,appeal,B4,2026-10-20,K,2026-09\n",
        events=GRANTED + "A2,refused,2026-10-25\nA2,granted,2026-11-02\n",  # refused, then granted by a higher instance
    )
    found = corrected(folder)
    assert found.appeals.table[["value_before", "value"]].to_numpy().tolist() == [[60, 85], [85, 65]]
    table = found.table.set_index("unit")
    assert table.index.tolist() == ["B4"]
    assert (table["score_before"].tolist(), table["score"].tolist()) == ([60], [65])
    assert (table["rank_before"].tolist(), table["rank"].tolist()) == ([4], [4])


def test_ties_and_a_value_that_was_missing(tmp_path):
    tie = corrected(office(tmp_path / "tie", values=CORRECTED.replace("85", "80"), events=GRANTED)).table.set_index(
        "unit"
    )
    assert tie["rank"].to_dict() == {"B4": 2, "B3": 4}  # B2 and B4 share the second place: B2 keeps it
    assert tie.loc["B4", "tied_with"] == "B2"
    folder = office(tmp_path / "gap", values=CORRECTED, events=GRANTED)
    path = folder / "indicator_values.csv"
    path.write_text(path.read_text("utf-8").replace("B4,2026-09,K,60,", "B4,2026-09,K,,"), "utf-8")
    gap = corrected(folder).table.set_index("unit")
    assert np.isnan(gap.loc["B4", "rank_before"])
    assert gap["rank"].to_dict() == {"B4": 2, "B2": 3, "B3": 4, "B5": 5}
    assert gap.loc["B4", "reason"] == "value_corrected"


def test_below_a_unit_and_among_one_unit(tmp_path):
    found = corrected(office(tmp_path / "o", values=CORRECTED, events=GRANTED), below="B4")
    assert found.appeals.table["unit"].tolist() == ["B4"]
    assert found.table.empty  # nothing lies below a branch
    folder = office(tmp_path / "one", values=CORRECTED, events=GRANTED)
    for name, header in (("units.csv", "unit"), ("indicator_values.csv", "unit")):
        lines = (folder / name).read_text("utf-8").splitlines()
        kept = [line for line in lines if line.startswith((header, "B4"))]
        (folder / name).write_text("\n".join(kept) + "\n", "utf-8")
    alone = corrected(folder).table
    assert alone[["unit", "rank_before", "rank", "own"]].to_numpy().tolist() == [["B4", 1, 1, 0]]


def test_with_enough_months_the_ranks_carry_their_range(tmp_path):
    months = tuple(f"2026-{month:02d}" for month in range(2, 10))
    folder = office(tmp_path / "o", values=CORRECTED, events=GRANTED, months=months)
    path = folder / "indicator_values.csv"
    lines = path.read_text("utf-8").splitlines()
    rng = np.random.default_rng(1)
    noisy = [
        line if ",2026-09," in line or line.startswith("unit")
        else ",".join([*line.split(",")[:3], f"{float(line.split(',')[3]) + rng.normal(0, 3):.1f}", "released", ""])
        for line in lines
    ]  # fmt: skip
    path.write_text("\n".join(noisy) + "\n", "utf-8")
    table = corrected(folder).table.set_index("unit")
    assert table["rank"].to_dict() == {"B4": 2, "B2": 3, "B3": 4}
    assert table["se_source"].tolist() == ["months"] * 3
    assert (table["rank_low"] <= table["rank"]).all()
    assert (table["rank_high"] >= table["rank"]).all()


def test_two_periods_are_no_correction(tmp_path):
    ws = dj.open_workspace(office(tmp_path / "o", values=CORRECTED, events=GRANTED))
    now, before = (dj.score(ws.indicators(period), by="branch") for period in ("2026-09", "2026-08"))
    with pytest.raises(UsageError, match=r"2026-09, 2026-08.*dj\.explain"):
        methods.corrections(now, before, ws.appeals(), "branch")


def test_what_is_corrected_can_be_released_and_what_was_before_cannot(tmp_path):
    ws = dj.open_workspace(office(tmp_path / "o", values=CORRECTED, events=GRANTED))
    plan = ws.release_plan("2026-09")
    now, first = (dj.score(ws.indicators("2026-09", corrected=one), by="branch") for one in (True, False))
    found = methods.corrections(now, first, ws.appeals("2026-09"), "branch")
    safe = dj.protect(found, plan)
    assert safe.table["rank"].notna().all()
    assert safe.part("appeals").table["value"].tolist() == [85]
    with pytest.raises(UsageError, match="the values"):  # earlier values alone would pass for the released ones
        dj.protect(first, plan)


#: What an office may get wrong: what is different, and the rule that names it.
FAULTS = {
    "a value changed without an appeal": ({"values": CORRECTED, "appeals": ""}, "changed_without_appeal"),
    "a value changed after a refusal": (
        {"values": CORRECTED, "events": "A1,refused,2026-10-15\n"}, "changed_without_appeal",
    ),
    "a value changed while the appeal is pending": ({"values": CORRECTED}, "changed_without_appeal"),
    "a value changed before the appeal was granted": (
        {"values": CORRECTED.replace("2026-10-16", "2026-10-14"), "events": GRANTED}, "changed_without_appeal",
    ),
    "the value of another branch changed": (
        {"values": CORRECTED.replace("B4", "B5"), "events": GRANTED}, "changed_without_appeal",
    ),
    "a value changed twice on one appeal": (
        {"values": CORRECTED + CORRECTED.replace("85", "86").replace("10-16", "10-18"), "events": GRANTED},
        "changed_without_appeal",
    ),
    "granted, and no value": ({"events": GRANTED}, "granted_without_value"),
    "the same row twice": ({"values": "B4,2026-09,K,60,released,\n", "events": ""}, "duplicate_row"),
    "an appeal of nobody": ({"appeals": "A1,appeal,B9,2026-10-12,K,2026-09\n"}, "unknown_unit"),
    "an appeal against no indicator": ({"appeals": "A1,appeal,B4,2026-10-12,P,2026-09\n"}, "unknown_code"),
    "an appeal about no period": ({"appeals": "A1,appeal,B4,2026-10-12,K,九月\n"}, "bad_period"),
    "an appeal without a day": ({"appeals": "A1,appeal,B4,,K,2026-09\n"}, "missing_value"),
    "an appeal twice": ({"appeals": "A1,appeal,B4,2026-10-12,K,2026-09\n" * 2}, "duplicate_row"),
    "a state nobody knows": ({"events": "A1,approved,2026-10-15\n"}, "unknown_state"),
    "an event without a day": ({"events": "A1,refused,\n"}, "missing_value"),
    "an event of nothing": ({"events": "A7,refused,2026-10-15\n"}, "unknown_obligation"),
    "an event before the appeal": ({"events": "A1,refused,2026-10-01\n"}, "before_opened"),
    "an appeal about people": ({"about": "persons", "n": "30"}, "appeal_about_persons"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_check_says_of_an_appeal(tmp_path, fault):
    given, rule = FAULTS[fault]
    folder = office(tmp_path / "o", **given)
    found = problems_of(folder)
    assert rule in found.index, found.to_string()
    for column in ("place", "found", "allowed", "advice"):
        assert (found[column] != "").all()
    with pytest.raises(DataError, match=rule):
        dj.score(dj.open_workspace(folder).indicators("2026-09"))


def test_a_refused_change_says_which_appeals_there_are(tmp_path):
    found = problems_of(office(tmp_path / "o", values=CORRECTED, events="A1,refused,2026-10-15\n"))
    assert found.loc["changed_without_appeal", "place"] == "indicator_values.csv: B4, 2026-09, K"
    assert found.loc["changed_without_appeal", "found"] == "60 → 85 (第 10、12 行);A1: refused 2026-10-15"


# --- What is printed ----------------------------------------------------------------------------------------------------


def printed(folder: Path, report: str, **options) -> str:
    """The words of a report in HTML, without its tags."""
    run = dj.run_report(report, folder, formats=["html"], **options)
    assert run.manifest["dropped"] == []
    body = run.files["html"].read_text("utf-8").split("<body", 1)[1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_benchmark_of_the_period_prints_what_was_corrected_and_every_rank_that_moved(tmp_path):
    folder = office(
        tmp_path / "o", values=CORRECTED, events=GRANTED + "A2,refused,2026-10-20\n",
        appeals="A1,appeal,B4,2026-10-12,K,2026-09\nA2,appeal,B5,2026-10-12,K,2026-09\n",
    )  # fmt: skip
    text = printed(folder, "benchmark", period="2026-09")
    assert "更正：本期经复核更正指标值1项，党支部得分或名次变动的3个，见更正说明" in text
    assert "准予更正1件，不予更正1件，撤回0件，办理中0件" in text
    assert "第4支部 完成率 60.00 85.00 2026-10-12 2026-10-15" in text
    for row in ("2 4 第4支部 60.0 85.0", "3 2 第2支部 80.0 80.0", "4 3 第3支部 70.0 70.0"):
        assert row in text
    assert "第5支部 完成率" not in text  # a refused appeal is counted, not named
    english = printed(folder, "benchmark", period="2026-09", lang="en")
    assert "1 granted, 1 refused, 0 withdrawn, 0 pending" in english
    before = printed(folder, "benchmark", period="2026-08")
    assert "更正说明" not in before


def test_appeals_that_changed_nothing_are_counted_in_print(tmp_path):
    text = printed(office(tmp_path / "o", events="A1,accepted,2026-10-13\n"), "benchmark", period="2026-09")
    assert "准予更正0件，不予更正0件，撤回0件，办理中1件。没有准予的更正" in text
    assert "因更正变动" not in text


def test_a_rank_change_of_a_new_branch_with_a_tie_and_of_the_first_month(tmp_path):
    folder = office(tmp_path / "o", values=CORRECTED.replace("85", "80"), events=GRANTED)
    path = folder / "indicator_values.csv"
    path.write_text(path.read_text("utf-8").replace("B5,2026-08,K,50,released,\n", ""), "utf-8")
    new = printed(folder, "rank-change", period="2026-09", unit="第5支部")
    assert "2026年9月得分50.0分，在5个同类党支部中列第5名；缺少误差估算依据，名次仅作情况描述" in new
    assert "2026年8月没有可比的得分，本期起参加比较" in new
    assert "得分变化的构成" not in new
    tied = printed(folder, "rank-change", period="2026-09", unit="B4")
    assert "列第2名（与第2支部同分）" in tied
    assert "名次上升2名：自身得分变化使名次上升2名（按其他单位不变推算），其他单位得分变化使名次不变" in tied
    assert "使得分增加较多的指标：完成率（20.0分）" in tied
    assert "指标版本、权重没有影响" in tied
    assert "缺少误差估算依据，不就名次变动提出措施" in tied
    assert "本单位有指标值经复核更正" in tied
    first = printed(folder, "rank-change", period="2026-08", unit="B4", lang="en")
    assert "There are no earlier data, and there is no change to explain." in first
    path.write_text(path.read_text("utf-8").replace("B1,2026-09,K,90,", "B1,2026-09,K,,"), "utf-8")
    gone = printed(folder, "rank-change", period="2026-09", unit="B1")
    assert "2026年9月没有得分（无数据），不作名次说明" in gone


def test_the_whole_has_no_rank_to_explain(tmp_path):
    folder = office(tmp_path / "o", events="A1,refused,2026-10-13\n")
    with pytest.raises(dj.DjError, match=r"名次变动说明须指定.*--unit B1"):
        dj.run_report("rank-change", folder, period="2026-09", formats=["html"])
