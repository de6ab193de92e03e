"""The impact assessment (PIPL 55) required before linking people across waves."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

from ..errors import Problems

FILE = "impact-assessment.toml"

#: What an assessment must say (PIPL 56; GB/T 39335-2020): field, question in Chinese, question in English.
FIELDS = (
    ("date", "评估日期，如 2026-07-01", "date of the assessment, as in 2026-07-01"),
    ("assessor_role", "评估人的岗位或角色（不写姓名）", "post or role of the assessor (no name)"),
    ("purpose", "处理目的、处理方式是否合法、正当", "what the data are for, and that it is lawful and legitimate"),
    ("necessity", "为何必须跨期关联，能否用更少的信息达到", "why waves must be linked, and why less would not do"),
    ("risks", "对个人权益的影响及安全风险", "effects on people's rights, and risks to security"),
    ("measures", "所采取的保护措施是否有效并与风险程度相适应", "safeguards, and that they fit the risks"),
    ("conclusion", "结论：是否可以开展", "conclusion: whether it may go ahead"),
)

_HEAD = {
    "zh": (
        "# 个人信息保护影响评估（《个人信息保护法》第五十五、五十六条；参照 GB/T 39335-2020）",
        "# 填写后存为工作区文件夹中的 {file}；没有它，带自编码的答卷不予读取。评估报告至少保存三年。",
    ),
    "en": (
        "# Personal information protection impact assessment (PIPL 55 and 56; after GB/T 39335-2020)",
        "# Fill it in and save it in the workspace's folder as {file}: without it waves with self-chosen codes are not read.",
        "# It is to be kept for at least three years.",
    ),
}
_SIGNED = {"zh": "签署后改为 true", "en": "true once it is signed"}


def assessment_template(language: str) -> str:
    """Return an empty impact assessment form in the language of the office, with the question of each field."""
    lines = [line.format(file=FILE) for line in _HEAD[language]]
    for name, zh, en in FIELDS:
        lines += ["", f"# {en if language == 'en' else zh}", f'{name} = ""']
    return "\n".join([*lines, "", f"# {_SIGNED[language]}", "signed = false", ""])


def filled(answers: dict[str, str], language: str = "zh") -> str:
    """Return the form with its fields filled in and signed."""
    form = assessment_template(language).replace("signed = false", "signed = true")
    for name, answer in answers.items():
        form = form.replace(f'{name} = ""', f'{name} = "{answer}"')
    return form


def impact_problems(path: Path, problems: Problems) -> bool:
    """Check that the impact assessment exists, is complete and is signed; return whether it passes.

    Parameters
    ----------
    path
        The file; its folder is the workspace's.
    """
    advice = f"用 dj template {path.parent.name} 写出模板，填写签署后存为 {path.name} (fill in and sign the template, save it there)"
    if not path.exists():
        problems.add(path.name, "impact_assessment", "没有该文件", "已签署的影响评估 (a signed assessment)", advice)
        return False
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.add(path.name, "unreadable", error, "UTF-8 TOML", "改正所指的行 (correct the line named)")
        return False
    missing = [name for name, *_ in FIELDS if not _is_filled(name, raw.get(name, ""))]
    missing += ["signed = true"] if raw.get("signed") is not True else []
    if missing:
        allowed = "各项均已填写并签署 (every field filled in, and signed)"
        problems.add(path.name, "impact_assessment", f"缺 {', '.join(missing)}", allowed, advice)
    return not missing


def _is_filled(name: str, value: object) -> bool:
    if name != "date":
        return isinstance(value, str) and bool(value.strip())
    try:
        return isinstance(value, date) or bool(date.fromisoformat(str(value)))
    except ValueError:
        return False
