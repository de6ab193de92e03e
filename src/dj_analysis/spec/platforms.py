"""Survey platforms: the leading columns of their exports, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

#: Names under which leading columns are known to all later steps, whatever the platform calls them.
NUMBER, SUBMITTED, DURATION = "序号", "提交答卷时间", "所用时间"

_WJX_QUESTION = re.compile(r"\d+、|第\d+题")
#: What the column of finished sheets holds for the others.
UNFINISHED = ("", "false", "0", "否", "no", "n")


@dataclass(frozen=True)
class Platform:
    """How one platform's export is recognised and read.

    Attributes
    ----------
    submitted, number, duration
        Headers of the time of submission, of the running number, of the time taken.
    others
        Further leading columns; they are no questions. Those in ``personal`` lead to a person.
    least
        Leading columns beside the time of submission that an export shows.
    first
        The time of submission stands in the first column.
    finished
        Header of the column that is empty or false for sheets never submitted.
    missing
        Marks of questions skipped or not shown.
    renamed
        Leading columns get the names above, and the others are left out; 问卷星 has these names itself.
    """

    name: str
    submitted: tuple[str, ...]
    number: tuple[str, ...] = ()
    duration: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    least: int = 2
    first: bool = False
    finished: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    renamed: bool = True

    @property
    def leading(self) -> frozenset[str]:
        """All leading headers, as they are compared."""
        named = (*self.submitted, *self.number, *self.duration, *self.others, *self.personal, *self.finished)
        return frozenset(bare_header(header) for header in named)


#: 问卷星 writes these where a question was skipped or left empty; elsewhere −2 and −3 are numbers.
WJX_MISSING = ("-2", "-3", "(空)", "（空）", "(跳过)", "（跳过）")

PLATFORMS = (
    Platform(
        "问卷星", (SUBMITTED,), (NUMBER,), (DURATION,), least=1, missing=WJX_MISSING, renamed=False,
        others=("来源", "总分"), personal=("来源详情", "来自IP"),
    ),
    Platform(
        "腾讯问卷", ("结束答题时间",), ("编号", "答卷编号"), ("答题时长",),
        ("开始答题时间", "语言", "清洗数据结果", "智能清洗数据无效概率", "清洗数据", "来源", "渠道", "自定义字段"),
        ("地理位置国家和地区", "地理位置省", "地理位置市", "地理位置", "用户类型", "用户标识", "用户微信昵称", "昵称", "IP", "UA", "Referrer"),
    ),
    Platform(
        "金数据", ("提交时间",), ("序号",), ("填写时长", "答题时长"),
        ("更新时间", "修改时间", "填写设备", "操作系统", "浏览器", "来源渠道", "数据来源", "总分"),
        ("提交人", "修改人", "填写IP", "IP", "填写地区", "微信昵称", "微信OpenID", "微信头像", "微信性别", "微信国家", "微信省市", "扩展属性"),
    ),
    Platform(
        "LimeSurvey", ("submitdate", "Date submitted", "提交日期", "提交时间"),
        ("id", "response_id", "Response ID", "答复 ID", "回答ID", "答案ID"), ("interviewtime", "Total time", "总时间"),
        ("lastpage", "Last page", "最后一页", "startlanguage", "Start language", "开始语言", "seed", "Seed", "种子",
         "startdate", "Date started", "开始日期", "datestamp", "Date last action", "最后操作日期"),
        ("token", "Access code", "ipaddr", "IP address", "IP地址", "refurl", "Referrer URL", "firstname", "lastname", "email"),
        finished=("submitdate", "Date submitted", "提交日期"), missing=("N/A",),
    ),
    Platform(
        "Qualtrics", ("RecordedDate", "Recorded Date", "记录日期"), ("ResponseId", "Response ID", "ResponseID"),
        ("Duration (in seconds)", "持续时间（以秒计）"),
        ("StartDate", "Start Date", "EndDate", "End Date", "Status", "Response Type", "Progress", "Finished",
         "DistributionChannel", "Distribution Channel", "UserLanguage", "User Language"),
        ("IPAddress", "IP Address", "RecipientLastName", "Recipient Last Name", "RecipientFirstName", "Recipient First Name",
         "RecipientEmail", "Recipient Email", "ExternalReference", "External Data Reference", "ExternalDataReference",
         "LocationLatitude", "Location Latitude", "LocationLongitude", "Location Longitude"),
        least=3, finished=("Finished",),
    ),
    Platform(
        "SurveyMonkey", ("End Date", "Date Modified", "结束日期"), ("Respondent ID", "RespondentID", "回复者 ID"), (),
        ("Collector ID", "CollectorID", "收集器 ID", "Start Date", "Date Created", "开始日期"),
        ("IP Address", "IP 地址", "Email Address", "电子邮件地址", "First Name", "名字", "Last Name", "姓氏", "Custom Data 1",
         "Custom Data", "自定义数据 1"),
    ),
    Platform(
        "Microsoft Forms", ("Completion time", "完成时间"), ("ID",), (),
        ("Start time", "开始时间", "Last modified time", "上次修改时间", "Language", "语言", "Total points", "总分",
         "Quiz feedback", "测验反馈"),
        ("Email", "电子邮件", "Name", "名称", "姓名"),
    ),
    Platform(
        "Google Forms", ("Timestamp", "时间戳记", "时间戳", "时间戳印"), others=("Score", "分数", "得分"),
        personal=("Username", "用户名", "Email Address", "电子邮件地址", "邮箱地址"), least=0, first=True,
    ),
)  # fmt: skip
BY_NAME: Mapping[str, Platform] = {platform.name: platform for platform in PLATFORMS}


@dataclass(frozen=True)
class PlatformExport:
    """An export with its leading columns under the common names.

    ``left_out``: leading columns that are no questions; ``unfinished``: sheets never submitted, left out as well.
    """

    frame: pd.DataFrame
    platform: str = ""
    left_out: tuple[str, ...] = ()
    unfinished: int = 0
    notices: tuple[str, ...] = field(default=())


def bare_header(header: str) -> str:
    """A leading header as compared: without case, spaces and brackets."""
    return re.sub(r"[\s_()（）\ufeff]+", "", header).casefold()


def platform_of(headers: Iterable[str]) -> Platform | None:
    """Return the platform whose leading columns these headers show, or None."""
    shown = [bare_header(str(header)) for header in headers]
    return next((platform for platform in PLATFORMS if _shows(shown, platform)), None)


def number_header(headers: Iterable[str]) -> str:
    """Return the header of a platform's running number, 序号 where there is none."""
    headers = list(map(str, headers))
    platform = platform_of(headers)
    spelled = [bare_header(header) for header in platform.number] if platform else []
    return next((header for header in headers if bare_header(header) in spelled), NUMBER)


def _shows(shown: list[str], platform: Platform) -> bool:
    """Tell whether headers are those of a platform: its time of submission, with enough of its other columns.

    Of 问卷星 two of number, time and duration are enough, for offices cut one out, or its way of numbering questions in
    most headers (``3、…``, ``第3题(…)``).
    """
    if not platform.renamed:
        numbered = sum(bool(_WJX_QUESTION.match(header)) for header in shown)
        return len({NUMBER, SUBMITTED, DURATION} & set(shown)) >= 2 or (numbered >= 3 and 2 * numbered > len(shown))
    submitted = {bare_header(header) for header in platform.submitted}
    where = set(shown[:1] if platform.first else shown)
    return bool(submitted & where) and len((platform.leading - submitted) & set(shown)) >= platform.least


def exported(frame: pd.DataFrame, place: str) -> PlatformExport:
    """Name the leading columns of a platform's export in common, and leave out what is no answer and no answered sheet."""
    platform = platform_of(map(str, frame.columns))
    if platform is None:
        return PlatformExport(frame)
    notices = []
    kept = finished_rows(frame, platform)
    unfinished = len(frame) - len(kept)
    if unfinished:
        notices.append(f"{place}: {platform.name} 未提交的答卷 {unfinished} 份未计 (unfinished sheets not counted)")
    common, left_out = leading_columns(map(str, frame.columns), platform)
    kept = kept.drop(columns=list(left_out)).rename(columns=common)
    notices += left_out_notice(left_out, platform, place)
    return PlatformExport(kept, platform.name, left_out, unfinished, tuple(notices))


def leading_columns(headers: Iterable[str], platform: Platform) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return header → common name of a platform's leading columns, and those that are left out."""
    if not platform.renamed:
        return {}, ()
    headers = list(headers)
    common = _common_names(headers, platform)
    return common, tuple(name for name in headers if bare_header(name) in platform.leading and name not in common)


def left_out_notice(left_out: tuple[str, ...], platform: Platform, place: str) -> list[str]:
    """Tell which columns of a platform are not read."""
    if not left_out:
        return []
    listed = ", ".join(left_out[:8]) + (" …" if len(left_out) > 8 else "")
    return [f"{place}: {platform.name} 导出的附加列未读 (columns of the platform left out) {listed}"]


def finished_column(headers: Iterable[str], platform: Platform) -> str:
    """Return the header of the column that tells sheets never submitted, ``""`` where there is none."""
    ends = {bare_header(header) for header in platform.finished}
    return next((header for header in headers if bare_header(header) in ends), "")


def finished_rows(frame: pd.DataFrame, platform: Platform) -> pd.DataFrame:
    """Keep the rows of sheets that were submitted."""
    column = finished_column(map(str, frame.columns), platform)
    if not column:
        return frame
    return frame[~frame[column].astype("str").str.strip().str.casefold().isin(UNFINISHED)]


def _common_names(headers: list[str], platform: Platform) -> dict[str, str]:
    """Return header → common name, for the first column of each kind whose name is not taken."""
    names: dict[str, str] = {}
    wanted = ((platform.submitted, SUBMITTED), (platform.number, NUMBER), (platform.duration, DURATION))
    for spellings, common in wanted:
        spelled = [bare_header(header) for header in spellings]
        matches = [name for name in headers if bare_header(name) in spelled]
        matches.sort(key=lambda name: spelled.index(bare_header(name)))
        if matches and (common not in headers or matches[0] == common):
            names[matches[0]] = common
    return names
