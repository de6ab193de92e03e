"""Pseudonyms of self-chosen codes (去标识化, not 匿名: whoever has the key can compute a code's pseudonym)."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import Problems
from ...spec.assessment import impact_problems
from ...spec.consent import Door
from ...spec.tables import rows_text
from .identifiers import identifying_text
from .row_consent import OWN_CODE

PSEUDONYM = "link"
KEY_FILE = "DJ_KEY_FILE"
SHORTEST = 32  # bytes of a key, as long as the hash (RFC 2104, section 3)

_NAME = re.compile(r"[一-鿿㐀-䶿·]{2,4}")
_NUMBER = re.compile(r"\d{6,}")


@dataclass(frozen=True, repr=False)
class Codes:
    """A wave's self-chosen codes in row order, with each person's consent to linking."""

    codes: Sequence[str]
    agreed: Sequence[bool]
    rows: Sequence[int]

    def __repr__(self) -> str:
        return f"Codes({len(self.codes)} rows)"


def pseudonyms(place: str, own_codes: Codes, door: Door, basis: str, problems: Problems) -> tuple[list[str], str]:
    """Hash each code of those who agreed (HMAC-SHA256, RFC 2104) and drop all codes.

    Without a key, a consent, grounds for use or an impact assessment there is no stable id at all: every pseudonym is
    ``""``. A code given twice in one wave names nobody and is no link either.

    Parameters
    ----------
    basis
        What the use of the wave rests on; without any, nobody is followed.

    Returns
    -------
    tuple
        One pseudonym a row (64 hexadecimal digits or ``""``), and a notice or ``""``.
    """
    codes = [normalised(code) for code in own_codes.codes]
    none = [""] * len(codes)
    if _check_codes(place, codes, own_codes.rows, problems):
        return none, ""
    wanted = [bool(code) and agreed for code, agreed in zip(codes, own_codes.agreed, strict=True)]
    key, lacking = permission(place, door, basis, any(wanted), problems)
    if key is None:
        return none, lacking
    hashed = {code: hmac.new(key, code.encode(), hashlib.sha256).hexdigest() for code in set(codes) - {""}}
    candidates = [hashed[code] if want else "" for code, want in zip(codes, wanted, strict=True)]
    times: dict[str, int] = {}
    for pseudonym in candidates:
        times[pseudonym] = times.get(pseudonym, 0) + 1
    twice = sum(1 for pseudonym in candidates if pseudonym and times[pseudonym] > 1)
    notice = f"{place}: {twice} 份自编码与他人相同，不作跨期对应 (codes given twice name nobody)" if twice else ""
    return [pseudonym if times[pseudonym] == 1 else "" for pseudonym in candidates], notice


def permission(place: str, door: Door, basis: str, anybody: bool, problems: Problems) -> tuple[bytes | None, str]:
    """Return the key where linking across waves is permitted; else None, with a notice of the missing condition.

    Parameters
    ----------
    anybody
        Somebody gave a code and agreed to be followed; only then the impact assessment is asked for.
    """
    key, lacking = read_key(place, door, problems), ""
    if key is None:
        lacking = f"没有密钥文件 {KEY_FILE} (no key file)"
    elif not basis:
        lacking = "没有使用依据 (no grounds for use)"
    elif not anybody:
        lacking = "无人同意对应 (nobody agreed to it)"
    elif door.assessment is None:
        lacking = "没有影响评估 (no impact assessment)"
    elif impact_problems(door.assessment, problems):
        return key, ""
    notice = f"{place}: 自编码已丢弃，不作跨期对应：{lacking} (codes dropped, nobody is followed)"
    return None, notice if lacking else ""


def read_key(place: str, door: Door, problems: Problems) -> bytes | None:
    """Read the key from the file named by ``DJ_KEY_FILE``; None where it is missing or invalid.

    The file holds at least 32 bytes, raw or as hexadecimal digits, and lies outside every folder with data.
    """
    named = os.environ.get(KEY_FILE, "").strip()
    if not named:
        return None
    path, where = Path(named).expanduser(), f"{place}: {KEY_FILE}"
    allowed = f"工作区和 [roots] 之外的文件，至少 {SHORTEST} 字节 (a file outside the data, {SHORTEST} bytes or more)"
    if any(path.resolve().is_relative_to(folder.resolve()) for folder in door.places):
        advice = (
            "把密钥移到数据文件夹之外，由不做分析的人保管 (move it out of the data, to somebody who does no analysis)"
        )
        problems.add(where, "key_file", "密钥在数据文件夹内 (inside the data)", allowed, advice)
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        advice = f"改正 {KEY_FILE},或取消它 (correct it, or unset it)"
        problems.add(where, "key_file", type(error).__name__, allowed, advice)
        return None
    key = _hexadecimal(content) or content
    if len(key) < SHORTEST:
        advice = (
            '换用更长的随机密钥 (use a longer random key), 如 python -c "import secrets; print(secrets.token_hex(32))"'
        )
        problems.add(where, "key_file", f"{len(key)} 字节 (bytes)", allowed, advice)
        return None
    return key


def normalised(code: str) -> str:
    """Normalise a code: full-width characters as half-width, outer blanks removed, case folded."""
    return unicodedata.normalize("NFKC", code).strip().casefold()


def _hexadecimal(content: bytes) -> bytes | None:
    text = content.strip()
    if not re.fullmatch(rb"[0-9A-Fa-f]+", text) or len(text) % 2:
        return None
    return bytes.fromhex(text.decode())


def _check_codes(place: str, codes: Sequence[str], rows: Sequence[int], problems: Problems) -> bool:
    """Note codes that are names, telephone, card or staff numbers; messages give the rows, never a code."""
    rows_by_kind: dict[str, list[int]] = {}
    for code, row in zip(codes, rows, strict=True):
        kind = _kind(code)
        if kind:
            rows_by_kind.setdefault(kind, []).append(row)
    for kind, where in rows_by_kind.items():
        allowed = "自编的、别人猜不出的编码 (a code of one's own that nobody can guess)"
        advice = f"清空这些格，或删去 {OWN_CODE} 列 (empty these cells, or remove the column)"
        problems.add(f"{place}: {OWN_CODE}", "identifier_content", f"{kind} ({rows_text(where)})", allowed, advice)
    return bool(rows_by_kind)


def _kind(code: str) -> str:
    """Return which identifier a code looks like, or ``""``."""
    if _NAME.fullmatch(code):
        return "像姓名 (like a name)"
    identifier = identifying_text(code)
    if identifier:
        return identifier
    return "像工号 (like a staff number)" if _NUMBER.fullmatch(code) else ""
