"""A red or black warning is named only after its unit was told and had its time to reply (通气核实, domain B8 item 四, R10)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from offices import ITEMS, SIZES, UNITS, office, people
from shared import copied, demo_office

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import DataError, UsageError
from dj_analysis.publish.wording import fill, words
from dj_analysis.spec import workdays

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

PERIODS = ("2026Q2", "2026Q3")
WAVE = "2026Q3"
HEAD = "obligation,kind,unit,opened,due,label,cycle,class\n"
EVENTS = "obligation,state,time\n"
TOLD = "2026-09-28"  # Monday; the three working days end on Thursday 8 October, after the holidays of 1 to 7 October
DUE = "2026-10-08"
MORE = "B13,C1,branch,五支部\nB14,C1,branch,六支部\n"


def lean(table: pd.DataFrame, units: dict[str, int], seed: int) -> pd.DataFrame:
    """Answers near a value in some units, high in the others."""
    rng = np.random.default_rng(seed)
    for item in ITEMS:
        table[item] = 4 + rng.integers(-1, 2, len(table))
        for unit, value in units.items():
            rows = table["unit"] == unit
            table.loc[rows, item] = np.clip(value + rng.integers(-1, 2, rows.sum()), 1, 5)
    return table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """B11 and B21 far below in both waves, B13 with six people."""
    sizes = SIZES | {"B13": 6, "B14": 28}
    waves = [lean(people(sizes, seed=k, first=300 * k), {"B11": 1, "B21": 1}, k) for k in (1, 2)]
    place = office(tmp_path / "office", *waves, periods=PERIODS)
    (place / "units.csv").write_text(UNITS + MORE, "utf-8")
    return place


def enter(folder: Path, rows: str, events: str = "") -> dj.Workspace:
    """Write reviews, ``R1,B11,2026-09-28,,意见,2026Q3`` each."""
    lines = [line.split(",", 1) for line in rows.strip().splitlines()]
    written = "".join(f"{code},human_review,{rest},\n" for code, rest in lines)
    (folder / "obligations.csv").write_text(HEAD + written, "utf-8")
    if events:
        (folder / "obligation_events.csv").write_text(EVENTS + events, "utf-8")
    return dj.open_workspace(folder)


def judged(ws: dj.Workspace) -> dj.Result:
    now = ws.scores(WAVE)
    return dj.alerts(now, dj.compare(now, ws.scores("2026Q2")), ws.alerts(before=WAVE), draws=0)


def reviewed(ws: dj.Workspace, asof: str) -> pd.DataFrame:
    table = methods.after_review(judged(ws), ws.obligations(kind="human_review"), asof).table
    return table[table["level"] == "branch"].set_index("unit")


def test_the_office_has_two_red_or_black_branches(folder: Path):
    table = judged(dj.open_workspace(folder)).table
    grave = table[table["warning"].isin(["red", "black"]) & (table["level"] == "branch")]
    assert list(grave["unit"]) == ["B11", "B21"]


def test_nobody_notified_nobody_named(folder: Path):
    ws = dj.open_workspace(folder)
    assert len(ws.obligations(kind="human_review").table) == 0
    rows = reviewed(ws, "2026-12-31")
    assert not rows["warning"].isin(["red", "black"]).any()


@pytest.mark.parametrize(
    ("events", "asof", "review"),
    [
        ("", "2026-09-28", ""), ("", DUE, ""), ("", "2026-10-09", "unanswered"),
        ("R1,notified,2026-09-28\nR1,replied,2026-09-29\n", "2026-09-28", ""),
        ("R1,replied,2026-09-29\n", "2026-09-29", "replied"), ("R1,replied,2026-10-08\n", "2026-12-31", "replied"),
        ("R1,replied,2026-10-09\n", "2026-10-09", "replied_late"),
    ],
)  # fmt: skip
def test_a_unit_is_named_once_it_replied_or_its_day_is_past(folder: Path, events: str, asof: str, review: str):
    """On the due day itself it is not named; a reply after it is told as late. The holidays of October do not count."""
    assert str(workdays.after(TOLD, 3)) == DUE
    ws = enter(folder, f"R1,B11,{TOLD},,{'已调整排班' if 'replied' in events else ''},2026Q3", events)
    row = reviewed(ws, asof).loc["B11"]
    assert row["review"] == review
    assert (row["warning"] in ("red", "black")) == bool(review)
    replied = review.startswith("replied")
    assert (row["reply"], row["replied"] != "") == ("已调整排班" if replied else "", replied)
    assert row["due"] == (DUE if review else "")
    assert reviewed(ws, asof).loc["B21", "warning"] == ""


def test_a_row_that_is_not_named_looks_like_one_without_a_warning(folder: Path):
    ws = enter(folder, f"R1,B11,{TOLD},,,2026Q3")
    all_of_them = judged(ws).table.set_index(["level", "unit"])
    rows = reviewed(ws, "2026-10-09")
    held, quiet = rows.loc["B21"], rows.loc["B22"]
    assert all_of_them.loc[("branch", "B21"), "warning"] != ""
    public = ["n", "response", "level", "period"]
    for name in rows.columns.drop(public):
        assert held[name] == quiet[name] or (pd.isna(held[name]) and pd.isna(quiet[name])), name
    assert "B21" not in set(rows["covered_by"])
    # Nor does what is said of the wave before give it away: nothing is told to have ended at that level.
    assert (rows.loc[rows["warning"] == "", "warning_before"] == "").all()


def test_orange_needs_no_review_and_a_level_is_never_changed(folder: Path):
    (folder / "bands.toml").write_text(
        '[warning]\nband = [{ code = "orange", below = 99, confidence = 0.8 }]\n', "utf-8"
    )
    ws = enter(folder, f"R1,B22,{TOLD},,未见问题,2026Q3", "R1,replied,2026-09-29\n")
    alerts = dj.alerts(ws.scores(WAVE), draws=0)  # no wave before: orange for two waves would be red
    own = alerts.table[(alerts.table["level"] == "branch") & (alerts.table["warning"] == "orange")]
    table = methods.after_review(alerts, ws.obligations("human_review"), "2026-12-31").table
    rows = table[table["level"] == "branch"].set_index("unit")
    assert set(own["unit"]) == set(rows.index[rows["warning"] == "orange"]) != set()
    assert "B22" in set(own["unit"])
    assert rows.loc["B22", ["review", "reply"]].tolist() == ["", ""]  # nobody asked: nothing is printed beside it
    # What else a row of the table says does not reach the warning.
    text = (folder / "obligations.csv").read_text("utf-8").replace("B22", "B11").replace("2026Q3,", "2026Q3,orange")
    (folder / "obligations.csv").write_text(text, "utf-8")
    again = dj.open_workspace(folder)
    named = reviewed(again, "2026-12-31").loc["B11"]
    assert named["warning"] == judged(again).table.set_index(["level", "unit"]).loc[("branch", "B11"), "warning"]


def test_counts_are_told_and_left_out_where_they_would_name(folder: Path):
    ws = enter(folder, f"R1,B11,{TOLD},,好,2026Q3", "R1,replied,2026-09-29\n")
    alerts = judged(ws)
    counts = methods.after_review(alerts, ws.obligations("human_review"), "2026-09-30").counts.table
    branch = counts[counts["level"] == "branch"].set_index("warning")
    sums = branch.loc[["red", "black"], ["units", "unnamed", "told", "heard"]].sum()
    assert sums.tolist() == [2, 1, 1, 1]
    city = counts[counts["level"] == "city"].set_index("warning")
    grave = alerts.table[(alerts.table["level"] == "city") & alerts.table["warning"].isin(["red", "black"])]
    if len(grave):  # two cities: their number would name them
        assert city.loc[["red", "black"], "units"].isna().all()
    else:
        assert city["units"].sum() == (alerts.table["level"].eq("city") & alerts.table["warning"].eq("orange")).sum()


def test_a_count_of_all_that_are_left_would_name_them(folder: Path):
    ws = dj.open_workspace(folder)
    alerts = judged(ws)
    table = alerts.table[alerts.table["unit"].isin(["B11", "B21"])].reset_index(drop=True)
    few = methods.after_review(alerts.remade(table), None, "2026-12-31").counts.table
    assert few.loc[few["warning"].isin(["red", "black"]), "units"].isna().all()
    assert not few.loc[few["warning"] == "orange", "units"].isna().any()


def test_protect_names_no_unit_whose_warning_was_not_reviewed(folder: Path):
    """One forgotten call is not enough: what comes to the gate unreviewed leaves without names, and what is made of it too."""
    ws = dj.open_workspace(folder)
    plan, alerts, now = ws.release_plan(WAVE), judged(ws), ws.scores(WAVE)
    assert not dj.protect(alerts, plan).table["warning"].isin(["red", "black"]).any()
    history = dj.protect(alerts.after(ws.alerts(before=WAVE)), plan).table
    assert not history["warning"].isin(["red", "black"]).any()
    assert not history["warning_before"].isin(["red", "black"]).any()
    proposed = dj.propose(alerts, None, now, start="2026-10-08")
    grave = {"B11", "B21"}
    told = {*proposed.table["unit"], *proposed.without.table["unit"], *proposed.drivers.table["unit"]}
    assert grave <= told
    safe = dj.protect(proposed, plan)
    for part in (safe, *(safe.part(name) for name in ("drivers", "paths", "without"))):
        assert not grave & set(part.table["unit"])
    ws = enter(folder, f"R1,B11,{TOLD},,好,2026Q3", "R1,replied,2026-09-29\n")
    named = methods.after_review(judged(ws), ws.obligations("human_review"), "2026-09-30")
    proposed = dj.propose(named, None, ws.scores(WAVE), start="2026-10-08")
    safe = dj.protect(proposed, ws.release_plan(WAVE))
    shown = {*safe.table["unit"], *safe.part("without").table["unit"]}
    assert "B11" in shown
    assert "B21" not in shown
    letters = methods.notices(alerts, TOLD)
    with pytest.raises(UsageError, match="一单位一份"):
        dj.protect(letters, plan)
    assert list(dj.protect(letters.of("B21"), plan).table["unit"]) == ["B21"]


def test_a_unit_that_a_release_hides_has_no_warning_and_no_letter(folder: Path):
    ws = enter(folder, f"R1,B13,{TOLD},,好,2026Q3", "R1,replied,2026-09-29\n")
    row = reviewed(ws, "2026-12-31").loc["B13"]
    assert (row["warning"], row["review"], row["reply"]) == ("", "", "")
    assert "B13" not in set(ws.notices(WAVE, TOLD).table["unit"])


def test_a_warning_of_an_earlier_wave_has_its_own_review(folder: Path):
    ws = enter(folder, f"R1,B11,{TOLD},,好,2026Q3\nR2,B21,2026-06-20,,,2026Q2", "R1,replied,2026-09-29\n")
    alerts = judged(ws)
    both = methods.after_review(alerts.after(ws.alerts(before=WAVE)), ws.obligations("human_review"), "2026-09-30")
    cells = both.table[both.table["level"] == "branch"].set_index(["period", "unit"])
    assert cells.loc[("2026Q2", "B21"), "review"] == "unanswered"
    assert cells.loc[("2026Q2", "B11"), "warning"] == ""
    assert cells.loc[(WAVE, "B21"), "warning"] == ""
    assert cells.loc[(WAVE, "B11"), "warning"] in ("red", "black")
    assert cells.loc[(WAVE, "B11"), "warning_before"] == ""  # that one was not reviewed


LONG = "查" * 100


@pytest.mark.parametrize(
    ("rows", "events", "rule", "found"),
    [
        (f"R1,B11,{TOLD},,{LONG}一,2026Q3", "R1,replied,2026-09-29\n", "too_long", "101"),
        (f"R1,B11,{TOLD},,好,2026Q3", "R1,replied,2026-09-27\n", "before_opened", "2026-09-27"),
        (f"R1,B11,{TOLD},,,2026Q3\nR2,B11,2026-09-29,,,2026Q3", "", "two_reviews", "B11 2026Q3"),
        (f"R1,B99,{TOLD},,,2026Q3", "", "unknown_unit", "B99"),
        (f"R1,B11,{TOLD},,请联系13800138000,2026Q3", "R1,replied,2026-09-29\n", "identifier_content", "手机号"),
        (f"R1,B11,{TOLD},,已核实,2026Q3", "", "reply_without_event", "R1"),
        (f"R1,B11,{TOLD},,,上季", "", "bad_period", "上季"),
        (f"R1,B11,{TOLD},,,", "", "bad_period", "空"),
        ("R1,B11,2026-05-28,,,2026Q3", "", "before_period", "2026-05-28"),
        (f"R1,B11,{TOLD},,,2026Q3", "R1,replied,2026-09-29\nR1,notified,2026-09-30\n", "illegal_move", "R1"),
        (f"R1,B11,{TOLD},2026-09-27,,2026Q3", "", "before_opened", "2026-09-27"),
    ],
)  # fmt: skip
def test_faults_of_reviews(folder: Path, rows: str, events: str, rule: str, found: str):
    with pytest.raises(DataError) as caught:
        enter(folder, rows, events).obligations()
    problems = [problem for problem in caught.value.problems if problem.rule == rule]
    assert [found in problem.found for problem in problems] == [True], str(caught.value)


def test_a_phone_number_in_a_reply_is_not_repeated(folder: Path):
    with pytest.raises(DataError) as caught:
        enter(folder, f"R1,B11,{TOLD},,请联系13800138000,2026Q3", "R1,replied,2026-09-29\n").obligations()
    assert "13800138000" not in str(caught.value)


def test_a_reply_of_a_hundred_characters_stands_whole(folder: Path):
    ws = enter(folder, f"R1,B11,{TOLD},,{LONG},2026Q3", "R1,replied,2026-09-29\n")
    named = methods.after_review(judged(ws), ws.obligations("human_review"), "2026-09-30")
    safe = dj.protect(named, ws.release_plan(WAVE)).where(unit="B11")
    cells = dj.table(safe, ["unit", "review", "reply"]).content["rows"]
    assert ["一支部", "已反馈", LONG] in cells


def test_a_hostile_reply_is_text(folder: Path):
    said = '=HYPERLINK("x") <script>alert(1)</script> {{ 7*7 }}'
    quoted = '"' + said.replace('"', '""') + '"'
    ws = enter(folder, f"R1,B11,{TOLD},,{quoted},2026Q3", "R1,replied,2026-09-29\n")
    named = methods.after_review(judged(ws), ws.obligations("human_review"), "2026-09-30")
    block = dj.table(dj.protect(named, ws.release_plan(WAVE)).where(unit="B11"), ["unit", "reply"])
    assert block.content["rows"][0][1] == said
    page = block._repr_mimebundle_()["text/html"]
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_letters_go_to_red_and_black_units_with_the_day_of_the_reply(folder: Path):
    ws = dj.open_workspace(folder)
    told = ws.notices(WAVE, TOLD)
    assert told.table["unit"].isin(["B11", "B21"]).sum() == 2
    assert set(told.table["warning"]) <= {"red", "black"}
    assert set(told.table["due"]) == {DUE}
    own = judged(ws).table
    own = own[own["warning"].isin(["red", "black"]) & own["level"].isin(["city", "branch"])]
    assert (
        told.table[["unit", "warning", "reason"]].values.tolist() == own[["unit", "warning", "reason"]].values.tolist()
    )
    with pytest.raises(UsageError, match=r"B22.*B11"):
        told.of("B22")
    rows, events = told.as_obligations()
    rows.to_csv(folder / "obligations.csv", index=False)
    events.to_csv(folder / "obligation_events.csv", index=False)
    again = dj.open_workspace(folder)
    assert len(again.obligations("human_review").table) == len(told.table)
    assert reviewed(again, DUE)["warning"].isin(["red", "black"]).sum() == 0
    assert set(reviewed(again, "2026-10-09").loc[["B11", "B21"], "review"]) == {"unanswered"}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_item_four_of_the_first_page(folder: Path, language: str):
    ws = enter(folder, f"R1,B11,{TOLD},,好,2026Q3", "R1,replied,2026-09-29\n")
    ws = dj.open_workspace(folder, language)
    named = methods.after_review(judged(ws), ws.obligations("human_review"), "2026-09-30")
    safe, scope = dj.protect(named, ws.release_plan(WAVE)), ws.scope("ALL", WAVE)
    results = {"alerts": safe.where(unit=scope.below), "counts": safe.part("counts").where(level=scope.levels)}
    told = fill(words(language)["warned"], results, {"unit": "ALL", "annex": {"a_alerts": "1"}, **scope.names})
    wanted = (
        ("1家通气未完成，暂不列名", "已通气1家，收到反馈1家", "名单见附件1")
        if language == "zh"
        else ("1 of them not named until the review is over", "1 units were notified and 1 replied", "annex 1")
    )
    for part in wanted:
        assert part in told
    assert not [name for name in ("一支部", "三支部") if name in told]
    # The report of one unit counts none that is not named, whatever there is.
    city = ws.scope("C2", WAVE)
    results = {"alerts": safe.where(unit=city.below), "counts": None}
    told = fill(words(language)["warned"], results, {"unit": "C2", "annex": {"a_alerts": "1"}, **city.names})
    assert ("没有列名的集体预警" if language == "zh" else "none that is named") in told
    assert "1" not in told


def test_the_demo_has_replies_of_every_kind_and_without_planting_none(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    planted = demo_office(tmp_path_factory, employees=900, branches=40, quarters=5, seed=7)
    ws = dj.open_workspace(copied(planted, tmp_path / "planted"))
    reviews = ws.obligations("human_review").table
    warned = ws.alerts().table
    warned = warned[warned["warning"].isin(["red", "black"]) & (warned["unit"] != "ALL")]
    assert set(zip(reviews["cycle"], reviews["unit"], strict=True)) <= set(
        zip(warned["period"], warned["unit"], strict=True)
    )
    assert len(reviews) > 0
    flat = dj.make_company(employees=900, branches=20, quarters=2, seed=7, planted=False).write(tmp_path / "flat")
    assert dj.open_workspace(flat).obligations("human_review").table.empty


def test_the_order_of_rows_does_not_matter(folder: Path):
    ws = enter(folder, f"R1,B11,{TOLD},,好,2026Q3\nR2,B21,{TOLD},,,2026Q3", "R1,replied,2026-09-29\n")
    reviews = ws.obligations("human_review")
    turned = replace(
        reviews, table=reviews.table.iloc[::-1].reset_index(drop=True),
        events=reviews.events.assign(place=1 - reviews.events["place"]),
    )  # fmt: skip
    one, other = (methods.after_review(judged(ws), each, "2026-10-09").table for each in (reviews, turned))
    pd.testing.assert_frame_equal(one, other)


HEADS = {"C1": 500, "C2": 500, "B11": 36, "B12": 34, "B21": 50, "B22": 40}


@pytest.mark.parametrize(
    ("many", "said"),
    [
        (1, {"zh": "另有2家参与率偏低，不作判断。", "en": "2 units had low participation and were not judged."}),
        (9, {"zh": "下级单位参与率偏低或填答人数不足，不作预警判断。", "en": "The units below had a low participation or too few respondents"}),
    ],
)  # fmt: skip
def test_levels_in_which_no_unit_is_judged_are_not_said_to_be_without_warning(tmp_path, many, said):
    lines = ["unit,parent,level,name_zh,headcount"]
    for unit, heads in HEADS.items():
        parent, level = ("", "city") if unit[0] == "C" else (f"C{unit[1]}", "branch")
        lines.append(f"{unit},{parent},{level},单位{unit},{heads if unit[0] == 'C' else heads * many}")
    folder = office(tmp_path / "office", people(), people(seed=2, first=300), periods=PERIODS)
    (folder / "units.csv").write_text("\n".join(lines) + "\n", "utf-8")
    for lang in ("zh", "en"):
        ws = dj.open_workspace(folder, lang)
        plan, scores, scope = ws.release_plan(WAVE), ws.scores(WAVE), ws.scope("ALL", WAVE)
        change = dj.compare(scores, ws.scores("2026Q2"))
        named = dj.protect(methods.after_review(dj.alerts(scores, change=change, draws=0), None, scope.asof), plan)
        results = {
            "alerts": named.where(unit=scope.below),
            "counts": named.part("counts").where(level=scope.levels),
        }
        names = dict(unit="ALL", lang=lang, annex={}, **scope.names)
        told = dj.text(dj.words(lang)["warned"], results, **names).content["text"]
        assert said[lang] in told, told
        assert told.startswith(({"zh": "党支部", "en": "Branch"} if many == 1 else said)[lang]), told
