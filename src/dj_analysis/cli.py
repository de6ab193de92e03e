"""The command line ``dj``: parse arguments, call one public function."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .errors import DjError, DjWarning, Problems, UsageError
from .file_access import access_error

if TYPE_CHECKING:
    from .proposal import BookDecisions, Decisions, Proposal
    from .workspace import Workspace

app = typer.Typer(
    name="dj",
    help="员工思想指数与党支部对标分析:从问卷导出到季度报告 (from a survey export to the quarterly report)",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="工作区文件夹 (the workspace's folder)")]
Out = Annotated[Path | None, typer.Option(help="输出文件夹,默认 DIR/reports (output folder)")]
Template = Annotated[
    Path | None, typer.Option(metavar="FILE.docx", help="单位自己的 Word 模板 (the office's own Word template)")
]
Lang = Annotated[str | None, typer.Option(help="zh 或 en;默认用工作区的语言 (the workspace's language)")]


def main() -> None:
    """Run the command line; every error of the package and every refusal of the system is one message and exit code 2.

    Ctrl-C is one message and exit code 130.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")  # Windows consoles default to a code page
    warnings.showwarning = _show_warning
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except DjError as error:
        _fail(error, str(error))
    except BrokenPipeError:  # who reads what is printed has stopped reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(error, str(access_error(error)))
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (Interrupted, typer.Abort) as stop:
        _fail(stop, INTERRUPTED, code=130)
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("click", "typer"):
            raise
        said = error.format_message() if hasattr(error, "format_message") else str(error)  # usage of the command itself
        _fail(error, f"{said} (--help 看用法)")
    finally:
        signal.signal(signal.SIGINT, before)


class Interrupted(SystemExit):
    """Ctrl-C: as an exit it passes through libraries that would turn a KeyboardInterrupt into something else."""


def _interrupt(*_: object) -> NoReturn:
    raise Interrupted(130)


#: What a command says that was stopped by Ctrl-C.
INTERRUPTED = "已中断;已有的文件未变,重新运行即可 (interrupted; what was there is unchanged: run it again)"


def _fail(error: BaseException, said: str, code: int = 2) -> NoReturn:
    """End with one message, and what was noted to the error."""
    print(f"错误/error: {said}", file=sys.stderr)
    for note in getattr(error, "__notes__", ()):
        print(f"提示/notice: {note}", file=sys.stderr)
    sys.exit(code)


@app.command()
def demo(folder: Folder, employees: int = 20_000, branches: int = 200, quarters: int = 8, seed: int = 1) -> None:
    """写一个合成企业的演示工作区 (write a synthetic enterprise to try things on).

    例/example: dj demo demo
    """
    from .demo import make_company

    folder_written = make_company(employees=employees, branches=branches, quarters=quarters, seed=seed).write(folder)
    print(f"已写入 {folder_written};下一步/next: dj report quarterly {folder} --period 2026Q3")


@app.command()
def new(
    folder: Folder,
    source: Annotated[
        Path | None, typer.Option("--from", help="问卷平台导出的文件 (an export of a survey platform)")
    ] = None,
    period: Annotated[
        str | None, typer.Option(help="时期,如 2026Q3;默认取自提交时间 (by default from the submission dates)")
    ] = None,
    unit: Annotated[str, typer.Option(help="哪一列是单位:题号或列名 (the column of units, by number or header)")] = "",
    reverse: Annotated[str, typer.Option(help="反向题的题号,逗号分隔,如 7,9 (numbers of reversed questions)")] = "",
    dimensions: Annotated[
        str, typer.Option(help="维度:by-section 按大题,by-number 按题号,one 只有一个 (how dimensions are made)")
    ] = "by-section",
    scale: Annotated[
        list[str] | None, typer.Option(help="一套选项,从最差到最好,逗号分隔,可重复 (options from worst to best)")
    ] = None,
    decided: Annotated[
        list[str] | None,
        typer.Option("--as", help="'列名=item|group|unit|choice|ranking|text|none',可重复 (what a column is)"),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="改过 codebook.csv 后补全,保留已定的 (complete what was decided by hand)")
    ] = False,
    book: Annotated[
        Path | None, typer.Option("--indicators", help="单位自己的指标工作簿 (the office's own workbook of indicators)")
    ] = None,
    year: Annotated[str, typer.Option(help="指标表名只有月份时的年份 (year of sheets named by a month alone)")] = "",
    sheet: Annotated[
        list[str] | None, typer.Option(help="指标工作簿:'表名=2026-03' 或 '表名=none',可重复 (period of a sheet)")
    ] = None,
    lower: Annotated[
        str | None, typer.Option(help="越低越好的指标,逗号分隔;待定的其余即越高越好;没有写 none (less is better)")
    ] = None,
    bounds: Annotated[
        list[str] | None,
        typer.Option("--range", help="'指标=0-30',可重复;'0-100' 用于其余待定的 (range of an indicator)"),
    ] = None,
    alias: Annotated[
        list[str] | None, typer.Option(help="指标工作簿:'写法=单位',可重复 (another spelling of a unit)")
    ] = None,
    new_unit: Annotated[
        list[str] | None, typer.Option("--new-unit", help="指标工作簿:另一个单位,可重复 (a unit of its own)")
    ] = None,
    same: Annotated[
        list[str] | None, typer.Option(help="指标工作簿:'列名=列名',同一指标,可重复 (the same indicator)")
    ] = None,
) -> None:
    """从问卷导出文件或指标工作簿新建工作区:有把握的写好,没把握的问 (a workspace from own files; what is doubtful is asked).

    例/example: dj new office --from export.xlsx --unit 2 --reverse 7,9
    例/example: dj new office --indicators book.xlsx --year 2026 --lower 投诉件数 --range '党课次数=0-12'
    """
    from .proposal import BookDecisions, Decisions

    decisions = Decisions(
        unit=unit,
        reverse=tuple(_listed(reverse)),
        dimensions=dimensions,  # type: ignore[arg-type]  # checked with all decisions
        scales=tuple(tuple(_listed(texts)) for texts in scale or ()),
        roles=_pairs("--as", decided),
    )
    if again == (source is not None or book is not None):
        raise UsageError(
            "用 --from 文件、--indicators 工作簿 新建,或用 --again 补全 (--from FILE, --indicators BOOK, or --again)"
        )
    of_sheets = source is None  # of both at once --unit and --as are about the survey's columns
    of_book = BookDecisions(
        year=year, period=period or "" if of_sheets else "", sheets=_pairs("--sheet", sheet),
        unit=unit if of_sheets else "", alias=_pairs("--alias", alias), new_units=tuple(new_unit or ()),
        same=_pairs("--same", same), roles=_pairs("--as", decided) if of_sheets else {},
        lower=None if lower is None else tuple(one for one in _listed(lower) if one not in ("none", "无")),
        ranges=dict(_named_range(text) for text in bounds or ()),
    )  # fmt: skip
    for proposal in _proposals(folder, source, book, period, decisions, of_book, again=again):
        if len(proposal.table):
            print(proposal.table.to_string(index=False))
        for notice in proposal.notices:
            print(f"提示/notice: {notice}")
    tables = "、".join(name for name in ("codebook.csv", "indicators.csv", "units.csv") if (folder / name).exists())
    print(f"已写入 {folder},请核对 PROPOSAL.md 和 {tables} (PROPOSAL.en.md);下一步/next: dj check {folder}")


def _proposals(
    folder: Path, source: Path | None, book: Path | None, period: str | None, decisions: Decisions,
    of_book: BookDecisions, *, again: bool,
) -> list[Proposal]:  # fmt: skip
    """Propose a survey, indicators or both; or complete what is there."""
    from . import proposal as proposing

    if again:
        done = []
        if (folder / "codebook.csv").exists():
            done.append(proposing.propose_again(folder, decisions))
        if (folder / "indicators.csv").exists() and (of_book.lower is not None or of_book.ranges or not done):
            done.append(proposing.propose_indicators_again(folder, of_book))
        return done or [proposing.propose_again(folder, decisions)]
    if source is not None and book is not None:
        return list(proposing.propose_both(folder, source, book, period, decisions, of_book))
    if book is not None:
        return [proposing.propose_indicators(folder, book, of_book)]
    assert source is not None, "one of the files is given"
    return [proposing.propose_workspace(folder, source, period, decisions)]


def _named_range(text: str) -> tuple[str, str]:
    """Split ``INDICATOR=0-30``; ``0-30`` alone is the range of every other one that is asked."""
    name, _, bounds = text.rpartition("=")
    return name.strip(), bounds.strip()


_Decided = list[str] | None


@app.command()
def add(
    folder: Folder,
    source: Annotated[Path, typer.Option("--from", metavar="FILE", help="平台导出的下一期 (the next export)")],
    period: Annotated[str | None, typer.Option(help="时期,默认为最后提交的季度 (the wave)")] = None,
    same: Annotated[_Decided, typer.Option(help="'列名=代码':改了措辞,还是同一题 (the same question)")] = None,
    replaced: Annotated[_Decided, typer.Option(help="'列名=代码':新题,替换旧题 (a new question in its place)")] = None,
    none: Annotated[_Decided, typer.Option("--none", help="不保存的列,可重复 (a column to leave out)")] = None,
    became: Annotated[_Decided, typer.Option(help="'旧单位=新单位':合并或改名 (merged or renamed)")] = None,
    alias: Annotated[_Decided, typer.Option(help="'写法=单位':另一写法 (another spelling)")] = None,
    new_unit: Annotated[_Decided, typer.Option("--new-unit", help="新设单位,可重复 (a new unit)")] = None,
) -> None:
    """把下一期加入工作区:按题干对应,拿不准的先问 (add the next wave; what is doubtful is asked, nothing is written before).

    例/example: dj add office --from next.xlsx
    """
    from .proposal import WaveDecisions, add_wave

    decisions = WaveDecisions(
        same=_pairs("--same", same), replaced=_pairs("--replaced", replaced), left_out=tuple(none or ()),
        became=_pairs("--became", became), alias=_pairs("--alias", alias), new_units=tuple(new_unit or ()),
    )  # fmt: skip
    added = add_wave(folder, source, period, decisions)
    print(added.table.to_string(index=False))
    for notice in added.notices:
        print(f"提示/notice: {notice}")
    print(f"已加入 {added.period} (added);下一步/next: dj check {folder}")


def _pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """Split ``A=B``; the last sign of equality parts them."""
    pairs = [text.rpartition("=") for text in texts or ()]
    if wrong := [text for text, (left, _, right) in zip(texts or (), pairs, strict=True) if not left or not right]:
        raise UsageError(f"{option} {wrong[0]}: 应为 'A=B' 这样的形式 (A=B is needed)")
    return {left.strip(): right.strip() for left, _, right in pairs}


def _listed(text: str) -> list[str]:
    """Split at commas, Chinese ones too."""
    return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]


@app.command()
def clean(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="含个人信息的表 (a table with personal columns)")],
    drop: Annotated[
        list[str] | None, typer.Option(help="要删去的列，逗号分隔，可重复 (columns to leave out, separated by commas)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="副本的文件名；默认在原文件旁加 -clean (name of the copy)")] = None,
    quasi: Annotated[
        list[str] | None, typer.Option(help="另外会帮助认出个人的列 (further columns that help to tell a person)")
    ] = None,
    sheet: Annotated[str, typer.Option(help="工作表，默认第一张 (sheet of a workbook)")] = "",
) -> None:
    """写一份没有个人信息的副本:删列、年龄工龄归入区间、至少五人相同 (a copy that identifies nobody; k-anonymity of 5).

    例/example: dj clean export.xlsx --drop 姓名,政治面貌
    """
    from .measure.intake.copies import clean_file

    copy = clean_file(file, drop or [], out, quasi or [], sheet)
    print(f"已写入 {copy.file}")
    for said, columns in (
        ("已删去 (left out)", copy.dropped),
        ("准标识符 (quasi-identifiers)", copy.quasi),
        ("已归入区间 (put into bands)", copy.banded),
    ):
        print(f"{said}: {'、'.join(columns) or '(无/none)'}")
    print(f"为使每种组合至少 {copy.least} 人相同，置空 {copy.blanked} 格 (cells blanked)")
    if copy.neutralised:
        print(f"公式和链接已改为文字 {copy.neutralised} 格 (formulas and links made plain text)")
    print("下一步/next: 用副本替换原文件，原文件移出工作区 (put the copy in place of the original, and move that away)")


@app.command()
def template(folder: Folder) -> None:
    """写出各表模板、问卷、告知书、影响评估表 (templates of tables, questionnaire, notice, impact assessment).

    例/example: dj template office
    """
    from .publish.templates import write_templates
    from .workspace import open_workspace

    spec = open_workspace(folder).spec if (folder / "workspace.toml").exists() else None
    for path in write_templates(folder / "templates", spec):
        print(path)


@app.command()
def check(folder: Folder) -> None:
    """检查工作区的全部声明和数据,一次列出所有问题 (list every problem in one table; exit code 1 if there is any).

    例/example: dj check demo
    """
    from .folder import check_with_hints

    problems, hints = check_with_hints(folder)
    _print_problems(problems)
    for hint in hints:
        print(f"提示/hint: {hint}")
    if problems:
        raise typer.Exit(1)


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="报告名,见 dj list (a report, see dj list)")],
    folder: Folder,
    period: Annotated[str, typer.Option(help="时期,如 2026Q3")],
    unit: Annotated[str, typer.Option(help="单位代码或名称;ALL 为全体 (code or name; ALL is the whole)")] = "ALL",
    formats: Annotated[str, typer.Option(help="逗号分隔:html,pdf,docx,pptx,xlsx")] = "html,pdf",
    template: Template = None,
    lang: Lang = None,
    out: Out = None,
    sent: Annotated[
        bool, typer.Option("--sent", help="草稿将发出，视同已发布 (this draft goes out: it counts as published)")
    ] = False,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="报告自己的参数 名=值,见 dj list (name=value)")
    ] = None,
) -> None:
    """运行一份报告 (run a report).

    例/example: dj report quarterly demo --period 2026Q3
    """
    from .publish.kernels import shared_imports

    with shared_imports():
        from .publish.parameters import own_parameters
        from .workspace import run_report

        kinds = [kind.strip() for kind in formats.split(",") if kind.strip()]
        own = own_parameters(name, param or [])
        run = run_report(
            name, folder, period=period, unit=unit, formats=kinds, template=template, lang=lang, out=out, sent=sent, **own,  # type: ignore[arg-type]
        )  # fmt: skip
    for path in run.files.values():
        print(path)


@app.command()
def notify(
    folder: Folder,
    period: Annotated[str, typer.Option(help="时期,如 2026Q3")],
    unit: Annotated[str, typer.Option(help="只写这个单位的;默认写没有登记过的各单位 (this unit only)")] = "",
    start: Annotated[str, typer.Option(help="告知日 2026-10-12,默认今天 (day of the letters; by default today)")] = "",
    formats: Annotated[str, typer.Option(help="逗号分隔:html,pdf,docx")] = "docx",
    template: Template = None,
    lang: Lang = None,
    out: Out = None,
) -> None:
    """红色、黑色预警先通气:每单位一份预警告知函和核实反馈表 (a letter to each unit with a red or black warning).

    例/example: dj notify demo --period 2026Q3
    """
    from .workspace import open_workspace

    ws, day = open_workspace(folder, lang), str(_day(start))  # type: ignore[arg-type]
    told = ws.notices(period, day)
    entered = ws.obligations(kind="human_review").table
    known = set(entered.loc[entered["cycle"] == period, "unit"])
    units = [ws.unit(unit)] if unit else [one for one in told.table["unit"] if one not in known]
    kinds = [kind.strip() for kind in formats.split(",") if kind.strip()]
    for one in units:
        run = ws.run_report("notice", period=period, unit=one, formats=kinds, template=template, out=out, start=day)
        for path in run.files.values():
            print(path)
    if not units:
        print(f"{period}: 没有需要告知的单位 (no unit to notify)")
        return
    print("发出后加入以下各行,反馈意见写在 label (once they left, add these rows; the reply goes into label):")
    for name, rows in zip(("obligations.csv", "obligation_events.csv"), told.as_obligations(), strict=True):
        own = rows[rows["obligation"].isin([f"human_review-{period}-{one}" for one in units])]
        print(f"{name}\n{own.to_csv(index=False)}", end="")


@app.command("list")
def list_reports() -> None:
    """列出有哪些报告及其参数 (the reports there are, with their parameters).

    例/example: dj list
    """
    from .publish.parameters import parameters, reports

    for name, path in reports().items():
        print(name)
        for parameter in parameters(path):
            print(f"  {parameter.name}: {parameter.type} = {parameter.default!r}  {parameter.help}")


@app.command()
def export(
    notebook: Annotated[Path, typer.Argument(help="已运行的报告笔记本 (an executed report notebook)")],
    workspace: Annotated[
        Path | None, typer.Option(help="工作区文件夹,默认取笔记本的参数 (by default the notebook's own)")
    ] = None,
    formats: Annotated[str, typer.Option(help="逗号分隔:html,pdf,docx,pptx,xlsx")] = "html,pdf",
    template: Template = None,
    out: Out = None,
    sent: Annotated[str, typer.Option(help="外发含未关闭时期的草稿:写该时期 (a draft that goes out: its period)")] = "",
) -> None:
    """不重新运行,把已运行的笔记本再次导出 (export an executed notebook again without running it).

    例/example: dj export reports/2026Q3/quarterly/ALL.ipynb --workspace demo --formats pdf
    """
    from .publish.notebooks import workspace_of
    from .workspace import open_workspace

    named, lang = workspace_of(notebook)
    ws = open_workspace(workspace or named, lang)  # type: ignore[arg-type]
    kinds = [kind.strip() for kind in formats.split(",") if kind.strip()]
    exported = ws.export(notebook, formats=kinds, template=template, out=out, sent=sent)
    for path in exported.values():
        print(path)
    for left_out in exported.dropped:
        print(f"未导出/not exported: {left_out}", file=sys.stderr)


@app.command("take-edits")
def take_edits(
    file: Annotated[Path, typer.Argument(metavar="FILE.docx", help="改过的 Word 或 WPS 文件 (the edited file)")],
    workspace: Annotated[
        Path | None, typer.Option(help="工作区文件夹,默认取旁边笔记本的 (by default that of the notebook beside it)")
    ] = None,
    notebook: Annotated[
        Path | None, typer.Option(help="该文件所依据的笔记本 (the notebook that it was written from)")
    ] = None,
) -> None:
    """把 Word 文件里改过的段落取回 texts/,重新运行报告时保留 (bring edited paragraphs back, so that a rerun keeps them).

    例/example: dj take-edits reports/2026Q3/quarterly/ALL.docx --workspace demo
    """
    from .publish.notebooks import workspace_of
    from .workspace import open_workspace

    beside = notebook or file.with_suffix(".ipynb")
    edits = open_workspace(workspace or workspace_of(beside)[0]).take_edits(file, notebook)
    said = {
        "changed": "改 (changed)", "added": "增 (added)", "removed": "删 (removed)", "not_taken": "未取回,由程序计算 (not taken: computed)",
    }  # fmt: skip
    for row in edits.table.itertuples(index=False):
        computed = " 涉及计算的句子 (computed by us)" if row.computed and row.change != "not_taken" else ""
        numbers = f" 数字/numbers: {row.numbers}" if row.numbers else ""
        print(f"{said[row.change]} {row.section}{computed}{numbers}: {(row.after or row.before)[:60]}")
    if (edits.table["change"] != "not_taken").any():
        print(f"已写入 (written to) {edits.file}")
    else:
        print("没有改动的段落 (no paragraph was changed)")


@app.command("diff")
def diff_command(
    before: Annotated[Path, typer.Argument(metavar="A", help="已运行的笔记本或报告文件夹 (a notebook or a folder)")],
    after: Annotated[Path, typer.Argument(metavar="B", help="另一个 (another one)")],
) -> None:
    """列出两份报告之间改变的数字和句子 (numbers and sentences that differ between two reports).

    例/example: dj diff old/2026Q3 reports/2026Q3
    """
    from .publish.report_diff import diff_reports

    said = {
        "number": "数字/number",
        "sentence": "句子/sentence",
        "table": "表/table",
        "figure": "图/figure",
        "report": "报告/report",
    }
    differences = diff_reports(before, after)
    for row in differences.itertuples(index=False):
        print(
            f"{row.report} {row.place} [{said[row.what]}]\n  - {row.before or '(无/none)'}\n  + {row.after or '(无/none)'}"
        )
    print(f"共 {len(differences)} 处不同 ({len(differences)} differences)")


def _print_costs(ws: Workspace, period: str) -> None:
    """Show what disclosure control costs, before the wave is closed."""
    print(f"{period} 各分组不单列的代价 (what disclosure control costs):")
    for row in ws.release_costs(period).itertuples(index=False):
        if row.left_out:
            said = f"整列不单列,无法证明安全 (left out whole: not proved safe), {row.people} 人/people"
        else:
            said = (
                f"{row.shown}/{row.parts} 单列 (shown); 人数不足 {row.hidden} (too few), 为避免推算 {row.protecting} (to protect),"
                f" 个别题目不列 {row.questions} (single questions); {row.people} 人未单列 (people not shown)"
            )
        print(f"  {ws.spec.level_label(row.breakdown)}: {said}")


@app.command()
def close(
    folder: Folder,
    period: Annotated[str, typer.Option(help="时期,如 2026Q3")],
    correct: Annotated[str, typer.Option(help="更正说明；已关闭的一期因更正重算 (reason of a correction)")] = "",
    dry_run: Annotated[
        bool, typer.Option(help="只看各分组的代价,不关闭 (show what each breakdown costs, close nothing)")
    ] = False,
) -> None:
    """关闭一期:固定答卷和发布方案，此后报告不再是草稿；再次关闭则登记补报 (close a wave; again: register late answers).

    例/example: dj close demo --period 2026Q3 --dry-run
    """
    from .workspace import open_workspace

    ws = open_workspace(folder)
    if ws.is_draft(period):
        _print_costs(ws, period)
    if dry_run:
        return
    ws.close(period, correct=correct)
    frozen = ws.history.frozen(period)
    if correct and frozen and frozen["late"]:
        few = "更正涉及的人太少,所在单位保留原数 (sheets not counted, too few changed: their units keep what was published)"
        print(f"{period}: {frozen['late']} 份未计入,{few}")
    print(f"{period} 已记录 (entered);下一步/next: dj report quarterly {folder} --period {period}")


@app.command()
def withdraw(
    folder: Folder,
    period: Annotated[str, typer.Option(help="时期,如 2026Q3")],
    number: Annotated[
        str, typer.Option(help="序号或 respondent;不写则登记已在来源处删除的答卷 (without it: register what is gone)")
    ] = "",
) -> None:
    """删除撤回者的答卷,此后不再参与任何计算;已发布的数字不变 (delete a person's answers; what is published stays).

    例/example: dj withdraw demo --period 2026Q3 --number 17
    """
    from .workspace import open_workspace

    print(f"已撤回 {open_workspace(folder).withdraw(period, number)} 份 (withdrawn)")


@app.command()
def purge(
    folder: Folder,
    period: Annotated[str, typer.Option(help="只删这一期;默认删到期的各期 (this wave only)")] = "",
    asof: Annotated[str, typer.Option(help="截至日期 2026-09-30,默认今天 (by default today)")] = "",
) -> None:
    """删除到期的原始答卷,保留汇总并留下删除凭证 (delete answers kept long enough; sums and proof stay).

    例/example: dj purge demo --asof 2026-11-01
    """
    from .workspace import open_workspace

    ws = open_workspace(folder)
    for wave in ws.purge(_day(asof), period):
        print(f"{wave}: 已删除答卷 (purged)")


@app.command()
def audit(
    folder: Folder,
    out: Out = None,
    asof: Annotated[str, typer.Option(help="保存期限的截至日期,默认今天 (day for the retention limit)")] = "",
) -> None:
    """核对记录、已发布的文件和披露控制 (verify the record, what left, and its disclosure control; exit code 1 if any fails).

    例/example: dj audit demo
    """
    from .audit import audit_workspace
    from .workspace import open_workspace

    audited = audit_workspace(open_workspace(folder), out=out, asof=_day(asof))
    for row in audited.table.itertuples(index=False):
        print(f"{row.state:6} {row.check:10} {row.place}  {row.detail}")
    if not audited.passed:
        raise typer.Exit(1)


def _day(text: str) -> date:
    """Return the day named, today for none: the one place where the clock is read, for what people ask by hand."""
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError as error:
        raise UsageError(f"日期 {text} 应写成 2026-09-30 (write a date as 2026-09-30)") from error


def _print_problems(problems: Problems) -> None:
    if not problems:
        print("没有发现问题 (no problems found)")
        return
    for number, problem in enumerate(problems, start=1):
        print(f"{number:3}. {problem.place}")
        for label, text in (
            ("规则/rule", problem.rule),
            ("发现/found", problem.found),
            ("应为/allowed", problem.allowed),
            ("建议/advice", problem.advice),
        ):
            if text:
                print(f"     {label}: {text}")
    print(f"共 {len(problems)} 个问题 ({len(problems)} problems)")


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    if issubclass(category, DjWarning):
        print(f"提示/notice: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
