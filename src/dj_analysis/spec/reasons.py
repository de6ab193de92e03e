"""Why a number is missing, in the words that are printed."""

from __future__ import annotations

NO_ANSWERS = "无人填答"
NOT_ENOUGH_ANSWERED = "有效作答不足,不计分"
ONE_PERSON = "仅一人填答,无法估计误差"
NO_VARIANCE = "作答完全一致,无法估计误差"
NO_ERROR_SOURCE = "缺少误差估算依据"
NO_HEADCOUNT = "应答人数基数缺失,参与率无法计算"
MORE_THAN_HEADCOUNT = "填答人数超过在册人数,请核对人数"
SMALL_GROUP = "填答人数不足,按规定不单列"
NO_COUNT_OF_PEOPLE = "人数未知,按规定不单列"
LOW_RESPONSE = "参与率偏低提示"
FALLEN_RESPONSE = "参与率较上期明显下降"
TOO_FEW_TO_JUDGE = "数据不足"
NOT_IN_BOTH = "两期不可比"
SUPPRESSED_AT_SOURCE = "来源已隐去"
MISSING_VALUE = "无数据"
NOT_WEIGHTED = "此检验不支持加权"

ENGLISH = {
    NO_ANSWERS: "nobody answered",
    NOT_ENOUGH_ANSWERED: "too few items answered",
    ONE_PERSON: "one respondent, no error can be estimated",
    NO_VARIANCE: "all answers equal, no error can be estimated",
    NO_ERROR_SOURCE: "no basis for an error estimate",
    NO_HEADCOUNT: "headcount unknown, participation cannot be computed",
    MORE_THAN_HEADCOUNT: "more respondents than staff on the books, check the headcount",
    SMALL_GROUP: "too few respondents, not shown by rule",
    NO_COUNT_OF_PEOPLE: "number of people unknown, not shown by rule",
    LOW_RESPONSE: "low participation",
    FALLEN_RESPONSE: "participation fell sharply",
    TOO_FEW_TO_JUDGE: "not enough data",
    NOT_IN_BOTH: "not comparable",
    SUPPRESSED_AT_SOURCE: "hidden by its source",
    MISSING_VALUE: "no data",
    NOT_WEIGHTED: "this test has no weighted form",
}


def printed(reason: str, language: str = "zh") -> str:
    """Return the reason in the reader's language, with the punctuation of print."""
    return ENGLISH.get(reason, reason) if language == "en" else reason.translate(_FULL_WIDTH)


_FULL_WIDTH = str.maketrans(",;:()", "\uff0c\uff1b\uff1a\uff08\uff09")
