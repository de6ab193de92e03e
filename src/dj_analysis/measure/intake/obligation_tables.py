"""Import of obligations with their state events, checked against the kinds that rules.toml declares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...errors import DjError, Problems
from ...spec.kinds import HUMAN_REVIEW, OWN_RULES, ObligationKind
from ...spec.periods import bound
from ...spec.schemas import OBLIGATION_EVENTS, OBLIGATIONS, Schema
from ...spec.settings import Settings
from ...spec.specification import Specification
from ...spec.tables import Table, load_table, numbers, once_a_value, rows_text, whole_numbers
from ..basis import digest_of
from ..obligation_states import Obligations
from .human_reviews import check_reviews
from .identifiers import check_names, shown_path

TEXTS = ("label", "subject", "owner_role", "class", "orientation", "parent", "cycle")


def load_obligations(settings: Settings, spec: Specification, problems: Problems) -> Obligations:
    """Read a workspace's obligations of declared kinds; none where there is no table. What is wrong goes into ``problems``.

    Rows of kind ``appeal`` and ``request`` have readers of their own and are passed over, with their events.
    """
    table, events = load_obligation_tables(settings, problems)
    return obligations_of(
        table.frame if table is not None else pd.DataFrame(columns=list(OBLIGATIONS.names), dtype="str"),
        events.frame if events is not None else pd.DataFrame(columns=list(OBLIGATION_EVENTS.names), dtype="str"),
        spec, problems, table.place if table is not None else "obligations",
        events.place if events is not None else "obligation_events",
    )  # fmt: skip


def load_obligation_tables(settings: Settings, problems: Problems) -> tuple[Table | None, Table | None]:
    """Read obligations.csv and obligation_events.csv as text; columns that name people are refused at the door."""
    return _load(settings, OBLIGATIONS, problems), _load(settings, OBLIGATION_EVENTS, problems)


def obligations_of(
    rows: pd.DataFrame, events: pd.DataFrame, spec: Specification, problems: Problems,
    place: str = "obligations", place_of_events: str = "obligation_events",
) -> Obligations:  # fmt: skip
    """Check obligations and their events; both as text, with the columns of their schemas.

    Noted in ``problems``: kinds and units that are not declared, dates that are missing or run backwards, states a kind
    does not have, moves it does not allow.
    """
    kinds = spec.rules.kinds
    kind = rows["kind"].str.strip()
    other = rows[~kind.isin([*kinds, *OWN_RULES])]
    if len(other):
        advice = "改正,或在 rules.toml 声明 [kinds.名称] (correct it, or declare the kind)"
        _note(problems, f"{place}: kind", "unknown_kind", other["kind"], "、".join([*kinds, *OWN_RULES]), advice)
    own = rows[kind.isin(kinds)].drop_duplicates("obligation")
    table = pd.DataFrame(
        {"obligation": own["obligation"], "kind": kind[own.index], "unit": _units(place, own["unit"], spec, problems)}
    )
    table["opened"], table["due"] = _days(own["opened"]), _days(own["due"])
    for name in TEXTS:
        table[name] = own[name].str.strip()
    table["weight"], table["satisfaction"] = numbers(own["weight"]), numbers(own["satisfaction"])
    undated, early = own["opened"][table["opened"].isna()], own["due"][table["due"] < table["opened"]]
    _note(problems, f"{place}: opened", "missing_value", undated, "YYYY-MM-DD")
    _note(problems, f"{place}: due", "before_opened", early, "due >= opened")
    moves = _events(place_of_events, events, rows, table, kinds, problems)
    reviews = (table["kind"] == HUMAN_REVIEW).to_numpy()
    if reviews.any():
        table.loc[reviews, "label"] = table.loc[reviews, "label"].str.split().str.join(" ")  # printed in one cell
        check_reviews(place, table[reviews], _fulfilled(moves, reviews, kinds[HUMAN_REVIEW]), problems)
    timed = moves.assign(time=moves["time"].to_numpy().astype("int64"))
    digest = "" if table.empty else digest_of(table) + digest_of(timed)
    return Obligations(table.reset_index(drop=True), moves, spec, digest)


def _fulfilled(moves: pd.DataFrame, own: np.ndarray, kind: ObligationKind) -> np.ndarray:
    """Tell which obligations of one kind (``own``) reached a state that fulfils them."""
    fulfilling = [state.code for state in kind.states.values() if state.fulfils]
    reached = np.zeros(len(own), dtype=bool)
    reached[moves.loc[moves["state"].isin(fulfilling), "place"].to_numpy(int)] = True
    return reached[own]


def _load(settings: Settings, schema: Schema, problems: Problems) -> Table | None:
    def seen(raw: Table) -> None:
        source = settings.tables.get(schema.name)
        path = settings.folder / (source.path if source is not None and source.path else raw.place)
        check_names(raw.place, map(str, raw.frame.columns), problems, file=shown_path(path) if path.is_file() else "")

    return load_table(settings, schema.name, schema, problems, seen=seen)


def _units(place: str, cells: pd.Series, spec: Specification, problems: Problems) -> pd.Series:
    """Return unit codes; units that there are not were never given work."""
    written = whole_numbers(cells)
    if not spec.units.rows:
        return written
    codes = spec.units.resolve(written.unique())
    lost = cells[~written.isin(list(codes))]
    _note(problems, f"{place}: unit", "unknown_unit", lost, "units 表中的代码或名称")
    return written.map(lambda unit: codes.get(unit, unit)).astype("str")


def _events(
    place: str, events: pd.DataFrame, rows: pd.DataFrame, table: pd.DataFrame, kinds: Mapping[str, ObligationKind],
    problems: Problems,
) -> pd.DataFrame:  # fmt: skip
    """Return the events of declared kinds in order, and note what is wrong with them."""
    home = pd.Index(table["obligation"]).get_indexer(events["obligation"])
    lost = events["obligation"][(home < 0) & ~events["obligation"].isin(rows["obligation"]).to_numpy()]
    _note(problems, f"{place}: obligation", "unknown_obligation", lost, "obligations 表中的编号")
    events, home = events[home >= 0], home[home >= 0]
    kind = table["kind"].to_numpy()[home]
    state, time = events["state"].str.strip(), _days(events["time"])
    for code, declared in kinds.items():
        strange = events["state"][(kind == code) & ~state.isin(declared.order).to_numpy()]
        _note(problems, f"{place}: state", "unknown_state", strange, "、".join(declared.order))
    opened = table["opened"].to_numpy()[home]
    _note(problems, f"{place}: time", "missing_value", events["time"][time.isna()], "YYYY-MM-DD")
    early = events["time"][time.to_numpy() < opened]
    _note(problems, f"{place}: time", "before_opened", early, "time >= opened")
    moves = pd.DataFrame({"place": home, "state": state, "time": time, "kind": kind})
    moves = moves[moves["time"].notna()]
    order = np.lexsort((np.arange(len(moves)), moves["time"].to_numpy(), moves["place"].to_numpy()))
    moves = moves.iloc[order]
    _note_moves(place, moves, table["obligation"], kinds, problems)
    return moves[["place", "state", "time"]].reset_index(drop=True)


def _note_moves(
    place: str, moves: pd.DataFrame, names: pd.Series, kinds: Mapping[str, ObligationKind], problems: Problems
) -> None:
    """Note moves that a kind does not allow, once for each pair of states; the same state again is no move."""
    first = ~moves["place"].duplicated()
    before = moves["state"].shift().where(~first)
    for code, declared in kinds.items():
        own = (moves["kind"] == code).to_numpy()
        if not own.any() or not declared.states:
            continue
        position = {state: i for i, state in enumerate(declared.order)}
        allowed = np.eye(len(position) + 1, dtype=bool)
        allowed[-1] = allowed[:, -1] = True  # a state there is not was noted
        for state in declared.states.values():
            allowed[position[state.code], [position[target] for target in state.to if target in position]] = True
        left = before[own].fillna(declared.order[0]).map(position).fillna(len(position)).to_numpy(int)
        reached = moves["state"][own].map(position).fillna(len(position)).to_numpy(int)
        illegal = np.flatnonzero(~allowed[left, reached])
        for pair in dict.fromkeys(zip(left[illegal].tolist(), reached[illegal].tolist(), strict=True)):
            one = declared.states[declared.order[pair[0]]]
            wrong = moves[own].iloc[illegal[(left[illegal] == pair[0]) & (reached[illegal] == pair[1])]]
            listed = "、".join(map(str, names.iloc[wrong["place"].iloc[:3]])) + (" …" if len(wrong) > 3 else "")
            found = f"{one.code} → {declared.order[pair[1]]}: {listed} ({rows_text(wrong.index)})"
            to = "、".join(one.to) or "(到此为止/it ends there)"
            advice = "改正事件,或在 rules.toml 允许此转移 (correct the event, or allow the move in rules.toml)"
            problems.add(f"{place}: {code}", "illegal_move", found, f"{one.code} → {to}", advice)


def _note(
    problems: Problems, where: str, rule: str, cells: pd.Series, allowed: str, advice: str = "改正 (correct it)"
) -> None:
    if len(cells):
        listed = "、".join(dict.fromkeys(cells.replace("", "(空)").head(3)))
        problems.add(where, rule, f"{listed} ({rows_text(cells.index)})", allowed, advice)


def _days(cells: pd.Series) -> pd.Series:
    """Return the days of date cells, of a period its last; not a time where there is none (bad ones were noted)."""
    return once_a_value(cells, lambda texts: pd.array([_day(text) for text in texts], dtype="datetime64[s]"))


def _day(text: str) -> pd.Timestamp | None:
    try:
        return pd.Timestamp(bound(text.strip()[:10], last=True)).as_unit("s") if text.strip() else None
    except (ValueError, DjError):
        return None
