"""Schemas of a workspace's tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .reasons import NOT_APPLICABLE

Kind = Literal["text", "number", "count", "date", "period", "choice"]


@dataclass(frozen=True)
class TableColumn:
    """One column: its name, the kind of its cells, and its meaning (in Chinese, as the template shows it)."""

    name: str
    meaning: str
    kind: Kind = "text"
    required: bool = False
    allowed: tuple[str, ...] = ()
    example: str = ""


@dataclass(frozen=True)
class Schema:
    """One table: its columns, the key columns that identify a row, and words in ``value`` that stand for no number."""

    name: str
    meaning: str
    columns: tuple[TableColumn, ...]
    key: tuple[str, ...] = ()
    marks: tuple[tuple[str, str], ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that must be there."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> TableColumn | None:
        """Return the column of this name."""
        return next((column for column in self.columns if column.name == name), None)


_VALID = (
    TableColumn("valid_from", "自何时有效(日期或时期,空=一直)", "date", example="2026Q1"),
    TableColumn("valid_to", "至何时有效(日期或时期,空=至今)", "date"),
)
_NODE = (
    TableColumn("code", "代码,唯一", required=True, example="L1"),
    TableColumn("parent", "上级代码;指数没有上级", required=True, example="D1"),
    TableColumn("label_zh", "中文名称", required=True, example="工作负荷"),
)
_ROLES = (
    "item", "dimension", "index", "outcome", "check", "text", "group", "weight", "team", "choice", "ranking", "ask",
)  # fmt: skip

CODEBOOK = Schema(
    "codebook",
    "问卷:维度、题目、分组变量及其口径",
    (
        *_NODE,
        TableColumn("role", "作用;team = 班组,只用于估计误差", "choice", required=True, allowed=_ROLES, example="item"),
        TableColumn(
            "direction", "方向:1 越高越好,-1 反向", "choice", required=True, allowed=("1", "-1", ""), example="1"
        ),
        TableColumn("weight", "在上级中的权重,空=1", "number", required=True, example="1"),
        TableColumn("minimum", "量表换算后的最小值", "number", example="1"),
        TableColumn("maximum", "量表换算后的最大值", "number", example="5"),
        TableColumn("label_en", "英文名称"),
        TableColumn("text_zh", "题干"),
        TableColumn("text_en", "英文题干"),
        TableColumn("scale", "量表代码,见 scales 表", example="agree5"),
        TableColumn("form", "出现在哪种问卷", "choice", allowed=("full", "pulse", "both", ""), example="both"),
        TableColumn("min_share", "至少答多少比例才计分(0–1)", "number"),
        *_VALID,
        TableColumn("replaces", "替代哪个旧代码"),
        TableColumn("expected", "核对题应选的分值(role = check)", "number"),
        TableColumn("choices", "待决定(role = ask)时可选的作用,用 | 分隔"),
        TableColumn("evidence", "待决定(role = ask)的缘由"),
    ),
    ("code", "valid_from"),
)
SCALES = Schema(
    "scales",
    "量表:选项文字 ↔ 选项序号 ↔ 分值",
    (
        TableColumn("scale", "量表代码", required=True, example="agree5"),
        TableColumn("code", "选项序号(问卷星按序号导出时的数)", required=True, example="4"),
        TableColumn("value", "分值;不计分的选项留空", "number", required=True, example="4"),
        TableColumn("label_zh", "选项中文", example="比较同意"),
        TableColumn("label_en", "选项英文", example="agree"),
        TableColumn("missing", "1 = 作缺失处理(如 不了解/不适用)", "choice", allowed=("1", "0", "")),
    ),
    ("scale", "code"),
)
UNITS = Schema(
    "units",
    "单位树:行政组织或党组织,可有多棵",
    (
        TableColumn("unit", "单位代码,唯一", required=True, example="C01"),
        TableColumn("tree", "属于哪棵树;第一棵是默认", example="admin"),
        TableColumn("parent", "上级单位代码;空=直属于 ALL", required=True),
        TableColumn("level", "层级名", required=True, example="city"),
        TableColumn("type", "类别,只在同类之间比较", example="供电企业"),
        TableColumn("name_zh", "单位名称", example="云岭供电公司"),
        TableColumn("name_en", "英文名称"),
        TableColumn("aliases", "别名,用 | 分隔"),
        TableColumn("headcount", "在册人数", "count", example="1200"),
        *_VALID,
        TableColumn("became", "撤并后成为哪个单位"),
    ),
    ("unit", "tree", "valid_from"),
)
HEADCOUNTS = Schema(
    "headcounts",
    "在册人数:参与率与加权的依据",
    (
        TableColumn("unit", "单位代码", required=True, example="C01"),
        TableColumn("period", "时期", "period", required=True, example="2026Q3"),
        TableColumn("group", "分组变量,空=合计", required=True),
        TableColumn("category", "类别,空=合计", required=True),
        TableColumn("headcount", "人数", "count", required=True, example="1200"),
    ),
    ("unit", "period", "group", "category"),
)
INDICATORS = Schema(
    "indicators",
    "支部对标指标树",
    (
        *_NODE,
        TableColumn(
            "role", "作用;ask = 待定", "choice", allowed=("item", "dimension", "index", "ask", ""), example="item"
        ),
        TableColumn(
            "direction", "方向:1 越高越好,-1 越低越好", "choice", required=True, allowed=("1", "-1", ""), example="1"
        ),
        TableColumn("weight", "权重,空=1", "number", required=True, example="1"),
        TableColumn("minimum", "目标区间下限", "number", example="0"),
        TableColumn("maximum", "目标区间上限", "number", example="100"),
        TableColumn("label_en", "英文名称"),
        TableColumn(
            "about", "units=关于单位;persons=关于人的统计,须有人数 n", "choice", allowed=("units", "persons", "")
        ),
        TableColumn("rollup", "上级单位如何得出", "choice", allowed=("none", "mean", "sum", "weighted", "")),
        TableColumn("min_share", "至少有多少比例的指标才计分(0–1)", "number"),
        *_VALID,
        TableColumn("replaces", "替代哪个旧代码"),
        TableColumn(
            "aggregator",
            "下级如何合成;points = 按分值扣分加分",
            "choice",
            allowed=("arithmetic", "geometric", "harmonic", "points", ""),
        ),
        TableColumn("denominator", "分母:headcount = 在册人数,或另一指标的代码;区间是比率的区间", example="headcount"),
        TableColumn("normaliser", "换算方法:逐月得分只用 goalposts(按区间);其余用 dj.methods.composite"),
        TableColumn("imputation", "缺值:空或 reweight = 权重归其余指标;其余用 dj.methods.composite"),
        TableColumn("treatment", "极端值:逐月得分不处理(空);其余用 dj.methods.composite"),
        TableColumn(
            "kind",
            "points 下的计分:空=按区间折算,deduct=每次扣分,bonus=每次加分(上限为分值),veto=一票否决",
            "choice",
            allowed=("deduct", "bonus", "veto", ""),
        ),
        TableColumn("points_each", "每次扣几分或加几分", "number"),
        TableColumn("target", "目标值(专业标杆)", "number"),
        TableColumn("minutes", "每支部每月填报用时(分钟)", "number"),
        TableColumn("criterion", "考核标准"),
        TableColumn("evidence", "佐证材料"),
        TableColumn("owner_department", "责任部门"),
        TableColumn("nature", "属性,用 | 分隔(党务|行政、定性|定量、共性|个性、数量|质量)"),
        TableColumn("choices", "待定(role = ask)时可选的区间和方向,用 | 分隔"),
        TableColumn("question", "待定(role = ask)的缘由"),
    ),
    ("code", "valid_from"),
)
TEAMS = Schema(
    "teams",
    "班组及其星级:支部评星的必备条件",
    (
        TableColumn("team", "班组代码,唯一", required=True, example="T001"),
        TableColumn("branch", "所属支部代码", required=True, example="B001"),
        TableColumn("period", "时期", "period", required=True, example="2026"),
        TableColumn("star", "星级 1–5,未评为空", "count", required=True, example="4"),
    ),
    ("team", "period"),
)
LEGACY = Schema(
    "legacy",
    "以往手工计算的数字:另画虚线(原口径),不接续、不检验",
    (
        TableColumn("unit", "单位代码,ALL 为全体", required=True, example="ALL"),
        TableColumn("period", "时期", "period", required=True, example="2026Q2"),
        TableColumn("code", "代码(指数、维度或题目)", required=True, example="INDEX"),
        TableColumn("value", "手工计算的得分 0–100", "number", required=True, example="66.9"),
        TableColumn("n", "人数", "count"),
        TableColumn("se", "标准误", "number"),
        TableColumn("method", "计算方法"),
        TableColumn("source", "出处"),
    ),
    ("unit", "period", "code"),
)
CONTEXT = Schema(
    "context",
    "背景事件(机构调整、薪酬改革、启用新食堂等):只在历期图上标注日期,不表示因果",
    (
        TableColumn("date", "发生日期(年-月-日)", required=True, example="2026-05-06"),
        TableColumn("label", "事件,不超过 30 字,不写个人", required=True, example="启用新食堂"),
        TableColumn("unit", "所涉单位的代码或名称,空=全体", example=""),
    ),
    ("date", "unit", "label"),
)
#: The four stages of the review of a value: 支部上报, 管理部门审查, 专责汇总, 领导审核发布.
REVIEW_STAGES = ("reported", "checked", "compiled", "released")
INDICATOR_VALUES = Schema(
    "indicator_values",
    "支部对标指标值",
    (
        TableColumn("unit", "单位代码", required=True, example="B001"),
        TableColumn("period", "时期", "period", required=True, example="2026-09"),
        TableColumn("code", "指标代码", required=True, example="K01"),
        TableColumn("value", "数值", "number", required=True, example="96.5"),
        TableColumn(
            "stage",
            "审核阶段;计分只用 released,其余阶段供审核分析",
            "choice",
            allowed=(*REVIEW_STAGES, ""),
        ),
        TableColumn("role", "谁填的(角色)"),
        TableColumn("time", "何时;复核更正后的发布值另起一行,填发布日期", "date"),
        TableColumn("n", "背后的人数", "count"),
        TableColumn("se", "标准误(随数值给出时)", "number"),
    ),
    ("unit", "period", "code", "stage", "time"),
    tuple((mark, NOT_APPLICABLE) for mark in ("不适用", "N/A", "n/a", "NA")),
)
SELF_ROLES = ("self", "自评", "本单位", "本支部")
RATINGS = Schema(
    "ratings",
    "评分表:评委对单位打分,含自评",
    (
        TableColumn("rater", "评委代号(不写姓名)", required=True, example="R1"),
        TableColumn("role", f"评委的角色;{'、'.join(SELF_ROLES)} = 自评,其余为检查评分", example="督导组"),
        TableColumn("unit", "单位代码", required=True, example="B001"),
        TableColumn("period", "时期", "period", required=True, example="2026H1"),
        TableColumn("code", "评分项,空=总分", example="K01"),
        TableColumn("value", "得分,越高越好", "number", required=True, example="92"),
    ),
    ("rater", "unit", "period", "code", "role"),
)
OBLIGATIONS = Schema(
    "obligations",
    "应办事项:一项一行;帮扶改进措施(kind = measure)、复核申请(kind = appeal)都在其中",
    (
        TableColumn("obligation", "事项编号,唯一", required=True, example="A001"),
        TableColumn(
            "kind",
            "类别:measure = 帮扶改进措施,human_review = 预警通气核实,appeal = 复核申请,其余在 rules.toml [kinds.X] 声明",
            required=True,
            example="appeal",
        ),
        TableColumn("unit", "单位代码", required=True, example="B001"),
        TableColumn("opened", "提出日期;通气核实填告知日", "date", required=True, example="2026-10-12"),
        TableColumn("due", "期限:措施为最迟启动日,其余见 [kinds.X] 的 fulfils;空=按 days 推算", "date"),
        TableColumn("label", "事项名称;通气核实填单位的反馈意见,不超过100字"),
        TableColumn("subject", "所涉事物;复核申请填指标代码,措施填 interventions 表的代码", example="K01"),
        TableColumn("weight", "权重", "number"),
        TableColumn("owner_role", "责任角色(不写姓名)"),
        TableColumn("class", "分类;措施填所针对的维度"),
        TableColumn("orientation", "导向"),
        TableColumn("parent", "上级事项编号"),
        TableColumn(
            "cycle",
            "周期;复核申请填数值所属时期,措施填评估成效的那一期问卷,通气核实填预警所属的那一期",
            example="2026-09",
        ),
        TableColumn("satisfaction", "满意度", "number"),
    ),
    ("obligation",),
)
OBLIGATION_EVENTS = Schema(
    "obligation_events",
    "应办事项的状态变化:一次变化一行",
    (
        TableColumn("obligation", "事项编号", required=True, example="A001"),
        TableColumn(
            "state",
            "状态,见 rules.toml [kinds.X];复核申请为 opened、accepted、granted、refused、withdrawn",
            required=True,
            example="granted",
        ),
        TableColumn("time", "何时", "date", required=True, example="2026-10-15"),
    ),
    ("obligation", "state", "time"),
)
RUBRICS = Schema(
    "rubrics",
    "评价细则:每种评分表一个细则,其评分项归在它之下;各类单位用各自的细则",
    (
        TableColumn("code", "细则或评分项的代码,唯一", required=True, example="R1"),
        TableColumn("parent", "评分项所属的细则;细则本身为空", required=True),
        TableColumn("label_zh", "中文名称", required=True, example="供电所评价细则"),
        TableColumn("label_en", "英文名称"),
        TableColumn("weight", "评分项的权重,空=1", "number", example="1"),
        TableColumn("minimum", "评分项的最低分", "number", example="0"),
        TableColumn("maximum", "评分项的最高分", "number", example="100"),
        TableColumn("types", "细则适用的单位类别,用 | 分隔;空=不限"),
        TableColumn(
            "raters",
            "细则的评委:officials=检查组、评委(以职务打分);people=被征求意见的群众;空=按 workspace.toml",
            "choice",
            allowed=("officials", "people", ""),
        ),
        TableColumn(
            "kind",
            "空=打分;checklist=核对清单(如四个一),每项只填 1(有)或 0(无),评分项的最低分、最高分写 0、1",
            "choice",
            allowed=("checklist", ""),
        ),
    ),
    ("code",),
)
INTERVENTIONS = Schema(
    "interventions",
    "预警举措方法库:哪个维度的哪些题目低,采取什么措施;有此表即代替程序自带的 32 条",
    (
        TableColumn("measure", "措施代码,唯一", required=True, example="M1"),
        TableColumn("driver", "所针对的维度", required=True, example="D1"),
        TableColumn("items", "所要改善的题目,用 | 分隔", required=True, example="L1|L5"),
        TableColumn("path_zh", "路径:具体原因", required=True, example="高峰缺人手"),
        TableColumn("path_en", "路径(英文)"),
        TableColumn("label_zh", "措施", required=True, example="排出业务高峰日历，跨班组调剂人手"),
        TableColumn("label_en", "措施(英文)"),
        TableColumn("owner_role", "责任角色(不写姓名)", required=True, example="部门负责人"),
        TableColumn("owner_role_en", "责任角色(英文)"),
        TableColumn("start_days", "最迟在多少个工作日内启动", "count", required=True, example="20"),
        TableColumn("evaluate_quarters", "启动后第几个季度评估成效", "count", required=True, example="1"),
        TableColumn("expected", "预计提高的分数,按题目,用 | 分隔:只用于计划和检验,不是依据", example="L1=4|L5=4"),
        TableColumn("indicator_zh", "观测指标", example="人均加班小时数"),
        TableColumn("indicator_en", "观测指标(英文)"),
    ),
    ("measure",),
)
RESPONSES = Schema(
    "responses",
    "一期问卷的答案,每人一行,每题一列(列名用题目代码)",
    (
        TableColumn("unit", "填答人所在单位的代码或名称", example="B001"),
        TableColumn("respondent", "假名编号(不是姓名、工号)"),
        TableColumn("own_code", "自编码:读入时即以密钥散列并丢弃,只作本人前后两期对应(去标识化)"),
        TableColumn("consent_use", "同意使用:是/否;否或空 = 该份不导入", example="是"),
        TableColumn("consent_link", "同意前后两期对应:是/否;空 = 否", example="否"),
        TableColumn("consent_care", "同意接受帮扶联系:是/否;空 = 否", example="否"),
    ),
)

SCHEMAS = {
    s.name: s
    for s in (
        CODEBOOK, SCALES, UNITS, HEADCOUNTS, INDICATORS, INDICATOR_VALUES, TEAMS, LEGACY, CONTEXT, RUBRICS, RATINGS, OBLIGATIONS,
        OBLIGATION_EVENTS, INTERVENTIONS, RESPONSES,
    )
}  # fmt: skip
