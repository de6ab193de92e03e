"""Looking back finds what is wrong: in the record, in the files, in the seals, in what was hidden, in the answers."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from offices import PERIOD, SIZES, office, people, without_a_kernel, write_wave
from processes import dj_process
from shared import copied

import dj_analysis as dj
from dj_analysis.audit import audit_workspace
from dj_analysis.publish.blocks import MIME
from dj_analysis.record import Record

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

SMALL = SIZES | {"B11": 7}  # three branches may not be shown


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_kernel(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed wave with a small branch, and its report; to read only."""
    made = office(tmp_path_factory.mktemp("audited") / "office", people(SMALL))
    dj.open_workspace(made).close(PERIOD)
    with pytest.MonkeyPatch.context() as patch:
        without_a_kernel(patch)
        dj.run_report("quarterly", made, period=PERIOD, formats=["html"])
    return made


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return copied(made, tmp_path / "office")


def found(folder: Path, check: str, state: str, **options: object) -> pd.DataFrame:
    """The findings of one kind; everything else is in order."""
    table = audit_workspace(dj.open_workspace(folder), **options).table
    assert table.columns.tolist() == ["check", "place", "state", "detail"]
    others = table[(table["check"] != check) & (table["state"] == "failed")]
    assert others.empty, others.to_string()
    return table[(table["check"] == check) & (table["state"] == state)].reset_index(drop=True)


def report_file(folder: Path, kind: str = "html") -> Path:
    return folder / "reports" / PERIOD / "quarterly" / f"ALL.{kind}"


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / ".dj" / "record.sqlite")) as connection, connection:
        connection.execute(statement, values)


def forged_record(folder: Path, **changed: object) -> None:
    """Write the record anew with a whole chain, as somebody with the file could, its closing told otherwise."""
    path = folder / ".dj" / "record.sqlite"
    record = Record(path)
    told = record.payloads("close")
    path.unlink()
    for event in told:
        payload = {name: value for name, value in event.items() if name not in ("seq", "time", "kind")}
        record.append("close", payload | changed)
    record.verify()


def test_a_workspace_in_order_passes(folder: Path):
    made = audit_workspace(dj.open_workspace(folder))
    assert made.passed
    assert set(made.table["state"]) == {"ok"}
    assert set(made.table["check"]) == {"record", "file", "disclosure", "seal", "answers"}
    head = dj.open_workspace(folder).record.head[:16]
    assert head in made.table.set_index("check").loc["record", "detail"]


def test_an_audit_changes_nothing(folder: Path):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    audit_workspace(dj.open_workspace(folder), asof=date(2030, 1, 1))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_broken_chain(folder: Path):
    change(folder, "UPDATE events SET time = '2020-01-01' WHERE seq = 1")
    (row,) = found(folder, "record", "failed").itertuples()
    assert "event 1 breaks the chain" in row.detail
    assert not audit_workspace(dj.open_workspace(folder)).passed


def test_a_file_that_was_changed(folder: Path):
    path = report_file(folder)
    path.write_bytes(path.read_bytes().replace("指数".encode(), "得分".encode(), 1))
    (row,) = found(folder, "file", "failed").itertuples()
    assert row.place == f"{PERIOD}/quarterly/ALL.html"
    assert "内容与记录不符" in row.detail


@pytest.mark.parametrize(
    "name", ["extra.html", "EXTRA.HTML", "notes.txt", "old/scores.CSV", "figure.svg", "no_ending", ".hidden"]
)
def test_a_file_that_nobody_entered(folder: Path, name: str):
    """Of any ending, in any writing: what left is what the record tells."""
    path = folder / "reports" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("<p>71.2</p>")
    (row,) = found(folder, "file", "failed").itertuples()
    assert row.place == name
    assert "记录中没有此文件" in row.detail


def test_a_file_of_the_system_is_noted(folder: Path):
    (folder / "reports" / "Thumbs.db").write_text("")
    assert found(folder, "file", "failed").empty
    assert found(folder, "file", "note")["place"].tolist() == ["Thumbs.db"]


def test_a_file_that_was_moved_away_is_noted(folder: Path):
    report_file(folder).unlink()
    (row,) = found(folder, "file", "note").itertuples()
    assert row.place == f"{PERIOD}/quarterly/ALL.html"


def test_files_are_looked_for_where_they_were_put(folder: Path, tmp_path: Path):
    run = dj.run_report("quarterly", folder, period=PERIOD, unit="C1", formats=["html"], out=tmp_path / "out")
    assert len(found(folder, "file", "ok", out=tmp_path / "out")) == 3  # with the page of the period
    run.files["html"].write_text("changed")
    assert len(found(folder, "file", "failed", out=tmp_path / "out")) == 1


def test_a_forged_seal_in_a_kept_notebook(folder: Path):
    path = report_file(folder, "ipynb")
    notebook = nbformat.read(path, as_version=4)
    block = next(o["data"][MIME] for c in notebook.cells for o in c.get("outputs", []))
    block["content"]["rows"][0][1] = "99.9"
    nbformat.write(notebook, path)
    table = audit_workspace(dj.open_workspace(folder)).table
    failed = table[table["state"] == "failed"].set_index("check")
    assert set(failed.index) == {"file", "seal"}
    assert "封签无效" in failed.loc["seal", "detail"]


def test_a_notebook_of_another_workspace(folder: Path, tmp_path: Path):
    """Its seals are good, but made with another key."""
    other = office(tmp_path / "other", people())
    dj.open_workspace(other).close(PERIOD)
    run = dj.run_report("quarterly", other, period=PERIOD, formats=["html"])
    place = folder / "reports" / "other.ipynb"
    place.write_bytes(run.files["ipynb"].read_bytes())
    table = audit_workspace(dj.open_workspace(folder)).table
    failed = table[(table["state"] == "failed") & (table["place"] == "other.ipynb")]
    assert set(failed["check"]) == {"file", "seal"}


@pytest.mark.parametrize("left", [[], [["branch", "B11"]]])
def test_a_hidden_set_that_is_too_small(folder: Path, left: list[list[str]]):
    """A record with a whole chain and a stored mask to fit it, in which somebody let a small unit, or what leads to it, be shown."""
    ws = dj.open_workspace(folder)
    (told,) = ws.record.payloads("close")
    assert told["hidden"] == [["branch", "B11"], ["branch", "B12"]]
    mask = ws.store.mask(told["store"])
    hidden = {row: why for row, why in mask.hidden.items() if list(row) in left}
    shown = mask.shown | {row for row in mask.hidden if list(row) not in left}
    digest = ws.store.keep_mask(told["store"], replace(mask, hidden=hidden, shown=shown))
    forged_record(folder, hidden=left, mask=digest)
    for path in (folder / "reports").rglob("*.*"):
        path.unlink()
    (row,) = found(folder, "disclosure", "failed").itertuples()
    assert PERIOD in row.place
    assert f"还应隐去 (should be hidden too) {len(told['hidden']) - len(left)}" in row.detail


@pytest.mark.parametrize("where", ["record", "store"])
def test_a_stored_plan_that_is_not_the_one_entered(folder: Path, where: str):
    ws = dj.open_workspace(folder)
    (told,) = ws.record.payloads("close")
    mask = ws.store.mask(told["store"])
    if where == "record":
        forged_record(folder, hidden=[])
        for path in (folder / "reports").rglob("*.*"):
            path.unlink()
    else:
        ws.store.keep_mask(told["store"], replace(mask, hidden={}, shown=mask.shown | set(mask.hidden)))
    (row,) = found(folder, "disclosure", "failed").itertuples()
    assert "not the one entered" in row.detail


def test_a_record_that_was_emptied_leaves_files_without_an_entry(folder: Path):
    (folder / ".dj" / "record.sqlite").unlink()
    failed = found(folder, "file", "failed")
    left = {f"{PERIOD}/quarterly/ALL.{kind}" for kind in ("html", "ipynb")}
    assert set(failed["place"]) == {*left, f"{PERIOD}/index.html"}


def test_sums_that_are_gone(folder: Path):
    """Told as a finding, not as a crash."""
    for path in (folder / ".dj" / "store").glob("*.done"):
        path.unlink()
    (row,) = found(folder, "disclosure", "failed").itertuples()
    assert "汇总已丢失" in row.detail


def test_rows_that_are_gone(folder: Path):
    for path in (folder / ".dj" / "store").glob("*.rows.parquet"):
        path.unlink()
    assert not audit_workspace(dj.open_workspace(folder)).passed


def test_sums_that_were_changed(folder: Path):
    """The answers are there and are those of the closing, but the sums kept of them are others."""
    (path,) = (folder / ".dj" / "store").glob(f"{PERIOD}-r0-*@{dj.open_workspace(folder).units.trees[0]}.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["wxx"] = arrays["wxx"] + 10 * arrays["wx"] + 25 * arrays["w"]
    arrays["wx"] = arrays["wx"] + 5 * arrays["w"]  # everybody five points higher
    np.savez_compressed(path, **arrays)
    assert not audit_workspace(dj.open_workspace(folder)).passed


def test_answers_of_a_closed_wave_that_were_changed(folder: Path):
    answers = people(SMALL)
    answers.loc[0, "Q1"] = 1 if answers.loc[0, "Q1"] != 1 else 5
    write_wave(folder, answers)
    (row,) = found(folder, "answers", "failed").itertuples()
    assert row.place == PERIOD


def test_late_answers_are_noted(folder: Path):
    write_wave(folder, pd.concat([people(SMALL), people({"B11": 3}, seed=8, first=500)]))
    (row,) = found(folder, "answers", "note").itertuples()
    assert "补报 3 份" in row.detail


def test_answers_kept_too_long_are_noted(folder: Path):
    assert found(folder, "retention", "note", asof=date(2027, 9, 29)).empty
    (row,) = found(folder, "retention", "note", asof=date(2027, 9, 30)).itertuples()
    assert row.place == PERIOD
    assert "超过 12 个月" in row.detail
    assert "dj purge" in row.detail
    assert found(folder, "retention", "note").empty  # without a day the clock is not read


def test_a_workspace_may_keep_answers_for_a_shorter_time(tmp_path: Path):
    folder = office(tmp_path / "office", people(), settings="[retention]\nmonths = 6")
    dj.open_workspace(folder).close(PERIOD)
    assert found(folder, "retention", "note", asof=date(2027, 3, 29)).empty
    assert len(found(folder, "retention", "note", asof=date(2027, 3, 30))) == 1


def test_open_waves_and_drafts_are_noted(tmp_path: Path):
    folder = office(tmp_path / "office", people())
    dj.run_report("quarterly", folder, period=PERIOD, formats=["html"])
    (row,) = found(folder, "open", "note").itertuples()
    assert (row.place, "尚未关闭" in row.detail) == (PERIOD, True)
    drafts = found(folder, "draft", "note")
    assert set(drafts["place"]) == {f"drafts/{PERIOD}/quarterly/ALL.{kind}" for kind in ("html", "ipynb")}
    assert audit_workspace(dj.open_workspace(folder)).passed


def test_copies_of_failed_runs_are_noted(folder: Path):
    failed = folder / ".dj" / "failed"
    failed.mkdir()
    (failed / "quarterly-0.ipynb").write_text("{}")
    (row,) = found(folder, "failed", "note").itertuples()
    assert "1 份诊断副本" in row.detail


def test_a_purged_wave_is_in_order(folder: Path):
    dj.open_workspace(folder).purge(date(2030, 1, 1))
    (row,) = found(folder, "answers", "ok").itertuples()
    assert "purged" in row.detail


def test_a_void_entry_is_noted(folder: Path):
    """A run was stopped between its entry and the move, and the waiting file was removed."""
    change(folder, "DELETE FROM head")
    record = Record(folder / ".dj" / "record.sqlite")
    moves = json.dumps([[str(folder / "reports" / ".gone.tmp"), str(folder / "reports" / "gone.html"), "0" * 64]])
    change(folder, "UPDATE publications SET state = 'pending', moves = ?", moves)
    note = folder / ".dj" / "pending" / "x.json"
    note.write_text("[]")
    record.finish_interrupted()
    record.verify()
    table = audit_workspace(dj.open_workspace(folder)).table
    noted = table[(table["check"] == "file") & (table["state"] == "note")]
    assert noted["detail"].str.contains("中断作废").all()
    assert len(noted) == 3


def test_the_command_says_it_and_ends_with_a_code(folder: Path, dj_main):
    done = dj_process("audit", folder, "--asof", "2027-01-01")
    assert done.returncode == 0, done.stderr
    assert (
        f"ok     record     record.sqlite  2 条,链首 (head) {dj.open_workspace(folder).record.head[:16]}" in done.stdout
    )
    report_file(folder).write_text("changed")
    done = dj_main("audit", folder, "--asof", "2027-10-01")
    assert done.returncode == 1
    assert f"failed file       {PERIOD}/quarterly/ALL.html" in done.stdout
    assert "note   retention" in done.stdout
    done = dj_main("audit", folder, "--asof", "soon")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    done = dj_main("audit", folder / "nowhere")
    assert done.returncode == 2
