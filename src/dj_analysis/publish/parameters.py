"""Which report notebooks there are, and the parameters they declare and were run with."""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, unknown

if TYPE_CHECKING:
    import nbformat

REQUIRED = object()  # a parameter without a default
#: Reports that read the answers of a survey; the others read branch indicators.
OF_SURVEYS = ("quarterly", "methods", "notice", "agenda")
#: A letter to one unit: no page that others read names it.
LETTER = "notice"
_TYPES: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a report notebook."""

    name: str
    type: str
    default: Any
    help: str = ""

    @property
    def allowed(self) -> tuple[Any, ...]:
        """The values of a parameter annotated ``Literal[…]``; empty where any of its type will do."""
        inner = self.type.removeprefix("Literal[").removesuffix("]")
        return tuple(ast.literal_eval(f"({inner},)")) if inner != self.type else ()


def reports() -> dict[str, Path]:
    """Return the report notebooks there are: name → file."""
    return {
        p.stem: p for p in sorted(_notebook_folder().glob("*.ipynb")) if any(q.name == "unit" for q in parameters(p))
    }


def asks_for_answers(notebook: Path) -> bool:
    """Tell whether a report computes something from the answers themselves, and not from their sums alone."""
    text = notebook.read_text(encoding="utf-8")
    return any(f".{method}(" in text for method in ("survey", "released", "has_answers"))


def parameters(notebook: Path) -> list[Parameter]:
    """Read the declared parameters: annotated plain literals of the cell tagged ``parameters``; no value: required."""
    with without_web_addresses():
        import nbformat

    cells = nbformat.read(notebook, as_version=4).cells
    source = next((cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])), "")
    comments = {
        line.split(":")[0].strip(): line.split("#", 1)[1].strip() for line in source.splitlines() if "#" in line
    }
    annotated = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            default = REQUIRED if statement.value is None else ast.literal_eval(statement.value)
            annotated.append(Parameter(name, ast.unparse(statement.annotation), default, comments.get(name, "")))
    return annotated


@contextlib.contextmanager
def without_web_addresses() -> Iterator[None]:
    """Keep jsonschema, which nbformat imports, from building its grammar of web addresses: a second, and a notebook has none to check."""
    name = "rfc3987_syntax"
    here = name in sys.modules
    if not here:
        sys.modules[name] = None  # type: ignore[assignment]  # as where it is not installed, which it need not be
    try:
        yield
    finally:
        if not here:
            del sys.modules[name]


def own_parameters(report: str, given: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` texts as parameters of a report, each by its declared type.

    Raises
    ------
    UsageError
        A report or parameter that does not exist, or a value that is not of its type.
    """
    source = reports().get(report)
    if source is None:
        raise unknown("报告/report", report, reports())
    declared = {parameter.name: parameter for parameter in parameters(source)}
    values: dict[str, Any] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in declared:
            raise unknown("参数/parameter", name, declared)
        try:
            values[name] = value if declared[name].type == "str" else ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise UsageError(
                f"参数 {name} 应为 {declared[name].type},不是 {value} (wrong type of parameter)"
            ) from error
    return values


def check_parameters(source: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return every declared parameter with its value, or raise for one that is unknown, missing or of another type."""
    declared = {parameter.name: parameter for parameter in parameters(source)}
    for name in values:
        if name not in declared:
            raise unknown("参数/parameter", name, declared)
    checked = {}
    for name, parameter in declared.items():
        value = values.get(name, parameter.default)
        if value is REQUIRED:
            raise UsageError(f"缺少参数 {name}: {parameter.type} {parameter.help} (a parameter is missing)")
        wanted = _TYPES.get(parameter.type, str)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
            kind = type(value).__name__
            raise UsageError(f"参数 {name} 应为 {parameter.type},不是 {kind}:{value} (wrong type of parameter)")
        if parameter.allowed and value not in parameter.allowed:
            raise unknown(f"参数/parameter {name}", value, parameter.allowed)
        checked[name] = value
    return checked


def parameters_given(executed: nbformat.NotebookNode) -> list[Parameter]:
    """Read the values a notebook was run with: its declared parameters, then the injected ones."""
    assigned: dict[str, Parameter] = {}
    for cell in executed.cells:
        if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])):
            for statement in ast.parse(cell.source).body:
                targets = (
                    statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
                )
                value = getattr(statement, "value", None)
                if isinstance(targets[0], ast.Name) and isinstance(value, ast.expr):
                    assigned[targets[0].id] = Parameter(targets[0].id, "", ast.literal_eval(value))
    return list(assigned.values())


def _notebook_folder() -> Path:
    """The notebooks of the wheel, or those of a checkout."""
    inside = Path(str(resources.files("dj_analysis"))) / "notebooks"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[3] / "notebooks"
