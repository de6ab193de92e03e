"""Content of the self-check page: questions and words as text, the scoring tree and the rule as data."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as changed
from datetime import date
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from ..errors import Problems, SpecError, UsageError, unknown
from ..result import PURPOSE, PURPOSE_EN
from ..spec.bands import SLACK
from ..spec.codebook import Codebook
from ..spec.specification import Specification
from ..spec.tree import Node, Tree

if TYPE_CHECKING:
    from jinja2 import Template

HELP_LINE = "12356"  # national psychological help line; a survey is no crisis line and says where to turn


@dataclass(frozen=True)
class Service:
    """Somebody a person can turn to, as the self-check page names them.

    Attributes
    ----------
    contact
        Telephone number or place; the page makes no link of it.
    urgency
        Place in the list when nothing is shown, at orange, at red and at black; the smallest comes first.
    answers
        Whether it answers a request within the working days of the level.
    """

    code: str
    name_zh: str
    name_en: str = ""
    contact: str = ""
    about_zh: str = ""
    about_en: str = ""
    urgency: tuple[int, int, int, int] = (1, 1, 1, 1)
    answers: bool = True


@cache
def default_services() -> tuple[Service, ...]:
    """Return the services the package names: counsellor, union, EAP, the national hotline, the supervisor last."""
    return tuple(Service(**{**entry, "urgency": tuple(entry["urgency"])}) for entry in _declared()["service"])


def render(spec: Specification, services: Sequence[Service], language: str, period: str) -> str:
    """Fill the template; see :func:`dj_analysis.act.care.self_check`."""
    from markupsafe import Markup

    if language not in ("zh", "en"):
        raise unknown("语言/language", language, ("zh", "en"))
    named = _services(services, language)
    tree, index = _asked(spec.codebook, period)
    items = tree.leaves_of(index)
    _check_items(items, spec.codebook)
    words, style, script = _declared()[language], _part("css"), _part("js")
    data = {
        "items": [_item(node, spec.codebook) for node in items],
        "nodes": _nodes(tree, index),
        "index": index,
        "dimensions": [{"code": d.code, "label": d.label(language)} for d in _dimensions(tree, index)],
        "rule": asdict(spec.rules.self_check),
        "slack": SLACK,
        "services": named,
        "words": {key: value for key, value in words.items() if key not in ("privacy", "rules")},
    }
    page = _template().render(
        language=language, words=words, help_line=HELP_LINE, count=len(items), services=named,
        instruction=_instruction(items, spec.codebook, language, words), sections=_sections(tree, index, spec.codebook, language),
        index_label=tree[index].label(language), method=_method(spec, words), purpose={"zh": PURPOSE, "en": PURPOSE_EN}[language],
        policy=Markup(_policy(style, script)), style=Markup(style), script=Markup(script), data=Markup(_json(data)),
    )  # fmt: skip
    return page + "\n"


@cache
def _template() -> Template:
    from jinja2 import Environment

    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_part("html.j2"))


@cache
def _declared() -> Mapping[str, Any]:
    return tomllib.loads(_part("toml"))


def _part(suffix: str) -> str:
    text = resources.files(__package__).joinpath(f"self_check.{suffix}").read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")  # a browser hashes what it has read, with line ends of one kind


def _policy(style: str, script: str) -> str:
    """Allow this style and this script by their hash, and nothing else at all."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'"
    )


def _json(data: Any) -> str:
    """Write data so that no text in it can end the script block it stands in."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})


def _asked(codebook: Codebook, period: str) -> tuple[Tree, str]:
    """Return the full form of one version, and its index."""
    tree = codebook.tree.at(period)
    if not period:
        tree = changed(tree, nodes=tuple(node for node in tree if node.valid_on(date.max)))
    tree = tree.in_form("full")
    index = next((node.code for node in tree if node.role == "index"), None)
    if index is None or not tree.leaves_of(index):
        raise UsageError("问卷没有指数(role = index),不能做自查页 (no index in the codebook, no self-check page)")
    return tree, index


def _dimensions(tree: Tree, index: str) -> tuple[Node, ...]:
    """The index's children that have items below: a single question is too inexact to be judged by itself."""
    return tuple(node for node in tree.children(index) if tree.children(node.code))


def _nodes(tree: Tree, index: str) -> list[dict[str, Any]]:
    inner = [node for node in tree.inner if node.code == index or index in tree.ancestors(node.code)]
    return [
        {
            "code": node.code,
            "least": tree.least(node),
            "children": [{"code": child.code, "weight": child.weight} for child in tree.children(node.code)],
        }
        for node in inner
    ]


def _item(node: Node, codebook: Codebook) -> dict[str, Any]:
    options = _options(node, codebook)
    return {
        "code": node.code, "minimum": node.minimum, "maximum": node.maximum, "direction": node.direction,
        "values": [value for value, _, _ in options] if options else None,
    }  # fmt: skip


def _options(node: Node, codebook: Codebook) -> list[tuple[float | None, str, str]]:
    """Value (None = counts as missing) and wordings of each option; none where a number is typed."""
    scale = codebook.scales.get(node.scale)
    if scale is not None:
        options = [(None if o.value != o.value else o.value, o.label_zh or o.code, o.label_en) for o in scale.options]
        return list(dict.fromkeys(options))
    few = node.maximum - node.minimum <= 10 and float(node.minimum).is_integer() and float(node.maximum).is_integer()
    return [(float(v), str(v), "") for v in range(int(node.minimum), int(node.maximum) + 1)] if few else []


def _check_items(items: Iterable[Node], codebook: Codebook) -> None:
    problems = Problems()
    for node in items:
        where, allowed = f"codebook: {node.code}", f"{node.minimum:g}–{node.maximum:g}"
        if not node.minimum < node.maximum:
            problems.add(where, "range", allowed, "minimum < maximum", "填上量表两端 (give both ends of the range)")
            continue
        values = [value for value, _, _ in _options(node, codebook) if value is not None]
        outside = [value for value in values if not node.minimum <= value <= node.maximum]
        if outside:
            numbers = ", ".join(f"{value:g}" for value in outside)
            problems.add(where, "out_of_range", numbers, allowed, "改正量表或两端 (correct the scale or the range)")
    problems.raise_if_any(SpecError)


def _sections(tree: Tree, index: str, codebook: Codebook, language: str) -> list[dict[str, Any]]:
    """Questions in their order, under the names of the index's children."""
    order = [node.code for node in tree.children(index)]
    tops = {leaf.code: [leaf.code, *tree.ancestors(leaf.code)] for leaf in tree.leaves_of(index)}
    sections = []
    numbered = enumerate(tree.leaves_of(index))
    for top, group in itertools.groupby(
        numbered, key=lambda pair: next(code for code in tops[pair[1].code] if code in order)
    ):
        questions = [_question(number, node, codebook, language) for number, node in group]
        sections.append({"label": tree[top].label(language), "questions": questions})
    return sections


def _question(number: int, node: Node, codebook: Codebook, language: str) -> dict[str, Any]:
    english = language == "en"
    text = (node.text_en or node.text_zh if english else node.text_zh) or node.label(language)
    options = [
        {"label": en or zh if english else zh, "aside": value is None} for value, zh, en in _options(node, codebook)
    ]
    ends = {"minimum": f"{node.minimum:g}", "maximum": f"{node.maximum:g}"}
    return {"number": number, "code": node.code, "text": text, "options": options, **ends}


def _instruction(items: Iterable[Node], codebook: Codebook, language: str, words: Mapping[str, Any]) -> str:
    ways_out = [en or zh if language == "en" else zh for n in items for v, zh, en in _options(n, codebook) if v is None]
    skip = words["skip_option"].format(option=ways_out[0]) if ways_out else words["skip"]
    # The codebook tells the time of recall in Chinese only; the usual one has an English name.
    recall = {"最近三个月": "the last three months"}.get(codebook.recall) if language == "en" else codebook.recall
    said = words["recall"].format(recall=recall) if recall else ""
    return f"{said} {skip}".strip() if language == "en" else said + skip


def _method(spec: Specification, words: Mapping[str, Any]) -> list[str]:
    values = {key: f"{value:g}" for key, value in asdict(spec.rules.self_check).items()}
    return [line.format(version=spec.codebook.version, **values) for line in words["rules"].values()]


def _services(services: Sequence[Service], language: str) -> list[dict[str, Any]]:
    if not services or len({service.code for service in services}) < len(services):
        raise UsageError("services: 至少一项服务,代码不重复 (at least one service, each with a code of its own)")
    pages: list[dict[str, Any]] = []
    for service in services:
        if len(service.urgency) != 4:
            raise UsageError(f"services {service.code}: urgency 要四个数 (four numbers: none, orange, red, black)")
        name = (service.name_en or service.name_zh) if language == "en" else service.name_zh
        about = (service.about_en or service.about_zh) if language == "en" else service.about_zh
        shown = {"code": service.code, "name": name, "contact": service.contact, "about": about}
        pages.append({**shown, "urgency": list(service.urgency), "answers": service.answers})
    return sorted(pages, key=lambda service: service["urgency"][0])
