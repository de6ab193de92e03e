"""Questions that run against the others are named, and none where all run alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.folder import check_with_hints
from dj_analysis.measure.scales.keying import against_others
from dj_analysis.proposal import propose_workspace
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.tree import Node, Tree

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

SCALES = {"D1": ("a", "b", "c", "d"), "D2": ("e", "f", "g")}
BOOK = Codebook(
    Tree(
        (
            Node("INDEX", role="index"),
            *(
                node
                for dimension, codes in SCALES.items()
                for node in (
                    Node(dimension, "INDEX", role="dimension"),
                    *(Node(code, dimension, minimum=1, maximum=5, text_zh=f"题干{code}") for code in codes),
                )
            ),
        )
    )
)


def answers(rng: np.random.Generator, people: int, turned: str = "", loading: float = 0.7) -> pd.DataFrame:
    mood = rng.normal(size=people)
    table = {}
    for codes in SCALES.values():
        for code in codes:
            latent = loading * mood * (-1 if code in turned else 1) + rng.normal(size=people)
            table[code] = 1.0 + np.digitize(latent, [-1.2, -0.4, 0.4, 1.2])
    return pd.DataFrame(table)


def named(frame: pd.DataFrame, book: Codebook = BOOK) -> pd.DataFrame:
    return methods.keying(dj.read_survey(frame, book, period="2026Q3")).table


def turned_book(codes: str) -> Codebook:
    nodes = tuple(replace(node, direction=-1) if node.code in codes else node for node in BOOK.tree.nodes)
    return Codebook(Tree(nodes))


@pytest.mark.parametrize("wrong", ["b", "g", "ab", "eg", "efg", "ae"])
def test_what_was_turned_is_named_and_nothing_else(wrong: str) -> None:
    """One, two of a dimension, a whole dimension: exactly those, and none once their direction is declared."""
    frame = answers(np.random.default_rng(1), 500, turned=wrong)
    assert "".join(named(frame)["code"]) == wrong
    assert named(frame, turned_book(wrong)).empty


def test_numbers_are_those_of_the_turned_instrument() -> None:
    frame = answers(np.random.default_rng(2), 400, turned="b")
    row = named(frame).iloc[0]
    rest = frame[["a", "c", "d"]].mean(axis=1)
    assert row["r"] == pytest.approx(np.corrcoef(frame["b"], rest)[0, 1])
    after = dj.score(dj.read_survey(frame, turned_book("b"), period="2026Q3"))
    assert row["index_turned"] == pytest.approx(after.at("ALL", "INDEX")["score"])
    reliable = dj.reliability(dj.read_survey(frame, turned_book("b"), period="2026Q3")).table
    alphas = reliable[(reliable["scale"] == "D1") & (reliable["coefficient"] == "alpha")]["estimate"]
    assert row["alpha_turned"] == pytest.approx(alphas.iloc[0])
    assert row["alpha"] < row["alpha_turned"] - 0.2


def test_questions_without_any_relation_are_named_as_seldom_as_stated() -> None:
    """A thousand waves of forty people and seven unrelated questions: a question is named in at most one of a hundred."""
    rng, leaves = np.random.default_rng(4), BOOK.tree.leaves_of("INDEX")

    def codes_named(frame: pd.DataFrame) -> list[str]:
        points, weights = (frame - 1) * 25, np.ones(len(frame))
        return [leaf.code for leaf in leaves if against_others(points, weights, leaf, leaves, "INDEX") is not None]

    many = trials(1000)
    waves = [answers(rng, 40, loading=0.0) for _ in range(many)]
    waves_named = [wave for wave in waves if codes_named(wave)]
    assert len(waves_named) <= stats.binom.ppf(0.995, many, 0.01)
    for wave in [*waves_named[:3], *waves[:3]]:  # a wave that is read is judged so
        assert named(wave)["code"].tolist() == codes_named(wave)


def test_few_people_and_no_variance_name_nothing() -> None:
    assert named(answers(np.random.default_rng(5), 8, turned="b")).empty
    alike = answers(np.random.default_rng(5), 50).assign(b=3.0)
    assert named(alike).empty


def export(folder: Path, turned: str) -> Path:
    frame = answers(np.random.default_rng(6), 200, turned=turned)
    table: dict[str, Any] = {"序号": range(1, 201), "提交答卷时间": "2026/8/3 09:00:00", "所用时间": "90秒"}
    table |= {f"{number}、我对{code}满意": frame[code].astype(int) for number, code in enumerate(frame, start=3)}
    path = folder / "export.csv"
    pd.DataFrame(table).to_csv(path, index=False, encoding="utf-8-sig")
    return path


def test_dj_new_and_dj_check_name_it_with_its_wording(tmp_path: Path) -> None:
    made = propose_workspace(tmp_path / "office", export(tmp_path, "b"))
    told = [notice for notice in made.notices if "[keying]" in notice]
    assert len(told) == 1
    assert "我对b满意" in told[0]
    assert "我对b满意" in (tmp_path / "office" / "PROPOSAL.md").read_text(encoding="utf-8").split("说明")[1]
    assert [hint for hint in check_with_hints(tmp_path / "office")[1] if "我对b满意" in hint]


def test_hints_are_one_line_a_kind(tmp_path: Path) -> None:
    propose_workspace(tmp_path / "office", export(tmp_path, ""))
    kinds = [hint.split("]")[0] for hint in check_with_hints(tmp_path / "office")[1]]
    assert kinds
    assert len(kinds) == len(set(kinds))
