"""Real files from outside, each read as a workspace that is nothing but files.

The data lie beside the project (../shared/data) and are read there; where they are missing the tests are skipped. Published
values are compared to the digits that were published; values recomputed with plain pandas to 1e-9, the rounding noise of
sums taken in another order.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.errors import DataError, DjWarning
from dj_analysis.measure.scores import Scores
from dj_analysis.spec import reasons
from dj_analysis.workspace import Workspace, check_folder

EXACT = 1e-9


def toml(value: object) -> str:
    """One TOML value: JSON strings, numbers and arrays are TOML too; a mapping is an inline table."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def csv(header: str, rows: Iterable[Iterable[object]]) -> str:
    frame = pd.DataFrame(list(rows), columns=header.split(","), dtype="str")
    return frame.to_csv(index=False)


def no_problems(folder: Path) -> None:
    problems = check_folder(folder)
    assert len(problems) == 0, problems.table.to_string()


# univbct: people in companies in battalions, three waves in one file.

ARMY_MEASURES = ("JSAT", "COMMIT", "READY")
ARMY_WAVES = {"2026Q1": 0, "2026Q2": 1, "2026Q3": 2}


@pytest.fixture(scope="module")
def univbct(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "army_multilevel" / "univbct.csv")


@pytest.fixture(scope="module")
def army(
    shared_data: Path, univbct: pd.DataFrame, write_workspace, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    battalions = [f"{code:.0f}" for code in univbct["BTN"].unique()]
    places = univbct[["BTN", "COMPANY"]].drop_duplicates()
    companies = [(f"{btn:.0f}-{company}", f"{btn:.0f}") for btn, company in places.itertuples(index=False)]
    units = [(code, "", "battalion") for code in battalions] + [
        (code, parent, "company_") for code, parent in companies
    ]
    source = {
        "path": (shared_data / "army_multilevel" / "univbct.csv").as_posix(),
        "columns": {"respondent": "SUBNUM", "period": "TIME", **{code: code for code in ARMY_MEASURES}},
        "join": {"unit": ["BTN", "COMPANY"]},
        "recode": {"period": {"0": "2026Q1", "1": "2026Q2", "2": "2026Q3"}},
    }
    files = {
        "workspace.toml": f'language = "en"\nroots = {toml({"data": shared_data.as_posix()})}\n'
        f"[tables]\nresponses = {toml(source)}\n",
        "codebook.csv": csv(
            "code,parent,label_zh,role,direction,weight,minimum,maximum",
            [("ALLS", "", "总体", "index", 1, 1, "", "")]
            + [(code, "ALLS", code, "item", 1, 1, 1, 5) for code in ARMY_MEASURES],
        ),
        "units.csv": csv("unit,parent,level", units),
    }
    return dj.open_workspace(write_workspace(tmp_path_factory.mktemp("army"), files))


def test_army_waves_and_levels_come_from_the_declared_columns(army: Workspace):
    no_problems(army.folder)
    assert army.periods == list(ARMY_WAVES)
    assert army.units.levels == ["company", "battalion", "company_"]
    assert len(army.units.at_level("battalion")) == 16
    assert len(army.units.at_level("company_")) == 43
    with pytest.warns(DjWarning, match="MARITAL"):
        assert len(army.survey("2026Q2").frame) == 495


@pytest.mark.parametrize("period", ARMY_WAVES)
def test_army_units_equal_plain_pandas(army: Workspace, univbct: pd.DataFrame, period: str):
    wave = univbct[univbct["TIME"] == ARMY_WAVES[period]].assign(
        battalion=lambda d: d["BTN"].map("{:.0f}".format), company_=lambda d: d["battalion"] + "-" + d["COMPANY"]
    )
    table = army.scores(period).table.set_index(["level", "unit", "code"])
    for level in ("battalion", "company_"):
        grouped = wave.groupby(level)
        for code in ARMY_MEASURES:
            plain = grouped[code].agg(["count", "mean", "std"])
            found = table.xs((level, code), level=("level", "code")).loc[plain.index]
            assert len(found) == len(plain)
            assert found["n"].tolist() == plain["count"].tolist()
            np.testing.assert_allclose(found["score"], (plain["mean"] - 1) / 4 * 100, atol=EXACT)
            # One person has no spread: pandas says NaN, and so do we.
            np.testing.assert_allclose(found["sd"], plain["std"] / 4 * 100, atol=1e-6)
            spread = found[plain["std"] > 0]
            np.testing.assert_allclose(spread["se"], spread["sd"] / np.sqrt(spread["n"]), atol=EXACT)
    assert table.loc[("company", "ALL", "JSAT"), "n"] == wave["JSAT"].notna().sum() < 495


def test_army_index_needs_all_three_quarters_of_its_parts(army: Workspace, univbct: pd.DataFrame):
    wave = univbct[univbct["TIME"] == 0]
    scaled = (wave[list(ARMY_MEASURES)] - 1) / 4 * 100
    # The three items hang right below the index: 0.6 of three items are two.
    index = scaled.mean(axis=1)[scaled.notna().sum(axis=1) >= 2]
    row = army.scores("2026Q1").at("ALL", "ALLS")
    assert row["n"] == len(index)
    assert row["score"] == pytest.approx(index.mean(), abs=EXACT)
    assert row["sd"] == pytest.approx(index.std(), abs=1e-6)


def test_army_waves_compare(army: Workspace, univbct: pd.DataFrame):
    table = dj.compare(army.scores("2026Q3"), army.scores("2026Q1")).table
    means = univbct.assign(unit=univbct["BTN"].map("{:.0f}".format)).pivot_table(
        index="unit", columns="TIME", values="JSAT", aggfunc="mean"
    )
    found = table[(table["level"] == "battalion") & (table["code"] == "JSAT")].set_index("unit").loc[means.index]
    np.testing.assert_allclose(found["difference"], (means[2.0] - means[0.0]) * 25, atol=EXACT)
    overall = table[(table["unit"] == "ALL") & (table["code"] == "JSAT")].iloc[0]
    # Published growth model (SOURCE.md): about 0.052 a wave, so a little over 2 points in two waves, beyond error.
    assert overall["difference"] == pytest.approx(2 * 0.05176 * 25, abs=0.5)
    assert overall["mix"] + overall["within"] == pytest.approx(overall["difference"], abs=EXACT)


# UK Civil Service People Survey 2023: published figures of organisations as branch indicators, one column a measure.

SUMMARY_ROWS = {"CS_MEDIAN": "summary", "CS_MEAN": "summary", "MOJ_GROUP": "rollup", "UKSA_GROUP": "rollup"}
HIGH_IS_BAD = ("HSE_index", "E01_yes", "E03_yes", "W04")


@pytest.fixture(scope="module")
def csps(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "uk_csps" / "csps2023_organisation_scores.csv", dtype="str")


@pytest.fixture(scope="module")
def headers(csps: pd.DataFrame) -> dict[str, str]:
    """Code → header as the file has it, line breaks included."""
    return {header.split(".\n")[0]: header for header in csps.columns if ".\n" in header}


@pytest.fixture(scope="module")
def people_survey(
    shared_data: Path,
    csps: pd.DataFrame,
    headers: dict[str, str],
    write_workspace,
    tmp_path_factory: pytest.TempPathFactory,
) -> Workspace:
    source = {
        "path": (shared_data / "uk_csps" / "csps2023_organisation_scores.csv").as_posix(),
        "shape": "wide",
        "columns": {"unit": "Organisation", **headers},
        "constant": {"period": "2023"},
        "missing": {"[c]": "suppressed"},
    }
    kinds = list(dict.fromkeys(SUMMARY_ROWS.values()))
    files = {
        "workspace.toml": f'language = "en"\nroots = {toml({"data": shared_data.as_posix()})}\n'
        f"[units]\nexclude_types = {toml(kinds)}\n[tables]\nindicator_values = {toml(source)}\n",
        "indicators.csv": csv(
            "code,parent,label_zh,direction,weight,minimum,maximum,about",
            [(code, "", code, -1 if code in HIGH_IS_BAD else 1, 1, 0, 100, "units") for code in headers],
        ),
        "units.csv": csv(
            "unit,parent,level,type,name_en",
            [
                (unit, "", "organisation", SUMMARY_ROWS.get(unit, "organisation"), name)
                for unit, name in csps[["Organisation", "Organisation name"]].itertuples(index=False)
            ],
        ),
    }
    return dj.open_workspace(write_workspace(tmp_path_factory.mktemp("csps"), files))


@pytest.fixture(scope="module")
def marks(people_survey: Workspace) -> Scores:
    return dj.score(people_survey.indicators("2023"))


def of(marks: Scores, code: str) -> pd.DataFrame:
    table = marks.table
    return table[(table["code"] == code) & (table["level"] == "organisation")].set_index("unit")


def test_csps_reads_without_a_problem(people_survey: Workspace, marks: Scores):
    no_problems(people_survey.folder)
    assert people_survey.indicator_periods == ["2023"]
    assert len(of(marks, "EES")) == 103
    assert not set(marks.table["unit"]) & set(SUMMARY_ROWS)


def test_csps_median_of_engagement_is_the_published_benchmark(marks: Scores):
    engagement = of(marks, "EES")["score"]
    assert round(engagement.median(), 3) == 63.920
    assert round(engagement.min(), 3) == 52.990
    assert round(engagement.max(), 3) == 77.214
    assert round(engagement.mean(), 3) == 63.974  # over organisations, not over respondents


def test_csps_benchmarks_are_reproduced_except_where_cells_are_hidden(
    shared_data: Path, csps: pd.DataFrame, headers: dict[str, str], marks: Scores
):
    published = pd.read_csv(shared_data / "uk_csps" / "csps2023_median_benchmark_by_year.csv").set_index("Measure")
    hidden = {code for code, header in headers.items() if (csps[header] == "[c]").any()}
    table = marks.table[marks.table["level"] == "organisation"]
    medians = table.groupby("code")["score"].median()
    bad = [code for code in HIGH_IS_BAD if code in medians]
    medians[bad] = 100 - medians[bad]  # back to the published direction
    both = [code for code in headers if code in published.index]
    reproduced = {code for code in both if abs(medians[code] - published.loc[code, "2023"]) < 5e-4 + EXACT}
    assert len(both) == 118
    assert set(both) - reproduced == hidden
    assert len(reproduced) == 98


def test_csps_roll_up_rows_would_change_the_benchmark(csps: pd.DataFrame, headers: dict[str, str], marks: Scores):
    with_roll_ups = csps[~csps["Organisation"].isin(["CS_MEDIAN", "CS_MEAN"])]
    assert round(with_roll_ups[headers["EES"]].astype(float).median(), 3) == 63.862
    assert round(of(marks, "EES")["score"].median(), 3) != 63.862


def test_csps_bad_when_high_is_turned_round(csps: pd.DataFrame, headers: dict[str, str], marks: Scores):
    raw = csps.set_index("Organisation")
    for code in headers:
        found = of(marks, code)
        plain = pd.to_numeric(raw[headers[code]].replace("[c]", None)).loc[found.index]
        np.testing.assert_allclose(found["score"], 100 - plain if code in HIGH_IS_BAD else plain, atol=EXACT)


def test_csps_carries_no_error_it_cannot_know(marks: Scores):
    table = marks.table
    assert (table["se_source"] == "none").all()
    assert table[["se", "sd", "low", "high"]].isna().all().all()
    known = table[table["score"].notna()]
    assert (known["reason"] == reasons.NO_ERROR_SOURCE).all()


def test_csps_undeclared_columns_are_dropped_with_a_notice(people_survey: Workspace):
    assert "Organisation notes" in " ".join(people_survey.indicators("2023").notices)


def test_csps_hidden_cells_are_missing_with_the_reason(csps: pd.DataFrame, headers: dict[str, str], marks: Scores):
    kept = csps[~csps["Organisation"].isin(SUMMARY_ROWS)].set_index("Organisation")
    for code, header in headers.items():
        found, hidden = of(marks, code), kept[header] == "[c]"
        said = found["reason"] == "suppressed_at_source"
        assert said.loc[hidden.index].tolist() == hidden.tolist(), code
        assert found.loc[said, "score"].isna().all()
    assert (kept[headers["E03_yes"]] == "[c]").sum() > 0


# A real 问卷星 export: its format, not its subject.

WJX_HEADER = "1、你的手机的品牌是？"
WJX_REASONS = ("内存", "价格", "容量", "系统", "品牌", "宣传", "屏幕清晰度", "屏幕刷新率", "屏幕大小", "电池")


@pytest.fixture
def phones(shared_data: Path, write_workspace, tmp_path: Path) -> Path:
    nodes = [
        ("LIKE", "", "满意", "index", 1, "", ""),
        ("SAT", "LIKE", "你觉得你的手机怎么样？", "item", -1, 1, 5),
        ("HOURS", "LIKE", "你每天使用手机的时间大约是？", "item", 1, 1, 10),
        *((f"R{i}", "LIKE", name, "item", 1, 0, 1) for i, name in enumerate(WJX_REASONS, start=1)),
        ("BRAND", "", "你的手机的品牌是？", "group", 1, "", ""),
        ("MODEL", "", "您使用的手机的具体名称、型号是什么？", "text", 1, "", ""),
        ("PRICE", "", "您的手机价值多少元？", "text", 1, "", ""),
    ]
    rows = [(code, parent, label, role, way, 1, low, high) for code, parent, label, role, way, low, high in nodes]
    source = {
        "path": (shared_data / "wjx_export_sample" / "wjx_export_sample.csv").as_posix(),
        "constant": {"period": "2021Q2"},
    }
    files = {
        "workspace.toml": f"roots = {toml({'data': shared_data.as_posix()})}\n[tables]\nresponses = {toml(source)}\n",
        "codebook.csv": csv("code,parent,label_zh,role,direction,weight,minimum,maximum", rows),
    }
    return write_workspace(tmp_path, files)


def test_wjx_export_is_read_as_it_was_downloaded(phones: Path, shared_data: Path):
    no_problems(phones)
    ws = dj.open_workspace(phones)
    assert ws.periods == ["2021Q2"]
    with pytest.warns(DjWarning) as notices:
        survey = ws.survey("2021Q2")
    frame = survey.frame
    raw = pd.read_csv(shared_data / "wjx_export_sample" / "wjx_export_sample.csv")
    assert len(frame) == 21
    assert frame["seconds"].to_list() == raw["所用时间"].str.removesuffix("秒").astype(float).to_list()
    assert frame["SAT"].to_list() == raw["4、你觉得你的手机怎么样？"].to_list()
    for number, name in enumerate(WJX_REASONS, start=1):
        assert frame[f"R{number}"].to_list() == raw[f"8、({name})"].to_list()
    assert frame["BRAND"].to_list() == raw[WJX_HEADER].astype("str").to_list()
    # What leads to a person, and free text, is not in memory; the notice says what was dropped.
    assert not [c for c in frame.columns if c in ("来自IP", "来源详情", "MODEL", "PRICE")]
    said = " ".join(str(notice.message) for notice in notices)
    assert re.search(r"已丢弃 来源详情, 来自IP", said)
    assert "x.x.x.x" not in said


@pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")
def test_wjx_export_scores(phones: Path, shared_data: Path):
    raw = pd.read_csv(shared_data / "wjx_export_sample" / "wjx_export_sample.csv")
    scores = dj.score(dj.open_workspace(phones).survey("2021Q2"))
    satisfaction = (5 - raw["4、你觉得你的手机怎么样？"]) / 4 * 100
    assert scores.at("ALL", "SAT")["score"] == pytest.approx(satisfaction.mean(), abs=EXACT)
    assert scores.at("ALL", "R2")["score"] == pytest.approx(100 * raw["8、(价格)"].mean(), abs=EXACT)
    assert scores.at("ALL", "LIKE")["n"] == 21


def test_wjx_text_in_a_number_question_is_named_and_skipped_answers_are_not(phones: Path):
    codebook = phones / "codebook.csv"
    text = codebook.read_text(encoding="utf-8")
    codebook.write_text(
        text.replace("PRICE,,您的手机价值多少元？,text,1,1,,", "PRICE,LIKE,您的手机价值多少元？,item,1,1,0,100000"),
        encoding="utf-8",
    )
    with pytest.raises(DataError) as raised:
        dj.open_workspace(phones).survey("2021Q2")
    (problem,) = raised.value.problems
    assert problem.rule == "text_in_number"
    assert "PRICE" in problem.place
    assert "not quoted" in problem.found
    assert "第 3、8、11 行" in problem.found
    assert "空" not in problem.found


def test_a_question_about_phone_brands_is_no_phone_number(phones: Path):
    assert not [problem for problem in check_folder(phones) if problem.rule.startswith("identifier")]


# Official worked examples of the same survey: respondents told one answer a row, scored through scales.csv.

AGREE100 = (
    ("Strongly agree", 100),
    ("Agree", 75),
    ("Neither agree nor disagree", 50),
    ("Disagree", 25),
    ("Strongly disagree", 0),
)
ENGAGEMENT = ("B47", "B48", "B49", "B50", "B51")
STRESS = {"B33": -1, "B05": -1, "B08": -1, "B26": -1, "B30": -1, "B18": -1, "B45": -1, "E03": 1}
PERMA = {"B01": "agree100", "B18": "agree100", "B03": "agree100", "W01": "perma", "W02": "perma"}


@pytest.fixture
def worked(shared_data: Path, write_workspace, tmp_path: Path) -> Path:
    nodes: list[tuple[object, ...]] = [
        ("engagement", "", "敬业度", "dimension", 1, "", "", "", ""),
        ("stress", "", "压力", "dimension", 1, "", "", "", 1),
        ("perma", "", "安好", "dimension", 1, "", "", "", 1),
    ]
    for code in ENGAGEMENT:
        nodes.append((f"respondent_engagement-{code}", "engagement", code, "item", 1, 0, 100, "agree100", ""))
    for code, way in STRESS.items():
        scale = "bullied" if code == "E03" else "agree100"
        nodes.append((f"respondent_proxy_stress-{code}", "stress", code, "item", way, 0, 100, scale, ""))
    for code, scale in PERMA.items():
        nodes.append((f"respondent_perma-{code}", "perma", code, "item", 1, 0, 100, scale, ""))
    options = [("agree100", i, value, text) for i, (text, value) in enumerate(AGREE100, start=1)]
    options += [("bullied", 1, 100, "Yes"), ("bullied", 2, 50, "Prefer not to say"), ("bullied", 3, 0, "No")]
    perma = (("0", 0), ("1/2/3/4", 25), ("5/6", 50), ("7/8/9", 75), ("10", 100))
    options += [("perma", text, value, text) for text, value in perma]
    source = {
        "path": (shared_data / "uk_csps" / "method_worked_example_respondent.csv").as_posix(),
        "shape": "long",
        "columns": {"respondent": "example", "value": "response"},
        "join": {"code": ["example", "item"]},
        "constant": {"period": "2023"},
    }
    files = {
        "workspace.toml": f'language = "en"\nroots = {toml({"data": shared_data.as_posix()})}\n'
        f"[tables]\nresponses = {toml(source)}\n",
        "codebook.csv": csv(
            "code,parent,label_zh,role,direction,weight,minimum,maximum,scale,min_share",
            [(code, parent, label, role, way, 1, low, high, scale, share)
             for code, parent, label, role, way, low, high, scale, share in nodes],
        ),
        "scales.csv": csv("scale,code,value,label_en", options),
    }  # fmt: skip
    return write_workspace(tmp_path, files)


def test_worked_examples_score_as_published(worked: Path, shared_data: Path):
    published = pd.read_csv(shared_data / "uk_csps" / "method_worked_example_respondent.csv")
    no_problems(worked)
    scores = dj.open_workspace(worked).scores("2023")
    table = scores.table.set_index("code")
    for example, item, score in published[["example", "item", "score"]].itertuples(index=False):
        assert table.loc[f"{example}-{item}", "score"] == score
    stress = table.loc["stress", "score"]
    assert (table.loc["engagement", "score"], 100 - stress, table.loc["perma", "score"]) == (65, 50, 65)
    assert (table.loc[["engagement", "stress", "perma"], "n"] == 1).all()
    assert (table.loc[["engagement", "stress", "perma"], "reason"] == reasons.ONE_PERSON).all()


def test_proxy_stress_needs_all_eight_answers(worked: Path, write_workspace, shared_data: Path):
    published = pd.read_csv(shared_data / "uk_csps" / "method_worked_example_respondent.csv", dtype="str")
    published.loc[(published["example"] == "respondent_proxy_stress") & (published["item"] == "B45"), "response"] = ""
    settings = (worked / "workspace.toml").read_text(encoding="utf-8")
    path = (shared_data / "uk_csps" / "method_worked_example_respondent.csv").as_posix()
    write_workspace(
        worked,
        {"workspace.toml": settings.replace(path, "answers.csv"), "answers.csv": published.to_csv(index=False)},
    )
    table = dj.open_workspace(worked).scores("2023").table.set_index("code")
    assert table.loc["stress", ["n", "reason"]].tolist() == [0, reasons.NOT_ENOUGH_ANSWERED]
    assert np.isnan(table.loc["stress", "score"])
    assert table.loc["engagement", "score"] == 65


def test_ten_respondents_make_the_published_index(write_workspace, tmp_path: Path):
    files = {
        "workspace.toml": 'name = "example"\n',
        "codebook.csv": "code,parent,label_zh,role,direction,weight,minimum,maximum\nEES,,敬业度,item,1,1,0,100\n",
        "responses/2023.csv": "EES\n65\n25\n70\n35\n50\n100\n90\n40\n20\n35\n",
    }
    folder = write_workspace(tmp_path, files)
    no_problems(folder)
    row = dj.open_workspace(folder).scores("2023").at("ALL", "EES")
    assert (row["n"], row["score"]) == (10, 53)


@pytest.mark.parametrize(("profile", "index"), [("A", 49.0), ("B", 6300 / 102)])
def test_profiles_of_organisations_by_weight(write_workspace, tmp_path: Path, profile: str, index: float):
    """Organisation B's published percentages add to 102: a weighted mean gives 61.8, not the 63 printed there."""
    shares = {"A": (10, 40, 10, 16, 24), "B": (22, 28, 34, 12, 6)}[profile]
    rows = [(text, share) for (text, _), share in zip(AGREE100, shares, strict=True)]
    files = {
        "workspace.toml": 'name = "example"\n',
        "codebook.csv": "code,parent,label_zh,role,direction,weight,minimum,maximum,scale\n"
        "E,,敬业度,item,1,1,0,100,agree100\nshare,,权重,weight,1,1,,,\n",
        "scales.csv": csv(
            "scale,code,value,label_en",
            [("agree100", i, value, text) for i, (text, value) in enumerate(AGREE100, start=1)],
        ),
        "responses/2023.csv": csv("E,share", rows),
    }
    row = dj.open_workspace(write_workspace(tmp_path, files)).scores("2023").at("ALL", "E")
    assert row["score"] == pytest.approx(index, abs=EXACT)


# bfi: reverse-keyed items on 1–6.

BFI = {
    "agree": ("-A1", "A2", "A3", "A4", "A5"),
    "conscientious": ("C1", "C2", "C3", "-C4", "-C5"),
    "extraversion": ("-E1", "-E2", "E3", "E4", "E5"),
    "neuroticism": ("N1", "N2", "N3", "N4", "N5"),
    "openness": ("O1", "-O2", "O3", "O4", "-O5"),
}
BFI_MEANS = {  # psych::scoreItems, which fills a missing answer with the item's median (SOURCE.md)
    "agree": 4.653071,
    "conscientious": 4.269429,
    "extraversion": 4.146000,
    "neuroticism": 3.162000,
    "openness": 4.591000,
}


def test_reverse_keyed_scales_have_the_means_of_psych(shared_data: Path, write_workspace, tmp_path: Path):
    raw = pd.read_csv(shared_data / "bfi_likert" / "bfi.csv")
    keys = {key.lstrip("-"): -1 if key.startswith("-") else 1 for scale in BFI.values() for key in scale}
    answers = raw[list(keys)]
    filled = answers.fillna(answers.median())
    stream = io.BytesIO()
    filled.to_csv(stream, index=False)
    nodes: list[tuple[object, ...]] = [(scale, "", scale, "dimension", 1, 1, "", "") for scale in BFI]
    for scale, items in BFI.items():
        nodes += [(key.lstrip("-"), scale, key, "item", keys[key.lstrip("-")], 1, 1, 6) for key in items]
    files = {
        "workspace.toml": 'language = "en"\n',
        "codebook.csv": csv("code,parent,label_zh,role,direction,weight,minimum,maximum", nodes),
        "responses/2010Q2.csv": stream.getvalue(),
    }
    folder = write_workspace(tmp_path, files)
    no_problems(folder)
    scores = dj.open_workspace(folder).scores("2010Q2")
    for scale, mean in BFI_MEANS.items():
        row = scores.at("ALL", scale)
        assert row["n"] == 2800
        assert 1 + row["score"] * 5 / 100 == pytest.approx(mean, abs=5e-7)
