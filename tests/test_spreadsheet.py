from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from gateway import spreadsheet
from gateway.core.columns import GUIDE_SHEET, TABLES
from gateway.core.draft import inventory_of, merge
from gateway.core.fields import Unreadable
from gateway.core.inventory import Inventory, Line, OtherNumber, Phone, Radio, Station, Trunk, Unit
from gateway.core.registry import register
from gateway.errors import InventoryError, RequestError
from gateway.services.inventory_files import read_rows

CITY = Inventory(
    units=(Unit("CITY", "市政府总值班室", "city_duty_office"), Unit("HP", "和平区人民政府", "district", "CITY")),
    trunks=(Trunk("carrier", "127.0.0.5:5060", ("127.0.0.5", "10.1.0.0/16")),),
    lines=(
        Line("02283000000", "CITY", "ours", (Phone("desk1", "a" * 32, ("127.0.0.0/8",)), Phone("desk2", "b" * 32))),
        Line("02223000001", "HP", "remote", (), "carrier", ("02223000000", "02223000002"), 30, False),
    ),
    numbers=(OtherNumber("02283000009", "CITY", "fax"),),
    radios=(Radio("net1", "sip:net1@127.0.0.6:5070"),),
    stations=(Station("HP", "net1", "和平"),),
)


def saved(folder: Path, workbook: Workbook) -> Path:
    path = folder / "city.xlsx"
    workbook.save(path)
    return path


def test_the_template_can_be_imported_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    spreadsheet.export_template(path)
    file = read_rows(path, spreadsheet)
    inventory = register(Inventory(), file.rows, "dutyline", file.faults)
    assert [line.number for line in inventory.lines] == ["02283000000", "02223000001"]
    assert inventory.stations == (Station("HP", "net1", "和平"),)


def test_each_template_has_a_secret_of_its_own(tmp_path: Path) -> None:
    secrets = set()
    for name in ("a.xlsx", "b.xlsx"):
        spreadsheet.export_template(tmp_path / name)
        secrets.add(load_workbook(tmp_path / name)["phone"]["C3"].value)
    assert len(secrets) == 2


def test_the_template_explains_every_column_and_keeps_what_is_typed_as_text(tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    spreadsheet.export_template(path)
    workbook = load_workbook(path)
    assert workbook.sheetnames == [GUIDE_SHEET, *TABLES]
    explained = {(row[0].value, row[2].value) for row in workbook[GUIDE_SHEET].iter_rows(min_row=6)}
    assert explained == {(table.name, column.key) for table in TABLES.values() for column in table.columns}
    line = workbook["line"]
    assert [line["A1"].value, line["A2"].value, line["A3"].value] == ["number", "号码", "02283000000"]
    assert {line.cell(row, 1).number_format for row in (3, 4, 5, 100)} == {"@"}
    assert "ours,remote" in {choice.formula1.strip('"') for choice in line.data_validations.dataValidation}


def test_an_export_gives_the_inventory_back_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    spreadsheet.export_inventory(CITY, path)
    file = read_rows(path, spreadsheet)
    assert register(CITY, file.rows, "dutyline", file.faults) == CITY
    faults: list[str] = []
    assert inventory_of(merge(CITY, file.rows, faults), "dutyline") == CITY
    assert faults == []
    with zipfile.ZipFile(path) as packed:
        assert not any(b"aaaaaaaa" in packed.read(name) for name in packed.namelist())
    with pytest.raises(InventoryError, match="phone 'desk1' is new"):
        register(Inventory(), file.rows, "dutyline", file.faults)


def test_cells_are_handed_on_as_what_they_are(tmp_path: Path) -> None:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet.title = "line"
    sheet.append(["02283000000", 2283000000, 2.283e9, True, None, date(2026, 11, 23), "=A1", "#N/A"])
    sheet["B1"].number_format = "00000000000"
    (read,) = spreadsheet.read_sheets(saved(tmp_path, workbook))
    text, number, power, truth, nothing, day, formula, error = read.rows[0]
    assert (read.name, text, number, power, truth, nothing) == ("line", "02283000000", 2283000000, 2.283e9, True, None)
    reasons = [cell.reason for cell in (day, formula, error) if isinstance(cell, Unreadable)]
    assert [reason.split(";")[0] for reason in reasons] == [
        "has become a date",
        "is a formula",
        "is the error value #N/A",
    ]


def test_merged_cells_are_told(tmp_path: Path) -> None:
    workbook = Workbook()
    workbook.worksheets[0]["A5"] = "x"
    workbook.worksheets[0].merge_cells("A5:B6")
    (read,) = spreadsheet.read_sheets(saved(tmp_path, workbook))
    assert list(read.merged) == [("A5:B6", 6)]


def test_hidden_sheets_are_told(tmp_path: Path) -> None:
    workbook = Workbook()
    for state in ("hidden", "veryHidden"):
        workbook.create_sheet(state).sheet_state = state
    read = spreadsheet.read_sheets(saved(tmp_path, workbook))
    assert [sheet.hidden for sheet in read] == [False, True, True]


def test_faults_of_a_workbook_name_sheet_row_and_field(tmp_path: Path) -> None:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet.title = "number"
    for row in (
        ["number", "unit", "purpose"],
        [2283000009, "CITY", "fax"],
        ["=A2", "CITY", "gate"],
        ["０１１９", "CITY", "x"],
    ):
        sheet.append(row)
    file = read_rows(saved(tmp_path, workbook), spreadsheet)
    with pytest.raises(InventoryError) as caught:
        register(CITY, file.rows, "dutyline", file.faults)
    first, second, third = caught.value.faults
    assert first.startswith("city.xlsx: number!2: number: is the number 2283000009, not text")
    assert "perhaps 02283000009" in first
    assert second == "city.xlsx: number!3: number: is a formula; copy the cell and paste it as value"
    assert third.startswith("city.xlsx: number!4: purpose: 'x' is unknown")


def packed(folder: Path, **files: bytes) -> Path:
    path = folder / "city.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/") + ".xml", data)
    return path


def test_damaged_workbooks_are_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path, Workbook()).read_bytes()
    path = tmp_path / "cut.xlsx"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RequestError, match="is damaged"):
        spreadsheet.read_sheets(path)
    with pytest.raises(RequestError, match="is a packed file but no Excel workbook"):
        spreadsheet.read_sheets(packed(tmp_path, document=b"<x/>"))
    with pytest.raises(RequestError, match="is damaged"):
        spreadsheet.read_sheets(packed(tmp_path, xl__workbook=b"<not xml"))


def test_decorations_that_openpyxl_leaves_aside_do_no_harm(tmp_path: Path) -> None:
    workbook = Workbook()
    workbook.worksheets[0]["A1"] = "x"
    path = saved(tmp_path, workbook)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    extension = b'<extLst><ext uri="{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}"/></extLst></worksheet>'
    files["xl/worksheets/sheet1.xml"] = files["xl/worksheets/sheet1.xml"].replace(b"</worksheet>", extension)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    assert spreadsheet.read_sheets(path)[0].rows == [["x"]]


def test_a_workbook_that_grows_out_of_bounds_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, Workbook())
    monkeypatch.setattr(spreadsheet, "LARGEST_UNPACKED_BYTES", 1000)
    with pytest.raises(RequestError, match="too large when unpacked"):
        spreadsheet.read_sheets(path)


def test_a_sheet_that_reaches_beyond_sense_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workbook = Workbook()
    workbook.worksheets[0]["A11"] = "x"
    path = saved(tmp_path, workbook)
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 10)
    with pytest.raises(RequestError, match="reaches to row 11, column 1"):
        spreadsheet.read_sheets(path)
