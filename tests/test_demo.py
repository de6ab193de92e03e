"""The synthetic enterprise: its truth holds, its files read back without a problem, nothing in them is about anybody."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import sums_of_draws

from dj_analysis import demo
from dj_analysis.demo import Company, make_company
from dj_analysis.errors import Problems, UsageError
from dj_analysis.measure.intake.identifiers import check_names, identifying_text
from dj_analysis.measure.intake.indicator_values import indicators_of, load_values, periods_of
from dj_analysis.measure.intake.sources import survey_of_file
from dj_analysis.measure.scoring import score_frame
from dj_analysis.measure.survey_scores import score, scores_of_sums
from dj_analysis.spec.codebook import load_codebook, load_indicators
from dj_analysis.spec.settings import Settings, read_settings
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tables import read_text
from dj_analysis.spec.units import load_headcounts, load_units
from dj_analysis.workspace import open_workspace

KEYS = ["period", "level", "unit", "form", "code"]
GROUPS = ["age_band", "job_type", "employment", "position"]


@pytest.fixture(scope="module")
def small() -> Company:
    return make_company(employees=1200, branches=12, quarters=6, seed=5)


@pytest.fixture(scope="module")
def usual() -> Company:
    return make_company()


@pytest.fixture(scope="module")
def folder(small: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write(tmp_path_factory.mktemp("demo") / "ws", closed=False)


def declared(folder: Path) -> tuple[Settings, Specification, Problems]:
    problems = Problems()
    settings = read_settings(folder, problems)
    spec = Specification(
        codebook=load_codebook(settings, problems),
        units=load_units(settings, problems),
        indicators=load_indicators(settings, problems),
        headcounts=load_headcounts(settings, problems),
        min_group=settings.min_group,
        name=settings.name,
        office=settings.office,
        recipient=settings.recipient,
    )
    return settings, spec, problems


def truth(company: Company, **wanted: str) -> pd.DataFrame:
    table = company.truth
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def at(company: Company, period: str, unit: str, code: str, form: str = "anchors") -> float:
    return float(truth(company, period=period, unit=unit, code=code, form=form)["score"].iloc[0])


# Same seed, same numbers.


def test_same_seed_same_numbers_and_files(small: Company, folder: Path, tmp_path: Path):
    again = make_company(employees=1200, branches=12, quarters=6, seed=5)
    pd.testing.assert_frame_equal(small.truth, again.truth)
    pd.testing.assert_frame_equal(small.planted, again.planted)
    other = again.write(tmp_path / "again", closed=False)
    written = files_of(folder)
    assert written == files_of(other)
    for path in written:
        assert (folder / path).read_bytes() == (other / path).read_bytes(), path


def files_of(folder: Path) -> list[Path]:
    """What an office would have; the record tells the time, and the key is drawn."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if path.parts[0] != ".dj")


def test_waves_are_closed_unless_asked_otherwise(small: Company, folder: Path, tmp_path: Path):
    left_open = open_workspace(folder)
    assert [left_open.is_draft(period) for period in small.periods] == [True] * len(small.periods)
    assert left_open.record.events.empty
    other = make_company(employees=1200, branches=12, quarters=2, seed=5)
    closed, opened = other.write(tmp_path / "closed"), other.write(tmp_path / "open", closed=False)
    ws = open_workspace(closed)
    assert [ws.is_draft(period) for period in other.periods] == [False] * len(other.periods)
    ws.record.verify()
    assert files_of(opened) == files_of(closed)


def test_another_seed_is_another_company(small: Company):
    other = make_company(employees=1200, branches=12, quarters=6, seed=6)
    assert not np.allclose(small.truth["score"].head(50), other.truth["score"].head(50))


def test_survey_is_the_draw_of_its_own_seed(small: Company):
    frame = small.survey("2026Q2").frame
    assert frame.equals(small.draw("2026Q2", small.seed).frame)
    assert not frame.equals(small.draw("2026Q2", 99).frame)
    assert len(frame) != len(small.survey("2026Q1").frame)  # each quarter has its own stream


# Truth.


def test_truth_agrees_with_a_large_simulation():
    company = make_company(employees=60_000, branches=24, quarters=2, seed=2)
    found = score(company.draw("2026Q3", 11), by=["city", "department", "branch"]).table.merge(company.truth, on=KEYS)
    assert len(found) == len(truth(company, period="2026Q3"))
    z = ((found["score_x"] - found["score_y"]) / found["se"])[found["n"] >= 100]
    assert z[found["level"].isin(["company", "city"])].abs().max() < 4
    assert (z.abs() < 4).mean() > 0.999
    assert 0.9 < z.std() < 1.1


def test_truth_is_the_mean_over_many_small_draws():
    company = make_company(employees=300, branches=6, quarters=2, seed=3)
    survey = company.draw("2026Q2", 0)
    draws = [
        scores_of_sums({sums.axis: sums}, survey).table.set_index(KEYS)["score"]
        for sums in sums_of_draws(company, "2026Q2", 0, 60)
    ]
    table = pd.concat(draws, axis=1)
    error = table.mean(axis=1) - company.truth.set_index(KEYS)["score"].reindex(table.index)
    z = (error / (table.std(axis=1) / np.sqrt(table.notna().sum(axis=1)))).dropna()
    assert z.abs().max() < 4.5
    assert abs(z.mean()) < 0.5


def test_scale_of_the_index_is_that_of_the_field(usual: Company):
    survey = usual.survey("2026Q3")
    scored = score_frame(survey.frame, survey.trees())
    assert 14 < scored["anchors__INDEX"].std() < 15.2
    assert 64.5 < at(usual, "2026Q3", "ALL", "INDEX") < 67.5
    codes = [leaf.code for leaf in survey.trees()["full"].leaves if leaf.parent != "O"]
    tree = survey.trees()["full"]
    answers = survey.frame.select(codes).drop_nulls().to_pandas() * [tree[code].direction for code in codes]
    alpha = len(codes) / (len(codes) - 1) * (1 - answers.var().sum() / answers.sum(axis=1).var())
    assert len(codes) == 42
    assert 0.92 < alpha < 0.97


# What is planted.


def test_weak_dimension_is_eight_points_below_what_the_city_would_have(usual: Company):
    weak = usual.planted[usual.planted["kind"] == "weak_dimension"]
    assert len(weak) == 3
    assert weak["code"].nunique() == weak["unit"].nunique() == 3
    for row in weak.itertuples():
        before = usual.periods[usual.periods.index(row.period_from) - 1]
        step = at(usual, row.period_from, row.unit, row.code) - at(usual, before, row.unit, row.code)
        assert step == pytest.approx(-8, abs=0.05)
        others = {f"D{i}" for i in range(1, 9)} - {row.code}
        for code in others:
            assert at(usual, row.period_from, row.unit, code) == pytest.approx(at(usual, before, row.unit, code))


def test_trends_go_one_and_a_half_points_a_quarter(usual: Company):
    trends = usual.planted[usual.planted["kind"] == "trend"].set_index("unit")["value"]
    assert sorted(trends) == [-1.5, 1.5]
    for unit, value in trends.items():
        series = truth(usual, unit=unit, code="INDEX", form="anchors")["score"]
        assert np.diff(series) == pytest.approx(np.full(7, value), abs=1e-6)


def test_low_branches_are_credibly_low(usual: Company):
    low = usual.planted[usual.planted["kind"] == "low_branch"]
    assert len(low) == 5
    assert all(at(usual, "2026Q3", unit, "INDEX") < 60 for unit in low["unit"])
    response = score(usual.survey("2026Q3"), by="branch").response.table.set_index("unit")
    assert (response.loc[low["unit"], "n"] >= 10).all()


def test_response_rates_are_between_the_stated_ones_and_one_unit_is_silent(usual: Company):
    silent = usual.planted.loc[usual.planted["kind"] == "low_response", "unit"].item()
    n = (
        sum(score(usual.draw("2026Q2", seed), by="branch").response.table.set_index("unit")["n"] for seed in range(20))
        / 20
    )
    rate = pd.Series({unit: n[unit] / usual.spec.headcount(unit, "2026Q2") for unit in n.index if unit != "ALL"})
    assert rate[silent] < 0.5
    large = pd.Series({unit: usual.spec.headcount(unit, "2026Q2") for unit in rate.index}) > 100
    assert rate[large & (rate.index != silent)].between(0.53, 0.87).all()


def test_the_happier_answer_more_often(usual: Company, monkeypatch: pytest.MonkeyPatch):
    with_selection = at(usual, "2024Q4", "ALL", "INDEX")
    monkeypatch.setattr(demo, "SELECTION", 0.0)
    without = make_company()
    assert 1 < with_selection - at(without, "2024Q4", "ALL", "INDEX") < 4


def test_some_answer_without_reading(usual: Company):
    frame = usual.survey("2025Q3").frame.to_pandas()
    items = [leaf.code for leaf in usual.spec.codebook.at("2025Q3").tree.leaves if leaf.code != "O4"]
    same = (frame[items].nunique(axis=1) == 1).mean()
    assert 0.005 < same < 0.02
    assert 0.01 < (frame["seconds"] < 200).mean() < 0.10


def test_nothing_planted_means_one_truth_for_all(monkeypatch: pytest.MonkeyPatch):
    plain = make_company(employees=1200, branches=12, quarters=4, planted=False)
    assert plain.planted.empty
    spread = plain.truth.groupby(["form", "code"])["score"].agg(np.ptp)
    assert spread.max() < 1e-9
    survey = plain.survey("2026Q3")
    assert len(survey.frame) / 1200 == pytest.approx(0.70, abs=0.04)
    assert survey.frame["Q1"].is_in([3, 4]).all()
    # Who answers has nothing to do with mood: at another rate of response the truth is the same.
    monkeypatch.setattr(demo, "PLAIN_RATE", 0.3)
    rarer = make_company(employees=1200, branches=12, quarters=4, planted=False)
    np.testing.assert_allclose(plain.truth["score"], rarer.truth["score"], atol=1e-9)


def test_answers_are_missing_at_the_stated_rate(usual: Company):
    frame = usual.survey("2026Q2").frame
    share = np.mean(
        [frame[leaf.code].null_count() / len(frame) for leaf in usual.spec.codebook.tree.in_form("anchors").leaves]
    )
    assert share == pytest.approx(0.03, abs=0.002)


# The enterprise.


def test_size_and_shape_of_the_usual_company(usual: Company):
    units = usual.spec.units.at("2024Q4")
    counts = {level: len(units.at_level(level)) for level in units.levels}
    assert counts == {"company": 1, "city": 11, "department": 25, "branch": 200, "line": 5}
    assert units.trees == ("admin", "line")
    assert usual.spec.headcount("ALL", "2024Q4") == 20_000
    assert all(len(units.children(unit.unit)) == 1 for unit in units.at_level("department"))
    names = [text for unit in units.rows for text in (unit.name_zh, *filter(None, unit.aliases.split("|")))]
    assert len(names) == len(set(names))


def test_small_company_is_scaled_down(small: Company):
    units = small.spec.units.at("2025Q2")
    assert [len(units.at_level(level)) for level in ("city", "department", "branch")] == [3, 2, 12]


def test_two_branches_merge_in_mid_series(small: Company):
    old = [unit for unit in small.spec.units.rows if unit.became]
    assert len(old) == 2
    assert {unit.valid_to for unit in old} == {"2025Q4"}
    assert len({unit.parent for unit in old}) == 1
    new = small.spec.units[old[0].became]
    assert (new.valid_from, new.parent, old[1].became) == ("2026Q1", old[0].parent, new.unit)
    heads = [small.spec.headcount(unit.unit, "2025Q4") for unit in old]
    assert small.spec.headcount(new.unit, "2026Q1") == sum(heads)
    assert set(truth(small, unit=new.unit)["period"]) == {"2026Q1", "2026Q2", "2026Q3"}
    assert set(truth(small, unit=old[0].unit)["period"]) == {"2025Q2", "2025Q3", "2025Q4"}


def test_one_item_is_reworded_in_mid_series(small: Company):
    before, after = small.spec.codebook.at("2025Q4"), small.spec.codebook.at("2026Q1")
    assert "A1" in before.tree
    assert "A1b" not in before.tree
    assert "A1" not in after.tree
    assert after.tree["A1b"].replaces == "A1"
    assert before.tree["A1"].text_zh != after.tree["A1b"].text_zh
    assert before.tree.in_form("anchors").codes == after.tree.in_form("anchors").codes


def test_in_some_branches_fewer_than_ten_answer(usual: Company):
    table = score(usual.survey("2026Q3"), by="branch").response.table
    assert (table["n"] < usual.spec.min_group).sum() >= 5


def test_full_waves_have_both_forms(small: Company):
    forms = small.truth.groupby("period")["form"].unique().map(sorted).to_dict()
    assert forms["2026Q3"] == forms["2025Q3"] == ["anchors", "full"]
    assert forms["2026Q2"] == ["anchors"]
    assert {"INDEX", "D1", "D8", "O", "O4", "L1"} <= set(truth(small, period="2026Q2")["code"])
    assert set(small.truth["level"]) == {"company", "city", "department", "branch"}


def test_headcounts_add_up(small: Company):
    heads = small.spec.headcounts
    now = heads[(heads["period"] == "2026Q3") & (heads["group"] == "")].set_index("unit")["headcount"]
    units = small.spec.units.at("2026Q3")
    for level in ("branch", "line"):
        assert now[[unit.unit for unit in units.at_level(level)]].sum() == 1200
    margins = heads[(heads["period"] == "2026Q3") & (heads["group"] != "")].groupby("group")["headcount"].sum()
    assert margins.to_dict() == dict.fromkeys(GROUPS, 1200)


# Files.


def test_declarations_read_back_as_they_were(small: Company, folder: Path):
    settings, spec, problems = declared(folder)
    assert len(problems) == 0, problems.table.to_string()
    assert spec.codebook.version == small.spec.codebook.version
    assert spec.codebook.recall == "最近三个月"
    assert [node.scale for node in spec.codebook.groups] == GROUPS
    assert [node.text_zh for node in spec.codebook.others] == [node.text_zh for node in small.spec.codebook.others]
    assert spec.units.version == small.spec.units.version
    assert spec.indicators is not None
    assert small.spec.indicators is not None
    assert spec.indicators.version == small.spec.indicators.version
    pd.testing.assert_frame_equal(spec.headcounts, small.spec.headcounts)
    assert (spec.name, spec.office, spec.min_group) == (small.spec.name, "党委党建部", 10)
    assert {wave for wave, form in settings.waves.items() if form == "full"} == {"2025Q3", "2026Q3"}
    assert set(settings.waves.values()) == {"full", "pulse"}
    assert "合成数据" in settings.name
    assert "合成数据" in (folder / "README.md").read_text(encoding="utf-8")


def test_every_wave_reads_without_a_problem_and_scores_as_in_memory(small: Company, folder: Path):
    settings, spec, problems = declared(folder)
    by = ["city", "department", "branch", "line", *GROUPS]
    for period in small.periods:
        path = next((folder / "responses").glob(f"{period}.*"))
        asked = "full" if settings.waves.get(period) == "full" else "pulse"
        read = survey_of_file(path, spec, period, asked, settings.tables["responses"], problems)
        assert len(problems) == 0, problems.table.to_string()
        made = small.survey(period)
        assert (read.forms, dict(read.axes)) == (made.forms, dict(made.axes))
        assert read.frame["seconds"].sum() == made.frame["seconds"].sum()
        tables = [score(survey, by=by).table.sort_values(KEYS, ignore_index=True) for survey in (read, made)]
        pd.testing.assert_frame_equal(tables[0][[*KEYS, "n"]], tables[1][[*KEYS, "n"]])
        np.testing.assert_allclose(tables[0]["score"], tables[1]["score"], atol=1e-9)


def test_exports_differ_as_those_of_an_office_do(small: Company, folder: Path):
    responses = folder / "responses"
    assert sorted(path.name for path in responses.iterdir()) == [
        "2025Q2.csv", "2025Q3.csv", "2025Q4.csv", "2026Q1.csv", "2026Q2.csv", "2026Q3.xlsx",
    ]  # fmt: skip
    with pytest.raises(UnicodeDecodeError):
        (responses / "2026Q2.csv").read_bytes().decode("utf-8")
    assert (responses / "2026Q1.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    frames = {path.stem: read_text(path, Problems()).frame for path in responses.iterdir()}
    for frame in frames.values():
        assert list(frame.columns[:6]) == ["序号", "提交答卷时间", "所用时间", "来源", "来源详情", "来自IP"]
        assert frame["来自IP"].str.fullmatch(r"x\.x\.x\.x\([一-鿿]{2}\)").all()
        assert frame["所用时间"].str.fullmatch(r"\d+秒|\d+分\d+秒").all()
        assert frame["所用时间"].str.contains("分").any()
    assert frames["2025Q4"].columns[-1] == "总分"
    assert sum(header.startswith("7、请评价—") for header in frames["2026Q1"].columns) == 19
    names = {unit.name_zh for unit in small.spec.units.rows}
    assert 0.1 < (~frames["2026Q1"]["1、您所在的党支部"].isin(names)).mean() < 0.3  # written by a short name
    cells = {stem: set(frame.iloc[:, 12:].to_numpy().ravel()) for stem, frame in frames.items()}
    assert {"-2", "-3", "", "0"} <= cells["2026Q2"]
    assert {"(空)", "", "不了解/不适用", "比较同意"} <= cells["2026Q3"]
    comments = [header for header in frames["2026Q3"].columns if "请勿填写姓名" in header]
    assert len(comments) == 2
    assert not any("请勿填写姓名" in header for header in frames["2026Q2"].columns)


def test_nothing_in_the_files_is_about_a_person(folder: Path):
    problems = Problems()
    for path in sorted(folder.rglob("*.csv")) + sorted(folder.rglob("*.xlsx")):
        table = read_text(path, problems)
        assert table is not None
        if path.parent.name == "responses":
            check_names(path.name, table.frame.columns, problems)
            assert len(table.frame.columns) == len(set(table.frame.columns))
        cells = pd.unique(table.frame.to_numpy().ravel())
        assert not [cell for cell in cells if identifying_text(cell) or re.search(r"\d{1,3}(\.\d{1,3}){3}", cell)]
    assert len(problems) == 0, problems.table.to_string()


def test_branch_indicators_of_fourteen_months_in_three_versions(small: Company, folder: Path):
    settings, spec, problems = declared(folder)
    values = load_values(settings, spec, set(), problems).now
    assert len(problems) == 0, problems.table.to_string()
    months = periods_of(values)
    assert (len(months), months[0], months[-1]) == (14, "2025-08", "2026-09")
    assert spec.indicators is not None
    assert [len(spec.indicators.at(month).leaves) for month in ("2025-08", "2025-12", "2026-04")] == [50, 28, 20]
    assert {leaf.direction for leaf in spec.indicators.leaves} == {1, -1}
    assert 0 < values["value"].isna().mean() < 0.03
    marks = score(indicators_of(values, spec, "2026-09"), by="branch").table
    index = marks[(marks["code"] == "BM") & (marks["level"] == "branch")]
    assert len(index) == 11
    assert index["score"].between(40, 95).all()


@pytest.mark.parametrize("planted", [True, False])
def test_one_appeal_was_granted_and_one_refused_where_that_was_planted(tmp_path: Path, planted: bool):
    import dj_analysis as dj

    company = make_company(employees=600, branches=24, quarters=1, seed=5, planted=planted)
    ws = dj.open_workspace(company.write(tmp_path / "office", closed=False))
    told = company.planted[company.planted["kind"].str.startswith("appeal")]
    appeals = ws.appeals()
    assert len(ws.check()) == 0
    assert appeals["state"].tolist() == (["granted", "refused"] if planted else [])
    assert (
        appeals[["unit", "code", "period"]].to_numpy().tolist()
        == told[["unit", "code", "period_from"]].to_numpy().tolist()
    )
    assert (appeals["period"] == "2026-08").all()
    now, first = (ws.indicators("2026-08", corrected=one).values for one in (True, False))
    changed = now[now["value"] != first["value"]].dropna(subset=["value"])
    assert changed["unit"].tolist() == appeals.loc[appeals["state"] == "granted", "unit"].tolist()
    wrong = (first["value"] - now["value"]).loc[changed.index].round(6).tolist()
    assert wrong == told.loc[told["kind"] == "appeal_granted", "value"].tolist()


def test_write_never_overwrites(small: Company, folder: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="不会覆盖"):
        small.write(folder)
    (tmp_path / "notes.txt").write_text("kept")
    with pytest.raises(UsageError, match="not empty"):
        small.write(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "kept"
    with pytest.raises(UsageError):
        small.write(tmp_path / "notes.txt")
    tiny = make_company(employees=40, branches=4, quarters=1)
    (tmp_path / "empty").mkdir()
    assert (tiny.write(tmp_path / "empty") / "workspace.toml").exists()


@pytest.mark.parametrize(
    "wrong", [{"branches": 1}, {"employees": 20, "branches": 12}, {"quarters": 0}, {"seed": -1}, {"last": "2026"}]
)
def test_a_company_that_cannot_be_is_refused(wrong: dict):
    with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
        make_company(**wrong)


def test_a_wave_that_is_not_there_is_named_with_those_that_are(small: Company):
    with pytest.raises(UsageError, match=r"2019Q1.*2026Q3"):
        small.draw("2019Q1", 1)


def test_kinds_of_branches_and_what_repeats_are_found_only_where_they_were_planted(tmp_path: Path):
    """The four kinds come back as clusters, the worst branch as the last; without planting nothing is claimed."""
    from sklearn.metrics import adjusted_rand_score

    import dj_analysis as dj
    from dj_analysis.methods import indicator_audit, plane

    for planted in (True, False):
        company = make_company(employees=1200, branches=80, quarters=1, seed=3, planted=planted)
        ws = dj.open_workspace(company.write(tmp_path / str(planted), closed=False))
        marks = dj.score(ws.indicators("2025-10/2026-09"), by="branch")
        groups, places = dj.cluster(marks, "branch", resamples=40), dj.rank(marks, "branch").places.table
        dropped = indicator_audit(dj.score(ws.indicators("2025-08/2025-11"), by="branch"), "branch").reduction.table
        placed = plane(ws.indicators("2025-10/2026-09"), "branch").table.set_index("unit")
        if not planted:
            assert set(placed["quadrant"]) == {"undecided"}
            assert groups.table["cluster"].isna().all()
            assert not places["decided"].any()
            continue
        kinds = company.planted.query("kind == 'branch_kind'").set_index("unit")["value"]
        worst = company.planted.query("kind == 'worst_branch'")["unit"].iloc[0]
        poor = company.planted.query("kind == 'much_but_poor'")["unit"].iloc[0]
        assert placed.loc[poor, "quadrant"] == "many_poor"
        assert placed.loc[poor, "probability"] > 0.99
        assert (placed["quantity"] - placed["quality"]).idxmax() == poor
        table = groups.table.dropna(subset="cluster").set_index("unit").drop([worst, poor])
        assert adjusted_rand_score(kinds.loc[table.index], table["cluster"]) >= 0.95
        assert places.query("place == 'last'")[["unit", "decided"]].to_numpy().tolist() == [[worst, True]]
        assert len(dropped) >= 22, "50 become 28 at most"
        assert (dropped["tau"] >= 0.9).all()


@pytest.mark.parametrize(
    ("employees", "branches", "quarters", "seed"), [(60, 6, 2, 291), (125, 5, 2, 364), (40, 4, 3, 777)]
)
def test_small_and_short_companies_name_units_that_exist_in_their_period(tmp_path, employees, branches, quarters, seed):
    company = make_company(employees=employees, branches=branches, quarters=quarters, seed=seed)
    company.write(tmp_path / "office")
    ws = open_workspace(tmp_path / "office")
    marks = pd.read_csv(tmp_path / "office" / "ratings.csv", dtype="str", encoding="utf-8-sig")
    assert {unit for unit in ws.units.rows if unit.valid_from or unit.valid_to}  # something ended or began
    for period, rows in marks.groupby("period"):
        assert set(rows["unit"]) <= {one.unit for one in ws.units.at(period).rows}
    assert not len(ws.check().table)
