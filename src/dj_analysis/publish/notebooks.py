"""Run a parameterised notebook and leave its report, whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import AccessError, DjError, UsageError, unknown
from ..file_access import accessing, is_lock, made, refusal_of_number, written_whole
from ..record import Record
from ..release.plan import ReleasePlan
from ..result import PURPOSE, PURPOSE_EN
from ..spec.codes import DEVICES
from ..spec.periods import parse
from ..spec.specification import Specification
from .edited_files import stem_beside_edited
from .exports.document import Appearance, Document, as_written, content_hash, read_document, stripped, waves_in
from .exports.formats import FORMATS, check_formats, written_in
from .handed_answers import Handed, Waves, handing_over
from .kernels import own_kernels
from .named_numbers import NamedNumbers
from .parameters import asks_for_answers, check_parameters, parameters_given, reports, without_web_addresses
from .period_page import page_name, period_page, place_id
from .placed_texts import AuthorsTexts
from .wording import say, words

if TYPE_CHECKING:
    import nbformat

CELL_SECONDS = 600
_SENT = 0.05  # seconds after which a cell has reached its kernel


class ReportError(DjError):
    """A report did not come to its end; names the cell and the last line of its error."""


@dataclass(frozen=True)
class Run:
    """What a run of a report left: files by format (``ipynb`` among them) and its manifest."""

    report: str
    period: str
    unit: str
    files: Mapping[str, Path]
    manifest: Mapping[str, Any]

    @property
    def table(self) -> pd.DataFrame:
        """One row a file: report, period, unit, format, file."""
        rows = [(self.report, self.period, self.unit, kind, str(path)) for kind, path in self.files.items()]
        return pd.DataFrame(rows, columns=["report", "period", "unit", "format", "file"])


def run_notebook(
    report: str,
    *,
    folder: Path,
    spec: Specification,
    record: Record,
    period: str,
    unit: str = "ALL",
    plan: Callable[[str], ReleasePlan],
    answers: Callable[[], Waves] = dict,
    sent: Sequence[Mapping[str, Any]] = (),
    entered: Callable[[ReleasePlan, Sequence[str]], list[dict[str, Any]]] | None = None,
    corrections: Sequence[str] = (),
    numbers: NamedNumbers | None = None,
    formats: Sequence[str] = ("html", "pdf"),
    template: str | Path | None = None,
    out: str | Path | None = None,
    **given: Any,
) -> Run:
    """Run one report notebook on a workspace and export it.

    What is asked for is checked before a kernel starts; files and their entry in the record are made in one transaction, so that
    a failed run leaves what was there before.

    Parameters
    ----------
    plan
        Gives what may be seen: every number in the report must carry its seal. It is made while the kernel computes, and an
        error in making it is told before any of the kernel's.
    answers
        Reads the waves whose answers the report may ask for, while the kernel computes.
    sent
        What the record keeps of each open wave, where a draft goes out and counts as a publication. Else a report that shows
        an open wave is marked as a draft, lies under ``drafts/`` and is no publication.
    entered
        Gives what the record keeps of closed waves that are shown otherwise than they were closed.
    corrections
        Reasons of corrections of this wave (更正说明), told at the end of the report.
    numbers
        Numbers that an author's own paragraphs (``texts/{period}/{unit}.md``) may name.
    formats
        Of html, pdf, docx, pptx and xlsx; the executed notebook without other outputs is always kept beside them.
    template
        Word file whose page, styles, head and foot the report in Word takes over; by default that of ``[document]``.
    out
        Report folder; ``reports`` in the workspace by default. Files are ``{period}/{report}/{unit}.{ext}`` below it.
    given
        Further parameters of the notebook.

    Raises
    ------
    UsageError
        A report, format or parameter that does not exist, or a parameter of the wrong type.
    ReportError
        The notebook failed; its executed copy is kept in the workspace's ``.dj/failed`` for whoever may see the data.
    """
    source = reports().get(report)
    if source is None:
        raise unknown("报告/report", report, reports())
    check_formats(formats)
    values = {"workspace": str(folder), "period": period, "unit": unit, "lang": spec.language, **given}
    checked, appearance = check_parameters(source, values), _appearance(folder, spec, template)
    authors = AuthorsTexts.read(texts_path(folder, period, unit), report, numbers)
    place = report_folder(folder, out)
    started = time.perf_counter()
    meanwhile = _Meanwhile(partial(plan, period), answers)
    executed = _execute(source, checked, folder, meanwhile)
    ruling = meanwhile.result()
    waves = authors.waves_beside(waves_in(executed))
    draft = not sent and shows_open(ruling, waves)
    target = _target(report, period, draft=draft)
    manifest = _manifest(source, checked, spec, folder)
    manifest |= {"plan": ruling.id, "head": record.head}
    document = read_document(
        executed,
        report_meta(report, period, unit, spec, manifest, ruling, waves, draft=draft, corrections=corrections),
        ruling,
        spec.official,
    )
    document = authors.put_into(document)
    manifest |= {"content": content_hash(document.blocks), "dropped": list(document.dropped)} | authors.manifest
    contents = written_in(document, formats, appearance)
    contents["ipynb"] = _notebook_bytes(stripped(executed), folder)
    stem = stem_beside_edited(place / target, file_name(unit), record, _file_names(spec))
    names = {
        kind: (target / f"{stem if kind in ('docx', 'ipynb') else file_name(unit)}.{kind}").as_posix()
        for kind in contents
    }
    payload = _payload(report, period, unit, spec, manifest, place_id(place, folder), corrected=bool(corrections))
    record.publish(
        "draft" if draft else "publication",
        payload | _releases(waves, draft, sent, None if entered is None else partial(entered, ruling)),
        {names[kind]: (place / names[kind], content) for kind, content in contents.items()},
        seconds=round(time.perf_counter() - started, 2), listed=partial(_listed, place, folder, period, spec),
    )  # fmt: skip
    return Run(report, period, unit, {kind: place / name for kind, name in names.items()}, manifest)


def report_folder(folder: Path, out: str | Path | None) -> Path:
    """Return where the reports of a workspace go: the folder asked for, else ``reports`` in it."""
    return (Path(out) if out is not None else folder / "reports").resolve()


def _target(report: str, period: str, *, draft: bool) -> Path:
    return Path("drafts" if draft else "") / period / report


@contextlib.contextmanager
def telling_earlier_files(report: str, period: str, unit: str, place: Path) -> Iterator[None]:
    """Add to the error of a run that fails which files of an earlier run lie in its place, and of when they are.

    They are left as they are: what left before is in the record, and no failed run takes it back.
    """
    try:
        yield
    except BaseException as error:
        earlier = [
            f"{path} ({datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M})"
            for draft in (False, True)
            for path in sorted((place / _target(report, period, draft=draft)).glob(f"{file_name(unit)}.*"))
            if path.suffix.removeprefix(".") in FORMATS
        ]
        if earlier:
            error.add_note(
                f"这次没有生成报告;以下是此前的文件,未改动 (no report was made; these are earlier ones, unchanged): {'、'.join(earlier)}"
            )
        raise


def export_notebook(
    notebook: Path,
    *,
    formats: Sequence[str],
    folder: Path,
    spec: Specification,
    record: Record,
    plan: Callable[[str], ReleasePlan],
    sent: Sequence[Mapping[str, Any]] = (),
    entered: Callable[[ReleasePlan, Sequence[str]], list[dict[str, Any]]] | None = None,
    corrections: Callable[[str], Sequence[str]] = lambda period: (),
    numbers: Callable[[str, str], NamedNumbers] | None = None,
    template: str | Path | None = None,
    out: Path | None = None,
) -> Exported:
    """Export an executed notebook, one of this package or a researcher's own, without running it.

    Every number in it must carry the seal of the release plan in force; the files are entered in the record.

    Raises
    ------
    UsageError
        No such file or format; the notebook does not say its period; a block without a valid seal.
    """
    with without_web_addresses():
        import nbformat

    if not notebook.exists():
        raise UsageError(f"文件不存在 (no such file): {notebook}")
    check_formats(formats)
    executed = nbformat.read(notebook, as_version=4)
    period, unit = period_and_unit(notebook)
    report, ruling, reasons = report_of(notebook, unit), plan(period), corrections(period)
    authors = AuthorsTexts.read(
        texts_path(folder, period, unit), report, numbers(period, unit) if numbers is not None else None
    )
    waves = authors.waves_beside(waves_in(executed))
    draft = not sent and shows_open(ruling, waves)
    manifest = _versions(spec) | {"parameters": {}, "plan": ruling.id, "head": record.head, "data": "—"}
    meta = report_meta(report, period, unit, spec, manifest, ruling, waves, draft=draft, corrections=reasons)
    appearance = _appearance(folder, spec, template)
    document = authors.put_into(read_document(executed, meta, ruling, spec.official))
    manifest |= {"content": content_hash(document.blocks), "dropped": list(document.dropped)} | authors.manifest
    target = (out or notebook.parent).resolve()
    contents = written_in(document, formats, appearance)
    stem, taken = notebook.stem, _file_names(spec)
    stem = stem_beside_edited(target, stem, record, taken, with_notebook=False) if "docx" in contents else stem
    files = {
        kind: (target / f"{stem if kind == 'docx' else notebook.stem}.{kind}", content)
        for kind, content in contents.items()
    }
    place = (folder / "reports").resolve()
    within = target.is_relative_to(place)
    payload = _payload(
        report, period, unit, spec, manifest, place_id(place if within else target, folder), corrected=bool(reasons)
    )
    names = {_within(path, place): (path, content) for path, content in files.values()}
    payload |= _releases(waves, draft, sent, None if entered is None else partial(entered, ruling))
    listed = partial(_listed, place, folder, period, spec) if within else None
    record.publish("draft" if draft else "publication", payload, names, seconds=0.0, listed=listed)
    return Exported({kind: path for kind, (path, _) in files.items()}, document.dropped)


def _payload(
    report: str, period: str, unit: str, spec: Specification, manifest: Mapping[str, Any], place: str, *, corrected: bool = False
) -> dict[str, Any]:  # fmt: skip
    """Return what the record keeps of a run, beside its files."""
    payload = {"report": report, "period": period, "unit": unit, "lang": spec.language, "manifest": dict(manifest)}
    return payload | {"place": place} | ({"corrected": True} if corrected else {})


def _listed(
    place: Path, folder: Path, period: str, spec: Specification, left: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[Path, bytes]]:
    """Return the page of the period, which lists what left into this report folder."""
    here = [event for event in left if event.get("place", "reports") == place_id(place, folder)]
    return {page_name(period): (place / page_name(period), period_page(here, period, place, spec))}


def _appearance(folder: Path, spec: Specification, template: str | Path | None) -> Appearance:
    """Return the office's fonts and Word template; a template that is no file of Word is refused."""
    named = (
        Path(template) if template is not None else folder / spec.official.template if spec.official.template else None
    )
    if named is not None and (not named.is_file() or named.suffix.lower() not in (".docx", ".dotx")):
        raise UsageError(f"模板不是 Word 文件 (the template is no Word file): {named.name};用 .docx (use a .docx)")
    return Appearance(spec.fonts, named)


class Exported(dict[str, Path]):
    """Files of an export by format; ``dropped`` names what the notebook showed that is in none of them."""

    def __init__(self, files: Mapping[str, Path], dropped: Sequence[str] = ()):
        super().__init__(files)
        self.dropped = tuple(dropped)


def shows_open(plan: ReleasePlan, waves: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a wave among these is not closed: what shows it is a draft."""
    return any(wave in plan.waves and plan.waves[wave].open for wave in waves)


def _releases(
    waves: Sequence[tuple[str, str]],
    draft: bool,
    sent: Sequence[Mapping[str, Any]],
    entered: Callable[[Sequence[str]], list[dict[str, Any]]] | None,
) -> dict[str, Any]:
    """Return what the record keeps of the survey waves that a publication shows."""
    shown = [period for programme, period in waves if programme == "survey"]
    if draft or not shown:
        return {}
    releases = [dict(snapshot) for snapshot in sent if snapshot["period"] in shown]
    open_waves = {snapshot["period"] for snapshot in sent}
    releases += entered([wave for wave in shown if wave not in open_waves]) if entered is not None else []
    return {"releases": releases} if releases else {}


def file_name(unit: str) -> str:
    """Return a name of a unit that is safe as the name of a file, on every system."""
    safe = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", unit).strip(" .") or "_"
    return f"_{safe}" if safe.split(".")[0].casefold() in DEVICES else safe


def report_of(notebook: Path, unit: str) -> str:
    """Return the report that a kept notebook is of: its folder's name; a notebook of another name is a report by itself."""
    kept = re.fullmatch(rf"{re.escape(file_name(unit))}(-\d+)?", notebook.stem)
    return notebook.parent.name if kept else notebook.stem


def texts_path(folder: Path, period: str, unit: str) -> Path:
    """Return where an author's own paragraphs for the reports of a period and unit are kept."""
    return folder / "texts" / period / f"{file_name(unit)}.md"


def _file_names(spec: Specification) -> set[str]:
    return {file_name(unit.unit) for unit in spec.units.rows}


def _within(path: Path, place: Path) -> str:
    return path.relative_to(place).as_posix() if path.is_relative_to(place) else path.name


def workspace_of(notebook: Path) -> tuple[str, str]:
    """Return the workspace folder and language an executed notebook was run with.

    Kept notebooks name the folder only, not its place: the folder around the notebook is looked for first.
    """
    with without_web_addresses():
        import nbformat

    if not notebook.exists():
        raise UsageError(f"文件不存在 (no such file): {notebook}")
    known = {p.name: p.default for p in parameters_given(nbformat.read(notebook, as_version=4))}
    if "workspace" not in known:
        raise UsageError(f"{notebook.name}: 没有 workspace 参数 (it has no parameter workspace)")
    around = [p for p in notebook.resolve().parents if p.name == known["workspace"] and (p / "workspace.toml").exists()]
    return str(around[0] if around else known["workspace"]), str(known.get("lang", "zh"))


def document_as_written(
    notebook: Path, spec: Specification, plan: ReleasePlan, corrections: Sequence[str] = ()
) -> tuple[Document, str]:
    """Return the report that a kept notebook tells, without an author's paragraphs, and its name; to compare, not to export."""
    import nbformat

    kept, (period, unit) = nbformat.read(notebook, as_version=4), period_and_unit(notebook)
    report = report_of(notebook, unit)
    manifest = _versions(spec) | {"data": "—", "head": ""}
    meta = report_meta(report, period, unit, spec, manifest, plan, waves_in(kept), draft=False, corrections=corrections)
    return as_written(kept, meta, spec.official), report


def period_and_unit(notebook: Path) -> tuple[str, str]:
    """Return the period and unit that an executed notebook was run for."""
    import nbformat

    known = {p.name: p.default for p in parameters_given(nbformat.read(notebook, as_version=4))}
    if "period" not in known:
        raise UsageError(f"{notebook.name}: 没有 period 参数 (it has no parameter period)")
    return str(known["period"]), str(known.get("unit", "ALL"))


class _Meanwhile:
    """What the process of a report does while its kernel computes the first cells: answers are read for it, the plan is made.

    The kernel reads the same tables: what is wrong with them is raised here, before any error of the kernel.
    """

    def __init__(self, make: Callable[[], ReleasePlan], answers: Callable[[], Waves] = dict):
        self._make, self._answers, self._done = make, answers, Future[ReleasePlan]()
        self._begun = False

    def begin(self, handed: Handed, cell: nbformat.NotebookNode, **_: Any) -> None:
        """Begin soon after a cell that computes something was sent; until it ends nothing comes from the kernel."""
        if not self._begun and not {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", ())):
            self._begun = True
            asyncio.get_running_loop().call_later(_SENT, self._work, handed)

    def _work(self, handed: Handed) -> None:
        handed.fill(self._answers)  # the kernel waits for them, and for the plan nobody does
        self.error()

    def error(self) -> BaseException | None:
        """Make the plan, unless it is made, and return what that raised."""
        if not self._done.done():
            try:
                self._done.set_result(self._make())
            except Exception as error:
                self._done.set_exception(error)
        return self._done.exception()

    def result(self) -> ReleasePlan:
        """Return the plan, made now if it was not begun; raise what making it raised."""
        self.error()
        return self._done.result()


def _execute(source: Path, values: Mapping[str, Any], folder: Path, meanwhile: _Meanwhile) -> nbformat.NotebookNode:
    import logging

    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    inside = (
        folder / ".dj"
    )  # what a run shows is confidential until it is exported: a killed run must not leave it elsewhere
    with (
        accessing(inside),
        tempfile.TemporaryDirectory(prefix="run-", dir=made(inside)) as place,
        handing_over(wanted=asks_for_answers(source)) as handed,
        own_kernels(log := Path(place) / "kernel.log", handed.environment) as options,
    ):
        executed = Path(place) / "run.ipynb"
        try:
            papermill.execute_notebook(
                str(source), str(executed), parameters=dict(values), kernel_name="python3", progress_bar=False, log_output=False,
                execution_timeout=CELL_SECONDS, interrupt_on_timeout=True, request_save_on_cell_execute=False, cwd=place,
                on_cell_execute=partial(meanwhile.begin, handed), **_transport(), **options,
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            if (earlier := meanwhile.error()) is not None:
                raise earlier from None
            kept = _keep_failed(executed, folder, source.stem)
            # Our own errors quote nobody; those of other libraries may quote an answer, and stay in the confidential copy.
            ours = error.ename in _own_errors()
            refused = re.match(r"\[Errno (\d+)\]", error.evalue)
            said = error.evalue if ours else "详情见副本 (what it says is in the copy)"
            said = refusal_of_number(int(refused[1])) if refused else said
            where = f"单元格/cell {error.exec_count}"
            raise ReportError(f"{source.stem} {where}: {error.ename}: {said} ({kept})") from None
        except (DeadKernelError, TimeoutError) as error:
            if (earlier := meanwhile.error()) is not None:
                raise earlier from None
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise ReportError(": ".join([f"{source.stem}: 内核中止 (the kernel died or timed out)", *said])) from error
        return nbformat.read(executed, as_version=4)


def _own_errors(kind: type[Exception] = DjError) -> set[str]:
    """Names of the package's errors."""
    return {kind.__name__, *(name for child in kind.__subclasses__() for name in _own_errors(child))}


def _transport() -> dict[str, Any]:
    """Keep kernel messages off the network where sockets of the file system do the same."""
    if sys.platform == "win32":
        return {}
    from traitlets.config import Config

    return {"config": Config(KernelManager={"transport": "ipc"})}


def _keep_failed(executed: Path, folder: Path, report: str) -> str:
    """Keep the notebook of a failed run and tell where; a copy that cannot be written does not hide why the run failed."""
    try:
        name = f"{report}-{hashlib.sha256(executed.read_bytes()).hexdigest()[:8]}.ipynb"
        with written_whole(folder / ".dj" / "failed" / name) as copy:
            shutil.copyfile(executed, copy)
    except (OSError, AccessError):
        return "副本未能保存 (no copy could be kept)"
    return f".dj/failed/{name}"


def _versions(spec: Specification) -> dict[str, Any]:
    from .. import __version__

    return {"version": __version__, "codebook": spec.codebook.version, "units": spec.units.version}


def _manifest(source: Path, values: Mapping[str, Any], spec: Specification, folder: Path) -> dict[str, Any]:
    data = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in _inputs(folder)}
    shown = {name: value for name, value in values.items() if name != "workspace"}
    combined = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
    notebook = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    return _versions(spec) | {
        "parameters": shown,
        "notebook": notebook,
        "data": combined,
        "inputs": data,
        "min_group": spec.min_group,
    }


def _inputs(folder: Path) -> list[Path]:
    top = [p for p in folder.glob("*") if p.is_file()]
    files = [*top, *(p for p in (folder / "responses").glob("*") if p.is_file())]
    return sorted(path for path in files if not is_lock(path))


def report_meta(
    report: str,
    period: str,
    unit: str,
    spec: Specification,
    manifest: Mapping[str, Any],
    plan: ReleasePlan,
    waves: Sequence[tuple[str, str]],
    *,
    draft: bool,
    corrections: Sequence[str] = (),
) -> dict[str, str]:
    """Return what goes around the blocks of a report: title, purpose, limits, foot, draft mark."""
    language = spec.language
    label = parse(period).label(language) if period else ""
    office = spec.office if language == "zh" else spec.office_en or spec.office
    of_work = bool(waves) and all(programme != "survey" for programme, _ in waves)
    purpose = words(language)["purpose_bm"] if of_work else {"zh": PURPOSE, "en": PURPOSE_EN}[language]
    purpose += f" {spec.purpose}" if spec.purpose else ""
    footer = say(
        language, "footer", codebook=manifest["codebook"], units=manifest["units"], data=manifest["data"],
        version=manifest["version"], min_group=plan.min_group, hidden=len(plan.hidden.get(("survey", period), ())),
        head=manifest["head"][:16], plan=plan.id,
    )  # fmt: skip
    title = f"{label} {spec.unit_label(unit)} {report}".strip()
    return {
        "title": title, "period": label, "unit": unit, "language": language, "office": office, "purpose": purpose,
        "limits": say(language, "limits_work" if of_work else "limits", min_group=plan.min_group), "footer": footer,
        "draft": say(language, "draft") if draft else "",
        "reasons": "；".join(corrections),
        "correction": say(language, "correction", reasons="；".join(corrections)) if corrections else "",
    }  # fmt: skip


def _notebook_bytes(notebook: nbformat.NotebookNode, folder: Path) -> bytes:
    import nbformat

    text, place, name = nbformat.writes(notebook), str(folder), json.dumps(folder.name, ensure_ascii=False)[1:-1]
    # As it stands in a cell, as papermill writes it into one (escaped), and either once more as JSON.
    once = {place, *(json.dumps(place, ensure_ascii=plain)[1:-1] for plain in (False, True))}
    forms = once | {json.dumps(form, ensure_ascii=plain)[1:-1] for form in once for plain in (False, True)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, name)
    return text.encode("utf-8")
