"""Assignment of columns to questions or roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...errors import Problems, nearest_names
from ...spec.codebook import Codebook
from ...spec.settings import Source
from ...spec.tree import CHOICE_ROLES
from ...spec.units import Unit, Units
from . import wjx
from .option_columns import option_columns
from .row_consent import CONSENTS, OWN_CODE

SECONDS = "seconds"
RESPONDENT = "respondent"


def in_force(columns: Mapping[str, str], every: Codebook, period: str) -> dict[str, str]:
    """Leave out the headers of questions that another wave asked: a reworded question has its old header still declared."""
    codebook = every.at(period)
    asked = {node.code for node in (*codebook.tree, *codebook.others)}
    ever = {node.code for node in (*every.tree, *every.others)}
    return {code: header for code, header in columns.items() if code in asked or code not in ever}


def roles_of_names(
    names: list[str], source: Source, codebook: Codebook, units: Units, place: str, problems: Problems
) -> dict[str, str]:
    """Return the header of each question code and role."""
    roles = {code: header for code, header in source.columns.items() if header in names}
    for header in sorted(set(source.columns.values()) - set(names)):
        advice = "改正 columns (correct the mapping)"
        problems.add(place, "missing_column", header, nearest_names(header, names, most=3), advice)
    fixed = ["unit", RESPONDENT, *CONSENTS, OWN_CODE, *units.trees[1:]]
    roles |= {name: name for name in fixed if name in names and name not in roles}
    wordings = {
        node.code: (node.text_zh, node.text_en, node.label_zh, node.label_en)
        for node in (*codebook.tree.leaves, *codebook.others)
        if node.code not in roles and node.role not in CHOICE_ROLES
    }
    free = [name for name in names if name not in roles.values() and name not in wjx.META]
    for code, headers in wjx.match_headers(free, wordings).items():
        exact = [header for header in headers if header == code]
        if len(headers) > 1 and not exact:
            candidates = " | ".join(headers[:3])
            problems.add(
                f"{place}: {code}", "ambiguous_column", candidates, "一题一列", "在 columns 中指定 (name it in columns)"
            )
        else:
            roles[code] = exact[0] if exact else headers[0]
    roles |= option_columns([name for name in free if name not in roles.values()], codebook, roles)
    if wjx.DURATION in names:
        roles[SECONDS] = wjx.DURATION
    return roles


def question_headers(headers: Iterable[str], codebook: Codebook) -> set[str]:
    """Return the headers that are the wording of a question of the instrument."""
    wordings = {leaf.code: (leaf.text_zh, leaf.text_en, leaf.label_zh, leaf.label_en) for leaf in codebook.tree.leaves}
    free = [header for header in headers if header not in wjx.META]
    return {header for matches in wjx.match_headers(free, wordings).values() for header in matches}


def renumbered(columns: Mapping[str, str], names: list[str]) -> dict[str, str]:
    """Match declared headers by wording where only the question's number changed (a pulse renumbers its questions)."""
    by_wording: dict[str, list[str]] = {}
    for name in names:
        by_wording.setdefault(wjx.unnumbered(name), []).append(name)
    headers = {}
    for code, header in columns.items():
        same = by_wording.get(wjx.unnumbered(header), [])
        headers[code] = same[0] if header not in names and len(same) == 1 else header
    return headers


def check_asked(place: str, roles: Mapping[str, str], codebook: Codebook, asked: str, problems: Problems) -> None:
    """Note the questions this wave should have asked and that no column holds."""
    forms = codebook.forms("full" if asked == "full" else "pulse")
    wanted = {leaf.code: leaf for form in forms for leaf in codebook.tree.in_form(form).leaves}
    for code, leaf in wanted.items():
        if code not in roles:
            question = f"{code} {leaf.text_zh or leaf.label_zh}".strip()
            advice = "补上该题,或在 columns 中指定列名 (add it, or name its header in columns)"
            problems.add(place, "missing_column", question, "每题一列", advice)


def axes_of(columns: Iterable[str], codebook: Codebook, units: Units) -> dict[str, str]:
    """Return axis → column: the first tree's is ``unit``."""
    here = set(columns)
    axes = {units.trees[0]: "unit"} if "unit" in here else {}
    axes |= {tree: tree for tree in units.trees[1:] if tree in here}
    return axes | {node.code: node.code for node in codebook.groups if node.code in here}


def flat_units(codes: Mapping[str, str]) -> Units:
    """Build units of one level from the names in the data (name → code), where no units are declared."""
    return Units(tuple(Unit(code, level="unit", name_zh=name) for name, code in codes.items()))
