"""The composite path against outside numbers, from raw data to index.

Sources:
- ASEM Sustainable Connectivity, 51 countries × 49 indicators: every stage written by COINr 1.1.14 ``build_example_coin()``
  (R, JRC lineage) and the scores of its documentation, ../shared/data/asem_coinr (read there, see its SOURCE.md).
- FEVS 2015-2020, 52 units of the US government: published Employee Engagement Index and its three sub-indices,
  ../shared/data/fevs_noaa_tree.

Tolerances: stages 1e-12 relative (R and numpy add in another order); published scores half a unit of their second decimal;
FEVS 1e-8 in 2018-2020 (inputs and result are printed with eight decimals), 0.01 in 2015-2017 (with two): in each case half a
unit for the mean of rounded parts and half a unit for the rounded result.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dj_analysis.measure.composites.choices import Choices
from dj_analysis.measure.composites.composite import Composite, composite
from dj_analysis.spec.tree import Node, Tree

STAGES = ("denominated", "imputed", "treated", "normalised")
PUBLISHED = {"CHE": 68.38, "NLD": 64.82, "DNK": 64.80, "NOR": 64.47, "BEL": 63.54, "SWE": 63.00}


@pytest.fixture(scope="module")
def asem(shared_data: Path) -> Path:
    return shared_data / "asem_coinr"


@pytest.fixture(scope="module")
def raw(asem: Path) -> pd.DataFrame:
    return pd.read_csv(asem / "asem_indicators_raw.csv").rename(columns={"uCode": "unit"})


@pytest.fixture(scope="module")
def meta(asem: Path) -> pd.DataFrame:
    table = pd.read_csv(asem / "asem_indicator_meta.csv").fillna({"Parent": "", "Denominator": ""})
    return table[table["Type"].isin(["Indicator", "Aggregate"])]


@pytest.fixture(scope="module")
def tree(meta: pd.DataFrame) -> Tree:
    nodes = [
        Node(row.iCode, row.Parent, role="item" if row.Type == "Indicator" else "dimension",
             direction=int(row.Direction), weight=float(row.Weight))
        for row in meta.itertuples()
    ]  # fmt: skip
    return Tree(tuple(nodes), about="units")


@pytest.fixture(scope="module")
def choices(meta: pd.DataFrame) -> Choices:
    # COINr's screening counts indicators after imputation and keeps all 51. Half of each pillar's indicators were there
    # before it: the most that 5 of 9 social ones in one country allow.
    divided = meta[meta["Denominator"] != ""].set_index("iCode")["Denominator"].to_dict()
    return Choices(denominator=divided, impute="group_mean", treat="winsorise", normaliser="min_max", min_share=0.5)


@pytest.fixture(scope="module")
def found(raw: pd.DataFrame, tree: Tree, choices: Choices) -> Composite:
    return composite(raw, tree, choices, groups="EurAsia_group")


def of_stage(found: Composite, stage: str, like: pd.DataFrame) -> pd.DataFrame:
    rows = found.stages.table
    wide = rows[rows["stage"] == stage].pivot(index="unit", columns="code", values="value")
    return wide.loc[like.index, like.columns]


@pytest.mark.parametrize("stage", STAGES)
def test_asem_stage_equals_coinr(asem: Path, found: Composite, stage: str):
    expected = pd.read_csv(asem / f"stage_{stage}.csv").set_index("uCode")
    assert expected.shape == (51, 49)
    np.testing.assert_allclose(of_stage(found, stage, expected), expected, rtol=1e-12, atol=1e-12)


def test_asem_treatment_changes_35_cells_in_15_indicators(asem: Path, found: Composite):
    cells = pd.DataFrame(found.fitted["winsorised"])
    assert (len(cells), cells["code"].nunique()) == (35, 15)
    before, after = (pd.read_csv(asem / f"stage_{stage}.csv").set_index("uCode") for stage in ("imputed", "treated"))
    stacked = pd.DataFrame({"before": before.stack(), "after": after.stack()})
    changed = stacked[stacked["before"] != stacked["after"]]
    assert set(changed.index) == set(zip(cells["unit"], cells["code"], strict=True))


def test_asem_aggregation_equals_coinr(asem: Path, found: Composite):
    expected = pd.read_csv(asem / "stage_aggregated.csv").set_index("uCode")
    scores = found.wide().set_index("unit").loc[expected.index, expected.columns]
    assert expected.shape == (51, 60)
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-12)


def test_asem_published_scores_and_ranks(asem: Path, found: Composite):
    published = pd.read_csv(asem / "expected_scores_2dp.csv").set_index("uCode")
    scores = found.wide().set_index("unit").loc[published.index]
    columns = [name for name in published.columns if name != "Rank"]
    np.testing.assert_allclose(scores[columns], published[columns], atol=0.005 + 1e-9)
    assert scores["Index"].rank(ascending=False).astype(int).tolist() == published["Rank"].tolist()
    assert scores["Index"].round(2).head(6).to_dict() == PUBLISHED
    assert scores.loc["CHE", ["Conn", "Sust"]].round(2).tolist() == [62.79, 73.98]


def test_asem_what_was_learned_is_plain_and_gives_the_same_again(
    raw: pd.DataFrame, tree: Tree, choices: Choices, found: Composite
):
    stored = json.loads(json.dumps(found.fitted, allow_nan=False))
    again = composite(raw, tree, choices, groups="EurAsia_group", fitted=stored)
    pd.testing.assert_frame_equal(again.table, found.table)
    half = composite(raw[::2], tree, choices, groups="EurAsia_group", fitted=stored).wide().set_index("unit")
    whole = found.wide().set_index("unit")
    pd.testing.assert_frame_equal(half, whole.loc[half.index])


SUBS = ("Leaders Lead", "Supervisors", "Intrinsic Work Experience")
EEI = Tree((Node("EEI", role="index"), *(Node(sub, "EEI", minimum=0, maximum=1) for sub in SUBS)), about="units")


@pytest.mark.parametrize(
    ("year", "off"), [(2015, 0.01), (2016, 0.01), (2017, 0.01), (2018, 1e-8), (2019, 1e-8), (2020, 1e-8)]
)
def test_fevs_engagement_is_the_mean_of_its_three_parts_in_all_52_units(shared_data: Path, year: int, off: float):
    table = pd.read_csv(shared_data / "fevs_noaa_tree" / "fevs_indices_2015_2020.csv")
    parts = {f"Employee Engagement: {sub}_{year}": sub for sub in SUBS}
    frame = table.rename(columns=parts | {"Sorting Code": "unit"})[["unit", *SUBS]]
    published = table.set_index("Sorting Code")[f"Employee Engagement: Overall_{year}"]
    scores = composite(frame, EEI).wide().set_index("unit")["EEI"] / 100
    assert (len(scores), scores.notna().sum(), published.notna().sum()) == (52, 52, 52)
    assert (scores - published).abs().max() < off
