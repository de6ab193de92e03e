"""What kind of file a file is, told by its first bytes."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from ..errors import Problems

WORKBOOKS = (".xlsx", ".xls", ".xlsb", ".xlsm", ".ods")
_BY_SUFFIX = {
    **dict.fromkeys(WORKBOOKS, "workbook"),
    **dict.fromkeys((".csv", ".txt", ".tsv"), "text"),
    ".parquet": "parquet",
    ".sav": "sav",
    ".zsav": "sav",
    ".dta": "dta",
}
#: Kinds that are not read, with the next step for each.
_REFUSED = {
    "zip": ("压缩包 (a ZIP archive)", "解压后再读入其中的文件 (unpack it and read the file inside)"),
    "gzip": ("压缩包 (a gzip archive)", "解压后再读入 (unpack it first)"),
    "rar": ("压缩包 (a RAR or 7z archive)", "解压后再读入 (unpack it first)"),
    "pdf": ("PDF", "向平台索取 Excel 或 CSV 导出 (ask the platform for an Excel or CSV export)"),
    "word": ("Word 文档 (a Word document)", "另存其中的表为 Excel (save its table as Excel)"),
    "database": ("数据库文件 (a database file)", "导出为 CSV 或在 [tables.X] 用 sql (export as CSV, or use sql)"),
    "por": ("SPSS .por", "在 SPSS 中另存为 .sav (save as .sav in SPSS)"),
    "sas": ("SAS", "导出为 .csv 或 .sav (export as .csv or .sav)"),
    "image": ("图片 (an image)", "索取 Excel 或 CSV 导出 (ask for an Excel or CSV export)"),
    "numbers": ("iWork 文稿 (an iWork document)", "导出为 Excel (export as Excel)"),
    "folder": ("文件夹 (a folder)", "写出其中的文件名 (name the file in it)"),
}
#: What the standard library raises on damaged packages, each by another of their fields.
BROKEN_PACKAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError, OSError,
)  # fmt: skip
_MAGIC = (
    (b"$FL2", "sav"), (b"$FL3", "sav"), (b"PAR1", "parquet"), (b"<stata_dta>", "dta"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "workbook"), (b"\x1f\x8b", "gzip"), (b"Rar!", "rar"), (b"7z\xbc\xaf", "rar"),
    (b"%PDF", "pdf"), (b"SQLite format 3", "database"), (b"\x00\x01\x00\x00Standard", "database"),
    (b"\x89PNG", "image"), (b"\xff\xd8\xff", "image"),
)  # fmt: skip


def file_kind(path: Path) -> str:
    """Return text, workbook, sav, dta or parquet, or a kind that is not read.

    The first bytes decide; files that have none of their own (text, old .dta and .xls, damaged files) are what their
    suffix says.
    """
    if path.is_dir():
        return "folder"
    with path.open("rb") as file:
        start = file.read(64)
    suffix = path.suffix.lower()
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    if start.startswith(b"PK\x03\x04"):
        return _packed_kind(path, suffix)
    if suffix == ".por" or start.startswith(b"ASCII SPSS PORT"):
        return "por"
    if suffix in (".sas7bdat", ".xpt"):
        return "sas"
    return _BY_SUFFIX.get(suffix, "text")


def note_kind(path: Path, kind: str, place: str, problems: Problems) -> tuple[str, ...]:
    """Note a file of a kind that is not read; return a notice where the suffix says another kind than the content."""
    if kind in _REFUSED:
        what, advice = _REFUSED[kind]
        allowed = ".csv .tsv .txt .xlsx .xls .xlsb .xlsm .ods .sav .zsav .dta .parquet"
        problems.add(place, "unreadable", what, allowed, advice)
    said = _BY_SUFFIX.get(path.suffix.lower())
    if said is not None and said != kind and kind in _BY_SUFFIX.values():
        return (f"{place}: 后缀与内容不符，按内容读入 (the suffix is wrong; read as what it is) {kind}",)
    return ()


def _packed_kind(path: Path, suffix: str) -> str:
    """Tell workbooks from other packed files by the parts they hold."""
    try:
        with zipfile.ZipFile(path) as package:
            names = set(package.namelist())
    except BROKEN_PACKAGE:
        return _BY_SUFFIX.get(suffix, "zip")
    if any(name.startswith("xl/") for name in names) or "content.xml" in names:
        return "workbook"
    if any(name.startswith("word/") for name in names):
        return "word"
    return "numbers" if any(name.startswith("Index/") for name in names) else "zip"
