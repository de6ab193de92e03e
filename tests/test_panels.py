"""Published panels read by declared files only: organisations as branches, years as occasions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.workspace import Workspace, check_folder

SPAN = "2009/2023"
THEMES = {
    "mw": "My work", "op": "Organisational objectives", "lm": "My (line )?manager", "mt": "My team",
    "ld": "Learning and development", "if": "Inclusion and fair", "rw": "Resources and workload", "pb": "Pay and benefits",
    "lc": "Leadership and managing",
}  # fmt: skip
#: Rows of the file that are no organisation: benchmarks, means and roll-ups.
ROLL_UPS = r"benchmark|All civil|\bgroup\b"
FEVS_CODES = {"LL": "Leaders Lead", "SU": "Supervisors", "IW": "Intrinsic Work Experience"}
FEVS_YEARS = range(2015, 2021)


def quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def pairs(mapping: dict[str, str]) -> str:
    return "\n".join(f"{quoted(key)} = {quoted(value)}" for key, value in mapping.items())


def csv(header: str, rows: list[tuple]) -> str:
    return pd.DataFrame(rows, columns=header.split(","), dtype="str").to_csv(index=False)


def label_codes(labels: pd.Series) -> dict[str, str]:
    """The measures looked at, under every name the fifteen years gave them."""
    codes = {}
    for label in labels.unique():
        if re.match(r"^(EES|(employee )?engagement index)\b", label, re.IGNORECASE):
            codes[label] = "EES"
        for code, words in THEMES.items():
            if re.match(rf"^({code}_ts\b|{words}[^.]{{0,45}}$|{words}.*theme)", label, re.IGNORECASE):
                codes[label] = code
    return codes


@pytest.fixture(scope="module")
def published(shared_data: Path) -> pd.DataFrame:
    return pd.read_parquet(shared_data / "uk_csps" / "csps_organisation_scores_2009_2023_long.parquet")


@pytest.fixture(scope="module")
def people_survey(shared_data: Path, published: pd.DataFrame, write_workspace, tmp_path_factory) -> Workspace:
    path = shared_data / "uk_csps" / "csps_organisation_scores_2009_2023_long.parquet"
    organisations = sorted(set(published["organisation"][~published["organisation"].str.contains(ROLL_UPS)]))
    units = {name: f"U{place:03d}" for place, name in enumerate(organisations)}
    settings = f"""language = "en"
roots = {{data = {quoted(shared_data.as_posix())}}}
[tables.indicator_values]
path = {quoted(path.as_posix())}
columns = {{unit = "organisation", period = "obj_year", code = "question_measure", value = "value"}}
undeclared = ["unit", "code"]
[tables.indicator_values.recode.unit]
{pairs(units)}
[tables.indicator_values.recode.code]
{pairs(label_codes(published["question_measure"]))}
"""
    nodes = [("INDEX", "", "主题", "Themes", "index", 1, 1, "", "", "units")]
    nodes += [(code, "INDEX", code, words, "item", 1, 1, 0, 100, "units") for code, words in THEMES.items()]
    nodes.append(("EES", "", "敬业指数", "Engagement", "item", 1, 1, 0, 100, "units"))
    files = {
        "workspace.toml": settings,
        "indicators.csv": csv("code,parent,label_zh,label_en,role,direction,weight,minimum,maximum,about", nodes),
        "units.csv": csv(
            "unit,parent,level,type,name_en",
            [(code, "", "organisation", "organisation", name) for name, code in units.items()],
        ),
    }
    return dj.open_workspace(write_workspace(tmp_path_factory.mktemp("csps"), files))


@pytest.fixture(scope="module")
def marks(people_survey: Workspace):
    return dj.score(people_survey.indicators(SPAN))


def test_what_is_not_declared_is_left_out_and_told(people_survey: Workspace):
    assert len(check_folder(people_survey.folder)) == 0
    told = " ".join(people_survey.indicators(SPAN).notices)
    assert "未声明的 unit" in told
    assert "未声明的 code" in told
    assert people_survey.indicator_periods == [str(year) for year in range(2009, 2024)]


def test_without_the_declaration_what_is_not_declared_is_an_error(people_survey: Workspace, tmp_path: Path):
    for name in ("indicators.csv", "units.csv"):
        (tmp_path / name).write_bytes((people_survey.folder / name).read_bytes())
    settings = (people_survey.folder / "workspace.toml").read_text(encoding="utf-8")
    (tmp_path / "workspace.toml").write_text(settings.replace('undeclared = ["unit", "code"]', ""), encoding="utf-8")
    assert set(check_folder(tmp_path).table["rule"]) == {"unknown_unit", "unknown_code"}
    wrong = settings.replace('undeclared = ["unit", "code"]', 'undeclared = ["value"]')
    (tmp_path / "workspace.toml").write_text(wrong, encoding="utf-8")
    assert "unknown_value" in set(check_folder(tmp_path).table["rule"])


def test_scores_of_a_year_are_the_published_ones(people_survey: Workspace, published: pd.DataFrame, marks):
    names = {unit.unit: unit.name_en for unit in people_survey.units.rows}
    codes = label_codes(published["question_measure"])
    source = published.assign(code=published["question_measure"].map(codes)).dropna(subset=["code"])
    source = source.set_index([source["obj_year"].astype(str), "organisation", "code"])["value"]
    ours = marks.table[(marks.table["level"] == "organisation") & (marks.table["code"] == "EES")]
    ours = ours[(ours["period"] != SPAN) & ours["score"].notna()]
    keys = pd.MultiIndex.from_arrays([ours["period"], ours["unit"].map(names), ours["code"]])
    assert len(ours) > 1300
    np.testing.assert_allclose(ours["score"].to_numpy(), source.loc[keys].to_numpy(), atol=1e-9)
    # Official median benchmarks of 2021 to 2023 (Cabinet Office 2023, Table 1).
    for year, median in (("2021", 65.717), ("2022", 64.585), ("2023", 63.920)):
        assert ours.loc[ours["period"] == year, "score"].median() == pytest.approx(median, abs=0.01)


def test_error_comes_from_the_years_and_is_missing_where_there_are_too_few(marks):
    table = marks.table
    whole = table[(table["period"] == SPAN) & (table["level"] == "organisation") & (table["code"] == "EES")]
    years = table[(table["period"] != SPAN) & (table["code"] == "EES") & table["score"].notna()].groupby("unit").size()
    enough = set(years.index[years >= 8])  # at least half of the fifteen years
    assert set(whole.loc[whole["se_source"] == "months", "unit"]) == enough & set(whole["unit"])
    few = whole[whole["se_source"] == "none"]
    assert len(few) > 100
    assert (few["reason"] != "").all()
    # Against a two-way analysis written apart: the typical error is the residual spread over the square root of the years.
    scores = table[(table["period"] != SPAN) & (table["code"] == "EES") & table["unit"].isin(enough)]
    wide = scores.pivot(index="unit", columns="period", values="score")
    residual = wide.copy()
    for _ in range(200):
        residual = residual.sub(residual.mean(axis=1), axis=0)
        residual = residual.sub(residual.mean(axis=0), axis=1)
    n = wide.notna().sum().sum()
    spread = np.sqrt(np.nansum(residual.to_numpy() ** 2) / (n - len(wide) - wide.shape[1] + 1))
    typical = np.sqrt(
        (whole.set_index("unit")["se"].dropna() ** 2 * years.reindex(whole["unit"]).dropna()).dropna().mean()
    )
    assert typical == pytest.approx(spread, rel=0.1)


def test_rank_sets_against_year_to_year_variation(marks):
    ranks = dj.rank(marks, level="organisation", code="EES", seed=1).table
    judged = ranks[ranks["rank"].notna()]
    assert len(judged) > 60
    assert (ranks.loc[ranks["rank"].isna(), "reason"] != "").all()
    assert (judged["rank_low"] <= judged["rank"]).all()
    assert (judged["rank"] <= judged["rank_high"]).all()
    width = (judged["rank_high"] - judged["rank_low"]).median()
    assert 5 < width < len(judged)
    first = judged[judged["rank"] == 1].iloc[0]
    assert first["rank_high"] < len(judged) / 2
    assert judged["p_top1"].sum() == pytest.approx(1, abs=0.02)


def test_few_organisations_really_moved_in_a_year(people_survey: Workspace):
    now, before = (dj.score(people_survey.indicators(year)) for year in ("2022", "2021"))
    moved = dj.rank(now, level="organisation", code="EES", before=before, seed=1).table
    judged = moved[moved["difference"].notna()]
    assert len(judged) > 40
    real = judged[judged["real"] == True]  # noqa: E712  a nullable flag
    assert len(real) < len(judged) / 2
    assert (real["q"] <= 0.1).all()


def test_clusters_of_the_organisations_say_how_stable_they_are(marks):
    groups = dj.cluster(marks, level="organisation", codes=list(THEMES), resamples=20, seed=1)
    table, stability = groups.table, groups.stability.table
    assert {"k", "jaccard", "silhouette", "gap"} <= set(stability.columns)
    named = table["cluster"].dropna()
    if named.empty:  # nothing is stated, and every row says why
        assert (table["reason"] != "").all()
    else:
        chosen = stability[stability["k"] == named.nunique()]
        assert (chosen["jaccard"] >= 0.75).all()


def test_a_tree_over_years_in_columns_is_read_as_declared(shared_data: Path, write_workspace, tmp_path: Path):
    path = shared_data / "fevs_noaa_tree" / "fevs_indices_2015_2020.csv"
    source = pd.read_csv(path, dtype="str")
    headers = {
        f"{code}@{year}": f"Employee Engagement: {words}_{year}"
        for code, words in FEVS_CODES.items()
        for year in FEVS_YEARS
    }
    levels = {2: "department", 4: "agency", 6: "line", 8: "office"}
    codes = [code for code in source["Sorting Code"] if code != "GOV"]
    units = [(code, code[:-2] if code[:-2] in codes else "", levels[len(code)], name)
             for code, name in zip(source["Sorting Code"], source["Agency & Subagency Name"], strict=True) if code != "GOV"]  # fmt: skip
    declared = {
        "workspace.toml": f"""language = "en"
roots = {{data = {quoted(shared_data.as_posix())}}}
[tables.indicator_values]
path = {quoted(path.as_posix())}
shape = "wide"
undeclared = ["unit"]
[tables.indicator_values.columns]
unit = "Sorting Code"
{pairs(headers)}
""",
        "units.csv": csv("unit,parent,level,name_en", units),
        "indicators.csv": csv(
            "code,parent,label_zh,role,direction,weight,minimum,maximum,about",
            [("EEI", "", "敬业指数", "index", 1, 1, "", "", "units")]
            + [(code, "EEI", words, "item", 1, 1, 0, 1, "units") for code, words in FEVS_CODES.items()],
        ),
    }
    folder = write_workspace(tmp_path / "fevs", declared)
    assert len(check_folder(folder)) == 0
    ws = dj.open_workspace(folder)
    assert ws.indicator_periods == [str(year) for year in FEVS_YEARS]
    marks = dj.score(ws.indicators("2015/2020"))
    table = marks.table.set_index(["period", "unit", "code"])["score"]
    overall = source.set_index("Sorting Code")
    for year in (2018, 2019, 2020):
        for unit in codes:
            said = float(overall.loc[unit, f"Employee Engagement: Overall_{year}"])
            assert table.loc[(str(year), unit, "EEI")] == pytest.approx(100 * said, abs=0.06), (unit, year)
    assert table.loc[("2019", "CM", "EEI")] == pytest.approx(72.62, abs=0.01)  # OPM 2019, Commerce
    ranks = dj.rank(marks, level="line", code="EEI", seed=1).table
    assert len(ranks) == 8
    assert (ranks["se_source"] == "months").all()
    assert (ranks["rank_low"] <= ranks["rank_high"]).all()
