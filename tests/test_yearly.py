"""Quarterly self-assessment of 18 model posts against the final marks of the year, by hand and from a workspace."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.errors import DataError, UsageError
from dj_analysis.methods import self_against_final

#: Self-assessment of four quarters, and the final mark, of 18 posts; the gap (mean of the quarters − final) by hand.
POSTS = {
    "P01": ((95, 95, 96, 94), 90, 5.0), "P02": ((88, 90, 92, 90), 91, -1.0), "P03": ((100, 100, 100, 100), 85, 15.0),
    "P04": ((90, 91, 92, 93), 89, 2.5), "P05": ((85, 85, 85, 85), 85, 0.0), "P06": ((96, 94, 92, 90), 91, 2.0),
    "P07": ((97, 97, 98, 98), 95, 2.5), "P08": ((90, 90, 90, 94), 88, 3.0), "P09": ((80, 82, 84, 86), 84, -1.0),
    "P10": ((93, 93, 93, 93), 90, 3.0), "P11": ((99, 98, 97, 98), 94, 4.0), "P12": ((92, 92, 94, 94), 92, 1.0),
    "P13": ((87, 88, 89, 88), 86, 2.0), "P14": ((91, 91, 91, 95), 90, 2.0), "P15": ((94, 96, 96, 98), 93, 3.0),
    "P16": ((89, 89, 90, 92), 88, 2.0), "P17": ((98, 98, 98, 98), 96, 2.0), "P18": ((86, 90, 90, 94), 88, 2.0),
}  # fmt: skip


def sheets() -> pd.DataFrame:
    rows = [
        (post, post, f"2026Q{quarter}", score, "self")
        for post, (scores, *_) in POSTS.items()
        for quarter, score in enumerate(scores, 1)
    ]
    rows += [(post, "考评组", "2026", final, "inspection") for post, (_, final, _) in POSTS.items()]
    return pd.DataFrame(rows, columns=["unit", "rater", "period", "score", "kind"])


def workspace(folder: Path, given: pd.DataFrame) -> dj.Workspace:
    units = "".join(f"{post},Z{1 + i % 8},post,示范岗,示范岗{i}\n" for i, post in enumerate(POSTS))
    units += "".join(f"Z{i},,area,责任区,责任区{i}\n" for i in range(1, 9))
    (folder / "units.csv").write_text("unit,parent,level,type,name_zh\n" + units, encoding="utf-8")
    settings = """name = "试点"
[tables.ratings]
path = "ratings.csv"
raters = "officials"
[tables.ratings.columns]
rater = "rater"
role = "role"
unit = "unit"
period = "period"
value = "value"
[[expect.units]]
type = "示范岗"
unit = 18
[[expect.units]]
type = "责任区"
unit = 8
[[expect.ratings]]
period = "2026"
unit = 18
"""
    (folder / "workspace.toml").write_text(settings, encoding="utf-8")
    role = given["kind"].map({"self": "自评", "inspection": "考评组"})
    given.assign(role=role).rename(columns={"score": "value"}).to_csv(folder / "ratings.csv", index=False)
    return dj.open_workspace(folder)


def test_eighteen_rows_by_hand():
    table = self_against_final(sheets(), "2026", officials=True).table
    assert len(table) == 18
    assert dict(zip(table["unit"], table["difference"], strict=True)) == {
        post: gap for post, (*_, gap) in POSTS.items()
    }
    assert table["inspection"].tolist() == [final for _, final, _ in POSTS.values()]
    assert table["self"].tolist() == [sum(scores) / 4 for scores, *_ in POSTS.values()]
    assert set(table["reason"]) == {"one_item_no_error_can"}, "one mark a post has no error"
    assert table[["se", "low", "high"]].isna().all(axis=None)
    assert table.loc[table["outside"].astype(bool), "unit"].tolist() == ["P03"], "full marks four times over"


def test_no_gap_where_both_agree():
    given = sheets()
    final = given[given["kind"] == "inspection"].set_index("unit")["score"]
    agreed = given.assign(score=given["unit"].map(final))
    table = self_against_final(agreed, "2026").table
    assert (table["difference"] == 0).all()
    assert not table["outside"].fillna(False).any()


def test_quarters_that_are_missing_and_posts_without_one_of_both():
    given = sheets()
    given = given[~((given["unit"] == "P01") & given["period"].isin(["2026Q3", "2026Q4"]))]
    given = given[~((given["unit"] == "P02") & (given["kind"] == "self"))]
    given = given[~((given["unit"] == "P04") & (given["kind"] == "inspection"))]
    table = self_against_final(given, "2026").table.set_index("unit")
    assert len(table) == 18
    assert table.loc["P01", "self"] == 95
    assert table.loc["P02", "reason"] == "no_self_assessment"
    assert table.loc["P04", "reason"] == "no_inspection"
    assert table.loc[["P02", "P04"], "difference"].isna().all()


def test_other_years_and_inspections_during_the_year_do_not_count():
    more = pd.DataFrame(
        [("P01", "P01", "2025Q4", 10, "self"), ("P01", "督导组", "2026Q2", 20, "inspection"),
         ("P01", "考评组", "2025", 30, "inspection")],
        columns=["unit", "rater", "period", "score", "kind"],
    )  # fmt: skip
    table = self_against_final(pd.concat([sheets(), more]), "2026").table.set_index("unit")
    assert table.loc["P01", ["self", "inspection"]].tolist() == [95, 90]
    with pytest.raises(UsageError, match=r"2024 没有评分.*2026Q4"):
        self_against_final(sheets(), "2024")


def test_what_is_wrong_is_named_as_for_every_rating():
    given = sheets().astype({"score": "object"})
    given.loc[0, "score"], given.loc[1, "period"] = "优", "二季度"
    with pytest.raises(DataError) as caught:
        self_against_final(given, "2026")
    assert set(caught.value.problems.table["place"]) == {"评分/ratings: score", "评分/ratings: period"}


def test_columns_that_are_missing_are_named():
    with pytest.raises(DataError, match="missing_column"):
        self_against_final(sheets().drop(columns="kind"), "2026")


def test_items_give_the_gap_an_error():
    items = pd.concat([sheets().assign(code="K1"), sheets().assign(code="K2", score=lambda t: t["score"] - 2)])
    items.loc[(items["code"] == "K2") & (items["kind"] == "self"), "score"] += 1
    table = self_against_final(items, "2026").table
    assert (table["items"] == 2).all()
    assert table.loc[0, "difference"] == pytest.approx(5.5)
    assert table.loc[0, ["low", "high"]].notna().all()


def test_from_a_workspace_to_print(tmp_path):
    ws = workspace(tmp_path, sheets())
    gap = self_against_final(ws.ratings(), "2026")
    assert len(gap.table) == 18
    safe = dj.protect(gap, ws.release_plan("2026"))
    block = dj.table(safe, ["unit", "self", "inspection", "difference", "outside"])
    assert [column["label"] for column in block.content["columns"]] == [
        "单位",
        "自评",
        "检查评分",
        "自评−检查",
        "是否超限",
    ]
    assert block.content["rows"][0][1:4] == ["95.0", "90.0", "+5.0"]
    assert len(block.content["rows"]) == 18


def test_marks_of_another_basis_are_refused(tmp_path):
    ws = workspace(tmp_path, sheets())
    gap = self_against_final(ws.ratings(), "2026")
    ratings = tmp_path / "ratings.csv"
    ratings.write_text(ratings.read_text("utf-8").replace("P01,P01,2026Q1,95", "P01,P01,2026Q1,99"), encoding="utf-8")
    with pytest.raises(UsageError, match="2026Q1"):
        dj.protect(gap, dj.open_workspace(tmp_path).release_plan("2026"))


def test_seventeen_final_marks_are_said_in_words(tmp_path):
    given = sheets()
    ws = workspace(tmp_path, given[~((given["unit"] == "P18") & (given["kind"] == "inspection"))])
    with pytest.raises(DataError, match=r"应为18条,缺1条 \(18 items are declared, 1 is missing\)"):
        ws.ratings()
