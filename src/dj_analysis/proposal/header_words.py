"""Words by which the headers of an office's sheets say what a column or a row holds; compared tight, see `tight`."""

from __future__ import annotations

import re
import unicodedata

MOST_ABOVE = 15  # rows above a header that are looked at

UNIT = re.compile(
    r"(被?(考核|评价|考评)?(填报|报送|所在)?)?(?P<what>支部|党支部|党组织|基层党组织|基层党支部|组织|部门|单位|基层单位|分公司|班组)(名称|全称|简称)?"
    r"|branch|unit|department|organi[sz]ation"
)
#: Of several columns that name units the finest is the unit, and the others stand above it.
FINEST = ("支部", "branch", "党组织", "班组", "组织", "部门", "department", "单位", "unit", "分公司")
UPPER = re.compile(
    r"(所属|上级|隶属|所在)(单位|党组织|党委|党总支|总支|公司|部门)(名称)?|党委|党总支|二级单位|板块|片区"
)
KIND = re.compile(r"(单位|支部|党支部|组织)?(类别|类型)")
PERIOD = re.compile(r"(考核|统计|填报|所属)?(月份|时期|期间|月度|季度|年月|年份|月|日期)|period|month|quarter")
ITEM = re.compile(r"(考核|评价|对标)?(指标|指标项|项目|考核项|考核项目|二级指标|三级指标)(名称)?|indicator|item")
VALUE = re.compile(r"(指标|本月|本期|实际|当月)?(值|数值|得分|分数|完成值|实际值|完成情况|数据)|value|score")
ASPECT = re.compile(r"(考核)?(方面|维度|模块|一级指标|指标类别|指标大类|大类)|aspect|dimension")
NO_INDICATOR = re.compile(
    r"序号|编号|行号|no\.?|id|合计.*|总分.*|总得分|总计|.*小计|平均(分|值)?|均分|综合得分|最终得分|名次|排名|排序|位次|备注|备考|等级|档次|评级|星级|说明|签字|签名"
    r"|(责任|牵头|主管|考核|归口|分管)(部门|单位|处室|人|领导)|负责人|书记|联系(人|电话|方式)|电话|手机|姓名|填报人|审核人|佐证.*|考核标准|评分标准|数据来源"
)
MEASURE = re.compile(r"[(]?(分|%|次|个|人|件|小时|学时|篇|万元|元|项|天|场|期|百分比|人次)[)]?")
POINTS = re.compile(r"[(]?(满分|分值|标准分|权重)?[:：]?\d+(\.\d+)?(分|%)?[)]?")
ROW_OF = {
    "maximum": re.compile(r"满分|分值|标准分(值)?|分值上限|上限|最高分"),
    "weight": re.compile(r"权重|权数"),
    "target": re.compile(r"目标(值)?|年度目标|标杆(值)?"),
    "owner_department": re.compile(r"(责任|牵头|考核|主管|归口)(部门|单位|处室)"),
    "other": re.compile(r"考核标准|评分标准|计量单位|指标单位|数据来源"),
}


def half_width(text: str) -> str:
    """Return a text with half-width letters, digits and brackets."""
    return unicodedata.normalize("NFKC", text)


def tight(text: str) -> str:
    """Return a text without spaces, in half width and lower case."""
    return "".join(half_width(text).split()).casefold()


def without_points(header: str) -> str:
    """Return a header in half width without the points behind it: 党课（10分） → 党课."""
    return re.sub(r"[(][^()]*\d[^()]*[)]$", "", half_width(header)).strip()
