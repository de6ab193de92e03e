"""What is inside a Word, PowerPoint and Excel file: sound parts, whole relationships, elements in the order of the standard."""

from __future__ import annotations

import io
import itertools
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import docx
import openpyxl
import pptx
import pytest
from test_office_files import report as report_of_all_blocks
from test_word import BLOCKS, DECLARED, document

from dj_analysis.publish.exports.docx import to_docx
from dj_analysis.publish.exports.pptx import to_pptx
from dj_analysis.publish.exports.xlsx import to_xlsx

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"

_RUN = (
    "rStyle rFonts b bCs i iCs caps smallCaps strike dstrike outline shadow emboss imprint noProof snapToGrid vanish webHidden color "
    "spacing w kern position sz szCs highlight u effect bdr shd fitText vertAlign rtl cs em lang eastAsianLayout specVanish oMath"
)
_SIDES = "top left start bottom right end insideH insideV tl2br tr2bl"
_FILL = "noFill solidFill gradFill blipFill pattFill grpFill"
#: Order of children, typed from ECMA-376 part 1 (5th edition, 2016): sections in the comments.
SEQUENCES: dict[str, dict[str, str]] = {
    W: {
        # 17.3.1.26
        "pPr": "pStyle keepNext keepLines pageBreakBefore framePr widowControl numPr suppressLineNumbers pBdr shd tabs "
        "suppressAutoHyphens kinsoku wordWrap overflowPunct topLinePunct autoSpaceDE autoSpaceDN bidi adjustRightInd snapToGrid "
        "spacing ind contextualSpacing mirrorIndents suppressOverlap jc textDirection textAlignment textboxTightWrap outlineLvl "
        "divId cnfStyle rPr sectPr pPrChange",
        "rPr": _RUN,  # 17.3.2.28
        "pBdr": "top left bottom right between bar",  # 17.3.1.24
        # 17.4.59, with the caption of 17.4.58
        "tblPr": "tblStyle tblpPr tblOverlap bidiVisual tblStyleRowBandSize tblStyleColBandSize tblW jc tblCellSpacing tblInd "
        "tblBorders shd tblLayout tblCellMar tblLook tblCaption tblDescription tblPrChange",
        "tblBorders": _SIDES, "tblCellMar": _SIDES, "tcBorders": _SIDES, "tcMar": _SIDES,
        # 17.4.69
        "tcPr": "cnfStyle tcW gridSpan hMerge vMerge tcBorders shd noWrap tcMar textDirection tcFitText vAlign hideMark",
        "tbl": "bookmarkStart bookmarkEnd tblPr tblGrid tr",  # 17.4.37
        "tr": "tblPrEx trPr tc",  # 17.4.78
        # 17.6.17; references to heads and feet come first, in any order
        "sectPr": "headerReference|footerReference footnotePr endnotePr type pgSz pgMar paperSrc pgBorders lnNumType pgNumType cols "
        "formProt vAlign noEndnote titlePg textDirection bidi rtlGutter docGrid printerSettings sectPrChange",
        # 17.7.4.17
        "style": "name aliases basedOn next link autoRedefine hidden uiPriority semiHidden unhideWhenUsed qFormat locked personal "
        "personalCompose personalReply rsid pPr rPr tblPr trPr tcPr tblStylePr",
        # 17.15.1.78
        "settings": "writeProtection view zoom removePersonalInformation removeDateAndTime doNotDisplayPageBoundaries "
        "displayBackgroundShape printPostScriptOverText printFractionalCharacterWidth printFormsData embedTrueTypeFonts "
        "embedSystemFonts saveSubsetFonts saveFormsData mirrorMargins alignBordersAndEdges bordersDoNotSurroundHeader "
        "bordersDoNotSurroundFooter gutterAtTop hideSpellingErrors hideGrammaticalErrors activeWritingStyle proofState formsDesign "
        "attachedTemplate linkStyles stylePaneFormatFilter stylePaneSortMethod documentType mailMerge revisionView trackRevisions "
        "doNotTrackMoves doNotTrackFormatting documentProtection autoFormatOverride styleLockTheme styleLockQFSet defaultTabStop "
        "autoHyphenation consecutiveHyphenLimit hyphenationZone doNotHyphenateCaps showEnvelope summaryLength clickAndTypeStyle "
        "defaultTableStyle evenAndOddHeaders bookFoldRevPrinting bookFoldPrinting bookFoldPrintingSheets "
        "drawingGridHorizontalSpacing drawingGridVerticalSpacing displayHorizontalDrawingGridEvery displayVerticalDrawingGridEvery "
        "doNotUseMarginsForDrawingGridOrigin drawingGridHorizontalOrigin drawingGridVerticalOrigin doNotShadeFormData "
        "noPunctuationKerning characterSpacingControl printTwoOnOne strictFirstAndLastChars noLineBreaksAfter noLineBreaksBefore "
        "savePreviewPicture doNotValidateAgainstSchema saveInvalidXml ignoreMixedContent alwaysShowPlaceholderText "
        "doNotDemarcateInvalidXml saveXmlDataOnly useXSLTWhenSaving saveThroughXslt showXMLTags alwaysMergeEmptyNamespace "
        "updateFields hdrShapeDefaults footnotePr endnotePr compat docVars rsids mathPr attachedSchema themeFontLang "
        "clrSchemeMapping doNotIncludeSubdocsInStats doNotAutoCompressPictures forceUpgrade captions readModeInkLockDown "
        "smartTagType schemaLibrary shapeDefaults doNotEmbedSmartTags decimalSymbol listSeparator",
    },
    A: {
        "bodyPr": "prstTxWarp noAutofit normAutofit spAutoFit scene3d sp3d flatTx extLst",  # 21.1.2.1.1
        # 21.1.2.2.7
        "pPr": "lnSpc spcBef spcAft buClrTx buClr buSzTx buSzPct buSzPts buFontTx buFont buNone buAutoNum buChar buBlip tabLst defRPr",
        "rPr": f"ln {_FILL} effectLst effectDag highlight uLnTx uLn uFillTx uFill latin ea cs sym hlinkClick hlinkMouseOver rtl",
        "tcPr": f"lnL lnR lnT lnB lnTlToBr lnBlToTr cell3D {_FILL} headers extLst",  # 21.1.3.17
        "txBody": "bodyPr lstStyle p",  # 21.1.2.1.2
        "spPr": f"xfrm custGeom prstGeom {_FILL} ln effectLst effectDag scene3d sp3d",  # 20.1.2.2.35
    },
    P: {
        "sld": "cSld clrMapOvr transition timing extLst",  # 19.3.1.38
        "sp": "nvSpPr spPr style txBody extLst", "pic": "nvPicPr blipFill spPr style extLst",  # 19.3.1.43, 19.3.1.37
        "txBody": "bodyPr lstStyle p",
        "graphicFrame": "nvGraphicFramePr xfrm graphic extLst",  # 19.3.1.21
    },
    S: {
        # 18.3.1.99
        "worksheet": "sheetPr dimension sheetViews sheetFormatPr cols sheetData sheetCalcPr sheetProtection protectedRanges scenarios "
        "autoFilter sortState dataConsolidate customSheetViews mergeCells phoneticPr conditionalFormatting dataValidations hyperlinks "
        "printOptions pageMargins pageSetup headerFooter rowBreaks colBreaks customProperties cellWatches ignoredErrors smartTags "
        "drawing legacyDrawing legacyDrawingHF picture oleObjects controls webPublishItems tableParts extLst",
        "workbook": "fileVersion fileSharing workbookPr workbookProtection bookViews sheets functionGroups externalReferences "
        "definedNames calcPr oleSize customWorkbookViews pivotCaches",
    },
}  # fmt: skip
#: Namespace and name → the places of its children.
ORDER = {
    f"{{{space}}}{name}": {
        f"{{{space}}}{child}": place for place, names in enumerate(children.split()) for child in names.split("|")
    }
    for space, elements in SEQUENCES.items()
    for name, children in elements.items()
}


def misplaced(root: ElementTree.Element) -> list[str]:
    """List children that the standard does not know, or that stand after one they come before."""
    wrong = []
    for parent in root.iter():
        order = ORDER.get(parent.tag)
        if order is None:
            continue
        names = [child.tag for child in parent if child.tag.startswith(parent.tag.split("}")[0] + "}")]
        wrong += [f"{_short(parent.tag)}: {_short(name)} is unknown" for name in names if name not in order]
        known = [name for name in names if name in order]
        wrong += [
            f"{_short(parent.tag)}: {_short(second)} after {_short(first)}"
            for first, second in itertools.pairwise(known)
            if order[second] < order[first]
        ]
    return wrong


def _short(tag: str) -> str:
    return tag.rsplit("}", 1)[1]


FILES: dict[str, Callable[[], bytes]] = {
    "docx": lambda: to_docx(document(official=DECLARED)),
    "docx-draft": lambda: to_docx(document(*BLOCKS, draft="内部草稿")),
    "docx-en": lambda: to_docx(document(*BLOCKS, language="en")),
    "docx-long": lambda: to_docx(report_of_all_blocks()),
    "pptx": lambda: to_pptx(report_of_all_blocks()),
    "pptx-draft": lambda: to_pptx(report_of_all_blocks("en", draft="Draft")),
    "xlsx": lambda: to_xlsx(report_of_all_blocks()),
    "xlsx-draft": lambda: to_xlsx(report_of_all_blocks("en", draft="Draft")),
}


@pytest.fixture(scope="module", params=FILES, ids=FILES)
def package(request: pytest.FixtureRequest) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(io.BytesIO(FILES[request.param]())) as package:
        yield package


def xml_parts(package: zipfile.ZipFile) -> dict[str, ElementTree.Element]:
    """Return every part that is XML, read; a part that is not well-formed raises."""
    names = [name for name in package.namelist() if name.endswith((".xml", ".rels", ".vml"))]
    return {name: ElementTree.fromstring(package.read(name)) for name in names}


def source_of(rels: str) -> str:
    """Return the part whose relationships these are; the package itself is ``""``."""
    folder, name = posixpath.split(rels)
    return posixpath.join(posixpath.dirname(folder), name.removesuffix(".rels"))


def test_every_part_is_well_formed_and_has_a_declared_type(package: zipfile.ZipFile) -> None:
    names = package.namelist()
    assert len(set(names)) == len(names)
    declared = xml_parts(package)["[Content_Types].xml"]
    defaults = {one.get("Extension", "").casefold() for one in declared.iter(f"{TYPES}Default")}
    overrides = {one.get("PartName", "").lstrip("/") for one in declared.iter(f"{TYPES}Override")}
    assert overrides <= set(names), "types are declared of parts that there are not"
    untyped = [n for n in names if n not in overrides and n.rsplit(".", 1)[-1].casefold() not in defaults]
    assert not untyped


def test_every_relationship_leads_to_a_part_and_every_use_has_its_relationship(package: zipfile.ZipFile) -> None:
    parts, names = xml_parts(package), set(package.namelist())
    known: dict[str, set[str]] = {}
    for rels in (name for name in names if name.endswith(".rels")):
        source = source_of(rels)
        assert source == "" or source in names
        related = list(parts[rels].iter(f"{PACKAGE}Relationship"))
        known[source] = {one.get("Id", "") for one in related}
        assert len(known[source]) == len(related), f"{rels}: an Id twice"
        for one in related:
            if one.get("TargetMode") != "External":
                target = one.get("Target", "")
                base = "" if target.startswith("/") else posixpath.dirname(source)
                assert posixpath.normpath(posixpath.join(base, target.lstrip("/"))) in names, f"{rels}: {target}"
    for name, root in parts.items():
        used = {value for one in root.iter() for key, value in one.attrib.items() if key.startswith(f"{{{R}}}")}
        assert used <= known.get(name, set()) | {""}, f"{name}: {used - known.get(name, set())}"


def test_elements_stand_in_the_order_of_the_standard(package: zipfile.ZipFile) -> None:
    wrong = {name: misplaced(root) for name, root in xml_parts(package).items()}
    assert not {name: found for name, found in wrong.items() if found}


def test_ids_of_pictures_and_shapes_are_not_used_twice(package: zipfile.ZipFile) -> None:
    for name, root in xml_parts(package).items():
        if re.match(r"(word/document|ppt/slides/slide\d+)\.xml", name):
            ids = [
                one.get("id") for one in root.iter() if one.tag.endswith(("}docPr", "}cNvPr")) and one.get("id") != "0"
            ]
            assert len(set(ids)) == len(ids), name


def test_the_libraries_that_others_read_with_open_every_file() -> None:
    readers = {"docx": docx.Document, "pptx": pptx.Presentation, "xlsx": openpyxl.load_workbook}
    for name, made in FILES.items():
        readers[name.split("-")[0]](io.BytesIO(made()))


@pytest.mark.parametrize(
    ("inside", "wrong"),
    [
        ("<w:pPr><w:jc/><w:spacing/></w:pPr>", "pPr: spacing after jc"),
        ("<w:rPr><w:sz/><w:rFonts/></w:rPr>", "rPr: rFonts after sz"),
        ("<w:tblPr><w:tblLook/><w:tblBorders/></w:tblPr>", "tblPr: tblBorders after tblLook"),
        ("<w:sectPr><w:docGrid/><w:pgSz/></w:sectPr>", "sectPr: pgSz after docGrid"),
        ("<w:pPr><w:sparkle/></w:pPr>", "pPr: sparkle is unknown"),
    ],
)
def test_the_check_finds_what_is_out_of_order(inside: str, wrong: str) -> None:
    assert misplaced(ElementTree.fromstring(f'<w:p xmlns:w="{W}">{inside}</w:p>')) == [wrong]
