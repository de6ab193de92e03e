"""Reasons why a number is missing: codes for tables, words for print."""

from __future__ import annotations

from collections.abc import Mapping

NO_ANSWERS = "no_answers"
NOT_ENOUGH_ANSWERED = "not_enough_answered"
ONE_PERSON = "one_person"
NO_VARIANCE = "no_variance"
NO_ERROR_SOURCE = "no_error_source"
NO_HEADCOUNT = "no_headcount"
MORE_THAN_HEADCOUNT = "more_than_headcount"
SMALL_GROUP = "small_group"
COMPLEMENT = "complement"
NO_COUNT_OF_PEOPLE = "no_count_of_people"
LOW_RESPONSE = "low_response"
FALLEN_RESPONSE = "fallen_response"
TOO_FEW_TO_JUDGE = "too_few_to_judge"
NOT_IN_BOTH = "not_in_both"
SUPPRESSED_AT_SOURCE = "suppressed_at_source"
MISSING_VALUE = "missing_value"
NOT_WEIGHTED = "not_weighted"
NOT_BY_TEAM = "not_by_team"
NO_STABLE_CLUSTERS = "no_stable_clusters"
NOT_APPLICABLE = "not_applicable"
SAME_EVERY_MONTH = "same_value_every_month"
VALUE_CORRECTED = "value_corrected"
OTHERS_CORRECTED = "others_corrected"
VERSIONS_NOT_LINKED = "versions_not_linked"
TOO_FEW_COMMON_ITEMS = "too_few_common_items"
FEWER_THAN_HALF_CLOSED = "fewer_than_half_closed"
RAISE_PARTICIPATION = "raise_participation"
OTHER_DIMENSIONS = "other_dimensions"
NO_UNIT_ABOVE = "no_unit_above"
NO_SURE_GAP = "no_sure_gap"
NO_MEASURE_FOR_ITEMS = "no_measure_for_items"
DESCRIPTION_ONLY = "description_only"
PILED_UP = "piled_up"
UNEVEN_WEIGHTS = "uneven_weights"
ALPHA_NEAR_END = "alpha_near_end"
NOBODY_LINKED = "nobody_linked"
FEW_LINKED = "few_linked"

SAME_FIGURE = "same_figure"
OTHER_PEOPLE = "other_people"
OTHER_METHOD = "other_method"

HIDING = (SMALL_GROUP, COMPLEMENT, NO_COUNT_OF_PEOPLE)  # hidden by rule

#: Code → what is printed, in Chinese and English. Reasons that one method alone gives stand beside it; their words are here.
WORDS: Mapping[str, tuple[str, str]] = {
    NO_ANSWERS: ("无人填答", "nobody answered"),
    NOT_ENOUGH_ANSWERED: ("有效作答不足，不计分", "too few items answered"),
    ONE_PERSON: ("仅一人填答，无法估计误差", "one respondent, no error can be estimated"),
    NO_VARIANCE: ("作答完全一致，无法估计误差", "all answers equal, no error can be estimated"),
    NO_ERROR_SOURCE: ("缺少误差估算依据", "no basis for an error estimate"),
    NO_HEADCOUNT: ("未提供在册人数，参与率无法计算", "headcount unknown, participation cannot be computed"),
    MORE_THAN_HEADCOUNT: (
        "填答人数超过在册人数，请核对人数",
        "more respondents than staff on the books, check the headcount",
    ),
    SMALL_GROUP: ("填答人数不足，按规定不单列", "too few respondents, not shown by rule"),
    COMPLEMENT: ("为避免推算，不单列", "not shown, so that no small group can be computed"),
    NO_COUNT_OF_PEOPLE: ("人数未知，按规定不单列", "number of people unknown, not shown by rule"),
    LOW_RESPONSE: ("参与率偏低提示", "low participation"),
    FALLEN_RESPONSE: ("参与率较上期明显下降", "participation fell sharply"),
    TOO_FEW_TO_JUDGE: ("数据不足", "not enough data"),
    NOT_IN_BOTH: ("两期不可比", "not comparable"),
    TOO_FEW_COMMON_ITEMS: (
        "两期相同的题不足一半，不作比较",
        "fewer than half of the questions are the same, not compared",
    ),
    PILED_UP: (
        "作答集中于一端而人数较少，不作判断",
        "answers pile up at one end and respondents are few, not judged",
    ),
    UNEVEN_WEIGHTS: (
        "权重悬殊且与作答有关，折合人数过少，不作判断",
        "weights differ much and go with the answers, too few people by weight, not judged",
    ),
    ALPHA_NEAR_END: (
        "作答集中于一端而人数较少，不给区间，仅作情况描述",
        "answers pile up at one end and respondents are few: no interval, description only",
    ),
    NOBODY_LINKED: ("无人作跨期对应", "nobody linked both waves"),
    FEW_LINKED: (
        "跨期对应或未对应的人数过少，不单列",
        "too few linked both waves, or too few did not; not shown by rule",
    ),
    SUPPRESSED_AT_SOURCE: ("来源已隐去", "hidden by its source"),
    SAME_FIGURE: ("一致", "the same"),
    OTHER_PEOPLE: ("计入的人数不同", "other people were counted"),
    OTHER_METHOD: ("计算口径不同", "computed in another way"),
    MISSING_VALUE: ("无数据", "no data"),
    FEWER_THAN_HALF_CLOSED: ("办结不足一半，中位数尚不能估计", "fewer than half would have closed, no median yet"),
    RAISE_PARTICIPATION: (
        "参与率不足，先提高参与率，不列措施",
        "participation is too low: raise it first, no measures are proposed",
    ),
    OTHER_DIMENSIONS: (
        "问卷的维度或题目不在措施库中，不列措施；请在 interventions 表写明",
        "the library knows no dimension of this questionnaire: write the measures into interventions",
    ),
    NO_UNIT_ABOVE: (
        "没有上级单位可比，也没有声明目标分，不列措施",
        "no unit above to compare with and no target declared, no measures are proposed",
    ),
    NO_SURE_GAP: ("各维度与比较对象的差距均无把握，不列措施", "no dimension lags credibly, no measures are proposed"),
    NO_MEASURE_FOR_ITEMS: (
        "措施库中没有针对这些题目的措施",
        "the library has no measure for these questions",
    ),
    DESCRIPTION_ONLY: ("仅作情况描述", "description only"),
    "too_few_points": (
        "实施前不足8期或实施后不足3期，不作推断",
        "fewer than 8 periods before or 3 after, nothing is inferred",
    ),
    "too_few_units": ("单位太少，无法估计误差", "too few units, no error can be estimated"),
    "too_few_others": (
        "未选中的单位不足10个，不能区分回归均值",
        "fewer than 10 other units, regression to the mean cannot be told apart",
    ),
    "periods_missing": ("中间有缺失的时期", "periods are missing in between"),
    "season_not_in_model": (
        "实施前不满两年，季节变化未排除",
        "less than two years before, the season is not taken out",
    ),
    "autocorrelated": ("前后期误差相关，区间偏窄", "errors are autocorrelated, the interval is too narrow"),
    "units_incomplete": ("有缺期的单位未纳入", "units with missing periods are left out"),
    "few_treated": (
        "一方不足4个单位，区间假定各单位波动相同，只供参考",
        "fewer than 4 units on a side: the interval takes the scatter of all units as equal, for orientation only",
    ),
    "equal_variances": (
        "有的批次只有一个单位，区间假定各单位波动相同",
        "a start with a single unit: the interval takes the scatter of all units as equal",
    ),
    "earlier_trend": (
        "实施前走势已有差别，不宜作为措施的效果",
        "the units moved apart before the start already: no effect of the measure should be read from it",
    ),
    "earlier_trend_untested": ("实施前走势无法检验", "whether they moved alike before cannot be tested"),
    "is_regression_to_mean": (
        "在回归均值的范围之内：没有措施也会有这样的变化",
        "regression to the mean: it would be expected without any measure",
    ),
    "beyond_regression_to_mean": ("超出回归均值的范围", "beyond regression to the mean"),
    "earlier_version_left_out": (
        "题目变化之前的各期未纳入",
        "periods before a change of the questions are left out",
    ),
    "treated_without_scores": (
        "有措施的单位中有的没有可用的得分，未纳入",
        "some units with the measure have no scores that can be used, and are left out",
    ),
    "values_missing": ("缺数的时期未纳入", "periods without a value are left out"),
    "reference_period": ("对照的基期", "the period compared with"),
    "audit_ceiling": ("多数满分，建议调整", "nearly all at the ceiling"),
    "audit_floor": ("多数零分，建议调整", "nearly all at the floor"),
    "audit_still": ("连续三个月无变化", "unchanged for three months"),
    "audit_never_met": ("多数单位从未达标，目标可能过高", "nearly nobody ever met the target"),
    "audit_always_met": ("连续六个月全部达标，建议调整", "met by all for six months"),
    "audit_alike": ("各单位没有差别", "units do not differ"),
    "audit_missing": ("缺报较多", "often missing"),
    "audit_weak": ("与总体几乎无关或方向相反", "hardly related to the rest, or against it"),
    "audit_repeated": ("与其他指标重复", "says the same as others"),
    "no_stage_rows": ("没有这一环节的记录", "nothing was kept of this stage"),
    "first_stage": ("首个环节，之前无可比", "the first stage, nothing before it"),
    "no_times": ("没有日期记录", "no dates were kept"),
    "no_day_limit": ("没有规定时限", "no day limit is declared"),
    "digits_too_few": ("数值太少，不检验末位", "too few values to look at last digits"),
    "digits_narrow": ("取值范围窄，不检验末位", "too narrow a range to look at last digits"),
    "digits_stepped": ("按固定步长取值，不检验末位", "moves in steps of its own, last digits are not looked at"),
    "not_every_unit_judged_every_other": (
        "不足四个单位，或未两两互评，不计算互评一致",
        "fewer than four units, or not every one judged every other",
    ),
    "marks_follow_from_main_effects": ("评分没有互评偏向可看", "marks follow from raters and units alone"),
    "dimensions_too_alike": ("各维度过于相近，不排先后", "the dimensions are too alike, no order is told"),
    "outcome_not_associated": ("与结果的关联未超出偶然，不排先后", "no association beyond chance, no order is told"),
    "intervals_overlap": ("差距在误差之内，不排先后", "within error, no order is told"),
    "own_word_only": ("只有自报，未经检查核实", "its own word only, nobody looked"),
    "items_not_marked": ("有项目未核对", "items that nobody marked"),
    "no_criterion": ("未写考核标准", "no standard of assessment"),
    "no_team_of_this_star": ("缺必备班组（没有相应星级的班组）", "no team of this star"),
    "no_teams": ("没有班组星级", "no stars of teams"),
    NO_STABLE_CLUSTERS: ("未形成稳定类别", "no stable clusters"),
    NOT_APPLICABLE: ("不适用", "does not apply"),
    SAME_EVERY_MONTH: ("各月数值完全相同，无法估计误差", "the same value every month, no error can be estimated"),
    VALUE_CORRECTED: ("本单位指标值更正", "own values corrected"),
    OTHERS_CORRECTED: ("其他单位更正", "values of others corrected"),
    VERSIONS_NOT_LINKED: (
        "指标版本变化，前后无法衔接，只看变化之后",
        "the indicators changed and nothing links the versions: only what follows the change counts",
    ),
    NOT_WEIGHTED: ("此检验不支持加权", "this test has no weighted form"),
    NOT_BY_TEAM: ("此检验未计入班组，不作判断", "this test does not allow for work teams and is left out"),
    "fewer_than_two_units_between": (
        "单位少于两个，无法比较单位之间与之内的差异",
        "fewer than two units, between and within cannot be compared",
    ),
    "all_units_have_same_mean": ("各单位均值完全相同", "all units have the same mean"),
    "one_person_unit_between_within": (
        "每个单位只有一人，无法区分单位之间与之内的差异",
        "one person a unit, between and within cannot be told apart",
    ),
    "consistent_enough": ("一致性可接受", "consistent enough"),
    "more_things_than_table_random": (
        "项数超出随机一致性指标表，无法计算一致性比例",
        "more things than the table of random indices holds",
    ),
    "covariances_items_not_positive_definite": (
        "题目间协方差阵不正定，无法估计",
        "the covariances of the items are not positive definite, nothing can be estimated",
    ),
    "model_did_not_converge": ("模型未收敛", "the model did not converge"),
    "model_not_identified": ("模型不可识别", "the model is not identified"),
    "improper_solution_negative_residual_variance": (
        "解不合理：残差方差为负或因子协方差阵不正定",
        "an improper solution: a negative residual variance or impossible factor covariances",
    ),
    "no_data_in_overlap_series": ("重叠期无数据，不能衔接", "no data in the overlap, the series cannot be linked"),
    "same_value_everywhere_cannot_rescaled": (
        "各单位数值相同，无法换算",
        "the same value everywhere, it cannot be rescaled",
    ),
    "negative_values_have_no_geometric": (
        "含负值，几何或调和平均无定义",
        "negative values have no geometric or harmonic mean",
    ),
    "no_earlier_data": ("无前期数据", "no earlier data"),
    "indicators_missing_not_ranked": ("指标不全，不参与排序", "indicators are missing, not ranked"),
    "correlations_items_cannot_inverted": (
        "题目间相关矩阵不可逆，无法计算",
        "the correlations of the items cannot be inverted",
    ),
    "item_s_communality_reached_1": (
        "因子解不成立（某题共同度达到 1），请减少因子或题目",
        "an item's communality reached 1: take fewer factors or items",
    ),
    "parallel_analysis_finds_no_common": ("平行分析未发现公共因子", "parallel analysis finds no common factor"),
    "too_few_complete_answers_left": (
        "完整作答人数不足，未纳入比较",
        "too few complete answers, left out of the comparison",
    ),
    "fewer_than_two_groups_can": ("可比的组不足两个", "fewer than two groups that can be compared"),
    "no_dimension_can_tested": ("没有可检验的维度", "no dimension that can be tested"),
    "constraint_adds_no_degree_freedom": (
        "约束不增加自由度，无法检验",
        "the constraint adds no degree of freedom, nothing can be tested",
    ),
    "level_before_does_not_hold": ("前一级不成立", "the level before it does not hold"),
    "dimension_two_items_which_them": (
        "仅两题的维度，分不清是哪一题不同",
        "a dimension of two items: which of them differs cannot be told",
    ),
    "single_items_differ_see_comparison": (
        "个别题目有差异，见题目比较",
        "single items differ, see the comparison of items",
    ),
    "fewer_than_two_items_asked": (
        "可比的题不足两道，无法检验",
        "fewer than two items asked alike, nothing can be tested",
    ),
    "too_few_answers_looked_at": ("作答太少，未予核查", "too few answers to be looked at"),
    "too_few_items_look_for": ("题目不足，未予核查", "too few items to look for it"),
    "too_few_sheets_estimate_covariances": (
        "答卷不足，无法估计题目间的协方差",
        "too few sheets to estimate the covariances of the items",
    ),
    "too_few_dimensions_or_not": (
        "维度不足或彼此区分不开，不据此判断",
        "too few dimensions, or not distinct enough to judge by",
    ),
    "no_answering_times": ("没有答题用时", "no answering times"),
    "no_check_question": ("没有核对题", "no check question"),
    "one_rater_no_error_can": ("仅一名评委，无法估计误差", "one rater, no error can be estimated"),
    "raters_judged_different_things_severity": (
        "评委未交叉评分，无法区分宽严与优劣",
        "raters judged different things, severity cannot be told from merit",
    ),
    "marks_missing_no_interval_can": ("评分不全，无法给出区间", "marks are missing, no interval can be given"),
    "too_few_targets_or_raters": ("对象或评委太少，无法计算", "too few targets or raters"),
    "all_marks_equal_no_error": ("评分完全一致，无法估计误差", "all marks equal, no error can be estimated"),
    "all_targets_have_same_score": ("各对象得分无差异，无法计算", "all targets have the same score"),
    "no_inspection": ("无检查评分", "no inspection"),
    "no_self_assessment": ("无自评", "no self-assessment"),
    "one_item_no_error_can": ("仅一项评分，无法估计误差", "one item, no error can be estimated"),
    "one_item_no_reliability": ("只有一题，无法计算信度", "one item, no reliability"),
    "all_answers_item_equal": ("有题目作答完全一致，无法计算", "all answers to an item are equal"),
    "all_units_same_element": ("有要素各单位得分相同，无法计算", "all units have the same score on an element"),
    "two_items_one_factor_model": (
        "只有两题，单因子模型与 KMO 无意义",
        "two items: a one-factor model and KMO mean nothing",
    ),
    "not_asked_for": ("未要求计算", "not asked for"),
    "no_score_under_some_choices": ("部分选择下无得分，不参与排名", "no score under some choices, not ranked"),
    "no_choice_moves_rank": ("各种选择下排名不变", "no choice moves a rank"),
    "fewer_than_two_units_no": ("不足两个单位，无排名", "fewer than two units, no rank"),
    "all_indicators_move_together_cannot": (
        "各指标完全同向变动，无法区分",
        "all indicators move together and cannot be told apart",
    ),
}


def printed_reason(reason: str, language: str = "zh") -> str:
    """Return a reason in the reader's language, part by part where several are joined; other text is unchanged."""
    printed = [
        WORDS[part][language == "en"] if part in WORDS else part for part in map(str.strip, reason.split(";")) if part
    ]
    return ("; " if language == "en" else "；").join(printed)
