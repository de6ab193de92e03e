"""From the first return to the deletion of the answers: drafts, closing, late answers, withdrawal, correction, purge."""

from __future__ import annotations

import hashlib
import warnings
from datetime import date
from pathlib import Path

import nbformat
import pandas as pd
import pypdfium2
import pytest
from offices import PERIOD, SIZES, executed, office, people, score, shown, without_a_kernel, write_wave
from processes import dj_process

import dj_analysis as dj
from dj_analysis.audit import audit_workspace
from dj_analysis.errors import DataError, DjError, DjWarning, UsageError

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

DRAFT = "内部草稿"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_kernel(monkeypatch)


def text_of(pdf: Path) -> str:
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf))


def report(folder: Path, **options: object) -> dict[str, Path]:
    return dict(dj.run_report("quarterly", folder, period=PERIOD, **({"formats": ["html"]} | options)).files)


def notices_of(folder: Path) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dj.open_workspace(folder).survey(PERIOD)
    return [str(warning.message) for warning in caught if issubclass(warning.category, DjWarning)]


def stored(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".dj" / "store").glob("*.done"))


# --- A bare export, two commands ------------------------------------------------------------------------------------


def test_a_bare_export_becomes_a_report_in_two_commands(tmp_path: Path, dj_main):
    """As downloaded: with 政治面貌 and the address of the browser, without a question for consent."""
    rows = people({"运维支部": 30, "营销支部": 34}, seed=3)
    scale = {1: "非常不同意", 2: "比较不同意", 3: "一般", 4: "比较同意", 5: "非常同意"}
    said = {"Q1": "工作能按时完成", "Q2": "收入公平", "Q3": "领导听取意见", "Q4": "同事互相帮助"}
    export = pd.DataFrame(
        {
            "序号": rows["序号"],
            "提交答卷时间": [f"2026/8/{i % 28 + 1} 09:00" for i in range(len(rows))],
            "所用时间": "75秒",
            "来源": "微信",
            "来自IP": "x.x.x.x(云岭-澄川)",
            "1、您所在的党支部": rows["unit"],
            "2、您的政治面貌": ["中共党员", "群众"] * (len(rows) // 2),
            **{f"{k}、{text}": rows[item].map(scale) for k, (item, text) in enumerate(said.items(), start=3)},
        }
    )
    source, folder = tmp_path / "export.csv", tmp_path / "office"
    export.to_csv(source, index=False, encoding="gbk")
    made = dj_main("new", folder, "--from", source)
    assert made.returncode == 0, made.stderr
    assert "政治面貌" in made.stdout
    assert "会指向个人" in made.stdout
    assert "[consent]" in made.stdout
    done = dj_process("report", "quarterly", folder, "--period", PERIOD)
    assert done.returncode == 0, done.stderr
    for kind in ("html", "pdf"):
        path = folder / "reports" / "drafts" / PERIOD / "quarterly" / f"ALL.{kind}"
        assert str(path) in done.stdout
        page = path.read_text("utf-8") if kind == "html" else text_of(path)
        assert DRAFT in page
        assert "党员" not in page.replace("党员干部", "")
        assert "运维支部" in page


# --- Trial run and final --------------------------------------------------------------------------------------------


def test_trial_run_at_sixty_percent_then_all_returns_then_the_report(tmp_path: Path):
    every = people()
    folder = office(tmp_path / "office", every.iloc[: int(0.6 * len(every))])
    draft = report(folder, formats=["html", "pdf"])
    for kind, path in draft.items():
        assert path == folder / "reports" / "drafts" / PERIOD / "quarterly" / f"ALL.{kind}"
    assert DRAFT in draft["html"].read_text("utf-8")
    assert DRAFT in text_of(draft["pdf"])
    ws = dj.open_workspace(folder)
    assert ws.record.payloads("close", "publication") == []
    assert ws.record.publications["kind"].unique().tolist() == ["draft"]
    assert not list((folder / ".dj" / "store").glob("*.rows.parquet"))  # nothing is fixed by a draft
    assert ws.history.of(PERIOD) == []

    write_wave(folder, every)
    ws = dj.open_workspace(folder)
    assert score(ws).n == len(every)
    assert dict(ws.release_plan(PERIOD).hidden) == {("survey", PERIOD): frozenset()}
    ws.close(PERIOD)
    final = report(folder, formats=["html", "pdf"])
    for kind, path in final.items():
        assert path == folder / "reports" / PERIOD / "quarterly" / f"ALL.{kind}"
    assert DRAFT not in final["html"].read_text("utf-8")
    assert DRAFT not in text_of(final["pdf"])
    ws = dj.open_workspace(folder)
    assert score(ws).n == len(every)
    ws.record.verify()
    found = audit_workspace(ws)
    assert found.passed
    drafts = found.table[found.table["check"] == "draft"]
    assert drafts["state"].unique().tolist() == ["note"]
    assert set(drafts["place"]) == {f"drafts/{PERIOD}/quarterly/ALL.{kind}" for kind in ("html", "pdf", "ipynb")}
    assert drafts["detail"].str.contains("未外发").all()
    assert not found.table["check"].eq("open").any()


def test_a_kept_draft_cannot_be_exported_as_if_it_were_final(tmp_path: Path):
    """The plan of sixty percent is not that of all."""
    every = people(SIZES | {"B22": 18})
    folder = office(tmp_path / "office", pd.concat([every[every["unit"] != "B22"], every[every["unit"] == "B22"][:7]]))
    draft = report(folder)["ipynb"]
    write_wave(folder, every)
    ws = dj.open_workspace(folder)
    ws.close(PERIOD)
    with pytest.raises(UsageError, match="发布方案已变"):
        ws.export(draft, out=tmp_path)
    assert not list(tmp_path.glob("*.html"))


def test_a_draft_is_exported_as_a_draft(tmp_path: Path):
    folder = office(tmp_path / "office", people())
    ws = dj.open_workspace(folder)
    path = tmp_path / "own.ipynb"
    nbformat.write(executed(ws), path)
    files = ws.export(path, formats=["html"], out=tmp_path / "out")
    assert DRAFT in files["html"].read_text("utf-8")
    assert ws.record.publications["kind"].tolist() == ["draft"]


# --- A draft that goes out ------------------------------------------------------------------------------------------


def test_a_sent_draft_counts_as_published(tmp_path: Path):
    """Of the new answers only those count that came to a part in which ten or more are new."""
    every = people()
    new = pd.concat([of_one_age(every, "B11", 12), of_one_age(every, "B21", 4)])
    folder = office(tmp_path / "office", every.drop(new.index))
    sent = report(folder, sent=True)
    assert sent["html"] == folder / "reports" / PERIOD / "quarterly" / "ALL.html"
    assert DRAFT not in sent["html"].read_text("utf-8")
    ws = dj.open_workspace(folder)
    assert ws.record.publications["kind"].unique().tolist() == ["publication"]
    assert [told["kind"] for told in ws.history.releases(PERIOD)] == ["publication"]
    assert ws.is_draft(PERIOD)

    write_wave(folder, every)
    ws = dj.open_workspace(folder)
    ws.close(PERIOD)
    (closed,) = ws.record.payloads("close")
    assert (closed["answers"], closed["late"]) == (len(every) - 4, 4)
    assert {unit: score(ws, unit).n for unit in SIZES} == SIZES | {"B21": SIZES["B21"] - 4}
    assert audit_workspace(ws).passed
    with pytest.raises(UsageError, match="已关闭"):
        report(folder, sent=True)


def of_one_age(every: pd.DataFrame, unit: str, count: int) -> pd.DataFrame:
    """So many answers of a unit, all of one age band: a part as well."""
    young = every[(every["unit"] == unit) & (every["age_band"] == "35岁及以下")]
    assert len(young) >= count
    return young[:count]


def test_new_answers_must_be_enough_in_every_group_too(tmp_path: Path):
    """Twelve new answers in one branch, six of each age band: each band would differ by six."""
    every = people()
    both = [every[(every["unit"] == "B11") & (every["age_band"] == band)][:6] for band in set(every["age_band"])]
    folder = office(tmp_path / "office", every.drop(pd.concat(both).index))
    report(folder, sent=True)
    write_wave(folder, every)
    ws = dj.open_workspace(folder)
    ws.close(PERIOD)
    assert score(ws).n == len(every) - 12


@pytest.mark.parametrize(("late", "counted"), [(9, 0), (10, 10)])
def test_what_a_sent_draft_and_the_closed_wave_differ_by_is_nobody_or_enough(tmp_path: Path, late: int, counted: int):
    every = people()
    new = of_one_age(every, "B12", late)
    folder = office(tmp_path / "office", every.drop(new.index))
    report(folder, sent=True)
    write_wave(folder, every)
    ws = dj.open_workspace(folder)
    ws.close(PERIOD)
    assert score(ws).n == len(every) - late + counted


# --- After closing --------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """A closed wave, and its answers."""
    every = people()
    folder = office(tmp_path / "office", every)
    dj.open_workspace(folder).close(PERIOD)
    return folder, every


def test_late_answers_are_registered_and_do_not_count(closed):
    folder, every = closed
    before = shown(dj.open_workspace(folder))
    late = people({"B11": 15, "B21": 6}, seed=9, first=900)
    write_wave(folder, pd.concat([late, every], ignore_index=True).sample(frac=1, random_state=1))
    assert any("关闭后补报 21 份,不计入" in notice for notice in notices_of(folder))
    ws = dj.open_workspace(folder)
    assert len(ws.survey(PERIOD).frame) == len(every)
    pd.testing.assert_frame_equal(shown(ws), before)
    ws.close(PERIOD)
    assert [told["late"] for told in ws.record.payloads("late")] == [21]
    assert len(ws.record.payloads("close")) == 1
    with pytest.raises(UsageError, match="没有新的补报"):
        dj.open_workspace(folder).close(PERIOD)
    write_wave(folder, pd.concat([every, late, people({"B11": 2}, seed=10, first=990)]))
    dj.open_workspace(folder).close(PERIOD)
    assert [told["late"] for told in ws.record.payloads("late")] == [21, 2]
    pd.testing.assert_frame_equal(shown(dj.open_workspace(folder)), before)
    assert audit_workspace(dj.open_workspace(folder)).passed


@pytest.mark.parametrize("change", ["answer", "unit", "gone"])
def test_changed_answers_of_a_closed_wave_are_an_error_with_the_remedy(closed, change: str):
    folder, every = closed
    before = shown(dj.open_workspace(folder))
    changed = every.copy()
    if change == "answer":
        changed.loc[3, "Q2"] = 6 - changed.loc[3, "Q2"] if changed.loc[3, "Q2"] != 3 else 1
    elif change == "unit":
        changed.loc[3, "unit"] = "B12" if changed.loc[3, "unit"] != "B12" else "B11"
    else:
        changed = changed.drop(3)
    write_wave(folder, changed)
    ws = dj.open_workspace(folder)
    with pytest.raises(DataError, match=rf"responses/{PERIOD}.*1 份答卷缺失或被改动.*dj withdraw.*dj close --correct"):
        ws.survey(PERIOD)
    pd.testing.assert_frame_equal(shown(ws), before)  # what was published stays
    assert not audit_workspace(ws).passed


def test_the_order_of_rows_of_a_closed_wave_does_not_matter(closed):
    folder, every = closed
    write_wave(folder, every.sample(frac=1, random_state=7))
    assert len(dj.open_workspace(folder).survey(PERIOD).frame) == len(every)


def test_closing_needs_a_basis_and_says_how_to_declare_it(tmp_path: Path):
    folder = office(tmp_path / "office", people(), consent="")
    with pytest.raises(DataError, match=r"no_basis|没有同意栏") as caught:
        dj.open_workspace(folder).close(PERIOD)
    for words in ("consent_use", "[consent] basis", "workspace.toml"):
        assert words in str(caught.value)
    assert dj.open_workspace(folder).is_draft(PERIOD)
    assert dj.open_workspace(folder).record.events.empty
    said = people().assign(consent_use="同意")
    folder = office(tmp_path / "asked", said, consent="")
    dj.open_workspace(folder).close(PERIOD)
    (told,) = dj.open_workspace(folder).record.payloads("close")
    assert (told["basis"], told["notice"]) == ("column", {})


def test_waves_before_it_are_closed_with_a_wave(tmp_path: Path):
    """Its reports show them; those after it stay open."""
    folder = office(tmp_path / "office", *(people(seed=s) for s in (1, 2, 3)), periods=("2026Q1", "2026Q2", PERIOD))
    ws = dj.open_workspace(folder)
    ws.close("2026Q2")
    assert [ws.is_draft(period) for period in ws.periods] == [False, False, True]
    assert [told["period"] for told in ws.record.payloads("close")] == ["2026Q1", "2026Q2"]


def test_the_record_of_a_closing_tells_the_notice_and_no_answer(closed):
    folder, every = closed
    (told,) = dj.open_workspace(folder).record.payloads("close")
    assert told["basis"] == "notice"
    assert told["notice"] == {"date": "2026-07-01", "text": "问卷首页告知书"}
    assert told["answers"] == len(every)
    assert told["hidden"] == []


# --- Withdrawal -----------------------------------------------------------------------------------------------------


def test_withdrawal_from_a_closed_wave_deletes_the_answers_and_changes_no_sum(closed):
    folder, every = closed
    ws = dj.open_workspace(folder)
    before, sums = shown(ws), ws.scores(PERIOD).sums[ws.units.trees[0]]
    assert ws.withdraw(PERIOD, "17") == 1
    left = pd.read_csv(folder / "responses" / f"{PERIOD}.csv")
    assert 17 not in set(left["序号"])
    assert len(left) == len(every) - 1
    again = dj.open_workspace(folder)
    assert len(again.survey(PERIOD).frame) == len(every) - 1
    pd.testing.assert_frame_equal(shown(again), before)
    for name, values in again.scores(PERIOD).sums[sums.axis].sums.items():
        assert (values == sums.sums[name]).all(), name
    assert [told["answers"] for told in again.record.payloads("withdrawal")] == [1]
    said = [
        {name: value for name, value in told.items() if name != "time"} for told in again.record.payloads("withdrawal")
    ]
    assert "17" not in str(said), "the record tells how many, not who"
    found = audit_workspace(again)
    assert found.passed, found.table
    with pytest.raises(UsageError, match="没有这份答卷"):
        again.withdraw(PERIOD, "17")
    with pytest.raises(UsageError, match="没有新撤回的答卷"):
        again.withdraw(PERIOD)


def test_withdrawal_from_an_open_wave_changes_what_follows(tmp_path: Path):
    folder = office(tmp_path / "office", people())
    ws = dj.open_workspace(folder)
    before = score(ws)
    assert ws.withdraw(PERIOD, "17") == 1
    after = score(dj.open_workspace(folder))
    assert after.n == before.n - 1
    assert after.score != before.score
    ws = dj.open_workspace(folder)
    ws.close(PERIOD)
    assert score(ws).n == before.n - 1
    assert audit_workspace(ws).passed


def test_answers_deleted_by_hand_are_registered_as_withdrawn(closed):
    folder, every = closed
    write_wave(folder, every.drop([3, 4]))
    with pytest.raises(DataError):
        dj.open_workspace(folder).survey(PERIOD)
    assert dj.open_workspace(folder).withdraw(PERIOD) == 2
    assert len(dj.open_workspace(folder).survey(PERIOD).frame) == len(every) - 2
    assert audit_workspace(dj.open_workspace(folder)).passed


def test_withdrawn_answers_put_back_count_again_nowhere_new(closed):
    """Back in the file they are answers the wave was closed with; its sums hold either way."""
    folder, every = closed
    before = shown(dj.open_workspace(folder))
    dj.open_workspace(folder).withdraw(PERIOD, "17")
    write_wave(folder, every)
    pd.testing.assert_frame_equal(shown(dj.open_workspace(folder)), before)


# --- Correction -----------------------------------------------------------------------------------------------------


def corrected(every: pd.DataFrame, unit: str, count: int) -> pd.DataFrame:
    """The answers with so many of a unit turned round: what was entered the wrong way."""
    made = every.copy()
    rows = made.index[(made["unit"] == unit) & (made["Q1"] != 3)][:count]
    assert len(rows) == count
    made.loc[rows, "Q1"] = 6 - made.loc[rows, "Q1"]
    return made


def test_a_correction_of_few_answers_changes_nothing_published(closed):
    folder, every = closed
    before = shown(dj.open_workspace(folder))
    write_wave(folder, corrected(every, "B11", 9))
    dj.open_workspace(folder).close(PERIOD, correct="一支部第一题录反")
    again = dj.open_workspace(folder)
    pd.testing.assert_frame_equal(shown(again), before)
    (told,) = again.record.payloads("correction")
    assert told["reason"] == "一支部第一题录反"
    again.survey(PERIOD)
    assert audit_workspace(again).passed


def test_a_correction_of_enough_answers_changes_that_unit_and_those_above_it(closed):
    folder, every = closed
    before = shown(dj.open_workspace(folder))
    write_wave(folder, corrected(every, "B11", 12))
    dj.open_workspace(folder).close(PERIOD, correct="一支部第一题录反")
    ws = dj.open_workspace(folder)
    after = shown(ws)
    changed = after.index[(after["score"] - before["score"].reindex(after.index)).abs() > 1e-9]
    assert {unit for _, unit, _ in changed} == {"ALL", "C1", "B11"}
    assert {code for _, _, code in changed} == {"INDEX", "D1", "Q1"}
    groups = after.index.get_level_values("level") == "age_band"
    pd.testing.assert_frame_equal(after[groups], before[groups])  # groups keep what was published
    assert ws.record.payloads("correction")[0]["reason"] == "一支部第一题录反"
    ws.survey(PERIOD)
    assert audit_workspace(ws).passed


def test_late_answers_do_not_stand_in_the_way_of_a_correction(closed):
    folder, every = closed
    late = people({"B21": 4}, seed=9, first=900)
    write_wave(folder, pd.concat([every, late], ignore_index=True))
    dj.open_workspace(folder).close(PERIOD)
    before = shown(dj.open_workspace(folder))
    write_wave(folder, pd.concat([corrected(every, "B11", 12), late], ignore_index=True))
    dj.open_workspace(folder).close(PERIOD, correct="一支部第一题录反")
    ws = dj.open_workspace(folder)
    after = shown(ws)
    changed = after.index[(after["score"] - before["score"].reindex(after.index)).abs() > 1e-9]
    assert {unit for _, unit, _ in changed} == {"ALL", "C1", "B11"}
    pd.testing.assert_series_equal(after["n"], before["n"])
    assert ws.record.payloads("correction")[0]["late"] == 4
    assert audit_workspace(ws).passed
    with pytest.raises(UsageError, match="没有新的补报"):
        ws.close(PERIOD)
    later = people({"B12": 3}, seed=11, first=950)
    write_wave(folder, pd.concat([corrected(every, "B11", 12), late, later], ignore_index=True))
    dj.open_workspace(folder).close(PERIOD)
    assert [told["late"] for told in dj.open_workspace(folder).record.payloads("late")] == [4, 3]


def test_changed_answers_are_no_late_ones(closed):
    folder, every = closed
    write_wave(folder, corrected(every, "B11", 9))
    with pytest.raises(DataError, match="close --correct"):
        dj.open_workspace(folder).close(PERIOD)
    assert dj.open_workspace(folder).record.payloads("late") == []


def test_only_a_closed_wave_is_corrected(tmp_path: Path):
    folder = office(tmp_path / "office", people())
    with pytest.raises(UsageError, match="尚未关闭"):
        dj.open_workspace(folder).close(PERIOD, correct="x")


# --- Purge ----------------------------------------------------------------------------------------------------------


def test_purge_deletes_the_answers_and_keeps_what_was_computed(closed):
    folder, every = closed
    ws, path = dj.open_workspace(folder), folder / "responses" / f"{PERIOD}.csv"
    before, digest = shown(ws), hashlib.sha256(path.read_bytes()).hexdigest()
    assert ws.purge(date(2027, 9, 29)) == []
    assert path.exists()
    assert ws.purge(date(2027, 9, 30)) == [PERIOD]
    assert not path.exists()
    again = dj.open_workspace(folder)
    assert again.periods == [PERIOD]
    pd.testing.assert_frame_equal(shown(again), before)
    with pytest.raises(DataError, match="已按期删除"):
        again.survey(PERIOD)
    (told,) = again.record.payloads("purge")
    assert (told["file"], told["sha256"], told["answers"]) == (path.name, digest, len(every))
    found = audit_workspace(again)
    assert found.passed, found.table
    assert "purged" in found.table.set_index("check").loc["answers", "detail"]
    files = report(folder)
    assert DRAFT not in files["html"].read_text("utf-8")
    with pytest.raises(DjError):
        again.purge(date(2027, 9, 30), PERIOD)


def test_purge_refuses_an_open_wave_and_deletes_nothing(tmp_path: Path):
    folder = office(tmp_path / "office", people(), people(seed=2), periods=("2026Q2", PERIOD))
    ws = dj.open_workspace(folder)
    ws.close("2026Q2")
    with pytest.raises(UsageError, match=rf"{PERIOD} 尚未关闭.*dj close --period {PERIOD}"):
        ws.purge(date(2030, 1, 1))
    assert len(list((folder / "responses").iterdir())) == 2
    assert ws.purge(date(2026, 10, 1), "2026Q2") == ["2026Q2"]


def test_purge_refuses_a_wave_whose_sums_are_gone(closed):
    folder, _ = closed
    for path in (folder / ".dj" / "store").glob("*.done"):
        path.unlink()
    with pytest.raises(DjError):
        dj.open_workspace(folder).purge(date(2030, 1, 1))
    assert list((folder / "responses").iterdir())


# --- Cross-classifications ------------------------------------------------------------------------------------------


def test_a_cross_classification_is_protected_only_when_it_is_declared(tmp_path: Path):
    by = [("branch", "age_band")]
    declared = office(tmp_path / "a", people(), settings='[publish]\ncross = [["branch", "age_band"]]')
    for _ in range(2):  # open, then closed
        ws = dj.open_workspace(declared)
        safe = dj.protect(ws.scores(PERIOD, by=by), ws.release_plan(PERIOD))
        cells = safe.table[safe.table["level"] == "branch×age_band"]
        assert cells["unit"].nunique() == 8
        assert cells["score"].notna().any()
        dj.table(safe)
        if ws.is_draft(PERIOD):
            ws.close(PERIOD)
    plain = dj.open_workspace(office(tmp_path / "b", people()))
    scores = dj.score(plain.survey(PERIOD), by=by)
    assert (scores.table["level"] == "branch×age_band").any()  # looking is free
    with pytest.raises(UsageError, match="branch×age_band"):
        dj.protect(scores, plain.release_plan(PERIOD))
    with pytest.raises(UsageError, match="交叉分组"):
        dj.protect(scores)
    with pytest.raises(UsageError, match=r"\[publish\] cross"):
        plain.scores(PERIOD, by=by)
