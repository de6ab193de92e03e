"""Detection of columns that identify persons or hold personal records, so that they are rejected at import."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from ...errors import Problems
from ...spec import purpose
from ...spec.filekinds import WORKBOOKS
from ...spec.lint import SURNAMES
from ...spec.tables import SUFFIXES, rows_text
from ...spec.workbooks import other_sheets

#: Columns of 问卷星 exports that are dropped with a notice (R1): a network address and what leads to it.
DROPPED = ("来自IP", "IP", "IP地址", "来源详情", "昵称", "微信昵称", "用户昵称")

_ASIDE = re.compile(r"[(（][^()（）]*[)）]")
_NUMBERED = re.compile(r"^\s*(第?\s*\d+\s*[题、.．:：]|Q\d+[.:、])\s*")
_NAMES = re.compile(
    r"姓名|真名|名字(是|叫什么)?[:?？]*$|(您|你|本人)(叫|怎么称呼)|如何称呼|身份证|证件号|(手机|电话|联系电话|联系方式|手机号码)(号|号码)?[:：?？]?$|手机号|电话号|联系方式|联系电话"
    r"|工号|员工(编号|号|代码)|职工(编号|号)|人员编(号|码)|党员编号|社保号|银行卡|护照|准考证"
    r"|open_?id|union_?id|微信号|QQ号|邮箱|电子邮件|家庭(住址|地址)|住址|籍贯|民族|政治面貌|党派|宗教|入党时间|出生(日期|年月|时间)|生日"
    r"|^(full[ _]?)?name$|e-?mail|phone|mobile|passport|id[ _]?card|(employee|staff|person|badge)[ _]?(id|no|number)$"
    r"|ethnic|religion|political (status|affiliation)|date of birth|birthday|^address$|user[ _]?name",
    re.IGNORECASE,
)
#: Headers that ask who filled in the sheet: a role, or a name.
_WRITER = re.compile(r"^(填表|填报|被调查|受访|经办|联系)(人|者)([:：]|$)")
#: Accounts, devices, addresses and signatures that platforms and offices export, as a header as a whole: a question that
#: mentions one (您对签名制度是否满意) asks for none.
_ACCOUNTS = re.compile(r"(账号|帐号|账户|帐户|号|号码|ID|id|名|用户名|昵称|手机号|登录名|工号|成员|标识)").pattern
_WHOLE = re.compile(
    r"(提交|填写|填答|答题|作答|答卷|回答|签字|签名|签署|登记|申报|修改|更新|创建|参与|打分|评分)(人|者|用户|人员|员工)"
    r"(姓名|名称|ID|账号|昵称|部门负责人)?"
    r"|(手写|电子|本人)?(签名|签字|署名)|(您|你)?(贵姓|尊姓大名)|姓氏|名字|称呼"
    rf"|(OA|ERP|HR|SAP|内网|门户|域|系统|邮件|邮箱|平台|统一身份|登录|登陆|员工|职工|用户|个人|会员){_ACCOUNTS}"
    rf"|(企业微信|企微|钉钉|飞书|微信|支付宝|微博|抖音|QQ|扣扣|蓝信|云之家){_ACCOUNTS}?|头像|微信(头像|性别|国家|省市|省份|城市)|(微信|用户|支付宝|QQ)+(头像|昵称)"
    r"|用户(标识|编号|编码|代码|唯一标识|类型)|账号|帐号|账户|用户名|登录名|登陆名|昵称|网名"
    r"|学号|学籍号|警号|军官证号?|工牌号?|工作证号?|胸牌号|座机(号|号码)?|分机号?|短号|传真|(手机|电话|身份证|证件)号?码?(尾号|[前后末][两二三四五六七八2-8]+位)"
    r"|车牌(号|号码)?|(社会保障|社会保险|社保|医保|公积金|个人|职工)(卡)?(号|号码|账号|编号|代码)|员工(ID|id|码)|人员(ID|id|标识)"
    r"|(来自|来源|填写|提交|登录|登陆|访问|答题|客户端|用户|终端|公网|内网|本机)?的?IP(v[46])?(地址|归属地|来源|所在地|地区|省|市)?"
    r"|(设备|手机|终端)(号|编号|ID|id|标识|识别码|序列号|指纹)|MAC(地址)?|IMEI|IMSI|UA|UserAgent|cookie"
    r"|(地理|填写|提交|答题|签到)?(经度|纬度|坐标|经纬度)|(填写|提交|答题|登录|签到)(地点|地址|地区|位置|省份?|城市|省市)"
    r"|地理位置(国家和地区|国家|省份?|市|城市|区县)?|(详细|通讯|收货|现)(地址|住址)|扩展属性|自定义(字段|参数|数据)\d*",
    re.IGNORECASE,
)
#: The same in English, compared without spaces, hyphens and underscores.
_WHOLE_EN = re.compile(
    r"(recipient|respondent|participant|user|contact|employee|staff|your|submitter|panelist)?"
    r"(first|last|family|given|middle|sur|full|nick|display|login|screen|account|real|wechat)names?"
    r"|(your)?names?|surname|forename|(remote|client|host)addr(ess)?|(recipient|respondent|contact|work|your|submitter)?(e?mail)(address)?"
    r"|(remote|client|user|source|host|login|respondent|network)?ip(v[46])?(addr|address|location|country|region|city)?(v[46])?"
    r"|mac(addr|address)?|imei|imsi|(device|browser|client)(id|fingerprint)|(http)?useragent|useragentstring|ua|cookie|referr?er(url)?|refurl"
    r"|(location|geo|gps)?(latitude|longitude|lat|long|lng|coordinates?)|(geo|gps)(location)?|latlo?ng"
    r"|externaldatareference|externalreference|externalref|ext(ernal)?id|(access|survey)?(token|accesscode)|customdata\d*"
    r"|(user|account|login|member|panelist|worker|mturk|prolific|contact|recipient|customer|student|employee|staff|personnel|wechat|qq)"
    r"(id|no|number|code|key)|login|account|username|signature|signed(by)?|initials|(submitted|completed|filled(in)?|created|modified)by"
    r"|(license|licence|number)plate|(social(security|insurance))(no|number)?|ssn|(home|mail|mailing|street|postal)?address|workerid|prolificpid",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"^(请)?(您|你|本人|我)?(填写|输入|留下|提供|写下|上传|问)?(一下)?(您|你|本人|我)?(的|所用的?|常用的?)?"
)
_ENDING = re.compile(r"(是什么|是多少|是|为)?[\s:：?？*。._]*$")
_FULL_NAME = re.compile(rf"[{SURNAMES}][一-鿿]{{1,2}}")
_PHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
_ID_CARD = re.compile(r"(?<!\d)(\d{17}[\dXx])(?!\d)")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+\.[\w.]+")
#: Whatever matches one of these matches this.
_SUSPECT = re.compile(r"\d{11}|@|o[\w-]{27}")
_OPENID = re.compile(r"(?<![\w-])o[A-Za-z0-9_-]{27}(?![\w-])")
#: The same for engines whose regular expressions know no look-around and no check digits.
PATTERNS = {
    "手机号": r"(?:^|[^0-9])1[3-9][0-9]{9}(?:[^0-9]|$)",
    "身份证号": r"(?:^|[^0-9])[0-9]{6}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]{4}[0-9Xx](?:[^0-9]|$)",
    "邮箱": r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+[.][A-Za-z0-9.]+",
}
#: No shorter number matches a pattern above: that of a phone.
LEAST_NUMBER = 13_000_000_000
_WEIGHTS, _CHECKS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), "10X98765432"

ALLOWED = "不含个人身份 (no personal identity)"


def identifying_name(header: str) -> bool:
    """Tell whether a header asks for a direct identifier or a special identity.

    Asides in brackets do not count (请勿填写姓名 …), unless the brackets hold all there is, as in 第3题(姓名).
    """
    asked = _NUMBERED.sub("", _ASIDE.sub("", header)).strip()
    if not asked or re.fullmatch(r"第?\s*\d+\s*题?", asked):
        asked = " ".join(part[1:-1] for part in _ASIDE.findall(header)).strip()
    return bool(_NAMES.search(asked)) or _names_an_account(asked)


def _names_an_account(asked: str) -> bool:
    """Tell whether a header as a whole, or its part after a dash, is the name of an account, a device, an address."""
    for part in dict.fromkeys([asked, re.split(r"—|--|–", asked)[-1]]):
        plain = re.sub(r"\s+", "", _ENDING.sub("", part))
        asked_for = _ENDING.sub("", _POLITE.sub("", plain, count=1))
        joined = re.sub(r"[_.\-]+", "", plain)
        if _WHOLE.fullmatch(plain) or _WHOLE.fullmatch(asked_for) or _WHOLE_EN.fullmatch(joined):
            return True
    return False


def identifying_text(text: str) -> str:
    """Return which identifier a cell holds (手机号, 身份证号, 邮箱, openid), or ``""``."""
    if any(_valid_id_card(number) for number in _ID_CARD.findall(text)):
        return "身份证号"
    for name, pattern in (("手机号", _PHONE), ("邮箱", _EMAIL), ("openid", _OPENID)):
        if pattern.search(text):
            return name
    return ""


def identifying_names(headers: Iterable[str]) -> list[str]:
    """Return the headers that ask for a direct identifier, except those of columns dropped anyway."""
    return [header for header in headers if header not in DROPPED and identifying_name(header)]


def advice(columns: Iterable[str], file: str | Path = "") -> str:
    """Return advice: the command that writes a copy without these columns; without a file, the columns to leave out."""
    unique = list(dict.fromkeys(columns))
    if not unique:
        return "改正后再导入 (correct it, then import again)"
    if not str(file):
        return f"去掉这些列再读入 {','.join(unique)} (leave these columns out)"
    return f"删去后再导入 (remove, then import the copy): {clean_command(unique, file)}"


def clean_command(columns: Iterable[str], file: str | Path) -> str:
    """Return the command line that writes a copy of a file without these columns."""
    names = list(columns)
    # A header may hold a comma itself; then it needs an option of its own.
    joined = ",".join(name for name in names if "," not in name)
    options = [*([joined] if joined else []), *(name for name in names if "," in name)]
    return " ".join(["dj clean", _quoted(str(file)), *(f"--drop {_quoted(option)}" for option in options)])


def shown_path(path: Path) -> str:
    """Return a path relative to the working directory where it lies below it, else in full."""
    here = Path.cwd()
    return str(path.resolve().relative_to(here)) if path.resolve().is_relative_to(here) else str(path)


def check_names(place: str, headers: Iterable[str], problems: Problems, *, file: str | Path = "") -> None:
    """Note every column whose name identifies a person."""
    named = identifying_names(headers)
    drop_notice(place, named, {}, {}, problems, file=file)


def drop_notice(
    place: str,
    named: Iterable[str],
    held: dict[str, tuple[str, str]],
    recorded: dict[str, str],
    problems: Problems,
    *,
    file: str | Path = "",
) -> None:
    """Note identifiers and personal records, each with the one command that removes all of them.

    Parameters
    ----------
    named
        Headers that identify by themselves.
    held
        Column → what its cells hold (手机号 …, with the rows) and its header in the file (``""`` where it has none).
    recorded
        Header → restricted purpose of the records under it.
    """
    named = list(named)
    file = file or (place if Path(place).suffix.lower() in SUFFIXES else "")
    repair = advice([*named, *(header for _, header in held.values() if header), *recorded], file)
    for header in named:
        problems.add(place, "identifier_column", header, ALLOWED, repair)
    for column, (content, header) in held.items():
        problems.add(f"{place}: {column}", "identifier_content", content, ALLOWED, repair if header else advice([]))
    for header, tag in recorded.items():
        problems.add(place, "purpose_column", f"{header} ({purpose.label(tag)})", purpose.ALLOWED, repair)


def identifying_cells(frame: pd.DataFrame, *, mapped: Collection[str]) -> dict[str, str]:
    """Return the columns whose cells hold identifiers, with what they hold and where.

    A column that asks who filled in the sheet may hold roles; where most of its values look like names it is held back.
    One cell is enough in a column that is used; in a column that is dropped anyway a fifth of its filled cells, so that
    a number left in a free text does not stop a wave that never reads that text.
    """
    held: dict[str, str] = {}
    for column, cells in frame.items():
        different = cells.unique().tolist()
        kind_of = {text: kind for text in different if _SUSPECT.search(text) and (kind := identifying_text(text))}
        asks_writer = _WRITER.match(_NUMBERED.sub("", _ASIDE.sub("", str(column))).strip())
        if not kind_of and not asks_writer:
            continue
        kinds = cells[cells.isin(list(kind_of))].map(kind_of)
        filled = int((cells.str.strip() != "").sum())
        texts = list(dict.fromkeys(text.strip() for text in different if text.strip()))
        names = [text for text in texts if _FULL_NAME.fullmatch(text)] if asks_writer else []
        if asks_writer and (2 * len(names) > len(texts) or (filled >= 6 and 2 * len(texts) > filled)):
            held[str(column)] = f"姓名 (names) {len(names) or len(texts)}"
        elif len(kinds) and (column in mapped or len(kinds) >= 0.2 * filled):
            held[str(column)] = f"{'、'.join(dict.fromkeys(kinds))} ({rows_text(kinds.index)})"
    return held


def check_other_sheets(path: Path, place: str, sheet: str, problems: Problems) -> None:
    """Note identifiers in sheets that are not read, because the workbook itself must not hold any."""
    if path.suffix.lower() not in WORKBOOKS:
        return
    for name, rows in other_sheets(path, sheet).items():
        if not rows or not any(map(any, rows)):
            continue
        width = max(map(len, rows))
        frame = pd.DataFrame([row + [""] * (width - len(row)) for row in rows], dtype="str")
        header = next(row for row in rows if any(row))
        held = [*identifying_names(header), *identifying_cells(frame, mapped=list(frame.columns)).values()]
        if held:
            advice = "删去该工作表后另存 (delete that sheet, then save)"
            problems.add(f"{place} [{name}]", "identifier_content", "、".join(held[:3]), ALLOWED, advice)


def _quoted(text: str) -> str:
    """Quote an argument that a shell would split or interpret; double quotes also work on Windows."""
    plain = re.fullmatch(r"[\w./\\:,、，。—\-]+", text)
    return text if plain else '"' + text.replace('"', '\\"') + '"'


def _valid_id_card(number: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECKS[total % 11] == number[17].upper()
