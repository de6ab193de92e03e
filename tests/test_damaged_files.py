"""Damaged files of every kind end in one error, or in the values that the file holds.

``DJ_FUZZ=1`` tries ten thousand of them, which takes about twenty minutes; a normal run a few of each kind.
"""

import contextlib
import io
import os
import random
import zipfile
from pathlib import Path

import pyreadstat
import pytest
from platform_exports import as_csv, as_ods, as_xlsx, numbered, office, qualtrics, wjx
from test_readers import BY_WORDING, CODES, LABELLED, UNFINISHED, UNIT, WORDS, cells, codebook, frame  # noqa: F401

import dj_analysis as dj
from dj_analysis.errors import DjError, Problems
from dj_analysis.spec.tables import read_responses

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

#: Inputs tried, and how many fewer of the kinds that are read in a process of their own (0.3 s each).
INPUTS, APART = (10_000, 4) if os.environ.get("DJ_FUZZ") else (160, 8)
#: Kinds whose parts carry checksums or whose text can be looked at: no value may appear that they do not hold.
COMPARED = (".csv", ".tsv", ".xlsx", ".ods")


def numbers(by: str = "number") -> list[list[str]]:
    return cells(WORDS if by == "text" else tuple("12345"), tuple(numbered(cells()[0], "、")))


def in_a_package_made_anew(workbook: bytes, dice: random.Random) -> bytes:
    """A workbook whose sheet was damaged before it was packed, so that its checksum is right."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as sound, zipfile.ZipFile(stream, "w") as package:
        for member in sound.infolist():
            part = sound.read(member)
            is_sheet = member.filename.endswith(("sheet1.xml", "content.xml"))
            package.writestr(member, damaged(part, dice) if is_sheet else part)
    return stream.getvalue()


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Cut, shuffle, overwrite, blow up, double or drop a piece of a file."""
    raw, kind = bytearray(content), dice.randrange(6)
    if kind == 0:
        return bytes(raw[: dice.randrange(len(raw))])
    start = dice.randrange(len(raw))
    end = min(len(raw), start + dice.choice((1, 4, 32, 400)))
    piece = raw[start:end]
    if kind == 1:
        dice.shuffle(piece)
        raw[start:end] = piece
    elif kind == 2:
        raw[start:end] = dice.randbytes(end - start)
    elif kind == 3:
        raw[start:start] = b"9" * dice.choice((1, 500, 200_000))
    elif kind == 4:
        raw[start:start] = piece * dice.choice((1, 20))
    else:
        del raw[start:end]
    return bytes(raw)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, tuple[bytes, set[str]]]:
    """One sound file of each kind, with the values it holds."""
    folder = tmp_path_factory.mktemp("sound")
    contents = {
        "wjx.csv": as_csv(wjx(numbers(), "-3")),
        "gbk.csv": as_csv(wjx(numbers("text")), encoding="gbk"),
        "q.tsv": as_csv(qualtrics(cells(), CODES, UNFINISHED), "\t", "utf-16"),
        "office.xlsx": as_xlsx(office(cells())),
        "s.ods": as_ods(cells()),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    pyreadstat.write_sav(frame(), str(folder / "s.sav"), **LABELLED)
    pyreadstat.write_sav(frame(), str(folder / "s.zsav"), compress=True, **LABELLED)
    pyreadstat.write_dta(frame(), str(folder / "s.dta"))
    frame().to_parquet(folder / "s.parquet")
    found = {}
    for path in sorted(folder.iterdir()):
        table = read_responses(path, Problems())
        assert table is not None
        found[path.name] = path.read_bytes(), set(table.frame.to_numpy().ravel()) | {""}
    return found


def read_damaged(path: Path, codebook, known: set[str]) -> bool:  # noqa: F811
    """Read one file; tell whether it could be read."""
    problems = Problems()
    table = read_responses(path, problems)
    assert (table is None) == bool(len(problems))
    if table is None:
        return False
    if path.suffix in COMPARED:
        no_value_of_its_own(path, set(table.frame.to_numpy().ravel()) - known)
    unit = f"1、{UNIT}" if f"1、{UNIT}" in table.frame else UNIT
    columns = {"unit": unit} if unit in table.frame else None
    with contextlib.suppress(DjError):  # what can be read may be refused for what stands in it
        dj.score(dj.read_survey(path, codebook, period="2026Q3", columns=columns))
    return True


def no_value_of_its_own(path: Path, new: set[str]) -> None:
    """A value that the sound file has not stands in the damaged one; in a package its checksum would be wrong."""
    assert path.suffix in (".csv", ".tsv") or not new, new
    content = path.read_bytes()
    texts = [
        content.decode(encoding, errors="replace").replace('"', "")
        for encoding in ("utf-16", "utf-8", "gb18030", "big5hkscs")
    ]
    for value in new:
        assert any(value.replace('"', "") in text for text in texts), value


def test_damaged_files_give_one_error_or_what_they_hold(tmp_path: Path, codebook, sound):  # noqa: F811
    dice, read = random.Random(20_26), dict.fromkeys(sound, 0)
    apart = [name for name in sound if name.endswith((".sav", ".zsav", ".dta"))]
    for i in range(INPUTS):
        name = list(sound)[i % len(sound)]
        if name in apart and (i // len(sound)) % APART:
            continue
        content, known = sound[name]
        path = tmp_path / f"{i}{Path(name).suffix}"
        path.write_bytes(damaged(content, dice))
        read[name] += read_damaged(path, codebook, known)
        path.unlink()
    assert any(read.values())


@pytest.mark.parametrize(("suffix", "write"), [(".xlsx", as_xlsx), (".ods", as_ods)])
def test_damaged_sheets_under_right_checksums_give_no_traceback(suffix: str, write, tmp_path: Path, codebook):  # noqa: F811
    dice, read = random.Random(7), 0
    for i in range(INPUTS // 8):
        path = tmp_path / f"{i}{suffix}"
        path.write_bytes(in_a_package_made_anew(write(cells(tuple("12345"))), dice))
        try:
            dj.score(dj.read_survey(path, codebook, period="2026Q3", columns=BY_WORDING))
        except DjError:
            pass
        else:
            read += 1
        path.unlink()
    assert read > 0


def test_a_package_of_an_unknown_version_is_one_error(tmp_path: Path):
    raw = bytearray(as_xlsx(cells()))
    place = raw.index(b"PK\x01\x02") + 6  # version needed to unpack, in the first entry of the directory
    raw[place : place + 2] = b"\xc2\x00"
    (tmp_path / "a.xlsx").write_bytes(raw)
    problems = Problems()
    assert read_responses(tmp_path / "a.xlsx", problems) is None
    assert problems.table["rule"].to_list() == ["unreadable"]
