"""Figures of a report as pixels, for formats that show no vector drawings."""

from __future__ import annotations

from functools import lru_cache

PIXELS_PER_INCH = 200
MILLIMETRES = 25.4


@lru_cache(maxsize=64)
def png_of(svg: str, width: float, height: float) -> bytes:
    """Draw an SVG as PNG.

    Parameters
    ----------
    svg
        A figure whose letters are paths, so that no font is needed.
    width, height
        In inches.
    """
    import typst

    source = (
        "#set page(width: auto, height: auto, margin: 0pt)\n"
        '#image(bytes(sys.inputs.svg), format: "svg", width: float(sys.inputs.width) * 1in)'
    )
    pages = typst.compile(
        source.encode(), format="png", ppi=PIXELS_PER_INCH, ignore_system_fonts=True,
        sys_inputs={"svg": svg, "width": str(width)},
    )  # fmt: skip
    assert isinstance(pages, bytes), "one drawing is one page"
    return pages
