"""Attacks on the reports of branches: benchmark, clusters, assessment, rank change, in every format.

An office has marks only its makers know: ids and comments of a survey, names of raters, a rate of four people, an opinion of
four. Its indicators are mostly of work, one is a statistic over people; people mark the branches that serve them, teams
inspect them. ``DJ_ATTACK=1`` runs every report in both languages, of whole and city, of several offices.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from offices import CODEBOOK, CONSENT, people
from test_attacks_files import forms, found, numbers_in, outputs_of, seen, without_footer

import dj_analysis as dj
from dj_analysis.publish.blocks import MIME
from dj_analysis.publish.notebooks import FORMATS
from dj_analysis.publish.parameters import reports
from dj_analysis.spec.columns import in_form

ALL_OF_THEM = "DJ_ATTACK" in os.environ
SEEDS = (1, 2, 3) if ALL_OF_THEM else (1,)
MONTH = "2026-09"
BRANCHES = 16
FEW, UNHEARD = "B02", "B05"  # a branch whose rate rests on four people; one of which four people were asked
ID, COMMENT, RATER, TEAM = "Zq7idMark", "Zq7said", "Zq7rater", "Zq7team"
MEASURE = {"units": f"B01,{FEW},B07,B08,B09", "start": "2026-06"}  # among them the branch of few
WORK = (("N", "活动", "Activity", "数量"), ("G", "成效", "Result", "质量"))


@dataclass
class Attacked:
    """An office, what must not leave it, and the files that left by (report, language, unit)."""

    ws: dj.Workspace
    marks: dict[str, set[bytes]]
    files: dict[tuple[str, str, str], dict[str, Path]]

    def every_file(self) -> Iterator[Path]:
        for files in self.files.values():
            yield from files.values()


def written_office(folder: Path, seed: int) -> tuple[dj.Workspace, dict[str, set[bytes]]]:
    rng = np.random.default_rng(seed)
    units = ["unit,parent,level,type,name_zh,name_en"]
    units += [f"C{c},,city,供电企业,第{c}市公司,City {c}" for c in (1, 2)]
    units += [f"B{b:02d},C{b % 2 + 1},branch,党支部,第{b}号党支部,Branch No. {b}" for b in range(BRANCHES)]
    tree = ["code,parent,label_zh,label_en,role,direction,weight,minimum,maximum,about,nature,rollup,criterion"]
    tree += ["BM,,对标,Benchmark,index,1,,,,,,,"]
    for code, zh, en, nature in WORK:
        tree += [f"{code}{k},BM,{zh}{k},{en} {k},item,1,1,0,100,units,{nature},mean,有" for k in range(3)]
    tree += ["S1,BM,职工满意率,Share satisfied,item,1,1,0,100,persons,,mean,有"]
    rate = rng.uniform(55, 95, BRANCHES).round(4)
    values = ["unit,period,code,value,n"]
    level = rng.normal(60, 8, (2, BRANCHES))
    level[:, 3] = 88, 25
    for month in range(2, 10):
        for b in range(BRANCHES):
            unit = f"B{b:02d}"
            for (code, *_), mean in zip(WORK, level[:, b], strict=True):
                values += [
                    f"{unit},2026-{month:02d},{code}{k},{np.clip(mean + rng.normal(0, 4), 0, 100):.1f},"
                    for k in range(3)
                ]
            own = (
                f"{rate[b] + 0.01 * month:.4f}" if unit == FEW else f"{np.clip(rate[b] + rng.normal(0, 2), 0, 100):.1f}"
            )
            values.append(f"{unit},2026-{month:02d},S1,{own},{4 if unit == FEW else 20 + b}")
    rubrics = ["code,parent,label_zh,label_en,weight,minimum,maximum,types,raters"]
    rubrics += ["QZ,,群众评议,Opinion of the people,,,,党支部,people", "QZ1,QZ,满意,Satisfied,1,0,100,,"]
    rubrics += [
        "KP,,考评,Inspection,,,,党支部,officials",
        "KP1,KP,任务,Tasks,1,0,100,,",
        "KP2,KP,资料,Records,1,0,100,,",
        "HC,,互查,Mutual inspection,,,,党支部,officials",
        "HC1,HC,活动,Activity,1,0,100,,",
    ]
    rubrics = [rubrics[0] + ",kind", *(f"{row}," for row in rubrics[1:])]
    rubrics += ["SY,,四个一,The four ones,,,,党支部,officials,checklist", "SY1,SY,大会,Meeting,1,0,1,,,"]
    ratings, unheard = ["rater,role,unit,period,code,value"], []
    for b in range(BRANCHES):
        unit = f"B{b:02d}"
        for p in range(4 if unit == UNHEARD else 15):
            mark = f"{np.clip(rng.normal(70 + level[1, b] / 10, 8), 0, 100):.4f}"
            unheard += [float(mark)] if unit == UNHEARD else []
            ratings.append(f"{RATER}{b:02d}{p:02d},群众,{unit},2026Q3,QZ1,{mark}")
        for team in ("1", "2") if b % 3 == 0 else ("1",) if b % 3 == 1 else ("2",):
            ratings += [
                f"{TEAM}{team},检查组,{unit},2026Q3,{code},{rng.uniform(70, 95):.1f}" for code in ("KP1", "KP2")
            ]
        ratings += [f"B{j:02d},互查,{unit},2026Q3,HC1,{rng.uniform(70, 95):.1f}" for j in range(5) if j != b and b < 5]
        ratings += [f"{TEAM}1,检查组,{unit},2026Q3,SY1,{b % 2}"]
        ratings += [f"自评{unit},自评,{unit},2026Q3,{code},{rng.uniform(80, 98):.1f}" for code in ("KP1", "KP2")]
    sizes = {f"B{b:02d}": 12 + b for b in range(BRANCHES)}
    answers = people(sizes, seed)
    answers = answers.drop(columns="序号").assign(
        respondent=[f"{ID}{i:04d}" for i in range(len(answers))],
        意见=[f"{COMMENT}{i:04d}" for i in range(len(answers))],
    )
    (folder / "responses").mkdir(parents=True)
    answers.to_csv(folder / "responses" / "2026Q3.csv", index=False, encoding="utf-8-sig")
    files = {
        "units.csv": units,
        "indicators.csv": tree,
        "indicator_values.csv": values,
        "rubrics.csv": rubrics,
        "ratings.csv": ratings,
    }
    files["teams.csv"] = ["team,branch,period,star", *(f"T{b},B{b:02d},2026,{1 + b % 5}" for b in range(BRANCHES))]
    files["codebook.csv"] = [CODEBOOK + "意见,,意见,text,,,,"]
    names = 'name = "试验公司"\nname_en = "Test"\noffice_en = "Office"\nrecipient_en = "Committee"\n'
    files["workspace.toml"] = [
        f'{names}{CONSENT}\n[units.types_en]\n"党支部" = "Party branches"\n"供电企业" = "Companies"\n'
    ]
    for name, lines in files.items():
        (folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    ws = dj.open_workspace(folder)
    ws.release_plan(MONTH)  # makes the key
    few = [f"{rate[2] + 0.01 * month:.4f}" for month in range(2, 10)]
    hidden = [*few, f"{float(np.mean([float(v) for v in few])):.3f}", f"{float(np.mean(unheard)):.4f}"[:-1]]
    marks = {"an id": forms(ID), "a comment": forms(COMMENT), "a rater": forms(RATER), "a team": forms(TEAM)}
    key = (folder / ".dj" / "key").read_bytes()
    marks |= {"the place": forms(str(folder.parent)), "the key": {key, key.hex().encode()}}
    marks["a hidden number"] = {form for number in hidden for form in forms(number)}
    return ws, marks


@pytest.fixture(scope="module", params=SEEDS)
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    place = tmp_path_factory.mktemp("zq7place")
    ws, marks = written_office(place / "office", request.param)
    runs = [
        ("benchmark", "zh", "ALL"),
        ("clusters", "en", "ALL"),
        ("assessment", "zh", "ALL"),
        ("rank-change", "en", "B07"),
        ("effects", "zh", "ALL"),
    ]
    if ALL_OF_THEM:
        runs += [(name, {"zh": "en", "en": "zh"}[lang], unit) for name, lang, unit in runs]
        runs += [(name, lang, "C1") for name in ("benchmark", "assessment") for lang in ("zh", "en")]
        runs += [("rank-change", "zh", FEW), ("rank-change", "en", FEW)]
    files = {}
    for name, lang, unit in runs:
        more = {"benchmark": {"reduction": True}, "effects": MEASURE}.get(name, {})
        run = dj.run_report(
            name, ws.folder, period=MONTH, unit=unit, lang=lang, formats=list(FORMATS), out=place / "out" / lang, **more
        )
        assert run.manifest["dropped"] == []
        files[name, lang, unit] = dict(run.files)
    return Attacked(ws, marks, files)


def closed(attacked: Attacked) -> set[str]:
    """Branches whose rate may not be told, and whose index would tell it."""
    mask = attacked.ws.release_plan(MONTH).waves["indicators", MONTH].mask
    return {unit for level, unit, _, code in mask.closed if level == "branch" and code == "BM"}


def tables_of(path: Path) -> list[tuple[str, pd.DataFrame]]:
    import nbformat

    shown = [output["data"][MIME] for output in outputs_of(nbformat.read(path, as_version=4))]
    tables = [block["content"] for block in shown if block["kind"] == "table"]
    return [(one["caption"], pd.DataFrame(one["rows"], columns=[c["label"] for c in one["columns"]])) for one in tables]


def test_every_report_is_attacked_here_or_with_the_survey():
    survey = {"quarterly", "methods", "notice", "agenda"}
    assert set(reports()) == survey | {"benchmark", "clusters", "assessment", "rank-change", "effects"}, (
        "a new report needs its attack"
    )


def test_nothing_of_any_person_or_rater_is_in_any_byte(attacked: Attacked):
    told = {path: marks for path in attacked.every_file() if (marks := found(path.read_bytes(), attacked.marks))}
    assert told == {}


def test_what_is_planted_in_these_files_is_found(attacked: Attacked):
    path = next(attacked.every_file())
    content = path.read_bytes()
    for mark, needles in attacked.marks.items():
        for needle in list(needles)[:2]:
            assert found(content + b" " + needle, attacked.marks).count(mark) == 1


def test_a_branch_whose_rate_is_of_few_people_is_not_alone_and_has_no_score_anywhere(attacked: Attacked):
    shut = closed(attacked)
    assert FEW in shut
    assert len(shut) >= 2, "alone it would be what is left of the whole"
    seen_rows = 0
    for (report, lang, _), files in attacked.files.items():
        names = {attacked.ws.spec.speaking(lang).unit_label(unit) for unit in shut}
        heads = {"zh": ("得分", "名次", "第一的概率"), "en": ("Score", "Rank", "P(first)")}[lang]
        for caption, table in tables_of(files["ipynb"]):
            label = {"zh": "单位", "en": "Unit"}[lang]
            judged = [head for head in heads if head in table]
            if label not in table or not judged or {"评委数", "Raters"} & set(table):
                continue
            rows = table[table[label].isin(names)]
            seen_rows += len(rows)
            assert (rows[judged] == "—").all(axis=None), (report, caption)
    assert seen_rows >= 4


def test_no_effect_rests_on_a_branch_that_is_not_shown(attacked: Attacked):
    """With one unit against all the others, the effect would tell its score."""
    ws, span = attacked.ws, "2026-02/2026-09"
    plan, marks, shut = ws.release_plan(MONTH), dj.score(ws.indicators(span), by="branch"), sorted(closed(attacked))
    for unit in shut:
        told = dj.evaluate(marks, "did", start="2026-06", units=[unit])
        for part in (told, *told.parts.values()):
            safe = dj.protect(part, plan).table
            assert safe["n"].isna().all()
            assert not [name for name in ("effect", "low", "value") if name in safe and safe[name].notna().any()]
            assert "complement" in set(safe["reason"])
        with pytest.raises(dj.DjError, match=unit):
            dj.evaluate(dj.protect(marks, plan), "did", start="2026-06", units=[unit])
    rest = dj.evaluate(dj.protect(marks, plan), "did", start="2026-06", units=["B07", "B08", "B09", "B10"])
    assert dj.protect(rest, plan).table["effect"].notna().all()
    assert rest.rests_on.isdisjoint({("branch", unit) for unit in shut})


def test_no_hidden_branch_is_named_in_a_sentence_or_a_figure_of_scores(attacked: Attacked):
    for (report, lang, unit), files in attacked.files.items():
        page = re.sub(r"<table>.*?</table>", "", files["html"].read_text(encoding="utf-8"), flags=re.DOTALL)
        for hidden in closed(attacked) - {unit}:
            name = attacked.ws.spec.speaking(lang).unit_label(hidden)
            if report in ("benchmark", "rank-change", "clusters"):  # the assessment may name it for work alone
                assert not re.search(re.escape(name) + r"(?!\d)", page), (report, name)


def test_what_four_people_said_of_a_branch_is_in_no_table(attacked: Attacked):
    looked = 0
    for (report, lang, _), files in attacked.files.items():
        if report != "assessment":
            continue
        name = attacked.ws.spec.speaking(lang).unit_label(UNHEARD)
        opinion = {"zh": ("评委数", "评议人数"), "en": ("Raters", "People asked")}[lang]
        inspected = ("自评", "Self-assessment", "名次变化")
        for caption, table in tables_of(files["ipynb"]):
            (column,) = [head for head in opinion if head in table] or [""]
            if not column or any(word in table for word in inspected):
                continue
            rows = table[table.iloc[:, :2].eq(name).any(axis=1)]
            by_people = table[column].isin(["15"]).any()
            if by_people and len(rows):
                looked += 1
                kept = rows.drop(columns=[head for head in ("单位", "Unit", "说明", "Remark") if head in rows])
                assert set(kept.to_numpy().ravel()) <= {"—", ""}, caption
    assert looked >= 1, "beside the quadrants; no table ranks it"


def test_every_format_prints_the_same_numbers(attacked: Attacked):
    for key, files in attacked.files.items():
        told = {kind: numbers_in(without_footer(seen(path).words)) for kind, path in files.items()}
        footer = numbers_in(seen(files["html"]).footer)
        assert told["html"] - told["ipynb"] == set(), key
        assert told["pdf"] - told["html"] - footer == set(), key


def test_bare_numbers_of_these_notebooks_are_those_they_print(attacked: Attacked):
    import nbformat

    looked = 0
    for files in attacked.files.values():
        for output in outputs_of(nbformat.read(files["ipynb"], as_version=4)):
            content = output["data"][MIME]["content"]
            for row, values in zip(content.get("rows", ()), content.get("values", ()), strict=True):
                for column, text, value in zip(content["columns"], row, values, strict=True):
                    if isinstance(value, float):
                        looked += 1
                        assert in_form(value, column["kind"]) == text or text[0] in "≤≥<>", (
                            column["label"],
                            text,
                            value,
                        )
    assert looked > 300
