"""What a change is made of adds up to the change, for every unit and whatever people left unanswered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import codebook_of, plain_table, wave
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import UsageError
from dj_analysis.spec.units import Unit, Units

TREE = Units(
    (
        Unit("C1", level="city"), Unit("C2", level="city"), Unit("A", parent="C1", level="branch"),
        Unit("B", parent="C1", level="branch"), Unit("D", parent="C2", level="branch"),
        Unit("E", parent="C2", level="branch"),
    )
)  # fmt: skip
CODEBOOK = codebook_of(
    plain_table(
        ("INDEX", ""), ("D1", "INDEX", 1, 2.0), ("D2", "INDEX", 1, 1.0), ("q1", "D1", 1, 1.0, 0, 100),
        ("q2", "D1", -1, 3.0, 0, 100), ("q3", "D2", 1, 1.0, 0, 100),
    ),
    weight="w",
)  # fmt: skip


def scores_of(period: str, seed: int, missing: float = 0.0) -> dj.Result:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 30, 4)
    frame = pd.DataFrame(rng.integers(0, 101, (sizes.sum(), 3)).astype(float), columns=["q1", "q2", "q3"])
    frame = frame.mask(rng.random(frame.shape) < missing)
    frame["unit"], frame["w"] = np.repeat(list("ABDE"), sizes), rng.uniform(0.5, 3, len(frame))
    survey = dj.read_survey(frame, CODEBOOK, units=TREE, period=period)
    return dj.score(survey, by=["city", "branch"])


def totals(parts: dj.Result) -> pd.DataFrame:
    family = parts.table["part"].replace({"left_of_dimensions": "dimension", "left_of_items": "item"})
    return parts.table.groupby(["level", "unit", family])["contribution"].sum().unstack()


@settings(max_examples=trials(25, 5), deadline=None)
@given(seed=st.integers(0, 10_000), missing=st.sampled_from([0.0, 0.05, 0.3]))
def test_contributions_add_up_to_the_change_of_every_unit(seed: int, missing: float):
    now, before = scores_of("2026Q3", seed, missing), scores_of("2026Q2", seed + 1, missing)
    change = dj.compare(now, before)
    difference = change.table[change.table["code"] == "INDEX"].set_index(["level", "unit"])["difference"]
    sums = totals(methods.contributions(now, before, change))
    for part in ("dimension", "item"):
        assert np.abs(sums[part] - difference.dropna()).max() < 1e-10
    assert set(sums["unit"].dropna().index.get_level_values("unit")) <= {"ALL", "C1", "C2"}
    assert np.abs((sums["unit"] - difference).dropna()).max() < 1e-10


def test_without_missing_answers_nothing_is_left():
    parts = methods.contributions(scores_of("2026Q3", 1), scores_of("2026Q2", 2)).table
    left = parts[parts["part"].str.startswith("left_of")]
    assert len(left)
    assert left["contribution"].abs().max() < 1e-10


def test_a_table_worked_by_hand():
    # Kitagawa: shares .6/.4 → .4/.6, means 70/80 → 72/80: 2.8 = 1.0 within + 1.8 mix, centred at (74 + 76.8)/2 = 75.4.
    before = dj.score(wave({"A": [70.0] * 60, "D": [80.0] * 40}, "2026Q2", units=TREE), by=["city", "branch"])
    now = dj.score(wave({"A": [72.0] * 40, "D": [80.0] * 60}, units=TREE), by=["city", "branch"])
    table = methods.contributions(now, before).where(unit="ALL", part="unit").table.set_index("child")
    assert table["contribution"].sum() == pytest.approx(2.8)
    assert table.loc["C1", ["within", "mix", "difference"]].tolist() == pytest.approx([1.0, -0.2 * (71 - 75.4), 2.0])
    assert table.loc["C2", ["within", "mix", "difference"]].tolist() == pytest.approx([0.0, 0.2 * (80 - 75.4), 0.0])
    by_code = methods.contributions(now, before).where(unit="ALL", part="dimension").table
    assert by_code[["code", "contribution"]].to_numpy().tolist() == [["D1", pytest.approx(2.8)]]


def test_units_that_cannot_be_shown_stand_together():
    from dataclasses import replace

    now, before = scores_of("2026Q3", 5), scores_of("2026Q2", 6)
    hidden = frozenset({("branch", "A"), ("branch", "B")})
    now, before = replace(now, withheld={"2026Q3": hidden}), replace(before, withheld={"2026Q2": hidden})
    parts = methods.contributions(now, before)
    assert parts.where(unit="C1", part="unit").table["child"].tolist() == ["REST"]
    assert parts.where(unit="C2", part="unit").table["child"].tolist() == ["D", "E"]
    change = dj.compare(now, before).table.set_index(["unit", "code"])["difference"]
    assert totals(parts).loc[("city", "C1"), "unit"] == pytest.approx(change["C1", "INDEX"], abs=1e-10)


def test_what_has_no_index_is_refused():
    codebook = codebook_of(plain_table(("D1", ""), ("q1", "D1", 1, 1.0, 0, 100)))
    scores = dj.score(dj.read_survey(pd.DataFrame({"q1": [1.0, 2.0], "unit": "A"}), codebook, period="2026Q3"))
    with pytest.raises(UsageError, match="contributions"):
        methods.contributions(scores, scores)
