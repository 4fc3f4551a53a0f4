"""The door to openpyxl: workbooks as tables of cells, the inventory's template and its export.

A workbook is a zip of XML from somebody's desk: it is measured before it is unpacked, formulas and error values are
never taken for data, and a number is handed on as a number, so that a telephone number that lost its zero is seen.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, BinaryIO

from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import TYPE_ERROR, TYPE_FORMULA, Cell, MergedCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from gateway.core.columns import GUIDE_SHEET, TABLES, Table
from gateway.core.draft import draft_of
from gateway.core.fields import Unreadable
from gateway.core.inventory import Inventory
from gateway.errors import RequestError
from gateway.ids import new_secret
from gateway.ports import Sheet

LARGEST_UNPACKED_BYTES = 256 * 1024 * 1024
MOST_ROWS = 100_000
MOST_COLUMNS = 64
_SPARE_ROWS = 200  # rows below the data that are prepared as text, so that typed numbers keep their zeros
_AS_TEXT = "@"


# --- reading -----------------------------------------------------------------------------------------------------


def read_sheets(path: Path) -> list[Sheet]:
    """The sheets of a workbook in order; raises RequestError with what is wrong and what to do."""
    with path.open("rb") as file:  # ours to close: openpyxl leaves a file open that it cannot understand
        try:
            _measure(file)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # openpyxl tells which decorations it leaves aside
                workbook = load_workbook(file)
        except RequestError:
            raise
        except Exception as error:  # openpyxl raises whatever its XML and zip parsers do
            kind = type(error).__name__
            raise RequestError(f"is damaged and cannot be read as a workbook ({kind}); save it again") from error
        return [_sheet(sheet) for sheet in workbook.worksheets]


def _measure(file: BinaryIO) -> None:
    """Looks at the table of contents before anything is unpacked."""
    with zipfile.ZipFile(file) as packed:
        if sum(item.file_size for item in packed.infolist()) > LARGEST_UNPACKED_BYTES:
            raise RequestError("is too large when unpacked; copy the tables into a new workbook")
        if "xl/workbook.xml" not in packed.namelist():
            raise RequestError("is a packed file but no Excel workbook; save it as .xlsx")


def _sheet(sheet: Worksheet) -> Sheet:
    if sheet.max_row > MOST_ROWS or sheet.max_column > MOST_COLUMNS:
        raise RequestError(
            f"sheet '{sheet.title}' reaches to row {sheet.max_row}, column {sheet.max_column}; "
            f"delete the empty rows and columns beyond the table"
        )
    rows = [[_value(cell) for cell in cells] for cells in sheet.iter_rows()]
    merged = [(str(cells.coord), int(cells.max_row)) for cells in sheet.merged_cells.ranges]
    return Sheet(sheet.title, rows, merged, hidden=sheet.sheet_state != Worksheet.SHEETSTATE_VISIBLE)


def _value(cell: Cell | MergedCell) -> object:
    if isinstance(cell, MergedCell):
        return None
    if cell.data_type == TYPE_FORMULA:
        return Unreadable("is a formula; copy the cell and paste it as value")
    if cell.data_type == TYPE_ERROR:
        return Unreadable(f"is the error value {cell.value}; type the value")
    if isinstance(cell.value, datetime | date | time):
        return Unreadable("has become a date; format the cell as Text and type it again")
    if cell.value is None or isinstance(cell.value, str | bool | int | float):
        return cell.value
    return str(cell.value)


# --- writing -----------------------------------------------------------------------------------------------------


def _write(sheet: Worksheet, rows: Iterable[Sequence[str]]) -> int:
    """Writes cells as text; gives the number of the last row."""
    last = 0
    for last, row in enumerate(rows, start=1):
        for column, text in enumerate(row, start=1):
            sheet.cell(last, column, text or None).number_format = _AS_TEXT
    return last


def _table_sheet(workbook: Workbook, table: Table, rows: Sequence[Mapping[str, str]]) -> None:
    """A sheet with keys, Chinese labels and the rows, prepared so that what is typed below stays text."""
    sheet = workbook.create_sheet(table.name)
    keys = [column.key for column in table.columns]
    filled = [[row.get(key, "") for key in keys] for row in rows]
    last = _write(sheet, [keys, [column.label for column in table.columns], *filled])
    for index, column in enumerate(table.columns, start=1):
        letter = get_column_letter(index)
        sheet.column_dimensions[letter].width = 22
        for head in (sheet.cell(1, index), sheet.cell(2, index)):
            head.font = Font(bold=True, color="C00000" if column.required else "000000")
            head.fill = PatternFill("solid", fgColor="E8EEF7")
        for row in range(last + 1, last + 1 + _SPARE_ROWS):
            sheet.cell(row, index).number_format = _AS_TEXT
        if column.choices:
            choice = DataValidation(type="list", formula1=f'"{",".join(column.choices)}"', allow_blank=True)
            choice.add(f"{letter}3:{letter}{last + _SPARE_ROWS}")
            sheet.add_data_validation(choice)
    sheet.freeze_panes = "A3"


def _guide_sheet(sheet: Worksheet) -> None:
    sheet.title = GUIDE_SHEET
    rows = [
        ("本表用于登记值班机构、电话与电台；每张工作表一类。第一行为字段名，第二行为中文名，从第三行起填写。",),
        ("再次导入时，相同代码、号码或名称的行被替换，其余不变；remove 填 true 才删除。",),
        ("号码请按文本填写，以免丢失开头的 0。",),
        (),
        ("工作表", "类别", "字段", "中文名", "必填", "说明", "可填值"),
    ]
    for table in TABLES.values():
        rows += [
            (
                table.name,
                table.label,
                column.key,
                column.label,
                "是" if column.required else "",
                column.explanation,
                " ".join(column.choices),
            )
            for column in table.columns
        ]
    _write(sheet, rows)
    for letter, width in zip("ABCDEFG", (12, 14, 20, 16, 6, 60, 60), strict=True):
        sheet.column_dimensions[letter].width = width
    for cell in sheet[5]:
        cell.font = Font(bold=True)
    for cells in sheet.iter_rows(min_row=6, min_col=6, max_col=7):
        for cell in cells:
            cell.alignment = Alignment(wrap_text=True, vertical="top")


def _save(path: Path, rows: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    workbook = Workbook()
    _guide_sheet(workbook.worksheets[0])
    for name, table in TABLES.items():
        _table_sheet(workbook, table, rows.get(name, ()))
    workbook.save(path)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def export_inventory(inventory: Inventory, path: Path) -> None:
    """Writes the inventory as a workbook that can be imported again; secrets are not in it, and stay as they are."""
    draft = draft_of(inventory)
    rows = {
        name: [{key: _text(value) for key, value in entry.values.items()} for entry in entries.values()]
        for name, entries in draft.tables.items()
    }
    _save(path, rows)


def export_template(path: Path) -> None:
    """Writes an empty-handed office's start: explanations, and rows of an example that can be imported as they are."""
    _save(
        path,
        {
            "unit": [
                {"code": "CITY", "name": "市政府总值班室", "kind": "city_duty_office"},
                {"code": "HP", "name": "和平区人民政府", "kind": "district", "parent": "CITY"},
            ],
            "trunk": [{"name": "carrier", "host": "127.0.0.5:5060", "match": "127.0.0.5"}],
            "line": [
                {"number": "02283000000", "unit": "CITY", "owner": "ours", "medium": "wired", "purpose": "duty"},
                {
                    "number": "02223000001",
                    "unit": "HP",
                    "owner": "remote",
                    "trunk": "carrier",
                    "aliases": "02223000000",
                },
            ],
            "phone": [{"line": "02283000000", "user": "desk1", "secret": new_secret(), "net": "127.0.0.0/8"}],
            "number": [{"number": "02283000009", "unit": "CITY", "purpose": "fax"}],
            "radio": [{"name": "net1", "uri": "sip:net1@127.0.0.6:5070"}],
            "station": [{"unit": "HP", "radio": "net1", "call_sign": "和平"}],
        },
    )
