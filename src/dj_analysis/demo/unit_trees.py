"""The organisation trees of the enterprise."""

from __future__ import annotations

from dataclasses import replace

from ..spec.periods import parse
from ..spec.units import ALL, Unit, Units
from . import names
from .layout import Layout


def demo_units(layout: Layout) -> Units:
    """Return both trees; branches that merge end in the wave before the merger."""
    zh, en = names.COMPANY
    rows = [Unit(ALL, "", "company", "admin", name_zh=zh, name_en=en), *_places(layout)]
    joined = _joined(layout)
    for branch in range(len(layout.home)):
        unit = _branch(layout, branch)
        if branch in layout.merged:
            unit = replace(unit, valid_to=parse(layout.middle).previous.text, became=joined[0].unit)
        rows.append(unit)
    rows += joined
    rows += [Unit(code, ALL, "line", "line", "", zh, en, aliases) for code, zh, en, aliases in names.LINES]
    return Units(tuple(rows), *(name + mark for name, mark in zip(names.COMPANY, names.SYNTHETIC, strict=True)))


def _places(layout: Layout) -> list[Unit]:
    """Return the units of the cities, then of the departments."""
    rows = []
    for i, (zh, en) in enumerate(names.PLACES[: layout.cities]):
        name, also = f"{zh}供电公司", f"{zh}公司|{zh}"
        rows.append(Unit(layout.place_code(i), ALL, "city", "admin", "供电企业", name, f"{en} Power Supply", also))
    for i, (zh, en) in enumerate(names.DEPARTMENTS[: layout.departments], layout.cities):
        rows.append(Unit(layout.place_code(i), ALL, "department", "admin", "职能部门", zh, f"{en} Department"))
    return rows


def _joined(layout: Layout) -> list[Unit]:
    """Return the branch formed by the merger, if there is one."""
    if not layout.merged:
        return []
    city, code = int(layout.home[layout.merged[0]]), f"B{len(layout.home) + 1:03d}"
    zh, en = names.PLACES[city]
    new = Unit(code, layout.place_code(city), "branch", "admin", "党支部", f"{zh}联合党支部", f"{en} Joint Branch")
    return [replace(new, aliases=f"{zh}联合支部", valid_from=layout.middle)]


def _branch(layout: Layout, branch: int) -> Unit:
    place = int(layout.home[branch])
    base = Unit(layout.codes[branch], layout.place_code(place), "branch", "admin", "党支部")
    if place >= layout.cities:
        zh, en = names.DEPARTMENTS[place - layout.cities]
        return replace(base, name_zh=f"{zh}党支部", name_en=f"{en} Branch", aliases=f"{zh}支部")
    turn, kind = divmod(layout.numbers[branch], len(names.FUNCTIONS))
    (zh, en), (what, what_en, _) = names.PLACES[place], names.FUNCTIONS[kind]
    name = zh + what + (names.NUMERALS[turn] if turn < len(names.NUMERALS) else f"第{turn + 1}")
    name_en = f"{en} {what_en} Branch" + (f" {turn + 1}" if turn else "")
    return replace(base, name_zh=f"{name}党支部", name_en=name_en, aliases=f"{name}支部|{name}")
