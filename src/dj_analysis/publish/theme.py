"""Fonts and colours of every figure and page."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import FontError

#: Colours of the levels; fixed meaning, never relative to the data at hand.
LEVEL_COLOURS = {"orange": "#E08A00", "red": "#C00000", "black": "#1A1A1A", "": "#2F5D8C"}
#: Colours of the state of work (row L05); none of them is a colour of a warning, though orange and red share its word.
WORK_COLOURS = {
    "grey": "#A6A6A6", "blue": "#5B9BD5", "green": "#4C9F70", "orange": "#F4B183", "red": "#E07A8B", "purple": "#7E57A6"
}  # fmt: skip
INK, GRID, MUTED, ACCENT, HATCH = "#222222", "#D9D9D9", "#7F7F7F", "#2F5D8C", "#BDBDBD"
SMALL_PRINT = "#595959"  # notes and captions: grey that is read as well as text (7:1 on white; WCAG 2.2, 1.4.6)
HEAT = "RdYlBu"  # readable with the common colour vision deficiencies
DIVERGING = "RdBu"  # deviations: blue above, red below
#: Colours of clusters, told apart with the common colour vision deficiencies (Okabe and Ito 2008).
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000", "#7F7F7F", "#8C564B")
#: Marks of clusters, so that they are told apart in black-and-white print as well.
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*", "<", ">")
HEAT_RANGE = (40.0, 90.0)  # absolute: a colour means the same score in every report

_FILES = {".otf", ".ttf", ".ttc"}
_SYSTEM = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.fonts",
    "~/.local/share/fonts",
    "C:/Windows/Fonts",
    "~/AppData/Local/Microsoft/Windows/Fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
)
_CHINESE = ("NotoSansSC", "NotoSansCJK", "SourceHanSans", "msyh", "simhei", "wqy", "PingFang", "STHeiti", "NotoSerifSC")


def font_folders(own: str = "") -> list[Path]:
    """Folders with Chinese fonts, best first: the office's own folder, the package's fonts, the system's.

    Parameters
    ----------
    own
        The folder named by ``fonts`` in workspace.toml (licensed 仿宋, 小标宋 and the like go there).
    """
    folders = [Path(own).expanduser()] if own else []
    try:
        import pylopdf_fonts_zh_cn

        folders.append(Path(pylopdf_fonts_zh_cn.__file__).parent)
    except ImportError:
        folders += [Path(place).expanduser() for place in _SYSTEM]
    return [folder for folder in folders if folder.is_dir()]


@cache
def sans_font(own: str = "") -> str:
    """Register the best Chinese sans font with matplotlib and return its name.

    Raises
    ------
    FontError
        No Chinese font was found; says what to do.
    """
    from matplotlib import font_manager

    candidates = [path for folder in font_folders(own) for path in _fonts_below(folder)]
    candidates += [path for place in _SYSTEM for path in _fonts_below(Path(place).expanduser())]
    for wanted in _CHINESE:
        for path in candidates:
            if wanted.lower() in path.stem.lower().replace("-", "").replace(" ", ""):
                font_manager.fontManager.addfont(str(path))
                return font_manager.FontProperties(fname=str(path)).get_name()
    raise FontError(
        "没有找到中文字体;安装 pylopdf-fonts-zh-cn,或在 workspace.toml 的 fonts 指定字体文件夹 "
        "(no Chinese font found: install pylopdf-fonts-zh-cn, or name a folder in workspace.toml fonts)"
    )


@contextmanager
def drawing(own_fonts: str = "") -> Iterator[None]:
    """Draw in the package's theme; a glyph that the font lacks is an error, not a box."""
    import matplotlib as mpl

    parameters: Any = rc_parameters(own_fonts)
    with mpl.rc_context(parameters), warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph .* missing from")
        try:
            yield
        except UserWarning as warning:
            raise FontError(f"字体缺字:{warning} (the font lacks a glyph; name another folder in fonts)") from warning


def rc_parameters(own_fonts: str = "") -> dict[str, Any]:
    """Return the matplotlib settings of the theme, Chinese font first."""
    return {
        "font.family": [sans_font(own_fonts)],
        "axes.unicode_minus": False,
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "font.size": 9.5,
        "axes.titlesize": 11.5,
        "axes.titlelocation": "left",
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "figure.dpi": 110,
        "savefig.dpi": 200,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "path",
        "svg.hashsalt": "dj_analysis",  # the same figure is the same bytes
        "hatch.linewidth": 0.6,
    }


def _fonts_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    paths = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    return sorted(path for path in paths if path.suffix.lower() in _FILES)
