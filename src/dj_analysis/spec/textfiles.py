"""Delimited text files as grids of cells: their encoding, their separator, their records."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..errors import Problems
from .grid import Grid

#: Encodings without a mark of their own in which Chinese offices save text, beside UTF-8.
LEGACY = ("gb18030", "big5hkscs")
#: Separators by how usual they are; the rarer ones are taken only where every record agrees.
USUAL, RARE = ",\t;|", "^~¦，；\x01:  "
#: Records that must agree on a separator.
LOOKED_AT = 200
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class Delimited:
    """The text of a delimited file, with its separator and what was noticed."""

    text: str
    separator: str
    notices: tuple[str, ...] = ()


def read_delimited(path: Path, place: str, problems: Problems) -> Grid | None:
    """Read a delimited text file; what is wrong with it goes into ``problems``."""
    read = delimited_text(path, place, problems)
    return None if read is None else records_of(read, place, problems)


def delimited_text(path: Path, place: str, problems: Problems) -> Delimited | None:
    """Return the text of a delimited file and its separator; what is wrong with it goes into ``problems``."""
    raw = path.read_bytes()
    encoding = encoding_of(raw)
    if not encoding:
        advice = "在 Excel 中另存为 CSV UTF-8 (save as CSV UTF-8)"
        value = "编码不能确定 (the encoding is not certain)"
        problems.add(place, "wrong_encoding", value, "UTF-8, UTF-16, GB18030, Big5", advice)
        return None
    text = raw.decode(encoding).lstrip("\ufeff")
    if kind := _other_kind(text):
        advice = "用 Excel 打开后另存为 .xlsx (open in Excel and save as .xlsx)"
        problems.add(place, "unreadable", kind, "CSV", advice)
        return None
    notices = (f"{place}: 按 Big5 读入 (read as Big5)",) if encoding == "big5hkscs" else ()
    separator, text = separator_of(text)
    return Delimited(text, separator, notices)


def records_of(read: Delimited, place: str, problems: Problems) -> Grid | None:
    """Return the records of a text as rows of cells; what is wrong with them goes into ``problems``."""
    try:
        records = csv.reader(io.StringIO(read.text, newline=""), delimiter=read.separator, strict=True)
        rows = [list(map(str.strip, record)) for record in records]
    except csv.Error as error:
        problems.add(place, "unreadable", error, "CSV", "重新导出 (export it again)")
        return None
    _check_lengths(rows, read.text, place, problems)
    return Grid(rows, read.notices)


def encoding_of(raw: bytes) -> str:
    """Return the encoding of a text, ``""`` where it is not certain.

    A byte-order mark decides, then UTF-8, which random bytes almost never obey, then zero bytes at every second place
    (UTF-16 without a mark). Simplified Chinese keeps to GB 2312, whose second bytes are all above 0xA0, as those of Big5
    are not; what is left is told apart by charset-normalizer, and only where one reading is better than the other.
    """
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return encoding if _decodes(raw, encoding) else ""
    if b"\x00" in raw:
        even, odd = raw[0:4000:2].count(0), raw[1:4000:2].count(0)
        wide = "utf-16-be" if even > odd else "utf-16-le"
        return wide if _decodes(raw, wide) and "\x00" not in raw.decode(wide) else ""
    if _decodes(raw, "utf-8"):
        return "utf-8"
    readable = [encoding for encoding in LEGACY if _decodes(raw, encoding) and not _private(raw.decode(encoding))]
    if "gb18030" in readable and _decodes(raw, "gb2312"):
        return "gb18030"
    return readable[0] if len(readable) == 1 else _better(raw, readable)


def separator_of(text: str) -> tuple[str, str]:
    """Return the separator on which the first records agree, quotes respected, with the text after a line ``sep=``."""
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        return first.strip()[4], rest
    head = text if len(text) < 400_000 else text[: text.rfind("\n", 0, 400_000) + 1]
    best, most = ",", (False, 0.0, 0)
    for separator in USUAL:
        agreed, share, fields = _agreement(head, separator)
        if fields > 1 and (agreed, round(share, 2), fields) > most:
            best, most = separator, (agreed, round(share, 2), fields)
    if most[2] > 1:
        return best, text
    rare = [(fields, one) for one in RARE for agreed, _, fields in [_agreement(head, one)] if agreed and fields > 1]
    return (max(rare)[1] if rare else ","), text


def _agreement(text: str, separator: str) -> tuple[bool, float, int]:
    """Return whether all records have the same number of fields, the share that has, and that number."""
    try:
        lengths = []
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            if any(cell.strip() for cell in row):
                lengths.append(len(row))
            if len(lengths) == LOOKED_AT:
                break
    except csv.Error:
        return False, 0.0, 1
    if not lengths:
        return False, 0.0, 1
    wide = Counter(length for length in lengths if length > 1)
    fields, records = max(wide.items(), key=lambda pair: (pair[1], pair[0])) if wide else (1, 0)
    return records == len(lengths), records / len(lengths), fields


def _check_lengths(rows: list[list[str]], text: str, place: str, problems: Problems) -> None:
    """Note records with another number of fields than the header: a separator inside an answer, or a file cut short."""
    first = Counter(len(row) for row in islice(filter(any, rows), LOOKED_AT))
    if not first:
        return
    width = max(first.items(), key=lambda pair: (pair[1], pair[0]))[0]
    start = next(i for i, row in enumerate(rows) if len(row) == width and any(row))
    other = [i for i, row in enumerate(rows) if len(row) != width and i > start and any(row)]
    odd = [i for i in other if len(rows[i]) < width or any(rows[i][width:])]
    if odd and width > 1:
        cut = len(odd) == 1 and not any(map(any, rows[odd[0] + 1 :])) and not text.endswith(("\n", "\r"))
        listed = "、".join(str(i + 1) for i in odd[:3]) + (f" 等共 {len(odd)}" if len(odd) > 3 else "")
        value = f"第 {listed} 行的字段数不同 (rows with another number of fields)"
        advice = "文件不完整，重新导出 (the file is cut short: export it again)" if cut else (
            "给含分隔符的单元格加引号，或重新导出 (quote cells that hold the separator, or export it again)"
        )  # fmt: skip
        problems.add(place, "ragged_rows", value, f"{width} 个字段 (fields)", advice)


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeError:
        return False
    return True


def _private(text: str) -> bool:
    """Tell whether a reading has characters of private use, which a wrong encoding yields and a text hardly ever."""
    return any("\ue000" <= character <= "\uf8ff" for character in set(text))


def _better(raw: bytes, encodings: list[str]) -> str:
    """Return the reading that charset-normalizer finds plainly better, ``""`` where it finds none."""
    from charset_normalizer import from_bytes

    if not encodings:
        return ""
    found = from_bytes(raw, cp_isolation=encodings, preemptive_behaviour=False)
    by_name = {
        "gb18030": "gb18030",
        "gbk": "gb18030",
        "gb2312": "gb18030",
        "big5hkscs": "big5hkscs",
        "big5": "big5hkscs",
    }
    marks = {by_name.get(match.encoding, ""): match for match in reversed(list(found))}
    marks.pop("", None)
    if len(marks) == 1:
        return next(iter(marks))
    ordered = sorted(marks, key=lambda name: (marks[name].chaos, -marks[name].coherence))
    if len(ordered) == 2:
        first, second = (marks[name] for name in ordered)
        if (second.chaos - first.chaos, first.coherence - second.coherence) > (0.02, 0.0):
            return ordered[0]
    return ""


def _other_kind(text: str) -> str:
    """Return what a text is that is no table, ``""`` where it may be one."""
    start = text[:500].lstrip().lower()
    if start.startswith(("<!doctype html", "<html", "<table", "<head", "<meta")):
        return "网页 (an HTML page)"
    if start.startswith("<?xml"):
        return "XML"
    if start.startswith("{\\rtf"):
        return "RTF"
    return "PDF" if start.startswith("%pdf") else ""
