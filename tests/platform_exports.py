"""Exports of survey platforms, each laid out as its help page or a public parser describes it, from rows of plain answers."""

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import xlsxwriter

#: A row of question headers, then one row an answered sheet.
Cells = list[list[str]]


def day(i: int) -> str:
    """The day of a sheet: of the third quarter, not all before the 13th."""
    return f"2026-07-{i % 28 + 1:02d}"


# Kinds of files.


def as_csv(rows: Cells, separator: str = ",", encoding: str = "utf-8-sig") -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator).writerows(rows)
    return stream.getvalue().encode(encoding)


def as_xlsx(rows: Cells) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"strings_to_numbers": True}) as book:
        sheet = book.add_worksheet()
        for i, row in enumerate(rows):
            sheet.write_row(i, 0, row)
    return stream.getvalue()


def as_ods(rows: Cells) -> bytes:
    """A minimal OpenDocument sheet."""

    def cell(text: str) -> str:
        return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'

    lines = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    names = "".join(
        f' xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"' for short in ("office", "table", "text")
    )
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content{names} office:version="1.2"><office:body>'
        f'<office:spreadsheet><table:table table:name="S">{lines}</table:table></office:spreadsheet></office:body></office:document-content>'
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<?xml version="1.0"?><m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<m:file-entry m:full-path="/" m:media-type="{kind}"/></m:manifest>'
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        package.writestr("mimetype", kind)
        package.writestr("META-INF/manifest.xml", manifest)
        package.writestr("content.xml", content)
    return stream.getvalue()


def put(content: bytes) -> Callable[[Path], None]:
    """Return what writes these bytes to a path."""

    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


# Platforms: their leading columns around the questions.


def _beside(rows: Cells, head: list[str], lead: Callable[[int], list[str]]) -> Cells:
    return [head + rows[0], *(lead(i) + row for i, row in enumerate(rows[1:], start=1))]


def numbered(headers: list[str], style: str) -> list[str]:
    """Headers as 问卷星 numbers questions."""
    question = {"、": "{n}、{t}", "第": "第{n}题({t})", "—": "{n}、请评价—{t}", ".": "{n}.{t}"}[style]
    return [question.format(n=n, t=text) for n, text in enumerate(headers, start=1)]


def wjx(rows: Cells, blank: str = "(跳过)") -> Cells:
    """问卷星; ``blank`` marks questions that were skipped."""
    marked = [rows[0], *([cell or blank for cell in row] for row in rows[1:])]
    head = ["序号", "提交答卷时间", "所用时间", "来源", "来源详情", "来自IP"]
    return _beside(
        marked, head, lambda i: [str(i), f"2026/7/{i % 28 + 1} 19:50", "1分20秒", "微信", "N/A", "1.2.3.4(某地)"]
    )


def tencent(rows: Cells) -> Cells:
    """腾讯问卷."""
    head = ["编号", "开始答题时间", "结束答题时间", "答题时长", "语言", "清洗数据结果", "地理位置省", "用户标识", "昵称", "IP"]  # fmt: skip
    return _beside(
        rows, head,
        lambda i: [str(i), f"{day(i)} 08:00:00", f"{day(i)} 08:01:20", "00:01:20", "简体中文", "未设置", "某省", f"u{i}", "甲", "1.1.1.1"],
    )  # fmt: skip


def jinshuju(rows: Cells) -> Cells:
    """金数据: the number first, all else behind the questions."""
    tail = ["提交人", "提交时间", "更新时间", "填写设备", "操作系统", "浏览器", "填写地区", "IP"]
    body = [
        [str(i), *row, "某人", f"{day(i)} 08:01:20", "", "手机", "Android", "微信", "某市", "1.1.1.1"]
        for i, row in enumerate(rows[1:], start=1)
    ]
    return [["序号", *rows[0], *tail], *body]


def limesurvey(rows: Cells, by_code: bool, unfinished: list[str]) -> Cells:
    """LimeSurvey, headed by codes or in words, with one sheet that was never submitted."""
    head = ["id", "submitdate", "lastpage", "startlanguage", "seed", "startdate", "datestamp", "ipaddr"]
    words = ["Response ID", "Date submitted", "Last page", "Start language", "Seed", "Date started", "Date last action", "IP address"]  # fmt: skip
    times = [f"{day(1)} 08:00:00", f"{day(1)} 08:01:20", "1.1.1.1"]
    submitted = _beside(
        rows, head if by_code else words, lambda i: [str(i), f"{day(i)} 08:01:20", "3", "zh-Hans", "1", *times]
    )
    return [*submitted, ["99", "", "1", "zh-Hans", "1", *times, *unfinished]]


def qualtrics(rows: Cells, codes: list[str], unfinished: list[str]) -> Cells:
    """Qualtrics: codes, wordings, ImportIds; one sheet not finished."""
    names = ["StartDate", "EndDate", "Status", "IPAddress", "Progress", "Duration (in seconds)", "Finished", "RecordedDate",
             "ResponseId", "RecipientLastName", "ExternalReference", "LocationLatitude", "UserLanguage"]  # fmt: skip
    texts = ["Start Date", "End Date", "Response Type", "IP Address", "Progress", "Duration (in seconds)", "Finished", "Recorded Date",
             "Response ID", "Recipient Last Name", "External Data Reference", "Location Latitude", "User Language"]  # fmt: skip

    def lead(i: int, done: str = "True") -> list[str]:
        return [day(i), day(i), "IP Address", "1.1.1.1", "100", "80", done, f"{day(i)} 08:01:20", f"R_{i}", "甲", "x", "30.1", "ZH-S"]  # fmt: skip

    ids = [f'{{"ImportId":"{name}"}}' for name in (*names, *codes)]
    answered = _beside(rows, texts, lead)
    return [names + codes, answered[0], ids, *answered[1:], [*lead(99, "False"), *unfinished]]


def surveymonkey(rows: Cells, question_of: dict[str, str]) -> Cells:
    """SurveyMonkey: questions above, rows of a matrix (header → its question) below."""
    head = ["Respondent ID", "Collector ID", "Start Date", "End Date", "IP Address", "Email Address", "First Name", "Last Name", "Custom Data 1"]  # fmt: skip
    first, second, before = [], [], ""
    for header in rows[0]:
        question = question_of.get(header, header)
        first.append("" if question == before else question)
        second.append(header if header in question_of else "Response")
        before = question
    body = _beside(
        rows, head,
        lambda i: [str(11_000_000 + i), "9", *[f"07/{i % 28 + 1:02d}/2026 08:01:20 AM"] * 2, "1.1.1.1", "", "", "", ""],
    )  # fmt: skip
    return [head + first, [""] * len(head) + second, *body[1:]]


def google(rows: Cells, language: str) -> Cells:
    """Google Forms."""
    if language == "en":
        return _beside(rows, ["Timestamp"], lambda i: [f"7/{i % 28 + 1}/2026 8:01:20"])
    return _beside(rows, ["时间戳记"], lambda i: [f"2026/07/{i % 28 + 1:02d} 8:01:20 上午"])


def microsoft(rows: Cells, language: str) -> Cells:
    """Microsoft Forms."""
    english, chinese = ["ID", "Start time", "Completion time", "Email", "Name"], ["ID", "开始时间", "完成时间", "电子邮件", "名称"]  # fmt: skip
    return _beside(
        rows, english if language == "en" else chinese,
        lambda i: [str(i), f"{day(i)} 08:00:00", f"{day(i)} 08:01:20", "anonymous", ""],
    )  # fmt: skip


def office(rows: Cells) -> Cells:
    """Title rows above, totals below, as offices hand tables on."""
    blank = [""] * (len(rows[0]) - 1)
    total = ["合计", "38", "29", *blank[2:]]
    return [["某公司员工问卷汇总表", *blank], ["填报单位:工会", *blank], *rows, total, ["备注:仅供内部使用", *blank]]
