"""The confidential store of a workspace: sums of waves, kept between runs and never exported."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, Problems
from ..file_access import accessing, written_whole
from ..measure.unitsums import UnitSums
from ..record import GENESIS, Record
from .mask import LeftOut, Mask

WAVES_HELD = 8  # sums in memory: a report asks for those of the same waves many times


@dataclass(frozen=True)
class Kept:
    """What is kept of a wave: its sums by axis, and how many people each combination of units and groups holds."""

    sums: Mapping[str, UnitSums]
    joint: pd.DataFrame


class Store:
    """Files of ``.dj/store``, by key; a key is written whole or not at all.

    Parameters
    ----------
    folder
        The workspace's ``.dj``.
    """

    def __init__(self, folder: Path):
        self.folder, self._secret = folder / "store", folder / "key"
        self._found: dict[str, tuple[tuple[int, ...], Kept]] = {}

    @property
    def secret(self) -> bytes:
        """The workspace's own key for seals, made when first needed; it never leaves."""
        if not self._secret.exists():
            self.check_key()
            self._secret.parent.mkdir(parents=True, exist_ok=True)
            with accessing(self._secret):
                self._make_key()
        with accessing(self._secret):
            return self._secret.read_bytes()

    def check_key(self) -> None:
        """Raise an error where the key is gone though something was done with it.

        A new key would not do: answer sheets are known again, and seals verified, by the one they were made with.
        """
        if self._secret.exists() or Record(self._secret.with_name("record.sqlite")).head == GENESIS:
            return
        problems = Problems()
        advice = (
            "从备份恢复该文件,与 .dj 其余文件同一次备份;没有备份则不能再出报告、关闭、更正、撤回和核对封印,各期汇总 ws.scores 仍可读"
            " (restore it from the backup of .dj; without one no report, closing, correction, withdrawal or check of seals is"
            " possible any more; the sums, ws.scores, can be read still)"
        )
        problems.add(self._secret, "key_missing", "密钥文件不在 (the key is gone)", ".dj/key, 32 字节/bytes", advice)
        raise DataError(problems=problems)

    def _make_key(self) -> None:
        new = self._secret.with_name(f"key.{secrets.token_hex(6)}.tmp")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(new, self._secret)  # the first writer wins: two keys would part the seals of one workspace
        except FileExistsError:
            pass
        finally:
            new.unlink()

    def find(self, key: str) -> Kept | None:
        """Return what is kept under a key, None where nothing is."""
        done = self.folder / f"{key}.done"
        text = done.read_text(encoding="utf-8") if done.exists() else ""
        if not text:
            return None
        paths = {axis: self.folder / f"{key}@{axis}.npz" for axis in json.loads(text)}
        joint = self.folder / f"{key}.parquet"
        written = tuple(path.stat().st_mtime_ns for path in (done, joint, *paths.values()))
        if self._found.get(key, (None, None))[0] != written:
            while len(self._found) >= WAVES_HELD:
                self._found.pop(next(iter(self._found)))
            kept = Kept({axis: _load_sums(path) for axis, path in paths.items()}, pd.read_parquet(joint))
            self._found[key] = written, kept
        return self._found[key][1]

    def keep(self, key: str, kept: Kept) -> None:
        """Keep the sums of a wave under a key."""
        for axis, block in kept.sums.items():
            _save_arrays(self.folder / f"{key}@{axis}.npz", _arrays_of_sums(block))
        self._write(kept.joint, f"{key}.parquet")
        with written_whole(self.folder / f"{key}.done") as done:
            done.write_text(json.dumps(list(kept.sums), ensure_ascii=False), encoding="utf-8")

    def rows(self, key: str) -> pd.DataFrame:
        """Return which answer sheets a release rested on: a hash of each and its place on every axis, no answers."""
        path = self.folder / f"{key}.rows.parquet"
        if not path.exists():
            raise DataError(f".dj/store: {path.name} 已丢失 (which answers a release rested on is gone)")
        return pd.read_parquet(path)

    def keep_rows(self, key: str, rows: pd.DataFrame) -> None:
        """Keep which answer sheets a release rests on."""
        self._write(rows, f"{key}.rows.parquet")

    def answers(self, key: str) -> pd.DataFrame | None:
        """Return how often each answer was given in each unit, as :func:`dj_analysis.measure.rows.answer_counts` counts."""
        path = self.folder / f"{key}.answers.rows.parquet"
        return pd.read_parquet(path) if path.exists() else None

    def keep_answers(self, key: str, answers: pd.DataFrame) -> None:
        """Keep how often each answer was given; it goes when the answer sheets go."""
        self.keep_rows(f"{key}.answers", answers)

    def mask(self, key: str) -> Mask:
        """Return what a release showed.

        Raises
        ------
        DataError
            It is gone, or was kept by an earlier version that kept other things.
        """
        path = self.folder / f"{key}.mask.json"
        if not path.exists():
            raise DataError(f".dj/store: {path.name} 已丢失 (what a release showed is gone)")
        stored = json.loads(path.read_text(encoding="utf-8"))
        rows = {name: [tuple(row) for row in stored[name]] for name in ("shown", "closed")}
        return Mask(
            frozenset(rows["shown"]), {(level, unit): why for level, unit, why in stored["hidden"]}, frozenset(rows["closed"]),
            tuple(LeftOut(*one) for one in stored["left_out"]), stored["homes"],
        )  # fmt: skip

    def mask_digest(self, key: str) -> str:
        """Return the hash of what a release showed, as the record tells it."""
        path = self.folder / f"{key}.mask.json"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

    def keep_mask(self, key: str, mask: Mask) -> str:
        """Keep what a release showed; returns the hash of it, for the record."""
        stored = {
            "shown": sorted(mask.shown or ()), "closed": sorted(mask.closed), "homes": mask.homes,
            "hidden": [[level, unit, why] for (level, unit), why in sorted(mask.hidden.items())],
            "left_out": [[one.name, one.parts, one.people] for one in mask.left_out],
        }  # fmt: skip
        content = json.dumps(stored, ensure_ascii=False, sort_keys=True).encode()
        with written_whole(self.folder / f"{key}.mask.json") as unfinished:
            unfinished.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def warnings(self, key: str) -> pd.DataFrame | None:
        """Return the warnings of a closed wave, None where it was not judged yet."""
        path = self.folder / f"{key}.warnings.parquet"
        return pd.read_parquet(path) if path.exists() else None

    def keep_warnings(self, key: str, table: pd.DataFrame) -> None:
        """Keep the warnings of a closed wave: what is said of later waves rests on them."""
        self._write(table, f"{key}.warnings.parquet")

    def waiting(self, key: str) -> pd.DataFrame | None:
        """Return the answer sheets that came too late for a release, None where there were none."""
        path = self.folder / f"{key}.waiting.rows.parquet"
        return pd.read_parquet(path) if path.exists() else None

    def sweep(self, period: str, keep: set[str], *, rows: bool = False) -> None:
        """Delete everything kept of a wave but the sums under these keys (and, unless told, their rows)."""
        for path in sorted([*self.folder.glob(f"{period}-*"), *self.folder.glob(f"{period}.withdrawn*")]):
            name = path.name
            wanted = any(name.startswith((f"{key}@", f"{key}.")) for key in keep)
            taken_back = name.startswith(f"{period}.withdrawn")
            if (rows and (".rows." in name or taken_back)) or not (wanted or taken_back):
                path.unlink()

    def withdraw(self, period: str, rows: pd.DataFrame) -> None:
        """Note answer sheets that were taken back."""
        name = f"{period}.withdrawn.parquet"
        before = [pd.read_parquet(self.folder / name)] if (self.folder / name).exists() else []
        self._write(pd.concat([*before, rows], ignore_index=True), name)

    def missing(self, period: str, key: str) -> list[int]:
        """Return hashes of sheets a closed wave rests on that need not be there: withdrawn, or changed before a correction."""
        names = (f"{period}.withdrawn.parquet", f"{key}.lost.rows.parquet")
        tables = [pd.read_parquet(self.folder / name) for name in names if (self.folder / name).exists()]
        return [int(value) for table in tables for value in table["hash"]]

    def _write(self, table: pd.DataFrame, name: str) -> None:
        with written_whole(self.folder / name) as unfinished:
            table.to_parquet(unfinished, index=False)


def _arrays_of_sums(sums: UnitSums) -> dict[str, Any]:
    return {
        "axis": np.array(sums.axis),
        "units": np.array(sums.units, dtype="U"),
        "persons": sums.persons,
        "forms": np.array([form for form, _ in sums.cells], dtype="U"),
        "codes": np.array([code for _, code in sums.cells], dtype="U"),
        **sums.sums,
        **({} if sums.heaviest is None else {"heaviest": sums.heaviest}),
    }


def _save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    with written_whole(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _load_sums(path: Path) -> UnitSums:
    with np.load(path, allow_pickle=False) as stored:
        kept = {name: stored[name] for name in stored.files}
    cells = tuple(zip((str(f) for f in kept.pop("forms")), (str(c) for c in kept.pop("codes")), strict=True))
    units = tuple(str(unit) for unit in kept.pop("units"))
    heaviest = kept.pop("heaviest", None)
    return UnitSums(str(kept.pop("axis")), units, cells, kept.pop("persons"), kept, heaviest)
