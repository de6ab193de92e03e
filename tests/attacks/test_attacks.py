"""An attacker against small companies made by hand: the traps known from other products, and those found here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import attacker
import numpy as np
import pandas as pd
import pytest
from companies import Company, company_of, sheets

import dj_analysis as dj
from dj_analysis.release.skipped import row_shifts
from dj_analysis.spec import reasons

NOW, BEFORE = "2026Q3", "2026Q2"
FLAT = [("A", "", "t1"), ("B", "", "t1"), ("C", "", "t1")]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260703)


def shown(tables: dict[str, list[pd.DataFrame]], unit: str, code: str, kind: str = "scores", **keys: str) -> pd.Series:
    """One published row."""
    for table in tables[kind]:
        wanted = {"unit": unit, "code": code, "form": "anchors"} | keys
        if set(wanted) <= set(table.columns):
            rows = table[np.logical_and.reduce([table[name] == value for name, value in wanted.items()])]
            if len(rows):
                return rows.iloc[0]
    raise AssertionError(f"{unit} {code} {kind} {keys}")


def told_of(company: Company, *periods: str) -> dict[str, list[pd.DataFrame]]:
    return attacker.published(company, dj.open_workspace(company.folder), periods)


def leaks_of(company: Company, tables: dict[str, list[pd.DataFrame]], *, signed: bool = False) -> list:
    found, _ = attacker.attack(company, attacker.told(company, tables), signed=signed)
    return found["people"] + found["code"]


# --- Known traps --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "min_group"),
    [
        ({"TechTeam": 7, "HR": 1}, 5),  # PeopleCues: total 8, Tech 7, hidden 1 (F18)
        ({"Sales": 4, "Technology": 9}, 5),  # Culture Amp: Sales is what is left of 13
        ({"A": 40, "B": 30, "C": 9}, 10),
        ({"A": 12, "B": 11, "C": 3, "D": 4}, 10),
    ],
)
def test_a_hidden_unit_is_never_what_is_left_of_the_total(tmp_path, rng, sizes, min_group):
    people = sheets(rng, *((n, {"unit": unit}) for unit, n in sizes.items()))
    company = company_of(tmp_path, [(unit, "", "t1") for unit in sizes], {NOW: people}, min_group=min_group)
    tables = told_of(company)
    assert not leaks_of(company, tables)
    small = [unit for unit, n in sizes.items() if n < min_group]
    hidden = (
        {row.unit for row in tables["response"][0].itertuples() if pd.isna(row.n)} if "response" in tables else set()
    )
    hidden |= {unit for unit in sizes if pd.isna(shown(tables, unit, "Q1").n)}
    assert set(small) < hidden, "a sibling is hidden too"
    naive, _ = attacker.attack(company, attacker.suppressed_naively(company))
    assert naive["people"], "the trap works without complementary suppression"


def test_every_number_of_a_hidden_unit_is_gone_in_every_table(tmp_path, rng):
    people = {p: sheets(rng, (40, {"unit": "A"}), (30, {"unit": "B"}), (4, {"unit": "C"})) for p in (BEFORE, NOW)}
    company = company_of(tmp_path, FLAT, people)
    ws = dj.open_workspace(tmp_path)
    plan, scores, before = ws.release_plan(NOW), ws.scores(NOW), ws.scores(BEFORE)
    change = dj.compare(scores, before)
    results = [scores, scores.shares, scores.response, change, change.response, dj.contrast(scores)]
    results += [dj.alerts(scores, change=change), dj.trend([before, scores])]
    for result in results:
        for safe in (dj.protect(result, plan), dj.protect(result, plan).printed()):
            rows = safe.table[safe.table["unit"] == "C"]
            assert len(rows)
            told = rows[[name for name in result.statistics if name in rows]]
            assert (told.isna() | (told == "")).all(axis=None)
            if "reason" in rows:
                assert set(rows["reason"]) == {reasons.SMALL_GROUP}
    assert not leaks_of(company, told_of(company))


def test_a_unit_where_all_gave_one_answer_is_hidden_and_stays_so(tmp_path, rng):
    people = sheets(rng, (15, {"unit": "A", "Q1": 4}), (40, {"unit": "B"}), (40, {"unit": "C"}))
    company = company_of(tmp_path, FLAT, {NOW: people})
    tables = told_of(company)
    assert pd.isna(shown(tables, "A", "Q1").score)
    assert pd.isna(shown(tables, "A", "Q2").score), "every code of it"
    inside = attacker.members(company, NOW)["admin", "A"]
    known = list(attacker.told(company, tables)[NOW].sets["anchors", "Q1"].values())
    rank = np.linalg.matrix_rank(np.array(known, dtype=float))
    assert np.linalg.matrix_rank(np.array([*known, inside], dtype=float)) == rank + 1


@pytest.mark.parametrize(("small", "other"), [(9, 1), (9, 2), (8, 4)])
def test_a_small_hidden_unit_is_not_nearly_all_that_is_left(tmp_path, rng, small, other):
    """Nine of ten who are left: their mean is known to 100/9 points, whatever the tenth answered (dominance)."""
    people = sheets(rng, (small, {"unit": "A"}), (other, {"unit": "B"}), (40, {"unit": "C"}), (40, {"unit": "D"}))
    company = company_of(tmp_path, [*FLAT, ("D", "", "t1")], {NOW: people})
    tables = told_of(company)
    rows = [(unit, shown(tables, unit, "Q1")) for unit in ("ALL", "C", "D")]
    parts = {"ALL": [1, 1, 1, 1], "C": [0, 0, 1, 0], "D": [0, 0, 0, 1]}
    known = []
    for unit, row in rows:
        if pd.notna(row.score):
            low, high = attacker.sums_possible(row.score, int(row.n), attacker.printed_step(int(row.n)) / 2, grid=25)
            known.append((np.array(parts[unit]), low, high))
    size = np.array([small, other, 40, 40], dtype=float)
    wanted = np.array([True, False, False, False])
    assert attacker.feasible_width(known, size, wanted) >= attacker.WIDTH


def test_nearly_equal_groups_do_not_give_away_their_difference(tmp_path, rng):
    people = sheets(
        rng, (120, {"G": "管理", "H": "管理"}), (5, {"G": "其他", "H": "管理"}), (90, {"G": "其他", "H": "其他"})
    )
    people["unit"] = rng.choice(["A", "B"], len(people))
    company = company_of(tmp_path, FLAT[:2], {NOW: people}, groups=("G", "H"))
    assert not leaks_of(company, told_of(company))
    assert attacker.attack(company, attacker.suppressed_naively(company))[0]["people"]


def test_nearly_equal_groups_that_cross_do_not_give_away_two_people(tmp_path, rng):
    """One person in each only: the difference of the totals is the difference of two answers, here 100 points."""
    people = sheets(
        rng, (100, {"unit": "A", "G": "甲"}), (1, {"unit": "A", "G": "乙", "Q1": 1}), (1, {"unit": "B", "G": "甲", "Q1": 5}),
        (50, {"unit": "B", "G": "乙"}),
    )  # fmt: skip
    company = company_of(tmp_path, FLAT[:2], {NOW: people}, groups=("G",))
    assert not leaks_of(company, told_of(company), signed=True)


def test_a_question_answered_by_fewer_does_not_part_two_axes(tmp_path, rng):
    """Among those who answered Q1, unit A lies inside group 甲: 甲 − A are the two others of 甲."""
    people = sheets(
        rng, (30, {"unit": "A", "G": "甲"}), (2, {"unit": "B", "G": "甲"}), (30, {"unit": "B", "G": "乙"}),
        (12, {"unit": "A", "G": "乙", "Q1": ""}),
    )  # fmt: skip
    company = company_of(tmp_path, FLAT[:2], {NOW: people}, groups=("G",))
    assert not leaks_of(company, told_of(company))


# --- Reorganisations ----------------------------------------------------------------------------------------------

MERGED = [
    ("T", "", "t1"), ("X", "", "t1"), ("C", "T", "t2"), ("A", "T", "t2", "", BEFORE, "M"), ("B", "T", "t2", "", BEFORE, "M"),
    ("M", "T", "t2", NOW),
]  # fmt: skip


def test_the_earlier_value_of_a_merged_unit_is_no_key_to_a_group(tmp_path, rng):
    """M was A and B; all of them are 甲, and so are three others."""
    before = sheets(
        rng, (8, {"unit": "A", "G": "甲"}), (8, {"unit": "B", "G": "甲"}), (14, {"unit": "C", "G": "乙"}),
        (3, {"unit": "T", "G": "甲"}), (12, {"unit": "T", "G": "乙"}), (20, {"unit": "X", "G": "乙"}),
    )  # fmt: skip
    now = sheets(rng, (16, {"unit": "M", "G": "甲"}), (14, {"unit": "C", "G": "乙"}), (20, {"unit": "X", "G": "乙"}))
    company = company_of(tmp_path, MERGED, {BEFORE: before, NOW: now}, groups=("G",))
    assert not leaks_of(company, told_of(company))


def test_two_mergers_one_after_the_other_do_not_leave_the_second_part(tmp_path, rng):
    """M1 = A + B and later M2 = M1 + C: the earlier values of both, published a quarter apart, would leave C."""
    first = [*MERGED[:2], ("C", "T", "t2"), ("E", "T", "t2"), ("A", "T", "t2", "", "2026Q1", "M1")]
    first += [("B", "T", "t2", "", "2026Q1", "M1"), ("M1", "T", "t2", BEFORE)]
    waves = {
        "2026Q1": sheets(
            rng, *((n, {"unit": u}) for u, n in {"A": 7, "B": 8, "C": 6, "E": 15, "X": 20, "T": 12}.items())
        ),
        BEFORE: sheets(rng, *((n, {"unit": u}) for u, n in {"M1": 15, "C": 12, "E": 15, "X": 20}.items())),
    }
    company = company_of(tmp_path, first, waves)
    ws = dj.open_workspace(tmp_path)
    ws.close("2026Q1"), ws.close(BEFORE)
    early = told_of(company)
    later = [unit for unit in first if unit[0] not in ("C", "M1")]
    later += [("C", "T", "t2", "", BEFORE, "M2"), ("M1", "T", "t2", BEFORE, BEFORE, "M2"), ("M2", "T", "t2", NOW)]
    waves[NOW] = sheets(rng, *((n, {"unit": u}) for u, n in {"M2": 25, "E": 15, "X": 20}.items()))
    company = company_of(tmp_path, later, waves)
    late = told_of(company)
    m1 = shown(early, "M1", "Q1", "change", before_period="2026Q1")
    m2 = shown(late, "M2", "Q1", "change", before_period="2026Q1")
    both = pd.notna(m1.n_before) and pd.notna(m2.n_before)
    assert not both, f"C alone: {m2.n_before - m1.n_before:g} people"
    assert pd.notna(shown(late, "M1", "Q1", "change", period=BEFORE).before) == pd.notna(m1.before), "still restated"


# --- One person's answer from printed numbers ---------------------------------------------------------------------


@pytest.mark.parametrize("n", [11, 30, 120, *(pytest.param(n, marks=pytest.mark.everything) for n in (17, 49, 79))])
def test_who_left_one_of_two_questions_out_keeps_the_other_answer(tmp_path, rng, n):
    """The dimension counts this person's one answer, its two questions do not balance it: 2·D − Q1 − Q2 would be it.

    Two people give each other's answer to Q2, one of whom left Q1 out: what the questions tell stays, and so must what the
    dimension and the index tell. At an extreme answer and among few people the scores themselves would part the two.
    """
    items = (("Q1", "Q2"), ("Q3",))
    first = sheets(
        rng,
        (n - 1, {"unit": "A"}),
        (1, {"unit": "A", "Q1": "", "Q2": 5}),
        (200, {"unit": "B"}),
        items=("Q1", "Q2", "Q3"),
    )
    first.loc[0, "Q2"] = 1
    second = first.copy()
    second.loc[[0, n - 1], "Q2"] = [5, 1]
    seen, true = [], []
    for number, people in enumerate((first, second)):
        company = company_of(tmp_path / f"{number}", FLAT[:2], {NOW: people, BEFORE: first}, items=items, share="0.5")
        tables = told_of(company)
        true.append(dj.open_workspace(company.folder).scores(NOW).at("A", "D1").score)
        seen.append({kind: pd.concat(tables[kind]) for kind in ("scores", "change", "contrast")})
    assert abs(true[1] - true[0]) == pytest.approx(50 / n), "the dimension itself tells the two apart"
    for kind, columns in {
        "scores": ["score"],
        "change": ["now", "before", "difference"],
        "contrast": ["score", "whole", "difference"],
    }.items():
        keys = ["period", "level", "unit", "code"]
        rows = [table[kind].dropna(subset=columns).set_index(keys)[columns] for table in seen]
        pd.testing.assert_frame_equal(*rows)
        assert len(rows[0].xs("D1", level="code")) >= 2


def test_a_dimension_is_printed_as_it_is_where_nobody_or_enough_people_left_something_out(tmp_path, rng):
    people = sheets(
        rng,
        (40, {"unit": "A"}),
        (40, {"unit": "B"}),
        (15, {"unit": "B", "Q1": ""}),
        (3, {"unit": "C", "Q1": ""}),
        (60, {"unit": "C"}),
    )
    company = company_of(tmp_path, FLAT, {NOW: people}, items=(("Q1", "Q2"),), share="0.5")
    ws = dj.open_workspace(company.folder)
    scores, safe = ws.scores(NOW), dj.protect(ws.scores(NOW), ws.release_plan(NOW))
    basis = scores.basis[0]
    rows = pd.DataFrame(
        {"level": ["t1", "t1", "t1", "company"], "unit": ["A", "B", "C", "ALL"], "form": "anchors", "code": "D1"}
    )
    moved = row_shifts(rows, basis, frozenset())
    assert moved[[0, 1, 3]].tolist() == [0, 0, 0]
    row, q1, q2 = (scores.at("C", code) for code in ("D1", "Q1", "Q2"))
    assert row.score + moved[2] == pytest.approx((60 * q1.score + 63 * q2.score) / 123)
    printed = safe.printed().where(unit="C", code="D1").table["score"].iloc[0]
    assert printed == pytest.approx((60 * q1.score + 63 * q2.score) / 123, abs=0.26)


def test_parts_of_a_printed_result_are_printed_too(tmp_path, rng):
    company = company_of(tmp_path, FLAT[:2], {NOW: sheets(rng, (30, {"unit": "A"}), (31, {"unit": "B"}))})
    ws = dj.open_workspace(company.folder)
    safe = dj.protect(ws.scores(NOW), ws.release_plan(NOW))
    for name in ("shares", "response"):
        pd.testing.assert_frame_equal(safe.printed().part(name).table, safe.part(name).printed().table)


def test_a_difference_of_rates_is_not_rounded_to_points(tmp_path, rng):
    people = {p: sheets(rng, (30, {"unit": "A"}), (n, {"unit": "B"})) for p, n in ((BEFORE, 30), (NOW, 12))}
    company = company_of(tmp_path, FLAT[:2], people)
    heads = [("A", p, "", "", 40) for p in people] + [("B", p, "", "", 40) for p in people]
    pd.DataFrame(heads, columns=["unit", "period", "group", "category", "headcount"]).to_csv(
        tmp_path / "headcounts.csv", index=False
    )
    ws = dj.open_workspace(company.folder)
    change = dj.protect(dj.compare(ws.scores(NOW), ws.scores(BEFORE)), ws.release_plan(NOW))
    row = change.part("response").printed().table.set_index("unit").loc["B"]
    assert row["difference"] == pytest.approx(row["rate"] - row["rate_before"], abs=0.002)


# --- Drafts that were sent, late answers, corrections -------------------------------------------------------------


def send_draft(company: Company) -> dict[str, list[pd.DataFrame]]:
    """What a sent draft tells: as ``ws.run_report(sent=True)``, without running the notebook."""
    from dj_analysis.release import closing

    ws = dj.open_workspace(company.folder)
    snapshot = closing.snapshot(ws._read(NOW), ws.history)
    tables = attacker.published(company, ws)
    ws.record.append("publication", snapshot | {"files": {}})
    return tables


def closed(company: Company, correct: str = "") -> dict[str, list[pd.DataFrame]]:
    dj.open_workspace(company.folder).close(NOW, correct=correct)
    return told_of(company)


def difference(first: pd.Series, second: pd.Series) -> int | None:
    """By how many people two published rows differ; None where one is hidden."""
    return None if pd.isna(first.n) or pd.isna(second.n) else int(second.n - first.n)


@pytest.mark.parametrize("late", [1, 3, 9, 10, 25])
def test_draft_and_final_never_differ_by_few(tmp_path, rng, late):
    early = sheets(rng, (30, {"unit": "A"}), (30, {"unit": "B"}))
    company = company_of(tmp_path, FLAT[:2], {NOW: early})
    first = send_draft(company)
    company.write_wave(NOW, pd.concat([early, sheets(rng, (late, {"unit": "A"}))]))
    last = closed(company)
    for unit in ("ALL", "A", "B"):
        for code in ("INDEX", "Q1", "Q2"):
            apart = difference(shown(first, unit, code), shown(last, unit, code))
            assert apart is None or apart == 0 or apart >= 10


def test_late_answers_to_one_question_are_not_told_by_the_difference(tmp_path, rng):
    """Twelve came late, but one of them alone answered Q1."""
    early = sheets(rng, (30, {"unit": "A"}), (30, {"unit": "B"}))
    company = company_of(tmp_path, FLAT[:2], {NOW: early})
    first = send_draft(company)
    company.write_wave(NOW, pd.concat([early, sheets(rng, (1, {"unit": "A", "Q1": 1}), (11, {"unit": "A", "Q1": ""}))]))
    apart = difference(shown(first, "A", "Q1"), shown(closed(company), "A", "Q1"))
    assert apart is None or apart == 0 or apart >= 10


def test_two_drafts_and_the_final_never_differ_by_few(tmp_path, rng):
    early = sheets(rng, (30, {"unit": "A"}), (30, {"unit": "B"}))
    company = company_of(tmp_path, FLAT[:2], {NOW: early})
    releases = [send_draft(company)]
    company.write_wave(NOW, pd.concat([early, sheets(rng, (3, {"unit": "A"}), (12, {"unit": "B"}))]))
    releases += [send_draft(company), closed(company)]
    for unit in ("ALL", "A", "B"):
        for i, first in enumerate(releases):
            for second in releases[i + 1 :]:
                apart = difference(shown(first, unit, "Q1"), shown(second, unit, "Q1"))
                assert apart is None or apart == 0 or abs(apart) >= 10, (unit, apart)


@pytest.mark.parametrize("changed", [1, 9])
def test_a_correction_of_few_answers_is_not_released(tmp_path, rng, changed):
    company = company_of(tmp_path, FLAT[:2], {NOW: sheets(rng, (30, {"unit": "A"}), (30, {"unit": "B"}))})
    first = closed(company)
    company.write_wave(NOW, mended(company.people[NOW], "Q1", changed))
    last = closed(company, correct="录入错误")
    for unit in ("ALL", "A", "B"):
        assert shown(first, unit, "Q1").score == shown(last, unit, "Q1").score


def test_a_correction_tells_no_single_change_of_one_question(tmp_path, rng):
    """Thirteen sheets were mended, but only one of them in Q1: the difference of Q1 is that person's alone."""
    four = ("Q1", "Q2", "Q3", "Q4")
    people = sheets(rng, (1, {"unit": "A", "Q1": 5}), (29, {"unit": "A"}), (30, {"unit": "B"}), items=four)
    company = company_of(tmp_path, FLAT[:2], {NOW: people}, items=tuple((code,) for code in four))
    first = closed(company)
    second = mended(people, "Q2", 13)
    second.loc[0, "Q1"] = 1
    company.write_wave(NOW, second)
    last = closed(company, correct="录入错误")
    assert shown(first, "A", "Q1").score == shown(last, "A", "Q1").score


def mended(people: pd.DataFrame, code: str, number: int) -> pd.DataFrame:
    made = people.copy()
    made.loc[made.index[:number], code] = [int(value) % 5 + 1 for value in made.loc[made.index[:number], code]]
    return made


# --- Tables of units ----------------------------------------------------------------------------------------------


def test_the_first_tree_stays_the_first_when_units_change(tmp_path, rng):
    """All units of the first tree end and a merged one is appended below the second tree."""
    company = company_of(tmp_path, [("A", "", "t1", "", BEFORE, "M"), ("B", "", "t1", "", BEFORE, "M")], {})
    company.units.loc[2] = ["P", "party", "", "branch", "支部", "", "", ""]
    company.units.loc[3] = ["M", "admin", "", "t1", "合并", NOW, "", ""]
    company.people = {NOW: sheets(rng, (30, {"unit": "M", "party": "P"}))}
    company.write()
    ws = dj.open_workspace(Path(tmp_path))
    assert ws.units.at(NOW).trees == ws.units.trees
    assert ws.scores(NOW).at("M", "Q1").n == 30


# --- Other answers than those released ----------------------------------------------------------------------------


def test_scores_of_some_of_the_answers_do_not_pass_under_the_plan_of_all(tmp_path, rng):
    """The unit with and without one person, both published, would tell his answers."""
    people = {p: sheets(rng, (40, {"unit": "A"}), (30, {"unit": "B"})) for p in (BEFORE, NOW)}
    ws = dj.open_workspace(company_of(tmp_path, FLAT[:2], people).folder)
    survey, plan = ws.survey(NOW), ws.release_plan(NOW)
    fewer = dj.score(replace(survey, frame=survey.frame[:-1]), by="t1")
    for result in (fewer, dj.trend([ws.scores(BEFORE), fewer]), dj.compare(fewer, ws.scores(BEFORE))):
        with pytest.raises(dj.DjError, match="other answers"):
            dj.protect(result, plan)
    assert dj.protect(dj.score(survey, by="t1"), plan).table["score"].notna().any()


def test_after_a_withdrawal_the_answers_that_are_left_do_not_pass(tmp_path, rng):
    people = sheets(rng, (40, {"unit": "A"}), (30, {"unit": "B"}))
    people.insert(0, "respondent", [f"r{i}" for i in range(len(people))])
    ws = dj.open_workspace(company_of(tmp_path, FLAT[:2], {NOW: people}).folder)
    ws.close(NOW)
    ws.withdraw(NOW, "r3")
    ws = dj.open_workspace(tmp_path)
    assert dj.protect(ws.scores(NOW), ws.release_plan(NOW)).table["score"].notna().any()
    with pytest.raises(dj.DjError, match="other answers"):
        dj.protect(dj.score(ws.survey(NOW), by="t1"), ws.release_plan(NOW))


def test_no_table_prints_more_digits_than_scores_do(tmp_path, rng):
    """Item analysis, agreement and the like hold means too: a second, finer reading of them would undo the rounding."""
    people = sheets(rng, (40, {"unit": "A"}), (30, {"unit": "B"}), (60, {"unit": "C"}), items=("Q1", "Q2", "Q3"))
    ws = dj.open_workspace(company_of(tmp_path, FLAT, {NOW: people}, items=(("Q1", "Q2", "Q3"),)).folder)
    survey, plan = ws.survey(NOW), ws.release_plan(NOW)
    for result in (
        dj.reliability(survey, by="t1"),
        dj.agreement(survey, level="t1", draws=50),
        dj.differences(survey, "t1"),
    ):
        safe = dj.protect(result, plan)
        for part in (safe, *(safe.part(name) for name in result.parts if name != "pooled")):
            table = part.printed().table
            for name in table.select_dtypes("float"):
                assert np.allclose(table[name].dropna() * 1000, (table[name].dropna() * 1000).round(), atol=1e-6), name
            if "mean" in table and "n" in table:
                few = table[table["n"] < 50].dropna(subset="mean")
                assert len(few)
                assert ((few["mean"] % 1).round(6).isin([0, 1])).all()


def test_contrast_of_scores_with_a_cross_leaves_the_cross_out(tmp_path, rng):
    people = sheets(rng, (40, {"unit": "A", "G": "甲"}), (30, {"unit": "B", "G": "乙"}))
    company = company_of(tmp_path, FLAT[:2], {NOW: people}, groups=("G",))
    survey = dj.open_workspace(company.folder).survey(NOW)
    assert set(dj.contrast(dj.score(survey, by=["t1", ("t1", "G")])).table["level"]) == {"t1"}
