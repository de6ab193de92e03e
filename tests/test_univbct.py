"""The quarterly report on three waves of real answers (univbct): sentences that read, numbers that stand in a table.

The data have no consent to linking: the waves are copied into the test's folder with a column in which seven of ten people
agree, so that what is checked is the road of paired answers, and no statement about these people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dj_analysis as dj
from dj_analysis.publish.blocks import MIME
from dj_analysis.spec import assessment

PERIODS = ("2026Q1", "2026Q2", "2026Q3")
MEASURES = {
    "JSAT": ("工作满意", "Job satisfaction"), "COMMIT": ("组织认同", "Commitment"), "READY": ("任务准备", "Readiness")
}  # fmt: skip
ASSESSED = {name: "2026-06-30" if name == "date" else "已说明" for name, *_ in assessment.FIELDS}
#: Parameters of rules and confidence, which no table holds.
DECLARED = {"2.0", "5.0", "50.0%", "95%", "10.0%", "10", "0.1", "100"}


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> pd.DataFrame:
    table = pd.read_csv(shared_data / "army_multilevel" / "univbct.csv")
    return table.assign(
        company=table["BTN"].map("{:.0f}".format) + "-" + table["COMPANY"],
        period=[PERIODS[int(t)] for t in table["TIME"]],
    )


@pytest.fixture(scope="module")
def office(answers: pd.DataFrame, write_workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("univbct")
    (folder / "key").write_bytes(bytes(range(32)))
    rows = ["ALLS,,总体指数,Index,index,1,1,,"]
    for code, (zh, en) in MEASURES.items():
        rows += [f"D_{code},ALLS,{zh},{en},dimension,1,1,,", f"{code},D_{code},{zh},{en},item,1,1,1,5"]
    battalions = [f"{code:.0f}" for code in answers["BTN"].unique()]
    units = [f"{code},,battalion,{code}营" for code in battalions]
    units += [f"{code},{code.split('-')[0]},company_,{code}连" for code in answers["company"].unique()]
    files = {
        "workspace.toml": 'name = "某旅"\nname_en = "Brigade"\n', assessment.FILE: assessment.filled(ASSESSED),
        "codebook.csv": "\n".join(["code,parent,label_zh,label_en,role,direction,weight,minimum,maximum", *rows]),
        "units.csv": "\n".join(["unit,parent,level,name_zh", *units]),
    }  # fmt: skip
    for period, wave in answers.groupby("period"):
        sheets = wave[["company", *MEASURES]].rename(columns={"company": "unit"}).assign(
            own_code=wave["SUBNUM"].map("s{:.0f}".format), consent_use="是",
            consent_link=np.where(wave["SUBNUM"] % 10 < 7, "是", "否"),
        )  # fmt: skip
        files[f"responses/{period}.csv"] = sheets.to_csv(index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJ_KEY_FILE", str(folder / "key"))
        yield write_workspace(folder / "office", files)


@pytest.fixture(scope="module", params=["zh", pytest.param("en", marks=pytest.mark.everything)])
def blocks(request: pytest.FixtureRequest, office: Path) -> list[dict]:
    run = dj.run_report("quarterly", office, period=PERIODS[-1], formats=["html"], lang=request.param)
    cells = json.loads(run.files["ipynb"].read_text(encoding="utf-8"))["cells"]
    shown = [output.get("data", {}).get(MIME) for cell in cells for output in cell.get("outputs", [])]
    return [block for block in shown if block is not None]


def said(blocks: list[dict]) -> list[str]:
    return [block["content"]["text"] for block in blocks if block["kind"] == "text"]


def cells_of(blocks: list[dict]) -> list[list[str]]:
    return [row for block in blocks if block["kind"] == "table" for row in block["content"]["rows"]]


def test_people_linked_and_their_range_by_hand(office: Path, answers: pd.DataFrame):
    """The whole, on the first measure: everything again with pandas."""
    ws = dj.open_workspace(office)
    pairs = ws.pairs(*PERIODS[:0:-1])
    wide = answers.pivot_table(index="SUBNUM", columns="period", values="JSAT")[list(PERIODS[1:])]
    told = pairs.table.set_index("unit")
    assert told.loc["ALL", "pairs"] == (answers.loc[answers["TIME"] == 1, "SUBNUM"] % 10 < 7).sum()
    agreed = wide[wide.index % 10 < 7].dropna() * 25
    before, now = ((wide[period].dropna() * 25) for period in PERIODS[1:])
    covariance = len(agreed) * agreed.cov().iloc[0, 1] / (len(now) * len(before))
    error = np.sqrt(now.var() / len(now) + before.var() / len(before) - 2 * covariance)
    change = dj.compare(ws.scores(PERIODS[2]), ws.scores(PERIODS[1]), pairs).table
    row = change[(change["unit"] == "ALL") & (change["code"] == "JSAT")].iloc[0]
    assert row["paired"]
    assert row["difference"] == pytest.approx(now.mean() - before.mean(), abs=1e-9)
    assert row["se"] == pytest.approx(error, abs=1e-9)
    apart = np.sqrt(now.var() / len(now) + before.var() / len(before))
    assert row["se"] < 0.85 * apart
    assert stats.norm.sf(row["difference"] / row["se"]) < stats.norm.sf(row["difference"] / apart)


def test_sentences_read_as_sentences(blocks: list[dict]):
    body = [
        block["content"]["text"] for block in blocks if block["kind"] == "text" and block["content"]["place"] == "body"
    ]
    assert len(body) > 15
    for sentence in body:
        assert sentence.rstrip()[-1] in "。.", sentence
        assert not re.search(
            r"None|nan|NaN|undefined|\{\{|[。.;；,，]{2}|  |（）|\(\)|为基本|staff of All", sentence
        ), sentence
        assert not re.search(r"[。；，] [一-鿿]", sentence), sentence


def test_every_number_of_a_sentence_stands_in_a_table(blocks: list[dict]):
    """Decimals and shares: in a table of the same report, as printed; expected untrue warnings as the sum over grades."""
    values = {cell.strip("+-−") for row in cells_of(blocks) for cell in row} | DECLARED
    sentences = [one for one in said(blocks) if "误报" not in one and "untrue" not in one]
    numbers = {number for one in sentences for number in re.findall(r"\d+\.\d%?|\d+(?=人的|人，| people)", one)}
    assert len(numbers) > 15
    assert numbers - values == set()


def test_linked_people_are_told_with_their_share(blocks: list[dict]):
    (sentence,) = [one for one in said(blocks) if "348" in one]
    assert "70.3%" in sentence
    assert "可能与其他人不同" in sentence or "may differ from others" in sentence
    told = {row[0]: row for row in cells_of(blocks) if "70.3%" in row}
    assert next(iter(told.values()))[1:4] == ["495", "495", "348"]


def test_untrue_warnings_in_words_are_the_sum_of_their_table(blocks: list[dict]):
    (sentence,) = [one for one in said(blocks) if ("误报" in one and "模拟" in one) or "untrue on average" in one]
    rows = [row for row in cells_of(blocks) if len(row) == 7 and re.fullmatch(r"\d\.\d\d", row[4])]
    sums: dict[tuple[str, str], float] = {}
    for row in rows:
        sums[row[0], row[1]] = sums.get((row[0], row[1]), 0.0) + float(row[4])
    assert len(sums) == 4
    for total in sums.values():
        printed = {f"{total + off:.1f}" for off in (-0.015, 0, 0.015)}
        assert any(re.search(rf"(?<!\d){re.escape(number)}(?!\d)", sentence) for number in printed), (total, sentence)
