"""Import of one checked wave from a platform's export, another file or any dataframe; identifiers are rejected."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ...errors import DataError, DjWarning, Problems
from ...spec.codebook import Codebook
from ...spec.consent import Door
from ...spec.periods import is_period
from ...spec.settings import Source
from ...spec.specification import Specification
from ...spec.tables import read_responses
from ...spec.units import Units
from ..survey import Survey
from .conversion import survey_of_table as survey_of_table
from .frames import survey_of_frame as survey_of_frame
from .frames import typed_parquet
from .identifiers import check_other_sheets, shown_path


def read_survey(
    source: Any,
    codebook: Codebook,
    units: Units | None = None,
    period: str | None = None,
    columns: Mapping[str, str] | None = None,
    form: Literal["full", "pulse"] | None = None,
    assessment: str | Path | None = None,
) -> Survey:
    """Read one wave of answers and check it.

    Parameters
    ----------
    source
        Path of a survey platform's export or of a wide table (.csv, .tsv, .txt, .xlsx, .xls, .xlsb, .xlsm, .ods, .sav, .zsav,
        .dta, .parquet; see docs/files.md), or any dataframe: pandas, polars, pyarrow, DuckDB relation, Spark.
    codebook
        The instrument; headers are matched by code, by wording, or as ``columns`` says.
    units
        Unit trees; without them the values of a column ``unit`` are units of one level, and without that column all
        rows belong to the root.
    period
        The wave, e.g. ``2026Q3``; by default the period named by the file name, if it is one; without a
        period every version of the codebook and of the units holds.
    columns
        Code → header, where headers cannot be matched by themselves. Roles too: ``unit``, ``respondent``, a tree's name.
    form
        ``full`` (default) or ``pulse``.
    assessment
        The signed impact assessment (``impact-assessment.toml``, PIPL 55). Without it self-chosen codes (``own_code``) are
        dropped and nobody can be followed from wave to wave.

    Returns
    -------
    Survey
        Without the rows of people who did not agree (``consent_use``); their number is ``.refused``. Undeclared columns
        are dropped with a notice; 来自IP, 来源详情 and 昵称 always are. With ``own_code``, ``consent_link`` = yes, an
        assessment and a key (``DJ_KEY_FILE``) a column ``link`` holds the code's HMAC-SHA256, else ``""``.

    Raises
    ------
    IdentifierError
        A column holds names, ID card or phone numbers, 工号, openid, 政治面貌 and the like.
    PurposeError
        A column holds records about people: 考核, 奖惩, 积分, 信访, 考勤, 聊天, 定位.
    DataError
        Everything else that is wrong, in one table.

    Examples
    --------
    >>> wave = dj.read_survey(folder / "responses/2026Q3.csv", ws.spec.codebook, units=ws.units, period="2026Q3")
    >>> len(wave.frame)
    77
    """
    problems = Problems()
    spec = Specification(codebook=codebook, units=units or Units(()))
    mapping = Source(columns=dict(columns or {}))
    places = (Path(source).resolve().parent,) if isinstance(source, (str, Path)) else ()
    door = Door(places=places, assessment=Path(assessment) if assessment is not None else None)
    if isinstance(source, (str, Path)):
        path = Path(source)
        period = period or (path.stem if is_period(path.stem) else "")
        survey = survey_of_file(
            path, spec, period, form or "full", mapping, problems, derive_units=units is None, door=door
        )
    else:
        survey = survey_of_frame(
            source, spec, period or "", form or "full", mapping, problems, derive_units=units is None, door=door
        )
    raise_for(problems)
    assert survey is not None, "a file that cannot be read is a problem"
    for notice in survey.notices:
        warnings.warn(notice, DjWarning, stacklevel=2)
    return survey


def survey_of_file(
    path: Path,
    spec: Specification,
    period: str,
    asked: Literal["full", "pulse"],
    source: Source,
    problems: Problems,
    *,
    place: str = "",
    derive_units: bool = False,
    door: Door | None = None,
) -> Survey | None:
    """Read a wave from a file; what is wrong goes into ``problems``, and the rest is still read."""
    place, file = place or path.name, shown_path(path)
    if path.suffix.lower() == ".parquet" and path.is_file() and path.stat().st_size:
        frame = typed_parquet(path, spec.codebook.at(period), source, place, problems)
        if frame is not None:
            return survey_of_frame(
                frame, spec, period, asked, source, problems,
                place=place, derive_units=derive_units, door=door, file=file,
            )  # fmt: skip
    table = read_responses(path, problems, place=place, sheet=source.sheet)
    if table is None:
        return None
    check_other_sheets(path, place, source.sheet, problems)
    return survey_of_table(
        table, spec, period, asked, source, problems, derive_units=derive_units, door=door, file=file
    )


def raise_for(problems: Problems) -> None:
    """Raise the collected problems as the most serious error class among them."""
    problems.raise_if_any(DataError)
