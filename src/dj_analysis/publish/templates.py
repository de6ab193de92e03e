"""Empty forms an office starts from: table templates, the printable questionnaire, the notice, the self-check page."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

from ..act.care import HELP_LINE, write_self_check
from ..file_access import written_whole
from ..result import PURPOSE, PURPOSE_EN
from ..spec import assessment
from ..spec.codebook import Codebook, Scale, default_codebook
from ..spec.interventions import intervention_rows
from ..spec.schemas import SCHEMAS, Schema
from ..spec.settings import DEFAULT_MIN_GROUP
from ..spec.specification import Specification
from ..spec.tree import Node
from .blocks import Block, heading, note, text
from .exports.document import Appearance, Document
from .exports.pdf import to_pdf

_NOTICE = {
    "zh": (
        "员工思想动态调查告知书",
        "调查由{office}组织，目的是了解员工的工作生活状况与关切，用于改进管理和帮扶。{purpose}",
        "填答自愿，可以不答、可以中途退出，不参加不影响任何待遇和评价。请不要在开放题中填写姓名、工号、电话等个人信息。",
        "问卷不询问政治观点、宗教信仰、民族、疾病和用药、家庭成员身份等内容。",
        "答案只以不少于{min_group}人的单位或人群为单位汇总；任何个人的结果都不提供给他人。导入时网络地址和昵称即行删除。",
        "原始答卷保存不超过{months}个月，到期删除，只保留汇总数。对处理方式有疑问或要求撤回的，可联系{office}。",
        "问卷不是求助渠道。需要帮助时，可联系工会、心理辅导员，或拨打全国统一心理援助热线{help_line}。",
    ),
    "en": (
        "Notice to participants",
        "The survey is run by {office} to learn about staff's working life and concerns. {purpose}",
        "Taking part is voluntary; you may skip questions or stop at any time without any consequence. Please write no "
        "names, staff numbers or telephone numbers in the open questions.",
        "The survey asks nothing about political opinion, religion, ethnicity, illness or medicine, or family members.",
        "Answers are summed up for groups of at least {min_group} people; no person's result is given to anybody else. "
        "Network addresses and nicknames are deleted on import.",
        "Raw answers are kept for at most {months} months, then only the sums. For questions or withdrawal turn to {office}.",
        "The survey is no help line. For help turn to the trade union or a counsellor, or call {help_line}.",
    ),
}


def write_templates(folder: Path, spec: Specification | None = None) -> list[Path]:
    """Write an Excel template of every table, the questionnaire, the participant notice, the impact assessment, the self-check page.

    Parameters
    ----------
    folder
        Where to write; made when absent, files of the same names are replaced.
    spec
        A workspace's declarations; without one the package's instrument is used.

    Returns
    -------
    list of pathlib.Path
        ``tables/{table}.xlsx`` (first sheet: the header and an example row to overwrite; second: what each column means;
        ``interventions`` holds the whole library, to change and put into the workspace),
        ``questionnaire-full.pdf``, ``questionnaire-pulse.pdf`` where the instrument has anchors, ``notice.pdf``,
        ``impact-assessment.toml`` (to be filled in before anybody is followed from wave to wave), ``self-check.html`` and
        ``self-check-en.html`` where it has an index.
    """
    spec = spec or Specification(codebook=default_codebook())
    library = {"interventions": intervention_rows(spec.interventions)}
    written = [
        _write_table(folder / "tables" / f"{name}.xlsx", schema, library.get(name)) for name, schema in SCHEMAS.items()
    ]
    forms = ("full", "pulse") if spec.codebook.tree.has_forms else ("full",)
    for form in forms:
        path = folder / f"questionnaire-{form}.pdf"
        with written_whole(path) as unfinished:
            unfinished.write_bytes(_pdf(questionnaire(spec, form), spec))
        written.append(path)
    notice_path = folder / "notice.pdf"
    with written_whole(notice_path) as unfinished:
        unfinished.write_bytes(_pdf(notice(spec), spec))
    written.append(notice_path)
    form_path = folder / assessment.FILE
    with written_whole(form_path) as unfinished:
        unfinished.write_text(assessment.assessment_template(spec.language), encoding="utf-8")
    written.append(form_path)
    if spec.codebook.index:
        written.append(write_self_check(folder / "self-check.html", spec, language="zh"))
        written.append(write_self_check(folder / "self-check-en.html", spec, language="en"))
    return written


def questionnaire(spec: Specification, form: str) -> list[Block]:
    """Return the printable questionnaire: every question asked in the form, options to tick."""
    codebook, language = spec.codebook, spec.language
    tree = codebook.tree.in_form("full" if form == "full" else "anchors")
    title = {"zh": "员工思想动态调查问卷", "en": "Staff survey"}[language]
    recall = {"zh": f"以下题目请按{codebook.recall}的情况回答。", "en": "Please answer for the last three months."}
    blocks = [heading(title, depth=0)]
    blocks += [text(recall[language], lang=language)] if codebook.recall else []
    asked = [leaf.code for leaf in tree.leaves]
    extra = [
        n
        for n in codebook.others
        if n.role in ("group", "check", "text") and (form == "full" or n.form in ("both", ""))
    ]
    nodes = [node for node in codebook.tree if node.code in asked] + extra
    numbered = list(enumerate(nodes, start=1))
    for scale, group in itertools.groupby(
        numbered, key=lambda pair: pair[1].scale if pair[1].role in ("item", "check") else ""
    ):
        if scale in codebook.scales:
            blocks.append(_grid(list(group), codebook.scales[scale], language))
        else:
            blocks += [
                Block("text", {"text": _question(k, node, codebook, language), "place": "body"}) for k, node in group
            ]
    return blocks


def notice(spec: Specification) -> list[Block]:
    """Return the notice to participants (PIPL 17): who, what for, voluntary, what is kept, where to turn."""
    language = spec.language
    title, *paragraphs = _NOTICE[language]
    values = {
        "office": spec.office or {"zh": "调查工作组", "en": "the survey team"}[language],
        "purpose": {"zh": PURPOSE, "en": PURPOSE_EN}[language],
        "min_group": max(spec.min_group, DEFAULT_MIN_GROUP),
        "help_line": HELP_LINE,
        "months": spec.retention,
    }
    texts = [Block("text", {"text": paragraph.format(**values), "place": "body"}) for paragraph in paragraphs]
    return [heading(title, depth=0), *texts, note(spec.purpose)] if spec.purpose else [heading(title, depth=0), *texts]


def _grid(questions: list[tuple[int, Node]], scale: Scale, language: str) -> Block:
    """Questions answered on one scale, a line each, with a box under every option."""
    options = _labels(scale, language)
    columns = [{"label": {"zh": "题目", "en": "Question"}[language], "kind": "text", "width": 34.0}]
    columns += [{"label": option, "kind": "text", "width": 6.0} for option in options]
    rows = [[f"{k}. {_wording(node, language)}", *("□" for _ in options)] for k, node in questions]
    return Block("table", {"caption": "", "columns": columns, "rows": rows, "values": rows, "note": ""})


def _labels(scale: Scale, language: str) -> list[str]:
    return list(
        dict.fromkeys((o.label_en or o.label_zh if language == "en" else o.label_zh) or o.code for o in scale.options)
    )


def _wording(node: Node, language: str) -> str:
    return (node.text_en or node.text_zh if language == "en" else node.text_zh) or node.label(language)


def _question(number: int, node: Node, codebook: Codebook, language: str) -> str:
    scale = codebook.scales.get(node.scale)
    if scale is not None:
        options = "  ".join(f"□{label}" for label in _labels(scale, language))
    elif node.role == "item":
        options = "  ".join(f"□{value}" for value in range(int(node.minimum), int(node.maximum) + 1))
    else:
        options = "____________________"
    return f"{number}. {_wording(node, language)}  {options}"


def _pdf(blocks: list[Block], spec: Specification) -> bytes:
    titled = [Block(b.kind, {**b.content, "number": ""}) for b in blocks]
    language = spec.language
    meta = {
        "title": str(blocks[0].content["text"]), "period": "", "unit": "ALL", "language": language, "office": spec.office,
        "purpose": {"zh": PURPOSE, "en": PURPOSE_EN}[language], "footer": f"codebook {spec.codebook.version}",
    }  # fmt: skip
    return to_pdf(Document(tuple(titled), meta), Appearance(spec.fonts))


def _write_table(path: Path, schema: Schema, rows: list[list[str]] | None = None) -> Path:
    import xlsxwriter

    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"strings_to_formulas": False}) as book:
        head = book.add_format({"bold": True, "bg_color": "#DCE6F1", "border": 1})
        must = book.add_format({"bold": True, "bg_color": "#F8CBAD", "border": 1})
        text_cell = book.add_format({"num_format": "@"})
        sheet, about = book.add_worksheet(schema.name), book.add_worksheet("说明")
        about.write_row(0, 0, ["列", "必填", "含义", "类型", "允许值"], head)
        for i, column in enumerate(schema.columns):
            sheet.write(0, i, column.name, must if column.required else head)
            for place, row in enumerate([[one.example for one in schema.columns]] if rows is None else rows, start=1):
                sheet.write_string(place, i, row[i], text_cell)
            kind = {
                "text": "文字",
                "number": "数",
                "count": "非负整数",
                "date": "日期或时期",
                "period": "时期",
                "choice": "选项",
            }
            allowed = "、".join(a or "(空)" for a in column.allowed)
            about.write_row(
                i + 1, 0, [column.name, "是" if column.required else "", column.meaning, kind[column.kind], allowed]
            )
        sheet.set_column(0, len(schema.columns), 14)
        about.set_column(0, 1, 14)
        about.set_column(2, 4, 40)
        about.write(len(schema.columns) + 2, 0, schema.meaning)
        sheet.freeze_panes(1, 0)
    with written_whole(path) as unfinished:
        unfinished.write_bytes(stream.getvalue())
    return path
