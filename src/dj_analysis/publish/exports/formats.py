"""Formats of a report, and what writes each; a writer is loaded when its format is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from ...errors import unknown
from .document import Appearance, Document

#: Formats in the order they are listed; each is written by ``to_{format}`` in the module of the same name.
FORMATS = ("html", "pdf", "docx", "pptx", "xlsx")


def written_in(document: Document, formats: Sequence[str], appearance: Appearance) -> dict[str, bytes]:
    """Write a document in each of these formats."""
    return {kind: _writer(kind)(document, appearance) for kind in formats}


def check_formats(formats: Sequence[str]) -> None:
    """Refuse a format that there is not."""
    for kind in formats:
        if kind not in FORMATS:
            raise unknown("格式/format", kind, FORMATS)


def _writer(kind: str) -> Callable[[Document, Appearance], bytes]:
    writer: Callable[[Document, Appearance], bytes] = getattr(import_module(f".{kind}", __package__), f"to_{kind}")
    return writer
