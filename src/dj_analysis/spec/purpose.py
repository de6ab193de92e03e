"""Purposes of tables, by which answers are kept apart from records about people."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ..errors import Problems, PurposeError
from ..result import Result

#: What a table may be for, with the words the reader sees; a workspace's tables have one of these or of ``RESTRICTED``.
PURPOSES = {
    "survey": "问卷 survey",
    "indicators": "支部指标 branch indicators",
    "ratings": "评分 ratings",
    "requests": "诉求与帮扶 requests",
    "events": "事件 events",
    "tasks": "任务 tasks",
    "organisation": "组织与人数 organisation",
    "instrument": "问卷与指标定义 instrument",
}

#: What a table is for unless ``[tables.X] purpose`` says otherwise.
BY_TABLE = {
    "responses": "survey",
    "indicator_values": "indicators",
    "ratings": "ratings",
    "obligations": "tasks",
    "obligation_events": "tasks",
    "events": "events",
    "voices": "requests",
    "units": "organisation",
    "headcounts": "organisation",
    "codebook": "instrument",
    "scales": "instrument",
    "indicators": "instrument",
    "rubrics": "instrument",
    "interventions": "instrument",
}

ALLOWED = "问卷答案不与个人记录合并 (answers are not joined with records about people)"


class _Record(NamedTuple):
    """Header patterns of one kind of record: strong ones, and weak ones that do not count for a question."""

    label: str
    strong: re.Pattern[str]
    weak: re.Pattern[str]
    table: re.Pattern[str]


_GRADE = r"(得分|评分|分数|总分|分值|扣分|加分|分|成绩|积分|等级|等次|级别|档次|档位|评级|评定|排名|名次|系数)"
_COUNT = r"(次数|天数|小时数|时数|时长|人次|条数|数量|总数|频次|率|数|量|记录|台账|档案|明细|名单|日期|日志)"
_WHEN_OR_WHO = r"(\d{4}年?度?|上一?年度?|去年|本年度?|近[一二三\d]年|年度|年终|季度|月度|员工|个人|职工|干部|党员)*"
_LOOSE = r"(情况|结果|信息|数据|状态|类型|类别|结论|内容|坐标)"


def _record(label: str, zh: str, alone: str, en: str, en_alone: str, table: str) -> _Record:
    """Compile patterns: in Chinese a subject followed by a record noun, or (weak) alone; in English whole headers."""
    strong = rf"^.{{0,8}}?(?:{zh})$|^(?:{en})$"
    weak = rf"^{_WHEN_OR_WHO}(?:{alone}){_LOOSE}?$|^(?:{en_alone})$"
    return _Record(label, re.compile(strong, re.I), re.compile(weak, re.I), re.compile(table, re.I))


#: Records that judge or watch people (R9): their purpose tag, how their columns are headed, how their tables are named.
RESTRICTED: Mapping[str, _Record] = {
    "appraisal": _record(
        "考核 appraisal",
        rf"(绩效|业绩|考核|考评|民主测评|民主评议|KPI)+(结果|综合)?({_GRADE}|{_COUNT})|党员(量化)?积分",
        "绩效考核|年度考核|考核|考评|民主测评|民主评议|业绩|绩效|KPI",
        r"(job |staff |annual |last )?(performance|appraisal|kpi)( appraisal| review| evaluation)?[ _]"
        r"(score|rating|grade|rank|level|points|result)s?",
        r"kpi|performance (appraisal|review)|appraisal",
        r"考核|考评|绩效|apprais|kpi|perf_?(score|review|rating)",
    ),
    "rewards": _record(
        "奖惩 rewards and punishment",
        rf"(奖惩|奖励|处分|惩处|惩戒|处罚|通报批评|诫勉|获奖|立功|警告)+({_GRADE}|{_COUNT})",
        "奖惩|处分|惩处|惩戒|受处分|受处罚|通报批评|诫勉|奖励与处分",
        r"(rewards?|punishments?|disciplinary|sanctions?|penalt(y|ies)|awards?)( (and|or) punishments?)?[ _]"
        r"(records?|actions?|count|number|points|level)",
        r"rewards? and punishments?|punishments?|disciplinary|sanctions?",
        r"奖惩|处分|惩戒|reward|punish|disciplin|sanction",
    ),
    "integrity": _record(
        "廉洁积分 integrity points",
        rf"(廉洁|廉政|廉洁从业|廉洁自律)+({_GRADE}|{_COUNT})",
        "廉洁档案|廉政档案",
        r"integrity[ _](points|score|rating|record)s?",
        r"integrity file",
        r"廉洁|廉政|integrity_?(points|score|file|record)",
    ),
    "quality": _record(
        "质量积分 quality points",
        r"(工作|作业|个人)?质量(积分|扣分|加分|考核分|考核得分)(情况|结果|记录|排名|等级)?",
        "质量积分",
        r"quality[ _](points|credits)",
        r"quality points",
        r"质量积分|quality_?(points|credits)",
    ),
    "learning": _record(
        "学习积分 learning points",
        r"(学习强国|强国|学习平台|学习)(积分|得分|总分|排名|时长|次数|天数|记录)(情况|结果|排名|等级)?",
        "学习强国",
        r"(learning|study)([ _]app)?[ _](points|score|credits|record|rank)s?",
        r"xuexi ?qiangguo",
        r"学习强国|学习积分|(learning|study)_?(points|score|credits)",
    ),
    "petition": _record(
        "信访 petitions",
        rf"(信访|上访|请愿|举报|越级上访)+({_GRADE}|{_COUNT})",
        "信访|上访|是否信访|是否上访|有无信访|有无上访",
        r"petitions?[ _](count|number|record|times)s?|number of petitions",
        r"petitions?|petitioner",
        r"信访|上访|petition",
    ),
    "attendance": _record(
        "考勤 attendance",
        rf"(考勤|打卡|出勤|缺勤|旷工|迟到|早退|请假|病假|事假|签到|签退)+({_GRADE}|{_COUNT})",
        "考勤|打卡|出勤|缺勤|旷工|迟到|早退",
        r"(attendance|absence|absent|late|leave|sick leave)[ _](days?|rate|records?|count|hours|times)"
        r"|days (absent|present|attended)|clock[- _]?ins?([ _](records?|times?))?",
        r"attendance|absences",
        r"考勤|打卡|attendance|clock_?in|absence",
    ),
    "chat": _record(
        "聊天 chat",
        rf"(微信群?|QQ群?|钉钉群?|企业微信|工作群|群聊|聊天|群内|发言|朋友圈)+(聊天|发言|消息|互动|活跃|点赞|转发)*({_COUNT}|度)(情况)?",
        "聊天记录|聊天内容|微信聊天|群聊天|微信群发言|群发言|朋友圈",
        r"(wechat|chat|group chat|message)[ _]?(logs?|records?|messages?|count|history|posts)",
        r"chats?|chat content",
        r"聊天|群发言|朋友圈|chat|wechat_?(log|message)",
    ),
    "location": _record(
        "定位 location",
        rf"((手机|实时|地理|人员|设备)(定位|位置)|GPS(定位)?|行动轨迹|活动轨迹|行程轨迹|移动轨迹|定位轨迹)({_COUNT}|信息|数据|坐标)"
        r"|定位(记录|信息|数据|坐标|地址|轨迹|时间)|轨迹(记录|数据|信息)|经纬度|(行动|活动|移动|手机|行程)轨迹|(手机|实时|地理)(定位|位置)",
        "定位|轨迹|行踪|GPS",
        r"(gps|geo|mobile|phone)[ _-]?(location|position|track|data|coordinates)s?|location[ _](data|history|records?|track|log)s?"
        r"|latitude|longitude|trajectory|movement track",
        r"location|gps|geolocation|positioning|track",
        r"定位|轨迹|gps|geo_?location|trajector|location_?(log|history|track)",
    ),
}

#: Words of opinion: a header that holds one asks what somebody thinks and is no record.
_OPINION = re.compile(
    r"满意|认为|觉得|感到|感受|同意|赞同|公平|公正|公开|公道|合理|透明|清楚|清晰|了解|知道|理解|熟悉|希望|期望|建议|应该|应当|需要"
    r"|什么|哪|怎|如何|多大|程度|愿意|是否(?!信访|上访)|能否|有没有|吗|呢|解释|及时|影响|压力|负担|评价(?=[:：—-])|打分|请您|请对|请就|对"
    r"|satisf|agree|fair|clear|think|feel|should|would|how|what|which|does|\bdo\b|\bare\b|\bis\b|[?？]",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\s*(第\s*\d+\s*题|\d+\s*[、.．:：]|Q\d+[.:、])\s*", re.IGNORECASE)
_ASIDE = re.compile(r"[(（\[【][^()（）\[\]【】]*[)）\]】]")
_OWN = re.compile(r"^(请问|请填写|请选择)?(您|你|我|本人)(的|在|所在|上一?年度?|去年|最近一次)*")
_TAIL = re.compile(r"(是|为|有)?[:：。.]*$")
_LONGEST = 20  # characters; no header of a record is a sentence
_FROM = re.compile(r"\b(?:from|join)\s+([\w.\"`\[\]一-鿿]+)", re.IGNORECASE)


def record_purpose(header: str, *, asked: bool = False) -> str:
    """Return the restricted purpose of the records under a header, or ``""``.

    Parameters
    ----------
    header
        As it stands in the file: ``绩效考核得分``, ``3、考勤天数``, ``kpi_score``.
    asked
        The header is known to be a question of the questionnaire. Then, as with a numbered header, only a subject with a
        noun of records behind it counts (考核等级, 信访次数): 考核结果 may be the row of a matrix that asks how satisfied
        people are with it.

    Examples
    --------
    >>> record_purpose("绩效考核得分"), record_purpose("您对考核结果的公正性是否满意")
    ('appraisal', '')
    """
    asked = asked or bool(_NUMBERED.match(header))
    bare = _NUMBERED.sub("", header.strip())
    inside = " ".join(part[1:-1] for part in _ASIDE.findall(bare))
    outside = _ASIDE.sub("", bare).strip()
    wording = outside or inside.strip()
    wording = _TAIL.sub("", _OWN.sub("", wording)).replace("_", " ").strip()
    wording = " ".join(wording.split())
    if (
        not wording
        or _OPINION.search(wording)
        or "—" in wording
        or "--" in wording
        or len(wording) > _LONGEST * (1 + wording.isascii())
    ):
        return ""
    for tag, record in RESTRICTED.items():
        if record.strong.search(wording) or (not asked and record.weak.search(wording)):
            return tag
    return ""


def label(tag: str) -> str:
    """Words for a purpose tag."""
    return RESTRICTED[tag].label if tag in RESTRICTED else PURPOSES.get(tag, tag)


def records(headers: Iterable[str], *, asked: Collection[str] = ()) -> dict[str, str]:
    """Return the headers of columns with records about people, with the purpose of each."""
    purposes = {header: record_purpose(header, asked=header in asked) for header in headers}
    return {header: tag for header, tag in purposes.items() if tag}


def restricted_tables(query: str) -> dict[str, str]:
    """Return the tables of an SQL query whose names indicate records about people, with the purpose of each."""
    purposes = {
        name: next((tag for tag, record in RESTRICTED.items() if record.table.search(name)), "")
        for name in _FROM.findall(query)
    }
    return {name: tag for name, tag in purposes.items() if tag}


def check_purposes(*results: Result) -> None:
    """Raise an error where results of different programmes are combined and one of them is about persons.

    Raises
    ------
    PurposeError
        A survey met indicators, ratings, requests or events.

    Examples
    --------
    >>> check_purposes()
    """
    programmes = list(dict.fromkeys(result.programme for result in results))
    if len(programmes) > 1 and any(result.about == "persons" for result in results):
        labels = "、".join(label(programme) for programme in programmes)
        problems = Problems()
        problems.add(
            "结果/results", "purpose_results", labels, ALLOWED, "各自报告，不合并 (report each by itself, join nothing)"
        )
        raise PurposeError(problems=problems)
