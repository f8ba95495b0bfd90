"""XLSX: the parts around the sheets.

The archive's own directory is checked before anything is unpacked. Text that cells share goes to a sealed file, so that
memory does not grow with the workbook.
"""

import io
import posixpath
import re
import struct
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from datetime import date
from typing import IO, Final
from xml.parsers import expat

from ingestion.files import sheet
from ingestion.files.markup import local, new_parser, parse
from ingestion.files.spool import FRAME_BYTES, SealedReader, SealedWriter, forget
from ingestion.files.table import DAY_ZERO, ROW_CHARS_MAX, FileBroken, Table
from ingestion.settings import ImportSettings

ENTRIES_MAX: Final = 10_000
RATIO_MAX: Final = 400
RATIO_FROM_BYTES: Final = 16 * 1024**2  # a small file may be as repetitive as it likes
PART_BYTES_MAX: Final = 16 * 1024**2
DIRECTORY_BYTES_MAX: Final = 4 * 1024**2
LINKS_MAX: Final = 2_000  # of a part to others, and sheets of a workbook
STYLES_MAX: Final = 100_000
STRINGS_MAX: Final = 8_000_000
_STRINGS_PER_START: Final = 8
_LENGTH: Final = struct.Struct("<I")
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
    """The archive, if it is whole, a workbook, and within the limits when unpacked. Raises FileBroken."""
    try:
        _check_directory(file)
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
    if any(e.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for e in entries):
        raise FileBroken("file_broken")  # no workbook has another method, and others need memory as the file says
    if "[Content_Types].xml" not in archive.namelist():
        raise FileBroken("format_unknown")
    return archive


def _check_directory(file: IO[bytes]) -> None:
    """`zipfile` reads the directory of an archive as a whole: look at its size first."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if not end:
        raise zipfile.BadZipFile
    if end[zipfile._ECD_SIZE] > DIRECTORY_BYTES_MAX:  # type: ignore[attr-defined]
        raise FileBroken("zip_bomb")
    file.seek(0)


def open_workbook(file: IO[bytes], only: str | None) -> Iterator[Table]:
    """The visible sheets in their order, or the one named. Raises FileBroken."""
    archive = check_archive(file)
    try:
        yield from _tables(archive, only)
    except BROKEN as wrong:
        raise FileBroken("file_broken") from wrong


def _tables(archive: zipfile.ZipFile, only: str | None) -> Iterator[Table]:
    main = next((a for a in _links(archive, "_rels/.rels") if a.get("Type", "").endswith("officeDocument")), None)
    home = _target("", main) if main else "xl/workbook.xml"
    folder, name = posixpath.split(home)
    links = {
        a["Id"]: (a.get("Type", "").rpartition("/")[2], _target(folder, a))
        for a in _links(archive, f"{folder}/_rels/{name}.rels")
        if a.get("TargetMode") != "External"
    }
    of_type = dict(links.values())
    found = _listed(archive, home, "workbookPr", "sheet")
    is_1904 = any(a.get("date1904") in ("1", "true") for tag, a in found if tag == "workbookPr")
    zero = date(1904, 1, 1) if is_1904 else DAY_ZERO
    sheets = [a for tag, a in found if tag == "sheet" and (a.get("name") == only if only else "state" not in a)]
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


def _links(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return [attributes for _, attributes in _listed(archive, name, "Relationship")]


def _listed(archive: zipfile.ZipFile, name: str, *tags: str) -> list[tuple[str, dict[str, str]]]:
    """Local name and attributes of the elements with these tags, in order."""
    found: list[tuple[str, dict[str, str]]] = []

    def take(tag: str, attributes: dict[str, str]) -> None:
        if tag in tags:
            found.append((tag, attributes))
            if len(found) > LINKS_MAX:
                raise FileBroken("zip_bomb")

    _walk(archive, name, take)
    return found


def _walk(archive: zipfile.ZipFile, name: str, take: Callable[[str, dict[str, str]], None]) -> None:
    """Call `take` with the local name and the attributes of every element of a small part, in order."""
    if archive.getinfo(name).file_size > PART_BYTES_MAX:
        raise FileBroken("zip_bomb")
    parser = new_parser()
    parser.StartElementHandler = lambda tag, attributes: take(local(tag), attributes)
    with archive.open(name) as part:
        for _ in parse(parser, part):
            pass


def _date_styles(archive: zipfile.ZipFile, name: str) -> frozenset[int]:
    """Numbers of the cell styles that show a number as a date."""
    dates, formats, inside = set(_DATE_IDS), list[int](), False

    def take(tag: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        if tag == "numFmt":
            code = _NOT_FORMAT.sub("", attributes.get("formatCode", ""))
            if re.search("[yYdD]", code):
                dates.add(int(attributes["numFmtId"]))
        elif tag in ("cellXfs", "cellStyles", "cellStyleXfs", "dxfs"):
            inside = tag == "cellXfs"
        elif tag == "xf" and inside:
            formats.append(int(attributes.get("numFmtId", "0")))
        if max(len(dates), len(formats)) > STYLES_MAX:
            raise FileBroken("zip_bomb")

    _walk(archive, name, take)
    return frozenset(at for at, number in enumerate(formats) if number in dates)


class Strings:
    """The shared strings of a workbook, in a sealed file of their own. Memory holds the place of every eighth."""

    def __init__(self, archive: zipfile.ZipFile, name: str | None) -> None:
        self._starts = array("Q")
        self._count = 0
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
        if self._count >= STRINGS_MAX:
            raise FileBroken("zip_bomb")
        if self._count % _STRINGS_PER_START == 0:
            self._starts.append(writer.size)
        data = text.encode("utf-8", "replace")
        writer.write(_LENGTH.pack(len(data)) + data)
        self._count += 1

    def get(self, number: int) -> str:
        """Raises IndexError."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        block, skipped = divmod(number, _STRINGS_PER_START)
        self._file.seek(self._starts[block])
        for _ in range(skipped):
            self._file.seek(self._length(), io.SEEK_CUR)
        return self._file.read(self._length()).decode()

    def _length(self) -> int:
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        return int(length)

    def close(self) -> None:
        self._file.close()
        forget(self._spool)


def _each_string(part: IO[bytes], add: Callable[[str], None]) -> None:
    """Call `add` with the text of every `<si>`, without the pronunciation that some have beside it."""
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
    for _ in parse(parser, part):
        pass
