"""Which units may be told apart: the tree rule by hand, its properties on random trees, and what several axes tell together.

What must hold is checked by other means than the package's: sets of people counted one by one, every subset tried, rank
and linear programs written here.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import codebook_of, plain_table
from trials import trials

import dj_analysis as dj
from dj_analysis.measure.unitsums import STATISTICS, UnitSums
from dj_analysis.release.counting import sums_of
from dj_analysis.release.decision import decide_mask
from dj_analysis.release.earlier import smallest_union
from dj_analysis.release.mask import Mask
from dj_analysis.release.overlaps import UNCOVERED, absorbed_by, proved_by_rank, small_overlap
from dj_analysis.release.store import Kept
from dj_analysis.release.tree_rule import Partition, partition
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.units import ALL, NO_UNIT, Unit, Units

Answers = list[float | None]  # one score a person; None where the question was left out


def tree(**parents: str) -> Units:
    """A tree by child → parent; the level is the depth."""
    depth = {ALL: 0}
    rows = []
    for unit, parent in parents.items():
        depth[unit] = depth[parent] + 1
        rows.append(Unit(unit, parent, level=f"level{depth[unit]}", tree="admin"))
    return Units(tuple(rows))


def answered(count: int, *, left_out: int = 0) -> Answers:
    """Different answers of so many people, of whom some left the question out."""
    return [None if i < left_out else float(25 * (i % 5)) for i in range(count)]


def sums(
    people: dict[str, Answers | int],
    weights: dict[str, list[float]] | None = None,
    further: dict[str, Answers] | None = None,
) -> UnitSums:
    """Sums by hand over one question, or two where ``further`` has the answers to a second one."""
    answers = {unit: answered(said) if isinstance(said, int) else said for unit, said in people.items()}
    columns = [answers] + ([further] if further is not None else [])
    made = {name: np.zeros((len(answers), len(columns))) for name in STATISTICS}
    for row, unit in enumerate(answers):
        for column, said in enumerate(columns):
            w = np.array((weights or {}).get(unit, [1.0] * len(answers[unit])))
            there = np.array([x is not None for x in said[unit]], dtype=bool)
            x, w = np.array([x for x in said[unit] if x is not None], dtype=float), w[there]
            for name, values in {
                "n": np.ones(len(x)), "w": w, "ww": w**2, "wx": w * x, "wxx": w * x**2, "wwx": w**2 * x,
                "wwxx": w**2 * x**2,
            }.items():  # fmt: skip
                made[name][row, column] = values.sum()
    cells = tuple(("anchors", f"Q{i + 1}") for i in range(len(columns)))
    persons = np.array([len(said) for said in answers.values()], dtype=float)
    return UnitSums("admin", tuple(answers), cells, persons, made)


def decided(units: Units, people: dict[str, Answers | int], min_group: int = 10, **more: dict) -> Partition:
    return partition(sums(people, **more), units, min_group)


FLAT = tree(A=ALL, B=ALL, C=ALL)
CITIES = tree(C1=ALL, C2=ALL, C3=ALL, B11="C1", B21="C2", B22="C2", B31="C3")


# --- By hand --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("people", [{"Tech": 7, "HR": 1}, {"Technology": 9, "Sales": 4}])
def test_the_only_other_unit_goes_with_a_small_one(people):
    """F18: total 8, Tech 7, the hidden 1 would be what is left of the total."""
    large, small = people
    found = decided(tree(**dict.fromkeys(people, ALL)), people, min_group=5)
    assert found.small == {small}
    assert found.complements == {large}
    assert dict(found.home) == {large: ALL, small: ALL}


def test_among_siblings_the_one_with_fewest_people_goes_too():
    found = decided(FLAT, {"A": 3, "B": 30, "C": 25})
    assert (found.small, found.complements) == ({"A"}, {"C"})
    assert dict(found.home) == {"A": ALL, "B": "B", "C": ALL}


def test_two_small_siblings_that_hold_enough_people_need_no_third():
    found = decided(FLAT, {"A": 6, "B": 5, "C": 25})
    assert (found.small, found.complements) == ({"A", "B"}, frozenset())


def test_a_small_unit_is_no_more_than_four_fifths_of_what_is_left():
    """Else its mean is known to less than 25 points: that of nine among ten lies within 100/9 of the mean of all ten."""
    assert decided(FLAT, {"A": 9, "B": 1, "C": 30}).hidden == {"A", "B", "C"}
    assert decided(FLAT, {"A": 8, "B": 2, "C": 30}).hidden == {"A", "B"}


def test_two_small_siblings_that_hold_too_few_need_a_third():
    found = decided(FLAT, {"A": 4, "B": 5, "C": 25})
    assert found.hidden == {"A", "B", "C"}


def test_equal_candidates_are_chosen_by_their_code():
    assert decided(FLAT, {"A": 3, "B": 25, "C": 25}).complements == {"B"}
    assert decided(FLAT, {"C": 25, "B": 25, "A": 3}).complements == {"B"}


@pytest.mark.parametrize(("other", "complements"), [(23, {"C3"}), (25, {"C2", "B21"})])
def test_the_complement_that_costs_fewest_people_is_hidden(other, complements):
    """C2 has nobody of its own, so B21 must go with it: 18 + 6 = 24 people in hidden rows; C3 is one row."""
    units = tree(C1=ALL, C2=ALL, C3=ALL, C4=ALL, B21="C2", B22="C2")
    found = decided(units, {"C1": 4, "C3": other, "C4": 90, "B21": 6, "B22": 12}, min_group=6)
    assert found.small == {"C1"}
    assert found.complements == complements


def test_a_hidden_unit_takes_one_below_it_along_where_all_its_people_are_shown_below():
    """Else its total would be the sum of what is shown below."""
    units = tree(C1=ALL, C2=ALL, C3=ALL, B21="C2", B22="C2")
    found = decided(units, {"C1": 4, "C3": 90, "B21": 11, "B22": 13})
    assert found.small == {"C1"}
    assert found.complements == {"C2", "B21"}
    assert dict(found.home) == {"C1": ALL, "C3": "C3", "B21": ALL, "B22": "B22"}


def test_a_unit_with_people_of_its_own_is_hidden_alone():
    units = tree(C1=ALL, C2=ALL, C3=ALL, B21="C2", B22="C2")
    found = decided(units, {"C1": 4, "C3": 90, "C2": 12, "B21": 11, "B22": 13})
    assert found.complements == {"C2"}
    assert dict(found.home) == {"C1": ALL, "C3": "C3", "C2": ALL, "B21": "B21", "B22": "B22"}


def test_few_people_right_at_an_inner_unit_are_not_what_is_left_of_it():
    units = tree(C1=ALL, C2=ALL, B11="C1", B12="C1", B13="C1")
    found = decided(units, {"C1": 3, "B11": 20, "B12": 30, "B13": 40, "C2": 50})
    assert found.small == frozenset()
    assert "B11" in found.complements
    assert {found.home[unit] for unit in ("C1", "B11")} == {"C1"}
    assert found.home["B13"] == "B13"


def test_enough_people_right_at_an_inner_unit_harm_nobody():
    units = tree(C1=ALL, C2=ALL, B11="C1", B12="C1")
    assert not decided(units, {"C1": 10, "B11": 20, "B12": 30, "C2": 50}).hidden


def test_few_people_whose_unit_is_not_told_are_not_what_is_left_of_all():
    found = decided(FLAT, {NO_UNIT: 3, "A": 30, "B": 40, "C": 50})
    assert "A" in found.complements
    assert found.home[NO_UNIT] == found.home["A"] == ALL
    assert not decided(FLAT, {NO_UNIT: 10, "A": 30, "B": 40, "C": 50}).hidden


def test_a_chain_of_single_children_is_one_unit():
    """Shown together, hidden together: each link's total is the other's."""
    shown = decided(CITIES, {"B11": 20, "B21": 12, "B22": 15, "B31": 30})
    assert not shown.hidden
    hidden = decided(CITIES, {"B11": 4, "B21": 42, "B22": 45, "B31": 30})
    assert hidden.small == {"B11", "C1"}
    assert hidden.complements == {"B31", "C3"}


def test_empty_units_are_not_shown_and_hide_nobody():
    found = decided(CITIES, {"B11": 20, "B21": 12, "B22": 0, "B31": 30})
    assert found.empty == {"B22"}
    assert not found.small | found.complements
    assert decided(FLAT, {"A": 3, "B": 30, "C": 0}).complements == {"B"}  # an empty one covers nobody


ONE, TWO = ("anchors", "Q1"), ("anchors", "Q2")


def test_where_few_answered_a_question_it_is_closed_there_and_at_a_sibling_and_the_unit_stays():
    people = {"A": answered(15, left_out=6), "B": answered(30), "C": answered(40)}
    found = decided(FLAT, people)
    assert not found.hidden
    assert found.closed == {("A", ONE), ("B", ONE)}
    assert dict(found.home) == {"A": "A", "B": "B", "C": "C"}
    assert dict(found.home_for(ONE)) == {"A": ALL, "B": ALL, "C": "C"}
    assert not decided(FLAT, people | {"A": answered(15, left_out=5)}).closed


def test_one_question_that_few_answered_closes_no_other():
    first = {"A": answered(15), "B": answered(30), "C": answered(40)}
    second = first | {"A": answered(15, left_out=6)}
    assert decided(FLAT, first, further=second).closed == {("A", TWO), ("B", TWO)}
    assert not decided(FLAT, first, further=first | {"A": [None] * 15}).closed  # a question not asked there


def test_what_is_left_must_be_enough_for_every_question():
    """The two hidden units hold 12 people together, of whom 8 answered the second question."""
    first = {"A": answered(6), "B": answered(6), "C": answered(30)}
    assert decided(FLAT, first).hidden == {"A", "B"}
    second = first | {"A": answered(6, left_out=2), "B": answered(6, left_out=2)}
    found = decided(FLAT, first, further=second)
    assert found.hidden == {"A", "B"}
    assert found.closed == {("C", TWO)}


def test_a_question_is_closed_where_one_weight_outdoes_the_others():
    """(Σw)²/Σw²: nine of 1 and one of 21 make 900 / 450 = 2 people."""
    people = {"A": 10, "B": 30, "C": 40}
    assert not decided(FLAT, people).closed
    weights = {"A": [1.0] * 9 + [21.0]}
    # A and B together are 60² / 480 = 7.5 people: C goes as well.
    assert decided(FLAT, people, weights=weights).closed == {("A", ONE), ("B", ONE), ("C", ONE)}
    assert not decided(FLAT, people, weights={unit: [0.3] * n for unit, n in people.items()}).closed


def test_a_unit_is_small_where_all_gave_one_answer():
    others = {"B": 30, "C": 40}
    assert decided(FLAT, {"A": [75.0] * 15, **others}).small == {"A"}
    assert decided(FLAT, {"A": [0.0] * 15, **others}).small == {"A"}
    assert not decided(FLAT, {"A": [75.0] * 14 + [50.0], **others}).small
    weights = {"A": [0.1 + 0.01 * i for i in range(15)]}
    assert decided(FLAT, {"A": [75.0] * 15, **others}, weights=weights).small == {"A"}


def test_what_is_left_must_not_be_of_one_answer():
    """A and B are small; together they are twelve, who all said the same."""
    found = decided(FLAT, {"A": [50.0] * 6, "B": [50.0] * 6, "C": 30})
    assert found.hidden == {"A", "B", "C"}


def test_of_too_few_people_nothing_is_shown():
    found = decided(FLAT, {"A": 3, "B": 3, "C": 3})
    assert found.hidden == {"A", "B", "C", ALL}


def test_units_hidden_for_another_reason_are_completed_as_well():
    found = partition(sums({"A": 20, "B": 30, "C": 40}), FLAT, 10, hide={"A"})
    assert found.hidden == {"A", "B"}


def test_categories_of_a_group_column_lie_right_below_all():
    block = replace(sums({"男": 30, "女": 25, "": 3}), axis="sex")
    assert partition(block, FLAT, 10).hidden == {"男", "女"}
    assert not partition(replace(sums({"男": 30, "女": 25}), axis="sex"), FLAT, 10).hidden


# --- Properties -----------------------------------------------------------------------------------------------------


@st.composite
def companies(draw: st.DrawFn, least: int = 0) -> tuple[Units, dict[str, Answers], dict[str, Answers], int]:
    """A random tree with people anywhere in it, two questions, and min_group."""
    count = draw(st.integers(1, 12))
    parents, names = {}, [ALL]
    for i in range(count):
        parents[f"U{i:02}"] = draw(st.sampled_from(names))
        names.append(f"U{i:02}")
    min_group = draw(st.integers(5, 12))
    has_people = set(parents) - set(parents.values())  # leaves, and some inner units or nobody's
    inner = sorted(set(names) - has_people)
    has_people |= set(draw(st.lists(st.sampled_from(inner), max_size=2)))
    first, second = {}, {}
    for unit in sorted(has_people):
        size = draw(st.integers(max(least, min_group) if least else 0, 40))
        alike = draw(st.booleans()) and draw(st.booleans()) and not least
        one = [50.0] * size if alike else answered(size)
        left_out = 0 if least else draw(st.integers(0, max(0, size // 3)))
        first["" if unit == ALL else unit] = one
        second["" if unit == ALL else unit] = [None if i < left_out else x for i, x in enumerate(one)]
    return tree(**parents), first, second, min_group


def too_few(said: list[Answers], least: int) -> bool:
    """Counted one by one: too few people, or one answer by all to a question enough of them answered."""
    if not said[0]:
        return False
    known = [[x for x in answers if x is not None] for answers in said]
    return len(said[0]) < least or any(len(some) >= least and len(set(some)) == 1 for some in known)


def too_few_answers(answers: Answers, least: int) -> bool:
    known = [x for x in answers if x is not None]
    return bool(known) and (len(known) < least or len(set(known)) == 1)


def gathered(units: Units, first: dict[str, Answers], second: dict[str, Answers]) -> dict[str, list[Answers]]:
    """All people of every unit, those of the units below among them."""
    every: dict[str, list[Answers]] = {unit.unit: [[], []] for unit in units.rows} | {ALL: [[], []]}
    for unit in first:
        for above in [unit, *units.ancestors(unit)] if unit else [ALL]:
            every[above][0].extend(first[unit])
            every[above][1].extend(second[unit])
    return every


@settings(deadline=None, max_examples=300)
@given(companies())
def test_every_remainder_is_empty_or_enough(company):
    units, first, second, least = company
    found = partition(sums(first, further=second), units, least)
    every = gathered(units, first, second)
    for unit, said in every.items():
        assert (unit in found.empty) == (not said[0])
        assert not said[0] or (unit in found.small) == too_few(said, least)
    assert not found.small & found.complements
    left: dict[str, list[Answers]] = defaultdict(lambda: [[], []])
    for unit, home in found.home.items():
        chain = [unit, *units.ancestors(unit)] if unit else [ALL]
        assert home == next((u for u in chain if u not in found.hidden), ALL)
        left[home][0].extend(first[unit])
        left[home][1].extend(second[unit])
    for home, said in left.items():
        assert home in found.hidden or not too_few(said, least)
    for unit in found.small - {ALL}:  # a small unit is not nearly all of what is left
        home = next((u for u in [unit, *units.ancestors(unit)] if u not in found.hidden), ALL)
        mine, all_ = len(every[unit][0]), len(left[home][0])
        assert home in found.hidden or 4 * (all_ - mine) >= mine


@settings(deadline=None, max_examples=300)
@given(companies())
def test_what_is_left_of_every_question_is_nobody_or_enough(company):
    units, first, second, least = company
    found = partition(sums(first, further=second), units, least)
    every = gathered(units, first, second)
    for j, cell in enumerate((ONE, TWO)):
        shut = {unit for unit, closed in found.closed if closed == cell}
        assert not shut & found.hidden
        left: dict[str, Answers] = defaultdict(list)
        for unit, home in found.home_for(cell).items():
            chain = [unit, *units.ancestors(unit)] if unit else [ALL]
            assert home == next((u for u in [*chain, ALL] if u not in found.hidden | shut), "" if ALL in shut else ALL)
            left[home].extend((first, second)[j][unit])
        for home, answers in left.items():
            assert not home or home in found.hidden or not too_few_answers(answers, least)
        for unit in every.keys() - found.hidden - shut:
            assert not too_few_answers(every[unit][j], least)


@settings(deadline=None, max_examples=300)
@given(companies())
def test_below_a_shown_unit_never_exactly_one_part_is_hidden(company):
    units, first, second, least = company
    found = partition(sums(first, further=second), units, least)
    every = gathered(units, first, second)
    for unit in {ALL, *every} - found.hidden:
        parts = [u.unit for u in units.rows if u.parent == unit and every[u.unit][0]]
        hidden = [part for part in parts if part in found.hidden]
        assert len(hidden) != 1 or len(every[hidden[0]][0]) == len(every[unit][0])


@settings(deadline=None, max_examples=150)
@given(companies(least=1))
def test_nothing_is_hidden_where_all_are_large(company):
    units, first, second, least = company
    found = partition(sums(first, further=second), units, least)
    assert not found.hidden - found.empty


@settings(deadline=None, max_examples=150)
@given(companies(), st.randoms(use_true_random=False))
def test_the_order_of_units_and_of_their_declaration_does_not_matter(company, random):
    units, first, second, least = company
    before = partition(sums(first, further=second), units, least)
    order, rows = list(first), list(units.rows)
    random.shuffle(order)
    random.shuffle(rows)
    after = partition(
        sums({u: first[u] for u in order}, further={u: second[u] for u in order}), Units(tuple(rows)), least
    )
    assert (after.small, after.complements, after.empty) == (before.small, before.complements, before.empty)
    assert dict(after.home) == dict(before.home)


# --- Several partitions: every subset tried -------------------------------------------------------------------------


@cache
def signed(count: int) -> np.ndarray:
    """Every way to take so many sets once, not at all, or off; without that of taking none."""
    rows = np.array(list(itertools.product((0, 1, -1), repeat=count)), dtype=float)
    return rows[1:]


def unions(labels: np.ndarray) -> np.ndarray:
    """Every x of 1, 0 and -1 a combination, whose total follows from the totals of the parts, by rank; one row an x."""
    parts = [
        (labels[:, j] == part).astype(float) for j in range(labels.shape[1]) for part in set(labels[:, j]) - {UNCOVERED}
    ]
    u, size, _ = np.linalg.svd(np.array(parts).T, full_matrices=False)
    basis = u[:, size > 1e-9]
    x = signed(len(labels))
    return x[np.abs(x - x @ basis @ basis.T).max(axis=1) < 1e-7]


def in_span(labels: np.ndarray, chosen: np.ndarray) -> bool:
    return bool((np.abs(unions(labels)) == chosen).all(axis=1).any())


def partitions_of(rng: np.random.Generator, rows: int, columns: int, uncovered: bool) -> tuple[np.ndarray, np.ndarray]:
    labels = np.column_stack([rng.integers(0, rng.integers(2, 5), rows) for _ in range(columns)])
    if uncovered:
        labels[rng.random(rows) < 0.25, int(rng.integers(0, columns))] = UNCOVERED
    labels = np.unique(labels, axis=0)
    return labels, rng.integers(1, 15, len(labels)).astype(float)


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("uncovered", [False, True])
def test_the_smallest_union_is_that_of_trying_all(columns, uncovered):
    """Two breakdowns by a minimum cut, three by integer programs."""
    rng = np.random.default_rng([11, columns, uncovered])
    some, none, draws = 0, 0, trials(200, 60)
    for _ in range(draws):
        labels, n = partitions_of(rng, int(rng.integers(2, 9)), columns, uncovered and columns > 1)
        follows = unions(labels)
        fewest = (np.abs(follows) @ n).min()
        least = int(rng.integers(2, 20))
        found = smallest_union(labels, n, least)
        assert (found is None) == (fewest >= least)
        if found is None:
            none += 1
            continue
        some += 1
        assert in_span(labels, found)
        assert n[found].sum() < least
        if columns > 2:
            assert n[found].sum() == fewest
    assert min(some, none) > draws // 20


def test_the_smallest_union_takes_the_same_people_for_combinations_that_are_alike():
    labels, n = np.array([[0, 0], [0, 0], [1, 0], [1, 1], [0, 1]]), np.array([1.0, 2, 9, 9, 9])
    assert smallest_union(labels, n, 3) is None  # 0∩0 does not follow: every total through it takes 12 and more
    apart = np.array([[0, 0], [0, 0], [1, 1], [1, 1]])
    found = smallest_union(apart, np.array([1.0, 2, 9, 9]), 5)
    assert found is not None
    assert found.tolist() == [True, True, False, False]


def test_people_of_half_weight_count_half():
    labels = np.array([[0, 0], [0, 1], [1, 1]])
    assert small_overlap(*labels.T, np.array([9.0, 4.5, 9.0]), 5) is not None
    assert small_overlap(*labels.T, np.array([9.0, 5.0, 9.0]), 5) is None


@pytest.mark.parametrize("trees", [1, 2])
def test_what_rank_proves_apart_is_so_when_all_is_tried(trees):
    rng = np.random.default_rng([12, trees])
    proved, open_, draws = 0, 0, trials(300)
    for _ in range(draws):
        rows = int(rng.integers(6, 10))
        large = rng.integers(0, rng.integers(2, 4), (rows, trees))
        small = np.column_stack([rng.integers(0, 2, rows) for _ in range(int(rng.integers(1, 3)))])
        labels = np.unique(np.hstack([large, small]), axis=0)
        n, least = rng.integers(1, 4, len(labels)).astype(float), int(rng.integers(2, 4))
        if not proved_by_rank(labels[:, :trees], list(labels[:, trees:].T), n, least):
            open_ += 1
            continue
        proved += 1
        # A set of the large breakdowns' own parts is judged by the tree rule; what mixes them must be large enough.
        own = {tuple(x) for x in unions(labels[:, :trees])}
        assert all(np.abs(x) @ n >= least for x in unions(labels) if tuple(x) not in own)
    assert min(proved, open_) > draws // 20


def test_rank_proves_a_group_safe_beside_a_cross_by_it_where_nothing_else_follows():
    """Every cell of 甲 and 乙 is shown but those of one unit, who are enough: 甲 less its cells are nobody few."""
    cross = np.array([0, 1, 2, 3, 4, 4])
    group = np.array([0, 1, 0, 1, 0, 1])
    out = absorbed_by(cross, group)
    assert out.tolist() == [True] * 4 + [False] * 2
    n = np.array([20.0, 20, 20, 20, 12, 11])
    other = np.zeros(6, dtype=int)
    assert proved_by_rank(np.column_stack([cross, other]), [group], n, 10, [out])
    assert not proved_by_rank(np.column_stack([cross, other]), [group], np.minimum(n, 4), 10, [out])


def wave_mask(rows: list[tuple], names: tuple[str, ...], min_group: int = 10, per: int = 2) -> Mask:
    """The mask of people given as (unit, categories …, how many)."""
    people = pd.DataFrame([row[:-1] for row in rows for _ in range(row[-1])], columns=["unit", *names])
    rng = np.random.default_rng(7)
    people = people.assign(q1=rng.integers(0, 101, len(people)).astype(float))
    units = tree(**dict.fromkeys(sorted(set(people["unit"])), ALL))
    book = codebook_of(plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100)), group=list(names))
    survey = dj.read_survey(people, book, units=units, period="2026Q3")
    spec = replace(survey.spec, min_group=min_group)
    kept = sums_of(replace(survey, spec=spec))
    return decide_mask(kept.sums, kept.joint, spec, "2026Q3")


def test_a_group_column_that_nearly_follows_the_units_is_left_out_whole_and_no_unit_is_hidden():
    """All men are in A, which has two more people: they are A less the men."""
    found = wave_mask([("A", "男", 28), ("A", "女", 2), ("B", "女", 40), ("C", "女", 50)], ("sex",))
    assert [one.name for one in found.left_out] == ["sex"]
    assert (found.left_out[0].parts, found.left_out[0].people) == (2, 120)
    assert {row for row in found.hidden if row[0] == "level1"} == set()
    assert {row[1] for row in found.hidden} == {"男", "女"}


def test_reasons_are_true_of_their_rows():
    """Too few people, or enough of them and hidden for another's sake; that all answered alike is not said."""
    people = {"A": 40, "B": 4, "C": 12, "D": 30, "E": 3, "F": 8, "G": 15}
    found = wave_mask([(unit, "x", n) for unit, n in people.items() if unit != "G"], ("one",))
    hidden = {unit: why for (level, unit), why in found.hidden.items() if level == "level1"}
    assert {"B", "E", "F"} <= set(hidden)
    for unit, why in hidden.items():
        assert (why == "small_group") == (people[unit] < 10), unit
    two = wave_mask([("A", "x", 40), ("B", "x", 4), ("C", "x", 12)], ("one",))
    assert two.hidden["level1", "C"] == "complement"


def test_a_group_column_that_crosses_the_units_is_shown():
    found = wave_mask([(u, s, 15) for u in "ABC" for s in "男女"], ("sex",))
    assert not found.left_out
    assert not found.hidden


def test_a_third_breakdown_without_proof_is_left_out_whole():
    """Two groups are shown beside the units; the third differs from the second in one person."""
    rows = [(u, s, s, 15) for u in "ABCDEFGHIJKL" for s in "男女"] + [("A", "男", "女", 1)]
    found = wave_mask(rows, ("one", "two"))
    assert [one.name for one in found.left_out] == ["two"]
    assert {row for row in found.shown if row[0] == "one"} == {("one", "男"), ("one", "女")}


# --- Cross-classifications: every total that follows, and how closely a mean is known -------------------------------

BRANCHES = tree(C1=ALL, C2=ALL, B1="C1", B2="C1", B3="C2", B4="C2")
AGE = codebook_of(plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100)), group="age")


def crossed(
    people: dict[tuple[str, str], int | Answers],
    cross: tuple[tuple[str, ...], ...] = (("level2", "age"),),
    least: int = 10,
) -> tuple[Kept, Specification, pd.DataFrame]:
    """A wave by unit and age, its sums, and one row a person."""
    rows = [
        (unit, age, x)
        for (unit, age), said in people.items()
        for x in (answered(said) if isinstance(said, int) else said)
    ]
    frame = pd.DataFrame(rows, columns=["unit", "age", "q1"])
    survey = dj.read_survey(frame, AGE, units=BRANCHES, period="2026Q3")
    spec = replace(survey.spec, cross=cross, min_group=least)
    return sums_of(replace(survey, spec=spec)), spec, frame


def hidden_cells(kept: Kept, spec: Specification) -> frozenset[tuple[str, str]]:
    return frozenset(decide_mask(kept.sums, kept.joint, spec, "2026Q3").hidden)


def told_sets(frame: pd.DataFrame, hidden: frozenset[tuple[str, str]]) -> list[np.ndarray]:
    """Who is in every total that is shown: all, cities, branches, ages, and branch by age."""
    city = frame["unit"].map({"B1": "C1", "B2": "C1", "B3": "C2", "B4": "C2"})
    sets = {("company", ALL): np.ones(len(frame), dtype=bool)}
    for level, values in (("level1", city), ("level2", frame["unit"]), ("age", frame["age"])):
        sets |= {(level, value): (values == value).to_numpy() for value in sorted(set(values))}
    sets |= {
        ("level2×age", f"{unit}×{age}"): ((frame["unit"] == unit) & (frame["age"] == age)).to_numpy()
        for unit, age in sorted(set(zip(frame["unit"], frame["age"], strict=True)))
    }
    return [inside for row, inside in sets.items() if row not in hidden]


def check_safe(kept: Kept, spec: Specification, frame: pd.DataFrame, least: int = 10) -> frozenset[tuple[str, str]]:
    """Try every set of (branch, age) cells."""
    hidden = hidden_cells(kept, spec)
    keys = frame["unit"] + "×" + frame["age"]
    names = sorted(set(keys))
    inside = np.array([(keys == name).to_numpy() for name in names])
    n = inside.sum(axis=1)
    told = np.array([[bool(rows[cell].any()) for cell in inside] for rows in told_sets(frame, hidden)], dtype=float)
    _, size, basis = np.linalg.svd(told)
    basis = basis[: int((size > 1e-9).sum())]
    x = signed(len(names))
    follows = x[np.abs(x - x @ basis.T @ basis).max(axis=1) < 1e-7]
    assert (np.abs(follows) @ n).min() >= least
    for i in np.flatnonzero(
        (n > 0) & (n < least)
    ):  # and no small cell is nearly all of what its branch or its age leaves
        for part in (0, 1):
            alike = [j for j, name in enumerate(names) if name.split("×")[part] == names[i].split("×")[part]]
            side = names[i].split("×")[part]
            left = [j for j in alike if ("level2×age", names[j]) in hidden]
            if (("level2", "age")[part], side) not in hidden:
                assert n[left].sum() - n[i] >= n[i] / 4, names[i]
    return frozenset(row for row in hidden if row[0] == "level2×age")


def test_no_cell_is_hidden_where_all_are_large():
    kept, spec, frame = crossed({(b, a): 12 for b in ("B1", "B2", "B3", "B4") for a in ("青", "中", "老")})
    assert check_safe(kept, spec, frame) == frozenset()


def test_a_small_cell_takes_a_rectangle_along():
    people = {(b, a): 20 for b in ("B1", "B2", "B3", "B4") for a in ("青", "中", "老")} | {("B1", "青"): 4}
    kept, spec, frame = crossed(people)
    hidden = check_safe(kept, spec, frame)
    assert ("level2×age", "B1×青") in hidden
    branches, ages = (sorted({cell.split("×")[i] for _, cell in hidden}) for i in (0, 1))
    for branch in branches:
        assert sum(cell.startswith(branch) for _, cell in hidden) >= 2
    for age in ages:
        assert sum(cell.endswith(age) for _, cell in hidden) >= 2


def test_a_small_cell_is_no_more_than_four_fifths_of_what_its_branch_and_its_age_leave():
    people: dict[tuple[str, str], int | Answers] = {
        (b, a): 30 for b in ("B1", "B2", "B3", "B4") for a in ("青", "中", "老")
    }
    people |= {("B1", "青"): 9, ("B1", "中"): 1, ("B2", "青"): 1}
    kept, spec, frame = crossed(people)
    hidden = check_safe(kept, spec, frame)
    assert {("level2×age", cell) for cell in ("B1×青", "B1×中", "B1×老")} <= hidden


def test_cells_of_a_hidden_unit_are_hidden():
    people = {(b, a): 20 for b in ("B1", "B2", "B3", "B4") for a in ("青", "中", "老")}
    people |= {("B1", a): 2 for a in ("青", "中", "老")}
    kept, spec, frame = crossed(people)
    hidden = check_safe(kept, spec, frame)
    assert {f"{b}×{a}" for b in ("B1", "B2") for a in ("青", "中", "老")} <= {cell for _, cell in hidden}


@pytest.mark.parametrize("seed", range(trials(12, 4)))
def test_random_crosses_are_safe(seed):
    rng = np.random.default_rng([21, seed])
    people = {
        (b, a): [float(x) for x in rng.choice([0, 25, 50, 75, 100], int(rng.integers(0, 30)))]
        for b in ("B1", "B2", "B3", "B4")
        for a in ("青", "中", "老")
    }
    kept, spec, frame = crossed(people)
    check_safe(kept, spec, frame)


@pytest.mark.parametrize("seed", range(trials(6, 2)))
def test_a_cross_does_not_depend_on_the_order_of_rows(seed):
    rng = np.random.default_rng([22, seed])
    people = {(b, a): int(rng.integers(1, 30)) for b in ("B1", "B2", "B3", "B4") for a in ("青", "中", "老")}
    order = list(people)
    rng.shuffle(order)
    turned = {(str(b), str(a)): people[str(b), str(a)] for b, a in order}
    assert hidden_cells(*crossed(people)[:2]) == hidden_cells(*crossed(turned)[:2])


def test_the_order_in_which_crosses_are_declared_does_not_matter():
    rng = np.random.default_rng(23)
    people = {(b, a): int(rng.integers(8, 30)) for b in ("B1", "B2", "B3", "B4") for a in ("青", "中", "老")}
    pairs = (("level2", "age"), ("level1", "age"))
    one, other = (hidden_cells(*crossed(people, cross)[:2]) for cross in (pairs, pairs[::-1]))
    assert one == other


def test_two_crosses_of_a_large_company_are_both_shown():
    """Each passes by itself and both together: neither is left out for the other."""
    people = {(b, a): 60 for b in ("B1", "B2", "B3", "B4") for a in ("青", "中", "老")}
    assert hidden_cells(*crossed(people, (("level2", "age"), ("level1", "age")))[:2]) == frozenset()
