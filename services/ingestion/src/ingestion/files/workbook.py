"""XLSX: what stands around the sheets. Everything is looked at in the archive's own directory before it is unpacked,
and text that cells share goes to a sealed file, so that memory does not grow with the workbook.
"""

import io
import posixpath
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from datetime import date
from typing import IO, Final
from xml.parsers import expat

from ingestion.files import sheet
from ingestion.files.markup import local, new_parser
from ingestion.files.spool import FRAME_BYTES, ImportSettings, SealedReader, SealedWriter, forget
from ingestion.files.table import DAY_ZERO, ROW_CHARS_MAX, FileBroken, Table

ENTRIES_MAX: Final = 10_000
RATIO_MAX: Final = 400
RATIO_FROM_BYTES: Final = 16 * 1024**2  # a small file may be as repetitive as it likes
PART_BYTES_MAX: Final = 16 * 1024**2
STRINGS_MAX: Final = 8_000_000
_CHUNK: Final = 64 * 1024
_DATE_IDS: Final = frozenset((14, 15, 16, 17, 22, *range(27, 37), *range(50, 59)))
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
    """The archive, if it is whole, a workbook, and bearable when unpacked. Raises FileBroken."""
    try:
        archive = zipfile.ZipFile(file)
    except (*BROKEN, OSError) as wrong:
        raise FileBroken("file_broken") from wrong
    entries = archive.infolist()
    unpacked = sum(e.file_size for e in entries)
    packed = sum(e.compress_size for e in entries)
    too_dense = any(e.file_size > RATIO_FROM_BYTES and e.file_size > RATIO_MAX * e.compress_size for e in entries)
    too_dense = too_dense or (unpacked > RATIO_FROM_BYTES and unpacked > RATIO_MAX * packed)
    if len(entries) > ENTRIES_MAX or unpacked > ImportSettings().unpacked_bytes_max or too_dense:
        raise FileBroken("zip_bomb")
    if any(e.flag_bits & 1 for e in entries):
        raise FileBroken("file_encrypted")
    if "[Content_Types].xml" not in archive.namelist():
        raise FileBroken("format_unknown")
    return archive


def open_workbook(file: IO[bytes], only: str | None) -> Iterator[Table]:
    """The visible sheets in their order, or the one named. Raises FileBroken."""
    archive = check_archive(file)
    try:
        yield from _tables(archive, only)
    except BROKEN as wrong:
        raise FileBroken("file_broken") from wrong


def _tables(archive: zipfile.ZipFile, only: str | None) -> Iterator[Table]:
    home = next(
        (
            _target("", a)
            for tag, a in _elements(archive, "_rels/.rels")
            if a.get("Type", "").endswith("officeDocument")
        ),
        "xl/workbook.xml",
    )
    folder, name = posixpath.split(home)
    links = {
        a["Id"]: (a.get("Type", "").rpartition("/")[2], _target(folder, a))
        for tag, a in _elements(archive, f"{folder}/_rels/{name}.rels")
        if tag == "Relationship" and a.get("TargetMode") != "External"
    }
    of_type = dict(links.values())
    about = _elements(archive, home)
    is_1904 = any(a.get("date1904") in ("1", "true") for tag, a in about if tag == "workbookPr")
    zero = date(1904, 1, 1) if is_1904 else DAY_ZERO
    sheets = [a for tag, a in about if tag == "sheet" and (a.get("name") == only if only else "state" not in a)]
    if not sheets:
        raise FileBroken("sheet_unknown")
    dates = _date_styles(archive, of_type["styles"]) if "styles" in of_type else frozenset[int]()
    strings = Strings(archive, of_type.get("sharedStrings"))
    try:
        for each in sheets:
            kind, target = links[next(value for key, value in each.items() if key.endswith("id") and key != "sheetId")]
            if kind == "worksheet":
                yield Table(each["name"], sheet.rows(archive.open(target), strings.get, dates, zero), zero)
    finally:
        strings.close()


def _target(folder: str, attributes: dict[str, str]) -> str:
    target = attributes["Target"]
    return target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))


def _elements(archive: zipfile.ZipFile, name: str) -> list[tuple[str, dict[str, str]]]:
    """Local name and attributes of every element of a small part, in order."""
    found: list[tuple[str, dict[str, str]]] = []
    if archive.getinfo(name).file_size > PART_BYTES_MAX:
        raise FileBroken("zip_bomb")
    parser = new_parser()
    parser.StartElementHandler = lambda tag, attributes: found.append((local(tag), attributes))
    parser.Parse(archive.read(name), True)
    return found


def _date_styles(archive: zipfile.ZipFile, name: str) -> frozenset[int]:
    """Numbers of the cell styles that show a number as a date."""
    elements = _elements(archive, name)
    custom = {int(a["numFmtId"]): a.get("formatCode", "") for tag, a in elements if tag == "numFmt"}
    found, number, inside = set[int](), 0, False
    for tag, attributes in elements:
        if tag in ("cellXfs", "cellStyles", "cellStyleXfs", "dxfs"):
            inside = tag == "cellXfs"
        elif tag == "xf" and inside:
            id_ = int(attributes.get("numFmtId", "0"))
            code = _NOT_FORMAT.sub("", custom.get(id_, ""))
            if id_ in _DATE_IDS or re.search("[yYdD]", code):
                found.add(number)
            number += 1
    return frozenset(found)


class Strings:
    """The shared strings of a workbook, in a sealed file of their own."""

    def __init__(self, archive: zipfile.ZipFile, name: str | None) -> None:
        self._starts = array("Q", [0])
        writer = SealedWriter()
        self._spool = writer.spool
        try:
            if name is not None:
                with archive.open(name) as part:
                    _each_string(part, lambda text: self._add(writer, text))
            writer.finish()
        except BaseException:
            writer.discard()
            raise
        self._file = io.BufferedReader(SealedReader(writer.spool, writer.size), FRAME_BYTES)

    def _add(self, writer: SealedWriter, text: str) -> None:
        if len(self._starts) > STRINGS_MAX:
            raise FileBroken("zip_bomb")
        writer.write(text.encode("utf-8", "replace"))
        self._starts.append(writer.size)

    def get(self, number: int) -> str:
        """Raises IndexError."""
        if not 0 <= number < len(self._starts) - 1:
            raise IndexError(number)
        start = self._starts[number]
        self._file.seek(start)
        return self._file.read(self._starts[number + 1] - start).decode()

    def close(self) -> None:
        self._file.close()
        forget(self._spool)


def _each_string(part: IO[bytes], add: Callable[[str], None]) -> None:
    """Call `add` with the text of every `<si>`; the pronunciation that stands beside some is left out."""
    parts: list[str] = []
    depth = {"rPh": 0, "t": 0}
    size = 0

    def start(tag: str, _: dict[str, str]) -> None:
        if (name := local(tag)) in depth:
            depth[name] += 1

    def end(tag: str) -> None:
        nonlocal size
        name = local(tag)
        if name in depth:
            depth[name] -= 1
        elif name == "si":
            add("".join(parts))
            parts.clear()
            size = 0

    def text(data: str) -> None:
        nonlocal size
        if depth["t"] and not depth["rPh"] and size <= ROW_CHARS_MAX:
            parts.append(data)
            size += len(data)

    parser = new_parser()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    while chunk := part.read(_CHUNK):
        parser.Parse(chunk, False)
    parser.Parse(b"", True)
