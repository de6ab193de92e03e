"""Cut points proposed from earlier waves: what they would have warned, held against the warnings themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.judge.alerts import NOT_JUDGED
from dj_analysis.measure.scores import Scores
from dj_analysis.methods import calibrate
from dj_analysis.spec.bands import Bands

LEVEL = "branch"


@pytest.fixture(scope="module")
def waves() -> list[Scores]:
    company = dj.make_company(employees=2400, branches=60, quarters=3, seed=5)
    periods = ("2026Q1", "2026Q2", "2026Q3")
    return [dj.score(small.gated(company.draw(period, 1), LEVEL), by=[LEVEL]) for period in periods]


def shares_of_rule(wave: Scores, rule: str, grade: str) -> float:
    """Share of the judged units to which the rule of a wave gives a warning at this grade, by the warnings themselves."""
    spec = wave.spec
    alone = {
        name: replace(
            spec.bands[name], bands=tuple(b for b in spec.bands[name].bands if name == _BANDS[rule] and b.code == grade)
        )
        for name in _BANDS.values()
    }
    warned = dj.alerts(replace(wave, spec=replace(spec, bands={**spec.bands, **alone})), draws=0)
    rows = warned.table[(warned.table["level"] == LEVEL) & ~warned.table["reason"].isin(NOT_JUDGED)]
    return float((rows["warning"] == grade).mean())


_BANDS = {"index_low": "warning", "dimension_low": "warning_dimension", "low_share": "low_answers"}


@pytest.mark.parametrize("rule", list(_BANDS))
@pytest.mark.parametrize("grade", ["orange", "red"])
def test_shares_are_those_of_the_warnings(waves: list[Scores], rule: str, grade: str):
    table = calibrate(waves, LEVEL).table.set_index(["rule", "warning"])
    by_hand = np.mean([shares_of_rule(wave, rule, grade) for wave in waves])
    assert table.loc[(rule, grade), "warned"] == pytest.approx(by_hand, abs=1e-9)


def with_point(wave: Scores, rule: str, grade: str, point: float) -> Scores:
    """The wave judged by another cut point of one rule."""
    name, scale = _BANDS[rule], 100 if rule == "low_share" else 1
    old: Bands = wave.spec.bands[name]
    bands = tuple(replace(band, point=point / scale) if band.code == grade else band for band in old.bands)
    return replace(wave, spec=replace(wave.spec, bands={**wave.spec.bands, name: replace(old, bands=bands)}))


@pytest.mark.parametrize("rule", list(_BANDS))
def test_the_proposed_point_warns_as_many_as_may_be(waves: list[Scores], rule: str):
    capacity = {"orange": 0.3, "red": 0.1, "black": 0.0}
    row = calibrate(waves, LEVEL, capacity=capacity).table.set_index(["rule", "warning"]).loc[(rule, "orange")]
    entered = [with_point(wave, rule, "orange", row["proposed"]) for wave in waves]
    shares = [shares_of_rule(wave, rule, "orange") for wave in entered]
    assert np.mean(shares) == pytest.approx(row["warned_proposed"], abs=1e-9)
    assert row["warned_proposed"] <= 0.3
    further = row["proposed"] + (-1 if rule == "low_share" else 1)
    if 0 <= further <= 100:
        more = [shares_of_rule(with_point(wave, rule, "orange", further), rule, "orange") for wave in waves]
        assert np.mean(more) > 0.3


def test_rules_together_warn_at_least_as_many_as_each(waves: list[Scores]):
    table = calibrate(waves, LEVEL).table.set_index(["rule", "warning"])
    for grade in ("orange", "red", "black"):
        for column in ("warned", "warned_proposed"):
            assert table.loc[("all_rules", grade), column] >= table[column].xs(grade, level="warning").max() - 1e-12
    given = [dj.alerts(wave, draws=0).table for wave in waves]
    shares = [
        (rows["warning"] != "").mean()
        for rows in (table[(table["level"] == LEVEL) & ~table["reason"].isin(NOT_JUDGED)] for table in given)
    ]
    assert table.loc[("all_rules", "orange"), "warned"] == pytest.approx(np.mean(shares), abs=0.02)


def test_nothing_is_moved_by_it(waves: list[Scores]):
    before = dj.alerts(waves[-1], draws=0).table
    calibrate(waves, LEVEL)
    assert before.equals(dj.alerts(waves[-1], draws=0).table)


@pytest.mark.parametrize(("change", "said"), [
    ({"waves": []}, "至少一期"), ({"level": "team"}, "team"), ({"capacity": {"orange": 2, "red": 0, "black": 0}}, "capacity"),
    ({"capacity": {"orange": 0.2}}, "capacity"),
])  # fmt: skip
def test_what_cannot_be_calibrated_is_named(waves: list[Scores], change: dict, said: str):
    with pytest.raises(UsageError, match=said):
        calibrate(**({"waves": waves, "level": LEVEL} | change))
