"""Score sheets by rubric: a year of 11 and 25 units, teams of unlike severity, bids; what is planted and what is not."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from offices import office, people
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.workspace import check_folder

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

ASSESSMENTS = ("四好班子", "党风廉政", "精神文明和企业文化", "信访稳定和保密", "品牌", "工会", "共青团", "离退休")
SUPPLY, DIRECT, COUNTY, STATION = "供电企业", "直属单位", "县公司", "供电所"
OVERSTATED = 6.2
FLATTERING = "D07"  # assesses itself 15 points higher still
#: Rubric → its name, the type it judges, how many units.
RUBRICS = {"RK": ("县公司评价细则", COUNTY), "RD": ("二级直属单位评价细则", DIRECT), "RS": ("供电所评价细则", STATION)}


def csv(header: str, rows: list[tuple]) -> str:
    return pd.DataFrame(rows, columns=header.split(","), dtype="str").to_csv(index=False)


@pytest.fixture(scope="module")
def year(tmp_path_factory, write_workspace) -> Path:
    """A provincial company: eight assessments a month of 11 and 25 units, and a yearly inspection of three types by rubric.

    Two teams inspect, T1 four points stricter than T2; every third unit is seen by both, the others by one.
    """
    rng = np.random.default_rng(11)
    units = [(f"C{i:02d}", "", "unit", SUPPLY, f"供电公司{i}") for i in range(11)]
    units += [(f"D{i:02d}", "", "unit", DIRECT, f"直属单位{i}") for i in range(25)]
    below = [(f"K{i:02d}", f"C{i % 11:02d}", "county", COUNTY, f"县公司{i}") for i in range(14)]
    below += [(f"S{i:02d}", f"K{i % 14:02d}", "station", STATION, f"供电所{i}") for i in range(18)]
    codes = [f"A{k}" for k in range(8)]
    standing = np.concatenate([np.linspace(92, 72, 11), np.linspace(92, 60, 25)])
    standing[2:6] = [86.0, 84.1, 84.0, 80.0]  # C03 and C04 on either side of the cut are as good as equal
    values = [
        (unit[0], f"2026-{month:02d}", code, f"{np.clip(standing[i] + 3 * rng.standard_normal(), 0, 100):.2f}")
        for month in range(1, 13) for i, unit in enumerate(units) for code in codes
    ]  # fmt: skip
    rubrics = [(code, "", name, "", "", "", kind, "officials") for code, (name, kind) in RUBRICS.items()]
    rubrics += [(f"{rubric}{k}", rubric, f"标准{k}", 1, 0, 120, "", "") for rubric in RUBRICS for k in range(5)]
    marks = []
    for rubric, (_, kind) in RUBRICS.items():
        judged = [unit[0] for unit in [*units, *below] if unit[3] == kind]
        for i, (unit, true) in enumerate(zip(judged, np.linspace(90, 70, len(judged)), strict=True)):
            seen = [("T1", 3.0), ("T2", -1.0)] if i % 3 == 0 else [("T1", 3.0)] if i % 3 == 1 else [("T2", -1.0)]
            for k in range(5):
                marks += [
                    (t, "检查组", unit, "2026", f"{rubric}{k}", true - s + rng.standard_normal()) for t, s in seen
                ]
                own = true - 1 + OVERSTATED + (15 if unit == FLATTERING else 0) + rng.standard_normal()
                marks.append(("SELF", "自评", unit, "2026", f"{rubric}{k}", own))
    files = {
        "workspace.toml": 'language = "zh"\n',
        "rules.toml": f'[awards]\n"{SUPPLY}" = 4\n"{DIRECT}" = 2\n',
        "units.csv": csv("unit,parent,level,type,name_zh", [*units, *below]),
        "indicators.csv": csv(
            "code,parent,label_zh,role,direction,weight,minimum,maximum,about",
            [("I", "", "考评", "index", 1, 1, "", "", "units")]
            + [(c, "I", label, "item", 1, 1, 0, 100, "units") for c, label in zip(codes, ASSESSMENTS, strict=True)],
        ),
        "indicator_values.csv": csv("unit,period,code,value", values),
        "rubrics.csv": csv("code,parent,label_zh,weight,minimum,maximum,types,raters", rubrics),
        "ratings.csv": csv("rater,role,unit,period,code,value", [(*row[:5], f"{row[5]:.2f}") for row in marks]),
    }
    return write_workspace(tmp_path_factory.mktemp("year") / "office", files)


def test_the_year_reads_without_a_problem(year: Path):
    problems = check_folder(year)
    assert len(problems) == 0, problems.table.to_string()


def test_awards_go_to_four_and_two_with_their_probability(year: Path):
    ws = dj.open_workspace(year)
    awards = dj.award(dj.score(ws.indicators("2026-01/2026-12")), seed=1)
    table = awards.table.set_index("unit")
    given = table[table["awarded"]].groupby("type").apply(lambda t: sorted(t.index), include_groups=False).to_dict()
    assert given[DIRECT] == ["D00", "D01"]
    assert given[SUPPLY][:3] == ["C00", "C01", "C02"]
    assert len(given[SUPPLY]) == 4
    cut = awards.cuts.table.set_index("type").loc[SUPPLY]
    assert {cut["unit"], cut["other"]} == {"C03", "C04"}
    assert not cut["decided"], "the fourth and the fifth are within error"
    sums = awards.table.groupby("type")["probability"].sum()
    assert (sums[SUPPLY], sums[DIRECT]) == pytest.approx((4, 2), abs=0.01)
    assert table.loc[["C00", "C01"], "other_weights"].min() > 0.99
    assert 0.05 < table.loc[cut["unit"], "other_weights"] < 1, "which of the two is in hangs on the weights"


def test_rubrics_are_never_put_together(year: Path, write_workspace, tmp_path: Path):
    ratings = dj.open_workspace(year).ratings("2026")
    assert ratings.rubrics == list(RUBRICS)
    with pytest.raises(UsageError, match="never put together"):
        dj.rate(ratings)
    for rubric, letter, size in (("RK", "K", 14), ("RD", "D", 25), ("RS", "S", 18)):
        assert set(dj.rate(ratings, rubric=rubric).table["unit"]) == {f"{letter}{i:02d}" for i in range(size)}
    files = {path.name: path.read_text(encoding="utf-8") for path in year.iterdir() if path.is_file()}
    files["ratings.csv"] += "T1,检查组,S00,2026,RK0,80\n"
    problems = check_folder(write_workspace(tmp_path / "mixed", files)).table
    assert problems["rule"].tolist() == ["wrong_rubric"]


def test_self_assessment_is_held_against_inspection(year: Path):
    ratings = dj.open_workspace(year).ratings("2026")
    for rubric in RUBRICS:
        rated = dj.rate(ratings, rubric=rubric, seed=1)
        agreement = rated.agreement.table.query("code == '*'").set_index("coefficient")
        own = rated.self_assessment.table.set_index("unit")
        # Adjusted to the mean of the teams inspection is 1 point below the standing: (3 - 1) / 2, as is the planted self.
        extra = 15 / 25 if rubric == "RD" else 0.0
        assert agreement.loc["bias", "low"] <= OVERSTATED + extra <= agreement.loc["bias", "high"]
        assert agreement.loc["bias", "estimate"] == pytest.approx(OVERSTATED + extra, abs=0.4)
        assert (FLATTERING in own.index[own["outside"].fillna(False).astype(bool)]) == (rubric == "RD")
        assert agreement.loc["severity", "low"] <= 4.0 <= agreement.loc["severity", "high"]


def test_the_assessment_of_the_year_from_files_to_the_report(year: Path, tmp_path: Path):
    run = dj.run_report("assessment", year, period="2026-12", formats=["html"], out=tmp_path / "out")
    assert run.manifest["dropped"] == ["cell 2: stream"], (
        "the warning that a cut is within error, which the text says too"
    )
    page = html.unescape(run.files["html"].read_text(encoding="utf-8"))
    text = re.sub(r"\s+", "", re.sub(r"<[^>]+>", "", page))
    for name, _ in RUBRICS.values():
        assert f"自评与检查组考评：{name}（2026年）" in text
    assert "供电企业先进单位4个" in text
    assert "直属单位先进单位2个" in text
    assert "差距在误差之内，不宜据此兑现奖惩" in text
    assert re.search(r"确在前4名的把握\d+\.\d%", text)
    assert re.search(r"超出界限、需核实自评依据的\d个：[^。]*直属单位7（自评", text)
    assert "2方评分中最严与最宽的相差" in text
    for kind in (SUPPLY, DIRECT):
        assert f"{kind}中，先进" in text, "types are sorted into tiers by themselves"


def test_bids_lead_only_where_they_do():
    company = dj.make_company(employees=400, branches=30, quarters=2, seed=4)
    planted = company.planted.set_index(["kind", "code"])
    assert {"team_severity", "self_bias", "inflated_self", "clear_bid", "equal_bids"} <= set(company.planted["kind"])
    assert planted.loc[("team_severity", "T1"), "value"] > planted.loc[("team_severity", "T2"), "value"]


def test_what_is_planted_in_the_demo_is_found_and_nothing_where_nothing_is(tmp_path: Path):
    found = {}
    for planted in (True, False):
        company = dj.make_company(employees=400, branches=30, quarters=2, seed=4, planted=planted)
        ws = dj.open_workspace(company.write(tmp_path / str(planted), closed=False))
        inspection, bids = (
            {period: dj.rate(ws.ratings(period), rubric=rubric, seed=1) for period in company.periods
             if rubric in ws.ratings(period).rubrics}
            for rubric in ("KP", "JB")
        )  # fmt: skip
        (sheet,) = inspection.values()
        lead = pd.concat([one.lead.table for one in bids.values()]).set_index("period")
        found[planted] = (sheet, lead, company)
    sheet, lead, company = found[True]
    kinds = company.planted.set_index("kind")
    own = sheet.self_assessment.table.set_index("unit")
    assert own.index[own["outside"].fillna(False).astype(bool)].tolist() == [kinds.loc["inflated_self", "unit"]]
    severity = sheet.agreement.table.set_index("coefficient").loc["severity"]
    assert severity["low"] <= 4.0 <= severity["high"]
    assert severity["p"] < 0.01
    clear = kinds.loc["clear_bid"]
    assert lead.loc[clear["period_from"], "unit"] == clear["unit"]
    assert bool(lead.loc[clear["period_from"], "decided"])
    assert not bool(lead.loc[kinds.loc["equal_bids", "period_from"].iloc[0], "decided"])
    sheet, lead, _ = found[False]
    assert sheet.agreement.table.set_index("coefficient").loc["severity", "p"] > 0.01
    assert not lead["decided"].astype(bool).any()


def simulated(seed: int, strict: float, units: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    standing = rng.normal(80, 4, units)
    return pd.DataFrame(
        [
            (f"U{i:02d}", "2026", team, standing[i] - (strict if team == "T1" else 0) + rng.normal(0, 2), "inspection")
            for i in range(units) for team in ("T1", "T2")
        ],
        columns=["unit", "period", "rater", "score", "kind"],
    )  # fmt: skip


@pytest.mark.parametrize("strict", [0.0, 3.0])
def test_the_range_of_severity_holds_at_its_rate(strict: float):
    """A thousand small inspections: the 95 % interval of how far the teams lie apart, and the rate of p < .05."""
    inside, rejected, draws = 0, 0, trials(1000)
    for seed in range(draws):
        wide = simulated(seed, strict).pivot(index="unit", columns="rater", values="score")
        table = dj.rate(simulated(seed, strict), officials=True, draws=10).severity.table if seed < 5 else None
        gap = wide["T2"] - wide["T1"]
        se = gap.std(ddof=1) / np.sqrt(len(gap))
        reach = stats.t.ppf(0.975, len(gap) - 1) * se
        inside += abs(gap.mean() - strict) <= reach
        rejected += abs(gap.mean()) > reach
        if table is not None:  # the package's estimates are those of the paired comparison
            points = table.set_index("rater")["score" if "score" in table else "severity"]
            assert points.max() - points.min() == pytest.approx(abs(gap.mean()), abs=1e-9)
    low, high = stats.binom.interval(0.99, draws, 0.95)
    assert low <= inside <= high
    assert rejected >= 0.9 * draws if strict else draws - high <= rejected <= draws - low


def test_sheets_about_units_that_are_not_there_in_their_period_are_found_by_the_check(tmp_path):
    folder = office(tmp_path / "office", people())
    (folder / "units.csv").write_text(
        "unit,parent,level,name_zh,valid_from,valid_to,became\nC1,,city,东城公司,,,\nB11,C1,branch,一支部,,2026Q2,B12\n"
        "B12,C1,branch,二支部,,,\n", "utf-8",
    )  # fmt: skip
    rows = [("T1", unit, period, 80) for unit in ("B11", "B12", "B99") for period in ("2026Q2", "2026Q3")]
    head = "rater,role,unit,period,code,value\n"
    (folder / "ratings.csv").write_text(
        head + "".join(f"{rater},检查组,{unit},{period},,{value}\n" for rater, unit, period, value in rows), "utf-8"
    )
    problems = dj.open_workspace(folder).check().table
    found = problems[problems["place"] == "ratings.csv: unit"].set_index("allowed")["found"].to_dict()
    assert found == {
        "2026Q2 的单位 (a unit of 2026Q2)": "(内容不引/not quoted) (第 6 行)",
        "2026Q3 的单位 (a unit of 2026Q3)": "B11、(内容不引/not quoted) (第 3、7 行)",
    }
