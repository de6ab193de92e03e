"""Rules for the codes of units or the names of categories."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import Problems

#: Names that Windows keeps for devices, whatever follows a dot.
DEVICES = frozenset(["con", "prn", "aux", "nul", *(f"{kind}{i}" for kind in ("com", "lpt") for i in range(1, 10))])
CODE_ALLOWED = "不含 / \\ : × .. 和控制字符，不是 ALL 或 Windows 保留名 (no / \\ : × .. or control characters, not ALL)"
CATEGORY_ALLOWED = "不含 × 和控制字符，不是 ALL (no × or control characters, not ALL)"

# Control characters, and those that turn the direction of writing: literal, for engines read other escapes.
_TURNS = "\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
_CONTROL = re.compile(rf"[\x00-\x1f\x7f-\x9f{_TURNS}]")
#: Categories that :func:`category_fault` finds fault with, for engines that search columns themselves.
ODD_CATEGORY = rf"{_CONTROL.pattern}|×|^\s*(?i:all)\s*$"
_PATH = re.compile(r'[/\\:*?"<>|]|\.\.')


def category_fault(text: str) -> str:
    """Return why a text cannot name a category; "" where it can.

    ``×`` joins the two parts of a cross and ``ALL`` names everybody; a slash is allowed, for a category never names a file.
    """
    if _CONTROL.search(text):
        return "控制字符 (a control character)"
    if "×" in text:
        return "×"
    return "ALL" if text.strip().upper() == "ALL" else ""


def code_fault(text: str) -> str:
    """Return why a text cannot be a unit code, which is part of file names and addresses; "" where it can."""
    if fault := category_fault(text):
        return fault
    if match := _PATH.search(text):
        return match.group()
    if text != text.strip() or text.startswith(".") or text.endswith("."):
        return "首尾的空格或点 (a space or dot at an end)"
    return "Windows 保留名 (a name Windows keeps)" if text.split(".")[0].casefold() in DEVICES else ""


def derived_codes(names: Iterable[str]) -> dict[str, str]:
    """Return a valid unique code for each name of a unit; the name itself where it is valid."""
    sound = {name: name for name in dict.fromkeys(names) if not code_fault(name)}
    codes, taken = dict(sound), {name.casefold() for name in sound}
    for name in (name for name in dict.fromkeys(names) if name not in sound):
        stem = re.sub(r"\.\.+", "_", _PATH.sub("_", _CONTROL.sub("_", name).replace("×", "_"))).strip(" .") or "_"
        stem = stem if not code_fault(stem) else f"_{stem}"
        tried = (stem if i == 1 else f"{stem}_{i}" for i in range(1, len(codes) + len(taken) + 3))
        codes[name] = next(code for code in tried if code.casefold() not in taken)
        taken.add(codes[name].casefold())
    return codes


def check_categories(where: str, texts: Iterable[str], problems: Problems) -> None:
    """Note categories of a group column whose names are not allowed."""
    faults = {text: fault for text in dict.fromkeys(texts) if text and (fault := category_fault(text))}
    for text, fault in list(faults.items())[:3]:
        advice = "在数据或 scales 表中改名 (rename it in the data or in scales)"
        problems.add(where, "bad_category", f"{plain(text)}: {fault}", CATEGORY_ALLOWED, advice)


def plain(text: str) -> str:
    """Return a text for a message: control characters as blanks, at most 40 characters."""
    return _CONTROL.sub(" ", text)[:40]
