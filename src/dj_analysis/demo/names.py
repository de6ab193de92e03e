"""Invented names for the synthetic enterprise; no such place, company or person exists."""

from __future__ import annotations

from typing import Any

COMPANY = ("云岭电力有限公司", "Yunling Electric Power Co.")
SYNTHETIC = ("(合成数据)", " (synthetic data)")
OFFICE = ("党委党建部", "Party Building Department")
RECIPIENT = ("公司党委", "the Party Committee of the company")

PLACES = (
    ("澄川", "Chengchuan"),
    ("霁州", "Jizhou"),
    ("栖原", "Qiyuan"),
    ("岚浦", "Lanpu"),
    ("砚陵", "Yanling"),
    ("沐湾", "Muwan"),
    ("朔野", "Shuoye"),
    ("松澜", "Songlan"),
    ("鹤汀", "Heting"),
    ("碧垣", "Biyuan"),
    ("墨渚", "Mozhu"),
)

#: What happened in the enterprise, in order of time: in one unit, in all of it.
EVENTS = ("机构调整到位", "启用新食堂")

DEPARTMENTS = (
    ("办公室", "General Office"),
    ("发展策划部", "Planning"),
    ("财务资产部", "Finance"),
    ("人力资源部", "Human Resources"),
    ("安全监察部", "Safety"),
    ("设备管理部", "Equipment"),
    ("营销管理部", "Marketing"),
    ("建设管理部", "Construction"),
    ("物资管理部", "Supplies"),
    ("数字化工作部", "Digital Work"),
    ("科技创新部", "Innovation"),
    ("审计部", "Audit"),
    ("法律合规部", "Legal Affairs"),
    ("企业管理部", "Management"),
    ("党委党建部", "Party Building"),
    ("组织工作部", "Organisation"),
    ("宣传与品牌部", "Communication"),
    ("纪检监督部", "Discipline Supervision"),
    ("工会办公室", "Staff Union Office"),
    ("调度控制中心", "Dispatching Centre"),
    ("培训管理部", "Training"),
    ("综合能源部", "Integrated Energy"),
    ("经济技术研究部", "Economic Research"),
    ("后勤服务中心", "Logistics"),
    ("离退休服务部", "Retired Staff Service"),
)

LINES = (
    ("X01", "运维检修", "Operation and maintenance", "运检|运维检修条线"),
    ("X02", "营销服务", "Customer service", "营销|营销服务条线"),
    ("X03", "工程建设", "Construction", "工程|工程建设条线"),
    ("X04", "调度运行", "Dispatching", "调度|调度运行条线"),
    ("X05", "综合管理", "General management", "综合|综合管理条线"),
)
GENERAL = 4  # position of 综合管理, the line of most department staff

#: Types of units, and their names in English reports.
TYPES = {"供电企业": "Power supply companies", "职能部门": "Departments", "党支部": "Party branches"}

#: What a branch's area does, in both languages, and the position of its business line.
FUNCTIONS = (
    ("变电运维", "Substation Operation", 0),
    ("客户服务", "Customer Service", 1),
    ("输电运检", "Transmission", 0),
    ("配电运检", "Distribution", 0),
    ("调度控制", "Dispatching", 3),
    ("变电检修", "Substation Maintenance", 0),
    ("城区供电", "Urban Supply", 1),
    ("工程项目", "Projects", 2),
    ("计量", "Metering", 1),
    ("城郊供电", "Suburban Supply", 1),
    ("电缆运检", "Cables", 0),
    ("信息通信", "Communication Networks", 3),
    ("带电作业", "Live Working", 0),
    ("物资配送", "Supply Delivery", 4),
    ("施工管理", "Construction Management", 2),
    ("乡镇供电", "Rural Supply", 1),
    ("继电保护", "Relay Protection", 0),
    ("综合服务", "General Service", 4),
    ("机关", "Headquarters", 4),
)
NUMERALS = ("", "第二", "第三", "第四", "第五", "第六", "第七", "第八", "第九", "第十")

#: Group columns: category in both languages, and the share of staff in it.
GROUPS = {
    "age_band": (
        ("35岁及以下", "35 or younger", 0.34),
        ("36–45岁", "36–45", 0.29),
        ("46–55岁", "46–55", 0.27),
        ("56岁及以上", "56 or older", 0.10),
    ),
    "job_type": (
        ("生产技能", "Skilled trades", 0.52),
        ("营销服务", "Customer service", 0.22),
        ("专业技术", "Technical specialists", 0.16),
        ("综合管理", "Administration", 0.10),
    ),
    "employment": (("劳动合同", "Direct contract", 0.86), ("劳务派遣", "Agency", 0.14)),
    "position": (("管理人员", "Management", 0.14), ("一线员工", "Front line", 0.86)),
}

CONSENT_QUESTION = "您是否同意自愿参加本次调查?"
AGREED, REFUSED, SKIPPED = "我已知晓并同意", "不同意", "(跳过)"
CONSENT_TEXT = "问卷首页告知书(合成):说明目的、自愿填答、只按十人以上的单位汇总"
#: The impact assessment of the synthetic enterprise.
ASSESSMENT = {
    "assessor_role": "数据保护岗(合成)",
    "purpose": "合成数据:演示跨期对应，用于改进管理和帮扶，不用于评价个人。",
    "necessity": "合成数据:只有本人同意的自编码才作对应；不收集姓名、工号。",
    "risks": "合成数据:自编码若被猜出可能指向个人；小群体可能被认出。",
    "measures": "合成数据:读入时以密钥散列，密钥由不做分析的人保管；不足十人不显示；到期删除原始答卷。",
    "conclusion": "合成数据:可以开展。",
}

UNIT_QUESTION, LINE_QUESTION = "1、您所在的党支部", "2、您所在的专业条线"
GRID = "请评价—"
SOURCES = (("微信", "扫码"), ("手机提交", "直接访问"), ("链接", "直接访问"))

#: Free texts: the same few for everybody, none about anybody.
COMMENTS = {
    "C1": (
        "希望减少重复报表",
        "希望忙的时候能多调配人手",
        "希望食堂晚餐时间延长一些",
        "希望培训多一些实操",
        "希望奖金分配规则讲得更细",
        "希望值班安排提前公布",
        "希望工器具更换快一点",
        "希望意见有回音",
        "希望会议精简一些",
        "希望宿舍网络改善",
    ),
    "C2": (
        "师带徒坚持得好",
        "班组互助的氛围好",
        "安全例会讲得实在",
        "急难时单位帮得上忙",
        "体检安排得周到",
        "岗位练兵有收获",
        "公开栏更新及时",
        "节日慰问暖心",
    ),
}

#: The item of the full form that gets another wording in mid-series, with the new one.
REWORDED_CODE = "A1"
REWORDED: dict[str, Any] = {
    "code": "A1b",
    "label_zh": "工器具能领到",
    "label_en": "Tools at hand",
    "text_zh": "开展工作需要的工器具,随时能领到。",
    "text_en": "I can draw the tools my work needs at any time.",
}

#: Branch indicators: code, parent, label, label in English, direction, minimum, maximum, usual value, spread, decimals.
BENCHMARK = ("BM", "党支部对标", "Branch benchmark")
BENCHMARK_PARTS = (
    ("BM1", "组织建设", "Organisation"),
    ("BM2", "队伍建设", "Team building"),
    ("BM3", "融入中心", "Service to operations"),
    ("BM4", "思想文化", "Culture"),
    ("BM5", "联系服务", "Service to staff"),
)
INDICATORS = (
    ("Z01", "BM1", "三会一课按期完成率(%)", "Regular meetings held on time (%)", 1, 60, 100, 92, 4, 1),
    ("Z02", "BM1", "组织生活计划完成率(%)", "Planned activities held (%)", 1, 60, 100, 90, 5, 1),
    ("Z03", "BM1", "支委会议题按期办结率(%)", "Committee items closed on time (%)", 1, 50, 100, 85, 6, 1),
    ("Z04", "BM1", "规范化台账抽查得分", "Spot check of records", 1, 60, 100, 88, 4, 1),
    ("Z05", "BM2", "骨干培训场次", "Training sessions", 1, 0, 6, 2.6, 0.9, 0),
    ("Z06", "BM2", "师带徒计划完成率(%)", "Apprenticeship plan met (%)", 1, 50, 100, 84, 6, 1),
    ("Z07", "BM2", "责任区挂牌覆盖率(%)", "Areas of responsibility marked (%)", 1, 60, 100, 93, 3, 1),
    ("Z08", "BM2", "先锋岗创建任务完成率(%)", "Model posts plan met (%)", 1, 40, 100, 78, 7, 1),
    ("Z09", "BM3", "重点任务节点按期率(%)", "Key milestones on time (%)", 1, 50, 100, 86, 6, 1),
    ("Z10", "BM3", "安全隐患整改按期率(%)", "Hazards put right on time (%)", 1, 60, 100, 91, 4, 1),
    ("Z11", "BM3", "现场违章次数", "Breaches of site rules", -1, 0, 10, 2.2, 1.2, 0),
    ("Z12", "BM3", "攻坚项目里程碑完成率(%)", "Task force milestones met (%)", 1, 40, 100, 80, 7, 1),
    ("Z13", "BM4", "谈心谈话计划完成率(%)", "Planned talks held (%)", 1, 50, 100, 88, 5, 1),
    ("Z14", "BM4", "思想动态分析报送及时率(%)", "Situation notes sent on time (%)", 1, 50, 100, 90, 5, 1),
    ("Z15", "BM4", "文化活动计划完成率(%)", "Cultural plan met (%)", 1, 50, 100, 85, 6, 1),
    ("Z16", "BM4", "宣传稿件采用篇数", "Articles published", 1, 0, 20, 6.5, 2.5, 0),
    ("Z17", "BM5", "诉求按时答复率(%)", "Requests answered on time (%)", 1, 50, 100, 87, 6, 1),
    ("Z18", "BM5", "诉求平均答复天数", "Days to answer a request", -1, 0, 30, 8.5, 2.5, 1),
    ("Z19", "BM5", "基层报表数量", "Forms asked of teams", -1, 0, 40, 17, 4, 0),
    ("Z20", "BM5", "服务承诺兑现率(%)", "Promises kept (%)", 1, 50, 100, 89, 5, 1),
)

#: Attributes (三个结合, 数量与质量) and standard of assessment of the indicators that stay; one has no standard yet. In the parts in
#: which kinds of branches differ as many are of quantity as of quality: no kind does much but poorly.
ATTRIBUTES = {
    "Z01": "党务|定量|共性", "Z02": "党务|定量|共性|数量", "Z03": "党务|定量|共性", "Z04": "党务|定性|共性|质量",
    "Z05": "党务|定量|个性|数量", "Z06": "行政|定量|个性", "Z07": "党务|定量|个性", "Z08": "党务|定性|个性|质量",
    "Z09": "行政|定量|共性", "Z10": "行政|定量|共性|质量", "Z11": "行政|定量|个性", "Z12": "行政|定量|个性|数量",
    "Z13": "党务|定量|共性", "Z14": "党务|定量|共性|质量", "Z15": "党务|定量|共性", "Z16": "党务|定量|个性|数量",
    "Z17": "党务|定量|共性|质量", "Z18": "党务|定量|共性", "Z19": "行政|定量|共性", "Z20": "党务|定性|共性|质量",
}  # fmt: skip
CRITERION, NO_CRITERION = "按月报数据计分,季度抽查核实", ("Z19",)

#: Indicators that told the same a second time: code, part, names, what they repeat, the version (50 or 28) they ended with.
SECOND_TIME = (
    ("Z21", "BM1", "三会一课按期完成率(自查)", "Regular meetings held on time (own check)", "Z01", 28),
    ("Z22", "BM1", "组织生活计划完成率(自查)", "Planned activities held (own check)", "Z02", 50),
    ("Z23", "BM1", "支委会议题按期办结率(自查)", "Committee items closed on time (own check)", "Z03", 50),
    ("Z24", "BM1", "规范化台账抽查得分(自查)", "Spot check of records (own check)", "Z04", 50),
    ("Z25", "BM2", "骨干培训场次(自查)", "Training sessions (own check)", "Z05", 28),
    ("Z26", "BM2", "师带徒计划完成率(自查)", "Apprenticeship plan met (own check)", "Z06", 50),
    ("Z27", "BM2", "责任区挂牌覆盖率(自查)", "Areas of responsibility marked (own check)", "Z07", 50),
    ("Z28", "BM2", "先锋岗创建任务完成率(自查)", "Model posts plan met (own check)", "Z08", 50),
    ("Z29", "BM3", "重点任务节点按期率(自查)", "Key milestones on time (own check)", "Z09", 28),
    ("Z30", "BM3", "安全隐患整改按期率(自查)", "Hazards put right on time (own check)", "Z10", 50),
    ("Z31", "BM3", "现场违章次数(自查)", "Breaches of site rules (own check)", "Z11", 50),
    ("Z32", "BM3", "攻坚项目里程碑完成率(自查)", "Task force milestones met (own check)", "Z12", 50),
    ("Z33", "BM4", "谈心谈话计划完成率(自查)", "Planned talks held (own check)", "Z13", 28),
    ("Z34", "BM4", "思想动态分析报送及时率(自查)", "Situation notes sent on time (own check)", "Z14", 50),
    ("Z35", "BM4", "文化活动计划完成率(自查)", "Cultural plan met (own check)", "Z15", 50),
    ("Z36", "BM4", "宣传稿件采用篇数(自查)", "Articles published (own check)", "Z16", 50),
    ("Z37", "BM5", "诉求按时答复率(自查)", "Requests answered on time (own check)", "Z17", 28),
    ("Z38", "BM5", "诉求平均答复天数(自查)", "Days to answer a request (own check)", "Z18", 50),
    ("Z39", "BM5", "基层报表数量(自查)", "Forms asked of teams (own check)", "Z19", 50),
    ("Z40", "BM5", "服务承诺兑现率(自查)", "Promises kept (own check)", "Z20", 50),
    ("Z41", "BM1", "三会一课按期完成率(抽查)", "Regular meetings held on time (spot check)", "Z01", 28),
    ("Z42", "BM1", "组织生活计划完成率(抽查)", "Planned activities held (spot check)", "Z02", 50),
    ("Z43", "BM1", "支委会议题按期办结率(抽查)", "Committee items closed on time (spot check)", "Z03", 50),
    ("Z44", "BM1", "规范化台账抽查得分(抽查)", "Spot check of records (spot check)", "Z04", 50),
    ("Z45", "BM2", "骨干培训场次(抽查)", "Training sessions (spot check)", "Z05", 28),
    ("Z46", "BM2", "师带徒计划完成率(抽查)", "Apprenticeship plan met (spot check)", "Z06", 50),
    ("Z47", "BM2", "责任区挂牌覆盖率(抽查)", "Areas of responsibility marked (spot check)", "Z07", 50),
    ("Z48", "BM2", "先锋岗创建任务完成率(抽查)", "Model posts plan met (spot check)", "Z08", 50),
    ("Z49", "BM3", "重点任务节点按期率(抽查)", "Key milestones on time (spot check)", "Z09", 28),
    ("Z50", "BM3", "安全隐患整改按期率(抽查)", "Hazards put right on time (spot check)", "Z10", 50),
)
MINUTES = 15.0  # a branch spends on one indicator each month

#: Rubrics of score sheets: code, names, types of unit, items.
RUBRICS: tuple[tuple[str, str, str, tuple[str, ...], tuple[tuple[str, str, str], ...]], ...] = (
    (
        "KP",
        "党支部工作考评",
        "Assessment of branches",
        ("党支部",),
        (
            ("KP1", "组织领导", "Leadership"),
            ("KP2", "任务落实", "Tasks carried out"),
            ("KP3", "基础资料", "Records"),
            ("KP4", "工作成效", "Results"),
        ),
    ),
    (
        "JB",
        "政工项目竞标",
        "Bids for projects",
        (),
        (
            ("JB1", "问题理解", "Understanding of the problem"),
            ("JB2", "操作思路", "Approach"),
            ("JB3", "解决路径", "Way to a solution"),
        ),
    ),
    (
        "HC",
        "支部互学互查",
        "Mutual inspection of branches",
        ("党支部",),
        (("HC1", "组织生活", "Party life"), ("HC2", "作用发挥", "What it does for work")),
    ),
    (
        "QZ",
        "群众评议",
        "Opinion of the people served",
        ("党支部",),
        (("QZ1", "服务态度", "How it serves"), ("QZ2", "办事成效", "What it gets done")),
    ),
    (
        "SY",
        "四个一",
        "The four ones",
        ("党支部",),
        (("SY1", "大会", "Meeting"), ("SY2", "表格", "Form"), ("SY3", "汇报", "Report"), ("SY4", "数据", "Data")),
    ),
)
INSPECTION, BIDDING, MUTUAL, OPINION, FOUR_ONES = (row[0] for row in RUBRICS)
TEAM_ROLE, JURY_ROLE, SELF_ROLE, BRANCH_ROLE, PEOPLE_ROLE = "检查组", "评委", "自评", "互查支部", "群众"


def items_of(rubric: str) -> list[str]:
    """Return the items of a rubric."""
    return [item for code, *_, items in RUBRICS if code == rubric for item, _, _ in items]
