"""Reads XLSX workbooks: the archive and its parts. `sheet` reads the sheets themselves.

The directory of the archive is checked before anything is unpacked. Shared text goes to a sealed file, so memory does
not grow with the workbook.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import IO, Final, NamedTuple
from xml.parsers import expat

from ingestion.files import sheet
from ingestion.files.domain.table import DAY_ZERO, FileBroken, Table
from ingestion.files.markup import local, new_parser, parse
from ingestion.files.shared_strings import SharedStrings
from ingestion.settings import ImportSettings

ENTRIES_MAX: Final = 10_000
RATIO_MAX: Final = 400
RATIO_FROM_BYTES: Final = 16 * 1024**2  # a smaller file has no limit of the ratio
PART_BYTES_MAX: Final = 16 * 1024**2
DIRECTORY_BYTES_MAX: Final = 4 * 1024**2
LINKS_MAX: Final = 2_000  # from one part to others, and sheets of a workbook
STYLES_MAX: Final = 100_000
_DATE_IDS: Final = frozenset((14, 15, 16, 17, 22, *range(27, 37), *range(50, 59)))
_Element = tuple[str, dict[str, str]]  # local name, attributes
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the use of memory by others depends on the file
_STYLE_LISTS: Final = ("cellXfs", "cellStyles", "cellStyleXfs", "dxfs")
_NOT_FORMAT = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.')
BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    expat.ExpatError,
    NotImplementedError,
    RuntimeError,
    LookupError,
    ValueError,
)


def check_archive(file: IO[bytes]) -> zipfile.ZipFile:
    """Open the archive if it is complete, is a workbook, and has allowed sizes. Raises FileBroken."""
    try:
        _check_directory(file)
        archive = zipfile.ZipFile(file)
    except (*BROKEN, OSError) as wrong:
        raise FileBroken("file_broken") from wrong
    entries = archive.infolist()
    if len(entries) > ENTRIES_MAX or _unpacks_too_large(entries):
        raise FileBroken("zip_bomb")
    if any(entry.flag_bits & 1 for entry in entries):
        raise FileBroken("file_encrypted")
    if any(entry.compress_type not in _METHODS for entry in entries):
        raise FileBroken("file_broken")
    if "[Content_Types].xml" not in archive.namelist():
        raise FileBroken("format_unknown")
    return archive


def _check_directory(file: IO[bytes]) -> None:
    """Check the size of the directory, because `zipfile` reads it into memory as a whole. Raises FileBroken, and
    BadZipFile without a directory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if not end:
        raise zipfile.BadZipFile
    if end[zipfile._ECD_SIZE] > DIRECTORY_BYTES_MAX:  # type: ignore[attr-defined]
        raise FileBroken("zip_bomb")
    file.seek(0)


def _unpacks_too_large(entries: Sequence[zipfile.ZipInfo]) -> bool:
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if unpacked > ImportSettings().unpacked_bytes_max or _is_too_dense(unpacked, packed):
        return True
    return any(_is_too_dense(entry.file_size, entry.compress_size) for entry in entries)


def _is_too_dense(unpacked: int, packed: int) -> bool:
    """Whether the ratio of these sizes in bytes suggests a zip bomb."""
    return unpacked > RATIO_FROM_BYTES and unpacked > RATIO_MAX * packed


def open_workbook(file: IO[bytes], only: str | None) -> Iterator[Table]:
    """Yield the visible sheets in order, or the sheet with the name `only`. Raises FileBroken."""
    archive = check_archive(file)
    try:
        yield from _tables(archive, only)
    except BROKEN as wrong:
        raise FileBroken("file_broken") from wrong


def _tables(archive: zipfile.ZipFile, only: str | None) -> Iterator[Table]:
    main = _main_part(archive)
    links = _links_of(archive, main)
    part_of_type = {link.type: link.target for link in links.values()}
    elements = _elements(archive, main, "workbookPr", "sheet")
    zero = _day_zero(elements)
    sheets = _chosen_sheets(elements, only)
    styles = part_of_type.get("styles")
    dates = _date_styles(archive, styles) if styles is not None else frozenset[int]()
    strings = SharedStrings(archive, part_of_type.get("sharedStrings"))
    try:
        for attributes in sheets:
            link = links[_link_id(attributes)]
            if link.type == "worksheet":
                rows = sheet.rows(archive.open(link.target), strings.get, dates, zero)
                yield Table(attributes["name"], rows, zero)
    finally:
        strings.close()


class _Link(NamedTuple):
    """A link from one part of the archive to another. `target`: the name of the other part in the archive."""

    type: str
    target: str


def _main_part(archive: zipfile.ZipFile) -> str:
    """The name of the part that lists the sheets."""
    for _, attributes in _elements(archive, "_rels/.rels", "Relationship"):
        if attributes.get("Type", "").endswith("officeDocument"):
            return _target("", attributes)
    return "xl/workbook.xml"


def _links_of(archive: zipfile.ZipFile, part: str) -> dict[str, _Link]:
    """The links from a part to other parts of the archive, by id."""
    folder, name = posixpath.split(part)
    links: dict[str, _Link] = {}
    for _, attributes in _elements(archive, f"{folder}/_rels/{name}.rels", "Relationship"):
        if attributes.get("TargetMode") != "External":
            type_ = attributes.get("Type", "").rpartition("/")[2]
            links[attributes["Id"]] = _Link(type_, _target(folder, attributes))
    return links


def _target(folder: str, attributes: dict[str, str]) -> str:
    target = attributes["Target"]
    return target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))


def _day_zero(elements: Sequence[_Element]) -> date:
    """Day 0 of the serial day numbers. Old workbooks of Macintosh count days from 1904."""
    is_1904 = any(a.get("date1904") in ("1", "true") for tag, a in elements if tag == "workbookPr")
    return date(1904, 1, 1) if is_1904 else DAY_ZERO


def _chosen_sheets(elements: Sequence[_Element], only: str | None) -> list[dict[str, str]]:
    """The attributes of each visible sheet, or of the sheet with the name `only`, hidden or not.

    Raises FileBroken if there is no such sheet."""
    sheets = [attributes for tag, attributes in elements if tag == "sheet"]
    chosen = [a for a in sheets if (a.get("name") == only if only else a.get("state", "visible") == "visible")]
    if not chosen:
        raise FileBroken("sheet_unknown")
    return chosen


def _link_id(attributes: dict[str, str]) -> str:
    """The link id of a sheet. Its attribute `id` has a namespace prefix, which the file chooses."""
    return next(value for key, value in attributes.items() if key.endswith("id") and key != "sheetId")


def _elements(archive: zipfile.ZipFile, part: str, *tags: str) -> list[_Element]:
    """The elements of a part that have one of these tags, in order. Raises FileBroken for too many elements."""
    found: list[_Element] = []

    def take(tag: str, attributes: dict[str, str]) -> None:
        if tag in tags:
            found.append((tag, attributes))
            if len(found) > LINKS_MAX:
                raise FileBroken("zip_bomb")

    _walk(archive, part, take)
    return found


def _walk(archive: zipfile.ZipFile, name: str, take: Callable[[str, dict[str, str]], None]) -> None:
    """Call `take` with the local name and the attributes of every element of a small part, in order. Raises FileBroken
    for a large part."""
    if archive.getinfo(name).file_size > PART_BYTES_MAX:
        raise FileBroken("zip_bomb")
    parser = new_parser()
    parser.StartElementHandler = lambda tag, attributes: take(local(tag), attributes)
    with archive.open(name) as part:
        for _ in parse(parser, part):
            pass


def _date_styles(archive: zipfile.ZipFile, name: str) -> frozenset[int]:
    """Numbers of the cell styles that show a number as a date."""
    styles = _Styles()
    _walk(archive, name, styles.take)
    return frozenset(at for at, number in enumerate(styles.formats) if number in styles.dates)


class _Styles:
    """Reads the styles of a workbook. `dates`: numbers of the formats that show a date; `formats`: number of the format
    of each cell style."""

    def __init__(self) -> None:
        self.dates = set(_DATE_IDS)
        self.formats: list[int] = []
        self._is_cell_style = False

    def take(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "numFmt" and _is_date_format(attributes.get("formatCode", "")):
            self.dates.add(int(attributes["numFmtId"]))
        elif tag in _STYLE_LISTS:
            self._is_cell_style = tag == "cellXfs"
        elif tag == "xf" and self._is_cell_style:
            self.formats.append(int(attributes.get("numFmtId", "0")))
        if max(len(self.dates), len(self.formats)) > STYLES_MAX:
            raise FileBroken("zip_bomb")


def _is_date_format(code: str) -> bool:
    return re.search("[yYdD]", _NOT_FORMAT.sub("", code)) is not None
