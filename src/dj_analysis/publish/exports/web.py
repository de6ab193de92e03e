"""What the package's web pages share: style, script, and the policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any


def render_page(template: str, language: str, **content: Any) -> bytes:
    """Fill a template of this folder into one file that asks nothing of the network; texts in it are escaped."""
    style, script = _part("page.css"), _part("page.js")
    rules = {
        "default-src": "'none'", "script-src": _hash(script), "style-src": _hash(style), "img-src": "data:",
        "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    return _template(template).render(
        lang="zh-CN" if language == "zh" else "en", style=_literal(style), script=_literal(script),
        policy="; ".join(f"{name} {allowed}" for name, allowed in rules.items()), **content,
    ).encode("utf-8")  # fmt: skip


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader(__package__, "")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=loader).get_template(name)


@cache
def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _literal(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
