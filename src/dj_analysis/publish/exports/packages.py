"""Office files (zip packages) whose bytes depend on their content alone."""

from __future__ import annotations

import io
import re
import zipfile

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first day that a zip file can name
_DATES = re.compile(rb"<dcterms:(created|modified)\b[^>]*>.*?</dcterms:\1>")


def repacked(content: bytes) -> bytes:
    """Return the same package without the time of its making: the same report is the same bytes.

    The dates in the document properties are optional (ECMA-376, part 2, 11.1) and are left out.
    """
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for entry in before.infolist():
            part = before.read(entry)
            if entry.filename == "docProps/core.xml":
                part = _DATES.sub(b"", part)
            plain = zipfile.ZipInfo(entry.filename, _EARLIEST)
            plain.compress_type = zipfile.ZIP_DEFLATED
            plain.external_attr = 0o600 << 16
            after.writestr(plain, part)
    return stream.getvalue()
