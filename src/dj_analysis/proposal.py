"""Propose a workspace for a survey export: which column is the unit, which are questions, which are groups."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pandas as pd

from .errors import Problems, UsageError
from .measure.intake import identifiers, wjx
from .measure.intake.anonymity import FEWEST, anonymous, quasi_kind
from .measure.intake.copies import coarsened, kept_kind, write_table
from .measure.intake.row_consent import CONSENTS, OWN_CODE, USE, consent_columns
from .measure.intake.sources import raise_for
from .spec import purpose, schemas
from .spec.codebook import Codebook, Option, Scale, default_codebook
from .spec.lint import forbidden_subject
from .spec.periods import parse
from .spec.settings import MOST_TOGETHER
from .spec.tables import Table, numbers, read_responses, whole_numbers, worded
from .spec.tree import Node

_UNIT = re.compile(r"单位|部门|支部|公司|班组|车间|工区|科室|站所|unit|department|branch", re.IGNORECASE)
_OWN_CODE = re.compile(r"自(编|设|拟|定)的?(编码|代码|编号|码)|own[_ ]?code|self-chosen code", re.IGNORECASE)
_LIKERT = (
    ("非常不同意", "比较不同意|不同意|不太同意", "一般|不确定|中立|说不清", "比较同意|同意|基本同意", "非常同意"),
    ("非常不满意", "比较不满意|不满意|不太满意", "一般|不确定", "比较满意|满意|基本满意", "非常满意"),
    (
        "非常不符合|完全不符合",
        "比较不符合|不符合|不太符合",
        "一般|不确定",
        "比较符合|符合|基本符合",
        "非常符合|完全符合",
    ),
    ("strongly disagree", "disagree", "neutral|neither agree nor disagree|neither", "agree", "strongly agree"),
)


@dataclass(frozen=True)
class Proposal:
    """What each column was taken for: ``.table`` has column, code, role, why; ``.notices`` say what was left out."""

    folder: Path
    table: pd.DataFrame
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Guess:
    header: str
    node: Node | None
    why: str
    scale: Scale | None = None
    dimension: str = ""


def propose_workspace(folder: str | Path, source: str | Path, period: str | None = None) -> Proposal:
    """Make a workspace from one export, with a codebook to be looked over.

    Questions of the package's instrument are recognised by their wording; other questions answered on an agreement or
    satisfaction scale, or by numbers 1–5 or 0–10, become items, grouped by the matrix they stand in; a column asking for
    the unit, department or branch gives the units; other columns with few different answers become groups. Everything is
    written, or nothing.

    What is stored is a clean copy: columns whose name identifies a person are left out, and so are 来自IP, 来源详情 and
    昵称. Of the columns that together tell who somebody is (age, tenure, sex, education, post, title, employment) at most
    three are kept, those of the package's instrument first, then other groups, then what is no group; ages and tenures
    given as numbers are put into bands; those that are no group have cells blanked until every combination is shared by
    five people. An export without a question for consent gets ``[consent] basis = "notice"`` of the day of its last
    submission, to be put right by the office.

    Parameters
    ----------
    folder
        A folder that does not exist yet, or is empty.
    source
        .csv, .xls or .xlsx as exported by 问卷星.
    period
        The wave; by default the quarter of the last submission.

    Raises
    ------
    IdentifierError
        The answers themselves hold telephone or card numbers and the like.
    PurposeError
        The export holds records about people: 考核, 奖惩, 积分, 信访, 考勤, 聊天, 定位.
    DataError
        No question could be recognised, or the period cannot be told.
    UsageError
        The folder is not empty.
    """
    folder, source = Path(folder), Path(source)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} 不是空文件夹 (the folder is not empty);换一个名字 (choose another)")
    problems = Problems()
    read = read_responses(source, problems)
    if read is None:
        raise_for(problems)
    assert read is not None, "a file that cannot be read is a problem"
    table = worded(read)
    headers = [str(name) for name in table.frame.columns]
    identifying = [h for h in headers if h in identifiers.DROPPED] + identifiers.identifying_names(headers)
    last = _last_day(table.frame)
    frame, bands = coarsened(
        table.frame.drop(columns=identifying), {h: k for h in headers if (k := quasi_kind(h)) and h not in identifying}
    )
    table = replace(table, frame=frame)
    guesses = _guesses(table, source, problems)
    wave = period or (None if last is None else f"{last.year}Q{(last.month - 1) // 3 + 1}")
    if wave is None:
        problems.add(source.name, "no_period", "没有提交时间", "2026Q3", "用 --period 指定 (name it with --period)")
    raise_for(problems)
    assert wave is not None, "a wave without a period is a problem"
    guesses, table, said = _fewer_quasi(guesses, table)
    settings = _toml(folder.name, parse(wave).text, _codebook(guesses)[2], last or parse(wave).end, guesses)
    _write(folder, source, parse(wave).text, table, guesses, settings)
    rows = [(g.header, g.node.code if g.node else "", g.node.role if g.node else "", g.why) for g in guesses]
    rows += [(h, "", "", "已删去:会指向个人 (left out: leads to a person)") for h in identifying]
    notices = (*table.notices, *_notices(identifying, bands, said, guesses))
    return Proposal(folder, pd.DataFrame(rows, columns=["column", "code", "role", "why"]), notices)


def _guesses(table: Table, source: Path, problems: Problems) -> list[_Guess]:
    frame = wjx.spread_multiple(wjx.blank_missing(table.frame))
    known = default_codebook()
    nodes = {node.code: node for node in (*known.tree.leaves, *known.others)}
    wordings = {code: (node.text_zh, node.text_en) for code, node in nodes.items()}
    free = [str(c) for c in frame.columns if c not in wjx.META]
    matched = {headers[0]: nodes[code] for code, headers in wjx.match_headers(free, wordings).items()}
    agreed = {header: name for name, header in consent_columns(frame, [h for h in free if h not in matched]).items()}
    agreed |= {name: name for name in CONSENTS if name in free}
    unit = next((h for h in free if h not in (*matched, *agreed) and _asks_for_unit(h, frame[h])), None)
    guesses, number = [], 0
    for header in free:
        cells = frame[header][frame[header].str.strip() != ""]
        if header in agreed:
            node = Node(agreed[header], role="consent", label_zh="知情同意")
            guesses.append(_Guess(header, node, "询问是否同意 (asks for consent)"))
        elif header == OWN_CODE or _OWN_CODE.search(header):
            node = Node(OWN_CODE, role="own_code", label_zh="自编码")
            guesses.append(_Guess(header, node, "自编码，导入时即行散列 (self-chosen code, hashed on import)"))
        elif header in matched:
            guesses.append(_Guess(header, matched[header], "题干与默认问卷相同 (wording of the default instrument)"))
        elif header == unit:
            guesses.append(_Guess(header, Node("unit", role="unit", label_zh="单位"), "询问单位 (asks for the unit)"))
        else:
            number += 1
            guesses.append(_guess(header, cells, number))
    used = [g.header for g in guesses if g.node is not None and g.node.role in ("item", "group", "unit")]
    recorded = purpose.records([str(name) for name in table.frame.columns], asked=matched)
    looked_at = frame[[g.header for g in guesses if g.node is None or g.node.role != "own_code"]]
    cells_held = identifiers.identifying_cells(looked_at, mapped=used)
    held = {column: (content, column if column in table.frame else "") for column, content in cells_held.items()}
    identifiers.drop_notice(table.place, [], held, recorded, problems, file=identifiers.shown_path(source))
    for guess in guesses:
        subject = forbidden_subject(guess.header) if guess.node is not None and guess.node.role == "item" else None
        if subject:
            allowed = "工作生活状况 (working life)"
            problems.add(f"{table.place}: {guess.header}", "forbidden_subject", subject.name, allowed, subject.instead)
    if not any(g.node is not None and g.node.role == "item" for g in guesses):
        allowed = "同意度、满意度或 1–5、0–10 评分题 (rating questions)"
        problems.add(
            table.place, "no_questions", "没有认出评分题", allowed, "用 dj template 的问卷 (start from dj template)"
        )
    return guesses


def _fewer_quasi(guesses: list[_Guess], table: Table) -> tuple[list[_Guess], Table, list[str]]:
    """Keep three of the columns that together tell a person, and let nobody stand out in those that are no group."""
    known = {node.code for node in default_codebook().groups}
    quasi = [g for g in guesses if quasi_kind(g.header) and (g.node is None or g.node.role == "group")]
    ordered = sorted(quasi, key=lambda g: 2 if g.node is None else 0 if g.node.code in known else 1)
    lost = {g.header for g in ordered[MOST_TOGETHER:]}
    alone = [g.header for g in ordered[:MOST_TOGETHER] if g.node is None]
    frame, blanked = anonymous(table.frame.drop(columns=[header for header in lost if header in table.frame]), alone)
    said = []
    if lost:
        listed = "、".join(g.header for g in quasi if g.header in lost)
        said.append(f"准标识符至多 {MOST_TOGETHER} 个，未存 (too many quasi-identifiers, not stored): {listed}")
    if blanked:
        said.append(f"{'、'.join(alone)}: 置空 {blanked} 格，使至少 {FEWEST} 人相同 (cells blanked for k-anonymity)")
    why = "未存:准标识符过多 (not stored: too many quasi-identifiers)"
    kept = [replace(g, node=None, why=why) if g.header in lost else g for g in guesses]
    return kept, replace(table, frame=frame), said


def _notices(identifying: list[str], bands: tuple[str, ...], said: list[str], guesses: list[_Guess]) -> tuple[str, ...]:
    notices = []
    if identifying:
        notices.append(f"已删去会指向个人的列 (left out, they lead to a person): {'、'.join(identifying)}")
    if bands:
        notices.append(f"数字已归入区间 (numbers put into bands): {'、'.join(bands)}")
    notices += said
    if not _asks_consent(guesses):
        notices.append(
            '未见同意栏，已在 workspace.toml 写入 [consent] basis = "notice",日期和告知方式请改为实际情况'
            " (no consent column: put the date and text of the notice right)"
        )
    return tuple(notices)


def _asks_consent(guesses: list[_Guess]) -> bool:
    return any(g.node is not None and g.node.code == USE for g in guesses)


def _guess(header: str, cells: pd.Series, number: int) -> _Guess:
    label = wjx.stems(header)[0] if wjx.stems(header) else header
    bare = re.sub(r"^\s*(第\s*\d+\s*题|\d+\s*[、.．])\s*", "", header)
    scale = _likert(cells)
    if scale is not None:
        node = Node(f"item{number}", label_zh=bare, text_zh=bare, minimum=1, maximum=5, scale=scale.name)
        return _Guess(header, node, "同意度/满意度选项 (agreement or satisfaction options)", scale, _matrix(header))
    values = numbers(whole_numbers(cells))
    distinct = values.dropna().unique()
    if len(cells) and values.notna().all() and (values % 1 == 0).all() and len(distinct) >= 3:
        for low, high in ((1, 5), (0, 10)):
            if values.between(low, high).all():
                node = Node(f"item{number}", label_zh=bare, text_zh=bare, minimum=low, maximum=high)
                return _Guess(header, node, f"{low}–{high} 的数 (numbers {low}–{high})", None, _matrix(header))
    if 2 <= cells.nunique() <= 12 and cells.nunique() <= len(cells) / 5:
        return _Guess(
            header, Node(f"group{number}", role="group", label_zh=bare, text_zh=bare), "少数几种答案 (few answers)"
        )
    return _Guess(header, None, f"不使用:{label[:12]} (not used)")


def _asks_for_unit(header: str, cells: pd.Series) -> bool:
    """A column of names, asked for by a word such as 单位 or 部门, is the unit; a rating that mentions one is not."""
    filled = cells[cells.str.strip() != ""]
    named = filled.nunique() >= 2 and numbers(whole_numbers(filled)).isna().all()
    return bool(_UNIT.search(header)) and bool(named) and _likert(filled) is None


def _likert(cells: pd.Series) -> Scale | None:
    """Recognise an agreement, satisfaction or fit scale by its option texts, kept as they are written."""
    answers = {cell.strip() for cell in cells if cell.strip()}
    for labels in _LIKERT:
        by_text = {text: value for value, texts in enumerate(labels, start=1) for text in texts.split("|")}
        if len(answers) >= 2 and {answer.lower() for answer in answers} <= set(by_text):
            seen = sorted((by_text[answer.lower()], answer) for answer in answers)
            options = [Option("", float(value), text) for value, text in seen]
            return Scale(f"scale_{labels[0].split('|')[0].replace(' ', '_')}", tuple(options))
    return None


def _united(scales: list[Scale]) -> Scale:
    """One scale of all the options its questions showed, and of the usual wording where none showed a value."""
    texts: dict[str, float] = {option.label_zh: option.value for scale in scales for option in scale.options}
    labels = next(ls for ls in _LIKERT if scales[0].name == f"scale_{ls[0].split('|')[0].replace(' ', '_')}")
    for number, usual in enumerate(labels, start=1):
        if float(number) not in texts.values():
            texts[usual.split("|")[0]] = float(number)
    options: list[Option] = []
    seen: dict[float, int] = dict.fromkeys(texts.values(), 0)
    for text, value in sorted(texts.items(), key=lambda pair: pair[1]):
        seen[value] += 1
        code = f"{value:g}" if seen[value] == 1 else f"{value:g}-{seen[value]}"  # two wordings of one value
        options.append(Option(code, value, text))
    return Scale(scales[0].name, tuple(options))


def _matrix(header: str) -> str:
    """The question a matrix row stands in, or ``""``."""
    for dash in ("—", "--", "–"):
        if dash in header:
            return re.sub(r"^\s*(第\s*\d+\s*题|\d+\s*[、.．])\s*", "", header.rsplit(dash, 1)[0]).strip()
    return ""


def _last_day(frame: pd.DataFrame) -> date | None:
    """Return the day of the last submission, where the export tells it."""
    if wjx.SUBMITTED not in frame:
        return None
    dates = pd.to_datetime(frame[wjx.SUBMITTED].str.extract(r"(\d{4}[/-]\d{1,2}[/-]\d{1,2})")[0], errors="coerce")
    last = dates.max()
    return None if pd.isna(last) else last.date()


def _write(folder: Path, source: Path, period: str, table: Table, guesses: list[_Guess], settings: str) -> None:
    nodes, scales, _ = _codebook(guesses)
    unit = next((g.header for g in guesses if g.node is not None and g.node.code == "unit"), None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".dj-new-", dir=folder.parent) as place:
        unfinished = Path(place) / "workspace"
        (unfinished / "responses").mkdir(parents=True)
        write_table(unfinished / "responses" / f"{period}{kept_kind(source)}", table.frame)
        (unfinished / "workspace.toml").write_text(settings, encoding="utf-8")
        rows = [[_cell(getattr(node, name)) for name in schemas.CODEBOOK.names] for node in nodes]
        (unfinished / "codebook.csv").write_text(_csv(schemas.CODEBOOK.names, rows), encoding="utf-8-sig")
        if scales:
            options = [
                [s.name, o.code, _cell(o.value), o.label_zh, o.label_en, "1" if o.value != o.value else ""]
                for s in scales
                for o in s.options
            ]
            (unfinished / "scales.csv").write_text(_csv(schemas.SCALES.names, options), encoding="utf-8-sig")
        if unit is not None:
            names = sorted({cell.strip() for cell in wjx.blank_missing(table.frame)[unit] if cell.strip()})
            units = [[f"U{i:03d}", "", "", "unit", "", name] for i, name in enumerate(names, start=1)]
            (unfinished / "units.csv").write_text(
                _csv(("unit", "tree", "parent", "level", "type", "name_zh"), units), encoding="utf-8-sig"
            )
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)


def _codebook(guesses: list[_Guess]) -> tuple[list[Node], list[Scale], str]:
    """Return the nodes of the proposed codebook (recognised questions under their own dimensions), scales, and form."""
    known: Codebook = default_codebook()
    default = {g.node.code for g in guesses if g.node is not None and g.node.code in known.tree}
    nodes: list[Node] = []
    if default:
        kept = default | {code for leaf in default for code in known.tree.ancestors(leaf)}
        nodes += [node for node in known.tree if node.code in kept]
    own = [g for g in guesses if g.node is not None and g.node.role == "item" and g.node.code not in known.tree]
    if own and not any(node.role == "index" for node in nodes):
        nodes.append(Node("INDEX", label_zh="员工思想指数", role="index"))
    names = list(dict.fromkeys(g.dimension for g in own))
    for i, name in enumerate(names, start=1):
        parent = "" if default else "INDEX"
        nodes.append(Node(f"M{i}", parent=parent, label_zh=name or "其他题目", role="dimension"))
        form = "both" if default else ""
        nodes += [replace(g.node, parent=f"M{i}", form=form) for g in own if g.dimension == name and g.node is not None]
    groups = [g.node for g in guesses if g.node is not None and g.node.role in ("group", "check", "text")]
    shown: dict[str, list[Scale]] = {}
    for guess in guesses:
        if guess.scale is not None:
            shown.setdefault(guess.scale.name, []).append(guess.scale)
    scales = {name: _united(same_named) for name, same_named in shown.items()}
    scales |= {node.scale: known.scales[node.scale] for node in nodes if node.scale in known.scales}
    anchors = {leaf.code for leaf in known.tree.in_form("anchors").leaves}
    full = {leaf.code for leaf in known.tree.in_form("full").leaves}
    return (
        nodes + groups,
        list(scales.values()),
        "full" if not default or full <= default else "pulse" if anchors <= default else "full",
    )


def _toml(name: str, period: str, asked: str, informed: date, guesses: list[_Guess]) -> str:
    mapped = {g.node.code: g.header for g in guesses if g.node is not None}
    if "unit" in mapped:
        mapped = {"unit": mapped.pop("unit"), **mapped}
    notice = [
        "",
        "[consent]  # 没有同意栏的各期以告知为依据；日期和告知方式请改为实际情况 (put date and text right)",
        'basis = "notice"',
        f'date = "{informed.isoformat()}"',
        'text = "问卷首页告知书：说明目的、自愿填答、只作汇总（由 dj new 填写，请改为实际的告知方式）"',
    ]
    lines = [
        "# 由 dj new 提出,请核对 (proposed by dj new, to be looked over)",
        f"name = {_quoted(name)}",
        'language = "zh"',
        "min_group = 10",
        "",
        "[waves]",
        f'{period} = "{asked}"',
        *([] if _asks_consent(guesses) else notice),
        "",
        "[tables.responses.columns]",
        *(f"{code} = {_quoted(header)}" for code, header in mapped.items()),
    ]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    return f'"{escaped}"'


def _csv(header: tuple[str, ...], rows: list[list[str]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:g}"
    return str(value)
