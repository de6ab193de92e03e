"""The elements of an official document (公文要素) that an office declares for its reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from ..errors import Problems

#: Kinds of document that a report may be issued as; a bulletin has issues.
KINDS = ("报告", "呈阅件", "简报")


@dataclass(frozen=True)
class Official:
    """What stands around the text of a report (GB/T 9704-2012, 7.2–7.4); what is empty is left out, nothing is invented.

    Attributes
    ----------
    kind
        报告, 呈阅件 or 简报.
    issue
        Number of the issue (期号) of a bulletin, printed as 第×期.
    secrecy, urgency
        密级和保密期限 (or 内部资料), 紧急程度: the first lines of the first page.
    letterhead
        发文机关标志, in red above the rule.
    number, signer
        发文字号, 签发人: the line above the rule.
    remark
        附注, in brackets below the date.
    copies
        抄送 at the end.
    printed_by, printed_on
        印发机关 and 印发日期 at the end.
    template
        The office's own Word template, in the workspace.
    """

    kind: str = ""
    issue: str = ""
    secrecy: str = ""
    urgency: str = ""
    letterhead: str = ""
    number: str = ""
    signer: str = ""
    remark: str = ""
    copies: str = ""
    printed_by: str = ""
    printed_on: str = ""
    template: str = ""


#: Types of the entries of ``[document]``; a number or a date is read as it is written.
ENTRIES: Mapping[str, tuple[type, ...]] = {
    field.name: (str, int) if field.name == "issue" else (str, date) if field.name == "printed_on" else (str,)
    for field in fields(Official)
}


def read_official(place: str, raw: Mapping[str, Any], problems: Problems) -> Official:
    """Check the section ``[document]``; errors go into ``problems``."""
    given = {name: value.isoformat() if isinstance(value, date) else str(value).strip() for name, value in raw.items()}
    if given.get("kind", "") not in ("", *KINDS):
        problems.add(
            f"{place} [document] kind", "choice", given.pop("kind"), "、".join(KINDS), "改为其一 (use one of these)"
        )
    if "printed_on" in given:
        try:
            given["printed_on"] = date.fromisoformat(given["printed_on"]).isoformat()
        except ValueError:
            advice = "写成 2026-10-08 (write it as 2026-10-08)"
            problems.add(f"{place} [document] printed_on", "bad_date", given.pop("printed_on"), "YYYY-MM-DD", advice)
    return Official(**given)
