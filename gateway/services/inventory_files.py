"""Files of the inventory: TOML, XLSX and CSV become rows that know their place. Nothing is judged here but the form.

    TOML   [[line]] … phone = {…}          one row per table, one more per phone inside a line
    XLSX   a sheet per table                keys in the header, a row of Chinese labels before or after it is skipped
    CSV    one table                        which one: the file's name (line.csv), else the header

What a file is, its first bytes say; its name must agree. Chinese Excel writes CSV in GBK, so text that is not UTF-8 is
read as GB 18030, which contains GBK.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from gateway.core.columns import GUIDE_SHEET, TABLES, Table, table_named
from gateway.core.draft import Row
from gateway.core.fields import blank, nearest, visible
from gateway.errors import InventoryError, RequestError
from gateway.ports import Sheet, Spreadsheets

LARGEST_FILE_BYTES = 32 * 1024 * 1024
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FORMS = {".toml": "TOML", ".xlsx": "XLSX", ".xlsm": "XLSX", ".csv": "CSV"}
_TOML_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*([A-Za-z]+)[ \t]*\]\]", re.MULTILINE)
_HEADER_WITHIN_ROWS = 5

Found = Iterator[Row | str]  # rows, and faults as text


@dataclass(frozen=True, slots=True)
class FileRows:
    """What a file holds: its rows, the faults of its form, and the SHA-256 of its bytes."""

    rows: tuple[Row, ...]
    faults: tuple[str, ...]
    sha256: str


def read_rows(path: Path, sheets: Spreadsheets) -> FileRows:
    """Reads a file by its suffix. Raises InventoryError when it cannot be read at all."""
    form, data = _content(path)
    if form == "TOML":
        found = list(_toml_rows(path.name, data))
    elif form == "CSV":
        found = list(_csv_rows(path, data))
    else:
        found = list(_xlsx_rows(path, sheets))
    rows = tuple(item for item in found if isinstance(item, Row))
    faults = tuple(item for item in found if isinstance(item, str))
    if not rows and not faults:
        faults = (f"{path.name}: holds no rows, so there is nothing to import; fill in at least one of {_names()}",)
    return FileRows(rows, faults, hashlib.sha256(data).hexdigest())


def _names() -> str:
    return ", ".join(TABLES)


def _content(path: Path) -> tuple[str, bytes]:
    """(form, bytes) of a file that is what its name says."""
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        old = path.suffix.lower() == ".xls"
        advice = "save it as .xlsx" if old else "give a .toml, .xlsx or .csv file"
        raise InventoryError([f"{path.name}: is not a form that can be imported; {advice}"])
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise InventoryError([f"{path.name}: is larger than {LARGEST_FILE_BYTES >> 20} MiB; split it"])
        data = path.read_bytes()
    except OSError as error:
        raise InventoryError([f"{path}: cannot be read: {error.strerror or error}"]) from error
    if not data.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00"):
        raise InventoryError([f"{path.name}: is empty; nothing was imported"])
    if data.startswith(_OLE):
        advice = "save it as .xlsx without a password"
        raise InventoryError([f"{path.name}: is an encrypted or an old (.xls) workbook; {advice}"])
    if data.startswith(_ZIP) != (form == "XLSX"):
        is_zip = data.startswith(_ZIP)
        truth = "a packed file such as an Excel workbook" if is_zip else "not an Excel workbook"
        advice = "name it .xlsx if it is one" if is_zip else "name it .csv or .toml if it is one, or save it as .xlsx"
        raise InventoryError([f"{path.name}: is {truth}, though its name says {form}; {advice}"])
    return form, data


# --- TOML --------------------------------------------------------------------------------------------------------


def _toml_rows(file: str, data: bytes) -> Found:
    try:
        text = data.decode("utf-8-sig")
        tree = tomllib.loads(text.replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yield f"{file}:{line}: is not UTF-8 text; save the file in UTF-8"
        return
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, lists in lists in lists
        yield f"{file}: is not valid TOML: {error}; correct it there"
        return
    lines = _header_lines(text)
    for name, items in tree.items():
        if name not in TABLES:
            yield f"{file}: {name}: is unknown{nearest(name, TABLES)}; the tables are {_names()}"
        elif not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            yield f"{file}: {name}: must be a list of tables; begin each with [[{name}]]"
        else:
            places = lines.get(name, [])
            known = places if len(places) == len(items) else [None] * len(items)
            for ordinal, (item, at) in enumerate(zip(items, known, strict=True), start=1):
                yield from _toml_table(TABLES[name], item, f"{file}:{at}" if at else file, ordinal)


def _header_lines(text: str) -> dict[str, list[int]]:
    """Text lines of the [[table]] headers; tomllib does not tell them."""
    lines: dict[str, list[int]] = {}
    for header in _TOML_HEADER.finditer(text):
        lines.setdefault(header[1], []).append(text.count("\n", 0, header.start()) + 1)
    return lines


def _label(value: object) -> str:
    return f" ({' '.join(visible(value).split())[:40]})" if isinstance(value, str) and not blank(value) else ""


def _toml_table(table: Table, item: Mapping[str, object], where: str, ordinal: int) -> Found:
    place = f"{where}: [[{table.name}]] {ordinal}{_label(item.get(table.key[0]))}"
    inline = {name: item[name] for name in ("phone", "phones") if name in item and table.name == "line"}
    values = {name: value for name, value in item.items() if name not in inline}
    yield Row(table.name, place, values, whole_phones=bool(inline))
    if len(inline) > 1:
        yield f"{place}: phones: stand beside phone; write either phone = {{…}} or phones = [{{…}}, …]"
    for name, given in inline.items():
        phones = given if name == "phones" and isinstance(given, list) else [given]
        for position, phone in enumerate(phones, start=1):
            field = f"phones {position}" if name == "phones" else name
            if not isinstance(phone, dict):
                yield f'{place}: {field}: must be a table; write {{ user = "…", secret = "…", net = ["…"] }}'
                continue
            if "line" in phone:
                yield f"{place}: {field}.line: is the line it stands in; take it out"
            yield Row("phone", place, phone | {"line": values.get("number")}, f"{field}.", frozenset({"line"}))


# --- tables of cells ---------------------------------------------------------------------------------------------


def _keys(table: Table, cells: Sequence[object]) -> list[str | None]:
    """The column key of each cell of a header, by key or Chinese label; None where it is neither."""
    labels = {column.label: column.key for column in table.columns}
    keys = {column.key for column in table.columns}
    texts = [visible(cell).strip() if isinstance(cell, str) else "" for cell in cells]
    return [text.lower() if text.lower() in keys else labels.get(text) for text in texts]


def _header_at(table: Table, rows: Sequence[Sequence[object]]) -> int | None:
    """Index of the header: the row among the first few that names most columns; of two, the one with English keys."""
    best: tuple[int, int] = (0, 0)
    found = None
    for index, cells in enumerate(rows[:_HEADER_WITHIN_ROWS]):
        keys = _keys(table, cells)
        english = sum(
            isinstance(cell, str) and cell.strip().lower() == key for cell, key in zip(cells, keys, strict=True)
        )
        weight = (sum(key is not None for key in keys), english)
        if weight > best:
            best, found = weight, index
    return found


def _guessed_table(rows: Sequence[Sequence[object]]) -> Table | None:
    """The one table whose required columns all stand in the header."""
    fitting = []
    for table in TABLES.values():
        header = _header_at(table, rows)
        required = {column.key for column in table.columns if column.required}
        if header is not None and required <= set(_keys(table, rows[header])):
            fitting.append(table)
    return fitting[0] if len(fitting) == 1 else None


def _cell_rows(table: Table, rows: Sequence[Sequence[object]], place: Callable[[int], str]) -> Found:
    """Rows below the header; `place` names a row by its number, counted from 1."""
    header = _header_at(table, rows)
    if header is None:
        expected = ", ".join(column.key for column in table.columns)
        yield f"{place(1)}: header: names no known column; write one of {expected} at the head of each column"
        return
    keys = _keys(table, rows[header])
    yield from _header_faults(table, rows[header], keys, place(header + 1))
    absent = frozenset(column.key for column in table.columns if column.required and column.key not in keys)
    for number, cells in enumerate(rows[header + 1 :], start=header + 2):
        if all(blank(cell) for cell in cells) or (number == header + 2 and _is_label_row(table, keys, cells)):
            continue
        values: dict[str, object] = {}
        for column, (key, cell) in enumerate(zip_longest(keys, cells), start=1):
            if key is not None and key not in values:
                values[key] = cell
            elif key is None and not blank(cell) and column > len(keys):
                yield f"{place(number)}: column {column}: '{cell}' stands beyond the header; name its column"
        yield Row(table.name, place(number), values, silent=absent)


def _is_label_row(table: Table, keys: Sequence[str | None], cells: Sequence[object]) -> bool:
    """Whether a cell repeats its own column's Chinese label."""
    labels = {column.key: column.label for column in table.columns}
    pairs = zip(keys, cells, strict=False)
    return any(key is not None and isinstance(cell, str) and cell.strip() == labels[key] for key, cell in pairs)


def _header_faults(table: Table, cells: Sequence[object], keys: Sequence[str | None], place: str) -> Iterator[str]:
    known = [column.key for column in table.columns]
    for cell, key in zip(cells, keys, strict=True):
        if key is None and not blank(cell):
            near = nearest(str(cell), known)
            yield f"{place}: {cell}: is an unknown column{near}; a {table.name} has {', '.join(known)}"
        if key is not None and keys.count(key) > 1:
            yield f"{place}: {key}: stands in {keys.count(key)} columns; keep one"
    for column in table.columns:
        if column.required and column.key not in keys:
            yield f"{place}: {column.key}: the column is missing; add it"


def _csv_rows(path: Path, data: bytes) -> Found:
    text = _decoded(data)
    if text is None:
        yield f"{path.name}: is neither UTF-8 nor GBK text; save it as 'CSV UTF-8' or as .xlsx"
        return
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        yield f"{path.name}: is not valid CSV: {error}; save it again from the spreadsheet"
        return
    by_name = table_named(path.stem) or table_named(re.split(r"[^a-z]", path.stem.lower())[0])
    table = by_name or _guessed_table(rows)
    if table is None:
        yield f"{path.name}: does not say which table it is; name the file after one of {_names()}, such as line.csv"
        return
    yield from _cell_rows(table, rows, lambda number: f"{path.name}: {table.name} row {number}")


def _decoded(data: bytes) -> str | None:
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _xlsx_rows(path: Path, sheets: Spreadsheets) -> Found:
    try:
        workbook = sheets.read_sheets(path)
    except RequestError as error:
        yield f"{path.name}: {error}"
        return
    seen: dict[str, str] = {}
    for sheet in workbook:
        if sheet.name == GUIDE_SHEET or all(blank(cell) for cells in sheet.rows for cell in cells):
            continue
        table = table_named(sheet.name) or _guessed_table(sheet.rows)
        where = f"{path.name}: {sheet.name}"
        if table is None and sheet.hidden:
            continue  # office programs keep things of their own there
        if table is None:
            yield f"{where}: is an unknown sheet{nearest(sheet.name, TABLES)}; name it one of {_names()}, or delete it"
            continue
        if table.name in seen:
            yield f"{where}: holds the table '{table.name}' a second time, beside sheet {seen[table.name]}; keep one"
            continue
        seen[table.name] = sheet.name
        if sheet.hidden:
            yield f"{where}: is hidden, so nobody sees what would be imported from it; show the sheet, or delete it"
        yield from _sheet_rows(table, sheet, where)


def _sheet_rows(table: Table, sheet: Sheet, where: str) -> Found:
    header = _header_at(table, sheet.rows) or 0
    for cells, last_row in sheet.merged:
        if last_row > header:
            yield f"{where}!{cells}: merged cells: only the first keeps its value; unmerge them and fill in every row"
    yield from _cell_rows(table, sheet.rows, lambda number: f"{where}!{number}")
