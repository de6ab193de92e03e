"""Every column that a public result declares is in the one table of columns, and every result can be printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd
import pytest
from shared import copied, demo_office

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.act.care import requests
from dj_analysis.result import digest
from dj_analysis.spec.columns import column, columns, written
from dj_analysis.spec.reasons import WORDS
from dj_analysis.spec.tree import Node, Tree

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

PERIOD = "2026Q3"
TREE = Tree((Node("T", role="index"), Node("a", "T", minimum=0, maximum=9), Node("b", "T", minimum=0, maximum=9)))
UNITS = pd.DataFrame({"unit": ["x", "y", "z"], "a": [9, 5, 1], "b": [8, 6, 2]})
RATINGS = pd.DataFrame(
    {
        "unit": list("AABB"), "rater": list("xyxy"), "score": [90, 80, 70, 64], "period": "2026", "kind": "inspection",
        "item": "",
    }
)  # fmt: skip


def _requests() -> dj.Result:
    asked = pd.DataFrame({"obligation": ["r1"], "kind": ["request"], "unit": ["ALL"], "opened": ["2026-07-01"]})
    states = pd.DataFrame({"obligation": ["r1"], "state": ["offered"], "time": ["2026-07-04"]})
    return requests(asked, states, period=PERIOD)


def _all_orange(now: dj.Result) -> dj.Result:
    """Warnings of every unit that is judged, so that there is something to propose."""
    alerts = dj.alerts(now)
    table = alerts.table.assign(warning="orange", reason="index_low:orange")
    return alerts.remade(table.where(alerts.table["reason"] == "", alerts.table, axis=0))


def _people_asked(ws: dj.Workspace) -> pd.DataFrame:
    """Twelve people of every branch, who mark it."""
    branches = [unit.unit for unit in ws.units.at("2026-09").at_level("branch")]
    rows = [(unit, f"{unit}-{p}", 60.0 + i + 3 * p) for i, unit in enumerate(branches) for p in range(12)]
    return pd.DataFrame(rows, columns=["unit", "rater", "score"]).assign(period="2026-09", kind="inspection")


def _round_robin() -> pd.DataFrame:
    """Four units that mark each other."""
    units = list(enumerate("ABCD"))
    pairs = [(unit, rater, 70.0 + 5 * i + 3 * j + (i * j) % 4) for i, unit in units for j, rater in units if i != j]
    return pd.DataFrame(pairs, columns=["unit", "rater", "score"]).assign(period="2026", kind="inspection")


def _four_ones() -> pd.DataFrame:
    """Two units, one of which lacks something."""
    marks = pd.DataFrame({"unit": list("AABB"), "code": ["大会", "表格"] * 2, "score": [1, 1, 0, 1]})
    return marks.assign(period="2026", rater="T1", kind="inspection")


def _due_now(ws: dj.Workspace) -> Any:
    """The measures of the office as if all were to be evaluated in this wave."""
    work = ws.obligations(kind="measure")
    return replace(work, table=work.table.assign(cycle=PERIOD))


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> dj.Workspace:
    office = demo_office(tmp_path_factory, employees=900, branches=20, quarters=2, seed=3)
    return dj.open_workspace(copied(office, tmp_path_factory.mktemp("columns") / "office"))


YEAR = "2025-10/2026-09"


@cache
def _of_year(ws: dj.Workspace) -> dj.Result:
    """The scores of work over a year, which many results begin with."""
    return dj.score(ws.indicators(YEAR))


@cache
def _driven(ws: dj.Workspace) -> dj.Result:
    return dj.drivers(ws.survey(PERIOD), by="branch", draws=50)


#: Each public function that returns a Result, called on a wave, its scores, and the wave before.
RESULTS: dict[str, Callable[[dj.Workspace, Any, dj.Result, dj.Result], dj.Result]] = {
    "score": lambda ws, s, now, before: now,
    "compare": lambda ws, s, now, before: dj.compare(now, before),
    "pair": lambda ws, s, now, before: dj.pair(s, ws.survey(before.period)),
    "trend": lambda ws, s, now, before: dj.trend([before, now]),
    "contrast": lambda ws, s, now, before: dj.contrast(now),
    "differences": lambda ws, s, now, before: dj.differences(s, ["age_band"]),
    "keying": lambda ws, s, now, before: methods.keying(s),
    "choices": lambda ws, s, now, before: dj.choices(s, "C3", by="age_band"),
    "ranking": lambda ws, s, now, before: dj.choices(s, "C4", by="city"),
    "drivers": lambda ws, s, now, before: _driven(ws),
    "priority": lambda ws, s, now, before: methods.priority(_driven(ws), now, "branch"),
    "enps": lambda ws, s, now, before: dj.enps(s, "O4"),
    "alerts": lambda ws, s, now, before: dj.alerts(now, change=dj.compare(now, before)),
    "power_after": lambda ws, s, now, before: methods.power_after(dj.compare(now, before), draws=50),
    "calibrate": lambda ws, s, now, before: methods.calibrate([before, now], "branch"),
    "after_review": lambda ws, s, now, before: methods.after_review(
        dj.alerts(now, change=dj.compare(now, before)), ws.obligations(kind="human_review"), "2026-09-30"
    ),
    "notices": lambda ws, s, now, before: ws.notices(PERIOD, "2026-09-28").of(
        ws.notices(PERIOD, "2026-09-28").table["unit"].iloc[0]
    ),
    "contributions": lambda ws, s, now, before: methods.contributions(now, before),
    "reliability": lambda ws, s, now, before: dj.reliability(s, by="age_band"),
    "agreement": lambda ws, s, now, before: dj.agreement(s, "city", draws=200),
    "invariance": lambda ws, s, now, before: dj.invariance(s, by="position"),
    "efa": lambda ws, s, now, before: methods.efa(s, scale="D4", draws=5),
    "validity": lambda ws, s, now, before: methods.validity(s),
    "shrunken": lambda ws, s, now, before: methods.shrunken(now, "branch"),
    "influence": lambda ws, s, now, before: methods.influence(now),
    "nonresponse_bound": lambda ws, s, now, before: methods.nonresponse_bound(now),
    "bootstrapped": lambda ws, s, now, before: methods.bootstrapped(s, now, "city", codes=["INDEX"], draws=200),
    "weigh": lambda ws, s, now, before: dj.weigh(s, method="critic"),
    "effective_weights": lambda ws, s, now, before: methods.effective_weights(s),
    "screen": lambda ws, s, now, before: dj.screen(s).parts["summary"],
    "sensitivity": lambda ws, s, now, before: dj.screen(s).sensitivity(s),
    "indicators": lambda ws, s, now, before: dj.score(ws.indicators(ws.indicator_periods[-1])),
    "rank": lambda ws, s, now, before: dj.rank(now, "branch", before=before, draws=200),
    "rank of months": lambda ws, s, now, before: dj.rank(_of_year(ws), "branch", draws=200),
    "cluster": lambda ws, s, now, before: dj.cluster(_of_year(ws), "branch", resamples=5),
    "months_last": lambda ws, s, now, before: methods.months_last(_of_year(ws), "branch"),
    "link_versions": lambda ws, s, now, before: methods.link_versions(_of_year(ws), "branch"),
    "explain": lambda ws, s, now, before: dj.explain(
        dj.score(ws.indicators("2026-09")), dj.score(ws.indicators("2026-08")), ws.units.at_level("branch")[0].unit
    ),
    "corrections": lambda ws, s, now, before: methods.corrections(
        dj.score(ws.indicators("2026-08")),
        dj.score(ws.indicators("2026-08", corrected=False)),
        ws.appeals("2026-08"),
        "branch",
    ),
    "leaf_values": lambda ws, s, now, before: methods.leaf_values(ws.indicators("2026-09")),
    "indicator_audit": lambda ws, s, now, before: methods.indicator_audit(
        dj.score(ws.indicators("2025-08/2025-11")), "branch"
    ),
    "review_audit": lambda ws, s, now, before: methods.review_audit(ws.indicators(YEAR)),
    "tiers": lambda ws, s, now, before: methods.tiers(_of_year(ws), "branch"),
    "attributes": lambda ws, s, now, before: methods.attributes(ws.indicators("2026-09")),
    "plane": lambda ws, s, now, before: methods.plane(ws.indicators(YEAR), "branch"),
    "satisfaction": lambda ws, s, now, before: methods.satisfaction(
        methods.plane(ws.indicators(YEAR), "branch"), dj.rate(_people_asked(ws), spec=replace(ws.spec, rubrics={}))
    ),
    "stars": lambda ws, s, now, before: dj.stars(_of_year(ws), None, "branch"),
    "award": lambda ws, s, now, before: dj.award(_of_year(ws), {"供电企业": 1}, draws=100),
    "ahp": lambda ws, s, now, before: dj.ahp(pd.DataFrame([[1, 2], [0.5, 1]], index=["a", "b"], columns=["a", "b"])),
    "reciprocity": lambda ws, s, now, before: methods.reciprocity(_round_robin(), officials=True),
    "checklist": lambda ws, s, now, before: methods.checklist(_four_ones()),
    "rate": lambda ws, s, now, before: dj.rate(RATINGS, officials=True),
    "robustness": lambda ws, s, now, before: dj.robustness(UNITS, 200, tree=TREE),
    "what_if": lambda ws, s, now, before: dj.robustness(UNITS, 200, tree=TREE).what_if("x", "b", 1),
    "topsis": lambda ws, s, now, before: methods.topsis(UNITS, TREE),
    "borda": lambda ws, s, now, before: methods.borda(UNITS, TREE),
    "grey_relation": lambda ws, s, now, before: methods.grey_relation(UNITS, TREE),
    "rank_sum_ratio": lambda ws, s, now, before: methods.rank_sum_ratio(UNITS, TREE),
    "composite": lambda ws, s, now, before: methods.composite(UNITS, TREE),
    "interrupted": lambda ws, s, now, before: dj.evaluate(
        dj.score(ws.indicators("2025-08/2026-09")), "its", start="2026-04", units=["B007", "B008"]
    ),
    "interrupted, too few": lambda ws, s, now, before: dj.evaluate(
        dj.trend([before, now]), "its", start=PERIOD, units="C01", level="city"
    ),
    "differences in differences": lambda ws, s, now, before: dj.evaluate(
        dj.trend([before, now]), "did", start=PERIOD, units=["B001", "B002", "B003", "B004"]
    ),
    "before and after": lambda ws, s, now, before: dj.evaluate(
        dj.trend([before, now]), "before_after", start=PERIOD, lowest=3
    ),
    "effects_due": lambda ws, s, now, before: methods.effects_due(dj.trend([before, now]), _due_now(ws)),
    "requests": lambda ws, s, now, before: _requests(),
    "track": lambda ws, s, now, before: dj.track(ws.obligations(kind="measure"), asof="2026-09-30"),
    "propose": lambda ws, s, now, before: dj.propose(_all_orange(now), None, now, start="2026-10-08"),
}

#: What a workspace computes from its own files is released by its plan; the rest is shown with the provisional one.
OWN_FRAMES = {
    "ahp",
    "rate",
    "robustness",
    "what_if",
    "topsis",
    "borda",
    "grey_relation",
    "rank_sum_ratio",
    "composite",
    "satisfaction",
    "reciprocity",
    "checklist",
}
PROVISIONAL = OWN_FRAMES | {"requests", "sensitivity"}


@pytest.fixture(scope="module")
def results(ws: dj.Workspace) -> dict[str, dj.Result]:
    survey, now, before = ws.survey(PERIOD), ws.scores(PERIOD), ws.scores(ws.earlier(PERIOD))
    return {name: make(ws, survey, now, before) for name, make in RESULTS.items()}


def _with_parts(name: str, result: dj.Result) -> Iterator[tuple[str, dj.Result]]:
    yield name, result
    for key, part in result.parts.items():
        yield from _with_parts(f"{name}.{key}", part)


@pytest.mark.parametrize("name", RESULTS)
def test_every_column_is_declared(results, name):
    for where, result in _with_parts(name, results[name]):
        unknown = [column_ for column_ in result.table.columns if column(column_) is None]
        assert unknown == [], where
        assert set(result.keys) | set(result.statistics) <= set(result.table.columns) | {"reason"}, where


@pytest.mark.parametrize("name", ["score", "compare", "alerts", "propose"])
def test_a_table_has_one_hash_in_any_number_of_threads_and_another_where_a_cell_differs(results, monkeypatch, name):
    for where, result in _with_parts(name, results[name]):
        alone = digest(result)
        with monkeypatch.context() as patch:
            patch.setattr("dj_analysis.result.ROWS_IN_THREADS", 0)
            assert digest(result) == alone, where
            for column in result.table.columns if len(result.table) else ():
                other = result.table.copy()
                other[column] = other[column].iloc[::-1].to_numpy()
                changed = digest(replace(result, table=other.astype(result.table.dtypes.to_dict())))
                assert (changed == alone) == other[column].reset_index(drop=True).equals(result.table[column])
                moved = result.table.rename(columns={column: f"{column}_"})
                assert digest(replace(result, table=moved)) != alone


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", RESULTS)
def test_every_result_can_be_printed(ws, results, name, language):
    plan = None if name in PROVISIONAL else ws.release_plan(PERIOD)
    foreign = r"[\u4e00-\u9fff]" if language == "en" else r"^[a-z][a-z_]+$"
    for where, result in _with_parts(name, results[name]):
        spoken = replace(result, spec=replace(result.spec, language=language))
        block = dj.table(dj.protect(spoken, plan))
        heads = [head["label"] for head in block.content["columns"]]
        cells = [cell for row in block.content["rows"] for cell in row]
        assert heads, where
        assert len(set(heads)) == len(heads), where
        assert [head for head in heads if re.search(foreign, head)] == [], where
        assert [cell for cell in cells if re.search(r"\b(small_group|complement|nan|<NA>|None)\b", cell)] == [], where


def test_a_column_that_nobody_declared_is_refused_in_print(results):
    safe = dj.protect(results["topsis"])
    with pytest.raises(dj.DjError, match="no_such"):
        dj.table(safe, columns=["unit", "no_such"])


def test_every_declaration_is_complete():
    for name, declared in columns().items():
        assert set(declared.labels) == {"zh", "en"}, name
        assert all(declared.labels.values()), name
        kind = declared.kind
        assert kind.form != "number" or kind.by_people or kind.step > 0, name


def test_every_reason_has_words_in_both_languages():
    assert {*WORDS} >= {"small_group", "complement"}
    for code, (chinese, english) in WORDS.items():
        assert re.search("[\u4e00-\u9fff]", chinese), code
        assert english, code
        assert not re.search("[\u4e00-\u9fff]", english), code


@pytest.mark.parametrize(
    ("name", "value", "printed"),
    [
        ("p", 0.0004, "<0.001"), ("p", 0.0, "<0.001"), ("p", 0.0005, "0.001"), ("p", 0.05, "0.050"), ("q", 0.0, "<0.001"),
        ("probability", 1.0, ">99.9%"), ("p_top1", 0.0, "<0.1%"), ("p_top1", 0.9994, "99.9%"), ("probability", 0.05, "5.0%"),
    ],
)  # fmt: skip
def test_an_estimated_chance_is_never_printed_as_nothing_or_all(name, value, printed):
    assert written(value, name) == printed


@pytest.mark.parametrize(("share", "n", "printed"), [(1.0, 12, "≥90%"), (0.0, 12, "≤10%"), (1.0, 400, "100.0%")])
def test_a_share_of_everybody_or_nobody_in_a_small_unit_prints_a_bound(share, n, printed):
    assert written(share, "favourable", n=n).replace(" ", "") == printed


def test_a_share_of_many_is_no_bound_where_few_show_the_sign(ws):
    """n counts those who show the sign, ``of`` those looked at: the share is one of these."""
    summary = dj.screen(ws.survey(PERIOD)).parts["summary"].table
    row = summary[(summary["of"] > 100) & (summary["n"].between(10, 49))].iloc[0]
    safe = dj.protect(dj.screen(ws.survey(PERIOD)).parts["summary"], ws.release_plan(PERIOD))
    cells = dict(zip(safe.table["flag"], dj.table(safe, columns=["share"]).content["rows"], strict=True))
    assert cells[row["flag"]] == [f"{100 * row['n'] / row['of']:.1f}%"]
