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
COMPLEMENT = "为避免推算,不单列"
NO_COUNT_OF_PEOPLE = "人数未知,按规定不单列"
LOW_RESPONSE = "参与率偏低提示"
FALLEN_RESPONSE = "参与率较上期明显下降"
TOO_FEW_TO_JUDGE = "数据不足"
NOT_IN_BOTH = "两期不可比"
SUPPRESSED_AT_SOURCE = "来源已隐去"
MISSING_VALUE = "无数据"
NOT_WEIGHTED = "此检验不支持加权"

HIDING = (SMALL_GROUP, COMPLEMENT, NO_COUNT_OF_PEOPLE)

ENGLISH = {
    NO_ANSWERS: "nobody answered",
    NOT_ENOUGH_ANSWERED: "too few items answered",
    ONE_PERSON: "one respondent, no error can be estimated",
    NO_VARIANCE: "all answers equal, no error can be estimated",
    NO_ERROR_SOURCE: "no basis for an error estimate",
    NO_HEADCOUNT: "headcount unknown, participation cannot be computed",
    MORE_THAN_HEADCOUNT: "more respondents than staff on the books, check the headcount",
    SMALL_GROUP: "too few respondents, not shown by rule",
    COMPLEMENT: "not shown, so that no small group can be computed",
    NO_COUNT_OF_PEOPLE: "number of people unknown, not shown by rule",
    LOW_RESPONSE: "low participation",
    FALLEN_RESPONSE: "participation fell sharply",
    TOO_FEW_TO_JUDGE: "not enough data",
    NOT_IN_BOTH: "not comparable",
    SUPPRESSED_AT_SOURCE: "hidden by its source",
    MISSING_VALUE: "no data",
    NOT_WEIGHTED: "this test has no weighted form",
    # Reasons that one method alone gives stand beside it; their English is here.
    "单位少于两个,无法比较单位之间与之内的差异": "fewer than two units, between and within cannot be compared",
    "各单位均值完全相同": "all units have the same mean",
    "每个单位只有一人,无法区分单位之间与之内的差异": "one person a unit, between and within cannot be told apart",
    "一致性可接受": "consistent enough",
    "项数超出随机一致性指标表,无法计算一致性比例": "more things than the table of random indices holds",
    "题目间协方差阵不正定,无法估计": "the covariances of the items are not positive definite, nothing can be estimated",
    "模型未收敛": "the model did not converge",
    "模型不可识别": "the model is not identified",
    "解不合理:残差方差为负或因子协方差阵不正定": (
        "an improper solution: a negative residual variance or impossible factor covariances"
    ),
    "重叠期无数据,不能衔接": "no data in the overlap, the series cannot be linked",
    "各单位数值相同,无法换算": "the same value everywhere, it cannot be rescaled",
    "含负值,几何或调和平均无定义": "negative values have no geometric or harmonic mean",
    "无前期数据": "no earlier data",
    "指标不全,不参与排序": "indicators are missing, not ranked",
    "题目间相关矩阵不可逆,无法计算": "the correlations of the items cannot be inverted",
    "因子解不成立(某题共同度达到 1),请减少因子或题目": "an item's communality reached 1: take fewer factors or items",
    "平行分析未发现公共因子": "parallel analysis finds no common factor",
    "完整作答人数不足,未纳入比较": "too few complete answers, left out of the comparison",
    "可比的组不足两个": "fewer than two groups that can be compared",
    "没有可检验的维度": "no dimension that can be tested",
    "约束不增加自由度,无法检验": "the constraint adds no degree of freedom, nothing can be tested",
    "前一级不成立": "the level before it does not hold",
    "仅两题的维度,分不清是哪一题不同": "a dimension of two items: which of them differs cannot be told",
    "个别题目有差异,见题目比较": "single items differ, see the comparison of items",
    "可比的题不足两道,无法检验": "fewer than two items asked alike, nothing can be tested",
    "作答太少,未予核查": "too few answers to be looked at",
    "题目不足,未予核查": "too few items to look for it",
    "答卷不足,无法估计题目间的协方差": "too few sheets to estimate the covariances of the items",
    "维度不足或彼此区分不开,不据此判断": "too few dimensions, or not distinct enough to judge by",
    "没有答题用时": "no answering times",
    "没有核对题": "no check question",
    "仅一名评委,无法估计误差": "one rater, no error can be estimated",
    "评委未交叉评分,无法区分宽严与优劣": "raters judged different things, severity cannot be told from merit",
    "评分不全,无法给出区间": "marks are missing, no interval can be given",
    "对象或评委太少,无法计算": "too few targets or raters",
    "评分完全一致,无法估计误差": "all marks equal, no error can be estimated",
    "各对象得分无差异,无法计算": "all targets have the same score",
    "无检查评分": "no inspection",
    "无自评": "no self-assessment",
    "仅一项评分,无法估计误差": "one item, no error can be estimated",
    "只有一题,无法计算信度": "one item, no reliability",
    "有题目作答完全一致,无法计算": "all answers to an item are equal",
    "只有两题,单因子模型与 KMO 无意义": "two items: a one-factor model and KMO mean nothing",
    "未要求计算": "not asked for",
    "部分选择下无得分,不参与排名": "no score under some choices, not ranked",
    "各种选择下排名不变": "no choice moves a rank",
    "不足两个单位,无排名": "fewer than two units, no rank",
    "各指标完全同向变动,无法区分": "all indicators move together and cannot be told apart",
}


def printed_reason(reason: str, language: str = "zh") -> str:
    """Return the reason in the reader's language, with the punctuation of print."""
    return ENGLISH.get(reason, reason) if language == "en" else reason.translate(_FULL_WIDTH)


_FULL_WIDTH = str.maketrans(",;:()", "\uff0c\uff1b\uff1a\uff08\uff09")
