"""Workbooks of indicators as offices keep them, written from one known truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xlsxwriter

UNITS, MONTHS = 60, 12
KINDS = ("输电", "变电", "配电", "营销", "调度", "物资", "信通", "建设", "检修", "后勤")
PLACES = ("云岭", "澄川", "白沙", "青江", "石门", "南湾")
ALIASES = {"云岭输电支部": "云岭输电运检党支部", "青江营销支部": "青江营销服务党支部"}


@dataclass(frozen=True)
class Column:
    """An indicator of the truth: its aspect, its header in the book, range, direction, and what is to be decided."""

    aspect: str
    header: str
    label: str
    low: float
    high: float
    direction: int = 1
    asked: bool = False


COLUMNS = (
    Column("组织建设", "三会一课(10分)", "三会一课", 0, 10),
    Column("组织建设", "主题党日（10分）", "主题党日", 0, 10),
    Column("组织建设", "组织生活会 (满分5分)", "组织生活会", 0, 5),
    Column("组织建设", "党员到会率(%)", "党员到会率(%)", 0, 100),
    Column("组织建设", "党费收缴完成率", "党费收缴完成率", 0, 100),
    Column("思想教育", "学习参与率", "学习参与率", 0, 100),
    Column("思想教育", "宣讲场次", "宣讲场次", 0, 12, asked=True),
    Column("思想教育", "人均学时", "人均学时", 0, 40, asked=True),
    Column("思想教育", "测评得分", "测评得分", 0, 100),
    Column("思想教育", "意识形态扣分(5分)", "意识形态扣分", 0, 5, -1),
    Column("作用发挥", "攻关项目数", "攻关项目数", 0, 9, asked=True),
    Column("作用发挥", "志愿服务时长", "志愿服务时长", 0, 60, asked=True),
    Column("作用发挥", "任务按期完成率", "任务按期完成率", 0, 100),
    Column("作用发挥", "建议采纳率(%)", "建议采纳率(%)", 0, 100, asked=True),
    Column("作用发挥", "隐患整改率", "隐患整改率", 0, 100),
    Column("廉洁安全", "违章次数", "违章次数", 0, 8, -1, asked=True),
    Column("廉洁安全", "客户投诉件数", "客户投诉件数", 0, 15, -1, asked=True),
    Column("廉洁安全", "平均处理时长(小时)", "平均处理时长(小时)", 0, 72, -1, asked=True),
    Column("廉洁安全", "廉洁教育覆盖率", "廉洁教育覆盖率", 0, 100),
    Column("廉洁安全", "安全得分(10分)", "安全得分", 0, 10),
)
LOWER = "平均处理时长(小时)"
RANGES = {column.label: f"0-{column.high:g}" for column in COLUMNS if column.asked and "率" not in column.label}


def unit_names() -> list[str]:
    names = [f"{place}{kind}党支部" for place in PLACES for kind in KINDS]
    names[names.index("云岭输电党支部")] = "云岭输电运检党支部"
    names[names.index("青江营销党支部")] = "青江营销服务党支部"
    return names


@dataclass(frozen=True)
class Truth:
    """Values months × units × indicators (NaN: missing) and which do not apply."""

    values: np.ndarray
    exempt: np.ndarray

    def points(self, month: int) -> np.ndarray:
        """Points 0–100 of every unit and indicator, high is good."""
        low, high = (np.array([getattr(column, name) for column in COLUMNS]) for name in ("low", "high"))
        up = np.array([column.direction for column in COLUMNS]) > 0
        return 100 * np.where(up, self.values[month] - low, high - self.values[month]) / (high - low)


def truth(seed: int = 7) -> Truth:
    rng = np.random.default_rng(seed)
    ability = rng.normal(0, 1, (1, UNITS, 1)) + 0.5 * rng.normal(0, 1, (MONTHS, UNITS, 1))
    load = rng.uniform(0.2, 1.2, len(COLUMNS)) * np.array([column.direction for column in COLUMNS])
    share = 1 / (1 + np.exp(-(1.2 + load * ability + rng.normal(0, 0.8, (MONTHS, UNITS, len(COLUMNS))))))
    low, high = (np.array([getattr(column, name) for column in COLUMNS]) for name in ("low", "high"))
    values = np.round(low + share * (high - low), 1)
    counts = [j for j, column in enumerate(COLUMNS) if column.label.endswith(("数", "次"))]
    values[:, :, counts] = np.round(values[:, :, counts])
    values[:, ::7, 13] = np.nan
    exempt = np.zeros(values.shape, dtype=bool)
    exempt[:, ::7, 13] = True
    return Truth(values, exempt)


def write_months(path: Path, known: Truth) -> Path:
    """A sheet a month: titles, aspects merged above indicators, 序号, 责任部门, totals, ranks, remarks, spellings, marks."""
    names = unit_names()
    with xlsxwriter.Workbook(path) as book:
        cover = book.add_worksheet("填报说明")
        cover.write(0, 0, "请各单位每月5日前报送")
        secret = book.add_worksheet("底稿")
        secret.write_row(0, 0, ["单位", "党课", "得分"])
        secret.hide()
        for month in range(MONTHS):
            sheet = book.add_worksheet((f"{month + 1}月", f"2026年{month + 1}月", f"2026-{month + 1:02d}")[month % 3])
            width = 2 + len(COLUMNS)
            sheet.merge_range(0, 0, 0, width + 1, f"2026年{month + 1}月党支部指标统计表")
            sheet.write(1, 0, "填报单位:党建部")
            sheet.write(1, 8, f"填报日期:2026年{month + 1}月28日")
            sheet.merge_range(2, 0, 3, 0, "序号")
            sheet.merge_range(2, 1, 3, 1, "党 支 部")
            for aspect in dict.fromkeys(column.aspect for column in COLUMNS):
                places = [j for j, column in enumerate(COLUMNS) if column.aspect == aspect]
                sheet.merge_range(2, 2 + places[0], 2, 2 + places[-1], aspect)
            for j, column in enumerate(COLUMNS):
                sheet.write(3, 2 + j, column.header)
            sheet.merge_range(2, width, 3, width, "合计")
            sheet.merge_range(2, width + 1, 3, width + 1, "备注")
            order = np.random.default_rng(month).permutation(UNITS)
            for row, i in enumerate(order, start=4):
                sheet.write(row, 0, row - 3)
                sheet.write(row, 1, spelling(names[i], month))
                for j, column in enumerate(COLUMNS):
                    write_value(sheet, row, 2 + j, known, (month, int(i), j), column)
                sheet.write(row, width, 99)
            end = 4 + UNITS
            sheet.merge_range(end, 0, end, 1, "平均")
            sheet.write_row(end, 2, [7.5] * len(COLUMNS))
            sheet.merge_range(end + 1, 0, end + 1, 1, "合计")
            sheet.write_row(end + 1, 2, [450] * len(COLUMNS))
            sheet.write(end + 2, 0, "注:测评得分由党建部给出。")
            sheet.write(end + 3, 0, "制表人:某某")
            sheet.write(end + 3, 6, "审核人:某某")
    return path


def spelling(name: str, month: int) -> str:
    if month == 4:
        name = {full: short for short, full in ALIASES.items()}.get(name, name)
    if month % 4 == 1:
        return f"{name[:2]}　{name[2:]}"
    return f"{name} " if month % 4 == 2 else name


def write_value(sheet, row: int, place: int, known: Truth, at: tuple[int, int, int], column: Column) -> None:
    value = known.values[at]
    if known.exempt[at]:
        sheet.write(row, place, ("/", "—", "不适用")[at[0] % 3])
    elif np.isnan(value):
        sheet.write_blank(row, place, None)
    elif column.label == "学习参与率":
        sheet.write(row, place, f"{value:g}%")
    elif column.label == "测评得分" and at[1] % 5 == 0:
        sheet.write(row, place, f"{value:g}分")
    else:
        sheet.write(row, place, value)
