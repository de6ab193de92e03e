"""Office files (zip packages) whose bytes depend on their content alone."""

from __future__ import annotations

import io
import re
import zipfile

#: What XML 1.0 cannot hold, and marks that turn the direction of all text after them.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first day that a zip file can name
_OF_THE_RUN = re.compile(rb"<(dcterms:created|dcterms:modified|cp:revision)\b[^>]*>.*?</\1>")


def legible(words: str) -> str:
    """Return text as an office file can hold it: without control characters and marks that turn its direction."""
    return _UNWRITABLE.sub("", words)


def repacked(content: bytes) -> bytes:
    """Return the same package without the time of its making: the same report is the same bytes.

    The dates in the document properties are optional (ECMA-376, part 2, 11.1) and are left out. Workbooks inside, those
    of charts, are packed anew as well.
    """
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for entry in before.infolist():
            part = before.read(entry)
            if entry.filename == "docProps/core.xml":
                part = _OF_THE_RUN.sub(b"", part)
            elif entry.filename.endswith(".xlsx"):
                part = repacked(part)
            plain = zipfile.ZipInfo(entry.filename, _EARLIEST)
            plain.compress_type = zipfile.ZIP_DEFLATED
            plain.external_attr = 0o600 << 16
            after.writestr(plain, part)
    return stream.getvalue()
