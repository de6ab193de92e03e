"""An empty PowerPoint file: 16:9, Chinese fonts in the theme, one layout with a real title."""

from __future__ import annotations

import re
from typing import Any

from .document import Document
from .packages import legible

MM = 36_000  # English Metric Units
WIDTH, HEIGHT = 12_192_000, 6_858_000  # 338.67 × 190.5 millimetres
CHINESE, LATIN = "微软雅黑", "Arial"
_TITLE_ONLY = "Title Only"


def empty_show(document: Document) -> Any:
    """Return a presentation without slides; its one layout is a title above an empty page."""
    import pptx

    show: Any = pptx.Presentation()
    stretch = WIDTH / int(show.slide_width)
    show.slide_width, show.slide_height = WIDTH, HEIGHT
    for layout in list(show.slide_layouts):
        if layout.name != _TITLE_ONLY:
            show.slide_layouts.remove(layout)
    for page in (show.slide_master, show.slide_layouts[0]):
        for shape in page.placeholders:  # those of the template are made for 4:3
            if shape._element.spPr.xfrm is not None:
                shape.left, shape.width = round(shape.left * stretch), round(shape.width * stretch)
    _set_fonts(show.slide_master.part)
    _set_fonts(show.notes_master.part)
    properties = show.core_properties
    properties.title, properties.author = (
        legible(document.meta.get("title", "")),
        legible(document.meta.get("office", "")),
    )
    properties.last_modified_by, properties.revision, properties.keywords = "", 1, ""
    properties.language = "zh-CN" if document.language == "zh" else "en-GB"
    return show


def _set_fonts(master: Any) -> None:
    """Name the fonts once, in the theme: every text of the file takes them from there."""
    from pptx.opc.constants import RELATIONSHIP_TYPE
    from pptx.opc.package import XmlPart
    from pptx.oxml import parse_xml

    theme = master.part_related_by(RELATIONSHIP_TYPE.THEME)
    words = theme.blob.decode("utf-8")
    for kind in ("majorFont", "minorFont"):
        fonts = (
            f'<a:{kind}><a:latin typeface="{LATIN}"/><a:ea typeface="{CHINESE}"/><a:cs typeface="{LATIN}"/></a:{kind}>'
        )
        words = re.sub(rf"<a:{kind}>.*?</a:{kind}>", fonts, words, flags=re.DOTALL)
    if isinstance(theme, XmlPart):  # one that python-pptx made itself, for notes
        theme._element = parse_xml(words.encode("utf-8"))
    else:
        theme._blob = words.encode("utf-8")
