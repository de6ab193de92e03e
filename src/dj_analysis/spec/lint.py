"""Checks of the questions: forbidden subjects, poor wording."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import Problems
from .purpose import ALLOWED, label, record_purpose
from .tree import Node

#: The 100 most frequent family names (Ministry of Public Security 2020), so that a person named in a question is seen.
SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾"
    "夏付方邹熊白孟秦邱侯江尹薛闫段雷龙史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤"
)
_TITLE = r"(副?(主任|经理|书记|处长|科长|部长|主席|班长|队长|厂长|院长|所长|组长|董事长)|总经理|总监|总(?![一-鿿])|总(?=[的处做对在是很办]))"


class Subject(NamedTuple):
    """A forbidden subject: its name, its pattern, and a question about working conditions to ask instead."""

    name: str
    pattern: re.Pattern[str]
    instead: str


def _subject(name: str, words: str, instead: str) -> Subject:
    return Subject(name, re.compile(words, re.IGNORECASE), instead)


FORBIDDEN = (
    _subject(
        "政治观点 political opinion",
        r"政治(观点|立场|态度|倾向|面貌|思想|信念|觉悟|表现|素质)|时政|(国家|中央|政府)的?(政策|方针|领导人)"
        r"|political|government polic|\bvot(e|ed|ing)\b",
        "改问工作安排和说明是否清楚 (ask whether decisions at work are explained)",
    ),
    _subject(
        "对党忠诚 party loyalty",
        r"忠诚|拥护|入党|(是不是|是否|您是|你是)(为|是)?(中共)?(预备)?党员"
        r"|党性|对党|党员身份|跟党|党的(领导|路线|理论|主张)|理想信念|\bparty (member|loyal)|loyal to the party",
        "改问组织活动的时间和内容是否合适 (ask whether meetings are well timed)",
    ),
    _subject(
        "意识形态 ideology",
        r"意识形态|主义信仰|世界观|价值观念|ideolog",
        "改问工作中的具体做法 (ask about practice at work)",
    ),
    _subject(
        "宗教信仰 religion",
        r"宗教|信教|信仰|教徒|礼拜|烧香|寺庙|寺院|教堂|清真寺|道观|拜佛|念经|religio|(?<!good )\bfaith\b|church|mosque|temple",
        "改问工作时间安排是否合适 (ask whether hours suit)",
    ),
    _subject(
        "民族 ethnicity",
        r"民族|少数民族|种族|籍贯|ethnic|\brace\b|nationality",
        "改问团队中是否受到尊重 (ask about respect)",
    ),
    _subject(
        "诊断、用药与症状 diagnosis, medicine, symptoms",
        r"服药|用药|吃药|安眠药|(抗抑郁|降压|止痛|镇静)药|服用.{0,6}药"
        r"|(?<!故障)(?<!设备)诊断|确诊|病史|(?<!隐)患有|疾病|慢性病|抑郁|焦虑症|精神(疾病|障碍)|失眠|入睡困难|食欲不振|情绪低落|心情低落|绝望|自伤|自杀"
        r"|不如死|提不起(劲|兴趣)|PHQ|GAD-?7|SCL-?90|GHQ|diagnos|medicat|prescribed (drug|medic)|prescription|depress|anxiety disorder|insomnia|suicid"
        r"|little interest or pleasure|feeling down",
        "改问休息时间和求助渠道 (ask about time to rest and ways to get help)",
    ),
    _subject("性生活 sexual life", r"性生活|性取向|性行为|sexual|sex life", "删去 (remove it)"),
    _subject(
        "生育计划 pregnancy plans",
        r"怀孕|备孕|生育(计划|意愿|打算)|(打算|计划|准备|想)要?(生|再生|二孩|三孩|孩子)"
        r"|(?<![需主])要(个|一个|二|三|小)?(孩子|小孩|宝宝|二胎|三胎)(?![的上接])|pregnan|plan(ning)? to have (a )?(child|bab)",
        "改问家庭事务的工作便利 (ask whether work leaves room for family)",
    ),
    _subject(
        "工会、信访与请愿 union or petition activity",
        r"信访|上访|请愿|罢工|维权(活动|群|组织)|(加入|参加|退出)工会|\bpetition|on strike|union (member|activit)|join(ed|ing)? (a |the )?union",
        "改问诉求渠道和答复是否及时 (ask whether issues raised are answered)",
    ),
    _subject(
        "私人社交 private social media",
        r"朋友圈|(?<!工作)微信(号|群|好友)|微博|抖音|QQ|私人社交|社交(媒体|账号)|social media|facebook|weibo|wechat",
        "删去 (remove it)",
    ),
    _subject(
        "家庭成员身份 family members' identity",
        r"(配偶|父母|父亲|母亲|子女|爱人|丈夫|妻子|家属|家人|亲属)(现在|目前)?(在|是|从事|做).{0,3}(哪|什么|何).{0,5}(工作|上班|单位|行业|职业|的)"
        r"|(配偶|父母|父亲|母亲|子女|爱人|家属|家人|亲属)的?(姓名|名字|身份|工作单位|单位|职业|职务|电话|政治)"
        r"|(spouse|parent|father|mother|child|relative)s?'?s? (name|employer|job|occupation)",
        "改问家庭急事时的便利 (ask about help in a family emergency)",
    ),
    _subject(
        "点名同事 naming colleagues",
        rf"(?<![一-鿿])[{SURNAMES}]{_TITLE}"
        rf"|(?<=[对向和与由给请跟])(?!方)[{SURNAMES}]{_TITLE}"
        r"|(写出|列出|说出|填写|指出|举报).{0,12}(同事|领导|员工|人员)?.{0,6}(姓名|名字)|哪(位|个|些)(同事|领导|员工)"
        r"|name (the|a|any|your) (colleague|coworker|co-worker|manager)|which (colleague|coworker|manager)",
        "改问团队整体的做法 (ask about the team as a whole)",
    ),
)

_NOT_A_REQUEST = re.compile(r"[(（][^()（）]*(请勿|不要|无需|不用|no names)[^()（）]*[)）]", re.IGNORECASE)
_TWO_IN_ONE = re.compile(r"并且|而且|同时|以及|\band also\b|\bas well as\b", re.IGNORECASE)
_LEADING = re.compile(
    r"难道|显然|众所周知|应该承认|不可否认|是不是都|obviously|surely|of course|don't you", re.IGNORECASE
)
_RECALL = re.compile(r"最近|近|过去|上(个|一)?(月|季)|last|past|recent", re.IGNORECASE)


def forbidden_subject(text: str) -> Subject | None:
    """Return the forbidden subject a question touches, if any; a request *not* to write names is no request."""
    asked = _NOT_A_REQUEST.sub("", text)
    return next((subject for subject in FORBIDDEN if subject.pattern.search(asked)), None)


def check_subjects(place: str, nodes: Iterable[Node], problems: Problems) -> None:
    """Note questions to persons about forbidden subjects (domain D5); these are errors."""
    for node in nodes:
        if node.role not in ("item", "text", "outcome", "group", "team", "check", "dimension"):
            continue
        for text in (node.text_zh, node.text_en, node.label_zh, node.label_en):
            subject = forbidden_subject(text)
            if subject:
                value = f"{subject.name}: {text[:40]}"
                allowed = "工作生活状况 (working life)"
                problems.add(f"{place}: {node.code}", "forbidden_subject", value, allowed, subject.instead)
                break


def check_records(place: str, nodes: Iterable[Node], problems: Problems) -> None:
    """Note nodes of a survey instrument that hold personal records: groups, weights, outcomes, checks, questions.

    A question counts by its wording; only where it has none by its label.
    """
    for node in nodes:
        question = node.role in ("item", "text", "dimension", "index")
        wordings = [text for text in (node.text_zh, node.text_en) if text]
        texts = (wordings or [node.label_zh, node.label_en]) if question else [*wordings, node.label_zh, node.label_en]
        tag = next((tag for text in texts if text and (tag := record_purpose(text, asked=question))), "")
        if not tag and not question:
            tag = record_purpose(node.code, asked=True)
        if tag:
            advice = "删去该列;问卷只问工作生活 (remove it; ask about working life only)"
            problems.add(f"{place}: {node.code}", "purpose_column", f"{label(tag)}: {node.label_zh}", ALLOWED, advice)


def craft_warnings(
    nodes: Iterable[Node], *, recall_declared: bool, not_applicable: Iterable[str], declared_everywhere: bool = False
) -> Problems:
    """List poorly worded questions: double-barrelled, leading, without a not-applicable option or recall period.

    Parameters
    ----------
    recall_declared
        The form states the recall period once for all questions.
    not_applicable
        Scales with an option that counts as missing (不了解/不适用).
    declared_everywhere
        The form offers such an option for every question.
    """
    warnings, scales = Problems(), set(not_applicable)
    for node in nodes:
        if node.role != "item" or not node.text_zh:
            continue
        if _TWO_IN_ONE.search(node.text_zh):
            warnings.add(node.code, "two_in_one", node.text_zh, "一题一事", "拆成两题 (split it)")
        if _LEADING.search(node.text_zh):
            warnings.add(node.code, "leading", node.text_zh, "中性措辞", "去掉引导词 (drop the leading words)")
        if not declared_everywhere and node.scale not in scales:
            warnings.add(
                node.code, "no_way_out", node.scale or "(无量表)", "含 不了解/不适用", "加此选项 (add the option)"
            )
        if not recall_declared and not _RECALL.search(node.text_zh):
            warnings.add(node.code, "no_recall", node.text_zh, "如 最近三个月", "写明时间 (state the period)")
    return warnings
