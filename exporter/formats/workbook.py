"""The fixed parts of a workbook: everything in the archive that is no row."""

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

HEADER = 1
DATE = 2
TIMESTAMP = 3  # this one and the next ones are followed by the same with milliseconds
INSTANT = 5
TIME = 7
MILLISECONDS = 1
MAX_SCALE = 15
_DECIMALS = 8  # plus the scale, from 1

_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FIRST_CUSTOM_FORMAT = 164
_FORMATS = (
    "yyyy\\-mm\\-dd",
    "yyyy\\-mm\\-dd\\ hh:mm:ss",
    "yyyy\\-mm\\-dd\\ hh:mm:ss.000",
    'yyyy\\-mm\\-dd\\ hh:mm:ss\\ "UTC"',
    'yyyy\\-mm\\-dd\\ hh:mm:ss.000\\ "UTC"',
    "hh:mm:ss",
    "hh:mm:ss.000",
    *("0." + "0" * scale for scale in range(1, MAX_SCALE + 1)),
)


def decimal_style(scale: int | None) -> int:
    """Give the style that shows the digits that a NUMERIC column declares; 0, the general one, for others."""
    return _DECIMALS + scale if scale and 0 < scale <= MAX_SCALE else 0


def column_letters(number: int) -> str:
    """Name a column, counted from 0: A, …, Z, AA, …"""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def sheet_names(first: str, count: int) -> list[str]:
    """Name further sheets `Data (2)`, `Data (3)`, …, within Excel's 31 characters."""
    return [first, *(_numbered(first, number) for number in range(2, count + 1))]


def sheet_opening(widths: Iterable[int], *, frozen: bool, selected: bool) -> str:
    pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' if frozen else ""
    selection = ' tabSelected="1"' if selected else ""
    columns = "".join(
        f'<col min="{number}" max="{number}" width="{width}" customWidth="1"/>'
        for number, width in enumerate(widths, 1)
    )
    return (
        f'{_DECLARATION}<worksheet xmlns="{_MAIN}">'
        f'<sheetViews><sheetView{selection} workbookViewId="0">{pane}</sheetView></sheetViews>'
        f'<sheetFormatPr defaultRowHeight="15"/><cols>{columns}</cols><sheetData>'
    )


def sheet_closing(area: str, *, filtered: bool) -> str:
    """End a sheet of the cells `area`; text that looks like a number is meant, so Excel need not point at it."""
    autofilter = f'<autoFilter ref="{area}"/>' if filtered else ""
    ignored = f'<ignoredErrors><ignoredError sqref="{area}" numberStoredAsText="1"/></ignoredErrors>'
    return f"</sheetData>{autofilter}{ignored}</worksheet>"


def relationships() -> str:
    return _relationships([("officeDocument", "xl/workbook.xml")])


def workbook(names: Sequence[str], filters: Sequence[str]) -> str:
    """List the sheets; `filters` are the areas of their auto-filters, which Excel wants named as well."""
    sheets = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, name in enumerate(names, 1)
    )
    defined = "".join(
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{number}" hidden="1">'
        f"{escape(_absolute(name, area))}</definedName>"
        for number, (name, area) in enumerate(zip(names, filters, strict=False))
    )
    return (
        f'{_DECLARATION}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><workbookPr/>'
        f'<bookViews><workbookView activeTab="0"/></bookViews><sheets>{sheets}</sheets>'
        + (f"<definedNames>{defined}</definedNames>" if defined else "")
        + "</workbook>"
    )


def workbook_relationships(sheets: int) -> str:
    parts = [("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, sheets + 1)]
    return _relationships([*parts, ("styles", "styles.xml")])


def content_types(sheets: int) -> str:
    parts = [("/xl/workbook.xml", "sheet.main"), ("/xl/styles.xml", "styles")]
    parts += [(f"/xl/worksheets/sheet{number}.xml", "worksheet") for number in range(1, sheets + 1)]
    overrides = "".join(
        f'<Override PartName="{path}" ContentType="{_TYPE}.{kind}+xml"/>' for path, kind in parts
    )
    return (
        f'{_DECLARATION}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    )


def styles() -> str:
    numbered = list(enumerate(_FORMATS, _FIRST_CUSTOM_FORMAT))
    formats = "".join(
        f"<numFmt numFmtId={quoteattr(str(n))} formatCode={quoteattr(code)}/>" for n, code in numbered
    )
    cells = "".join(
        f'<xf numFmtId="{n}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for n, _ in numbered
    )
    plain = 'numFmtId="0" fillId="0" borderId="0"'
    font = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
    return (
        f'{_DECLARATION}<styleSheet xmlns="{_MAIN}"><numFmts count="{len(numbered)}">{formats}</numFmts>'
        f'<fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        f'<cellStyleXfs count="1"><xf {plain} fontId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(numbered) + 2}"><xf {plain} fontId="0" xfId="0"/>'
        f'<xf {plain} fontId="1" xfId="0" applyFont="1"/>{cells}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )


def _relationships(parts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(parts, 1)
    )
    return f'{_DECLARATION}<Relationships xmlns="{_PACKAGE}/relationships">{rows}</Relationships>'


def _absolute(name: str, area: str) -> str:
    """Spell `A1:B9` of a sheet as `'Data'!$A$1:$B$9`."""
    cells = (cell.rstrip("0123456789") for cell in area.split(":"))
    rows = (cell.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for cell in area.split(":"))
    fixed = ":".join(f"${letters}${row}" for letters, row in zip(cells, rows, strict=True))
    quoted = name.replace("'", "''")
    return f"'{quoted}'!{fixed}"


def _numbered(first: str, number: int) -> str:
    ending = f" ({number})"
    room = 31 - len(ending)
    kept = first.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore")
    return kept.rstrip() + ending
