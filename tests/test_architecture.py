"""The rooms: imports go one way, no cycle anywhere, one owner for each heavy library."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "dj_analysis"
ORDER = [
    "errors",
    "file_access",
    "result",
    "record",
    "spec",
    "measure",
    "judge",
    "act",
    "methods",
    "release",
    "publish",
    "folder",
    "unit_tables",
    "warning_history",
    "workspace",
    "audit",
    "proposal",
    "demo",
    "cli",
]
OWNERS = {
    "narwhals": {"measure"},
    "polars": {"measure", "demo"},
    "matplotlib": {"publish/theme", "publish/plots", "publish/blocks"},
    "seaborn": {"publish/plots"},
    "papermill": {"publish/notebooks"},
    "typst": {"publish/exports/pdf", "publish/exports/pictures"},
    "docx": {
        "publish/exports/docx",
        "publish/exports/docx_page",
        "publish/exports/docx_parts",
        "publish/exports/docx_reading",
    },
    "pptx": {"publish/exports/pptx", "publish/exports/pptx_page", "publish/exports/pptx_parts"},
    "xlsxwriter": {
        "publish/templates",
        "publish/exports/xlsx",
        "publish/exports/xlsx_parts",
        "publish/exports/xlsx_recomputation",
        "measure/intake/copies",
        "demo",
    },
    "sqlalchemy": {"spec/tables"},
    "pyreadstat": {"spec/readstat_process"},
    "charset_normalizer": {"spec/textfiles"},
    "python_calamine": {"spec/workbooks"},
    "chinese_calendar": {"spec/workdays"},
    "typer": {"cli"},
}


@cache
def modules() -> dict[str, Path]:
    return {path.relative_to(SOURCE).with_suffix("").as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}


@cache
def parsed(name: str, path: Path) -> tuple[str, list[str]]:
    """The docstring of a module and what it imports; of its tree nothing is kept, which would be large."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or "", imports_of(name, tree)


def imports(name: str, path: Path) -> list[str]:
    return parsed(name, path)[1]


def imports_of(name: str, tree: ast.Module) -> list[str]:
    """Every imported module: our own as paths below the package, others by their first name."""
    package = name.split("/")[:-1]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                inner = "/".join([*target, alias.name])
                found.append(inner if inner in modules() else "/".join(target))
    return [target.removesuffix("/__init__") for target in found]


@cache
def own_imports() -> dict[str, set[str]]:
    known = {name.removesuffix("/__init__") for name in modules()}
    return {
        name.removesuffix("/__init__"): {t for t in imports(name, path) if t in known and t}
        for name, path in modules().items()
        if name != "__init__"
    }


@pytest.mark.parametrize("name", sorted(name.removesuffix("/__init__") for name in modules() if name != "__init__"))
def test_imports_go_one_way(name):
    room = ORDER.index(name.split("/")[0])
    for target in own_imports()[name]:
        assert ORDER.index(target.split("/")[0]) <= room, f"{name} imports {target}, a later room"


def test_no_cycle():
    graph = own_imports()
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            for target in graph.get(name, ()):
                if target != name:
                    visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())
    assert len(done) >= 30


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_heavy_libraries_have_one_owner(library):
    users = {name for name, path in modules().items() if library in imports(name, path)}
    assert users, f"{library} is used nowhere: drop it from the list and from the dependencies"
    for user in users:
        assert any(user == owner or user.startswith(f"{owner}/") for owner in OWNERS[library]), (
            f"{user} imports {library}"
        )


def test_every_room_of_the_order_is_known():
    rooms = {name.split("/")[0] for name in own_imports()}
    assert rooms <= set(ORDER)


def test_first_line_of_a_module_says_one_thing():
    for name, path in modules().items():
        first = parsed(name, path)[0].splitlines()
        assert first, f"{name} has no docstring"
        assert first[0].endswith("."), f"{name}: its first line is no sentence"


def test_import_is_light():
    import subprocess
    import sys

    code = "import sys, dj_analysis; print([m for m in ('pandas', 'polars', 'matplotlib', 'papermill') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_shop_window_is_small_and_whole():
    import dj_analysis as dj

    assert len([name for name in dj.__all__ if not name.startswith("plot_")]) <= 52
    for name in dj.__all__:
        assert getattr(dj, name).__doc__


@pytest.mark.parametrize("page", ["responsible-use.md", "responsible-use.zh-CN.md"])
def test_every_test_that_a_claim_names_is_there(page: str):
    """And every file it names."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) >= 8
    assert sorted(name for name in named if f"def {name}(" not in tests) == []
    for name in set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|toml))`", text)):
        found = [ROOT / name, ROOT / "src" / "dj_analysis" / name, ROOT / "tests" / name]
        assert any(path.exists() for path in found) or name in ("bands.toml", "workspace.toml"), name


def test_both_pages_name_the_same_tests():
    pages = [(ROOT / "docs" / f"responsible-use{kind}.md").read_text("utf-8") for kind in ("", ".zh-CN")]
    english, chinese = ({*re.findall(r"`(test_\w+…?)`", page)} for page in pages)
    assert english == chinese


def test_no_name_stands_for_two_things():
    """One module, one public class or function a name; commands of the command line and the demo's figures are their own world."""
    modules_of_name: dict[str, list[str]] = {}
    for name in modules():
        if not name.endswith("__init__"):
            modules_of_name.setdefault(name.rsplit("/", 1)[-1], []).append(name)
    definitions: dict[str, list[str]] = {}
    for name, path in modules().items():
        if name == "cli":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                definitions.setdefault(node.name, []).append(name)
    twice = {word: places for word, places in {**modules_of_name, **definitions}.items() if len(places) > 1}
    assert len(definitions) > 300
    assert not twice
