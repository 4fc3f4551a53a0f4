from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.core.draft import Row
from gateway.errors import InventoryError, RequestError
from gateway.ports import Sheet
from gateway.services import inventory_files
from gateway.services.inventory_files import FileRows, read_rows

UNITS = "code,name,kind,parent\r\nHP,和平区人民政府,district,CITY\r\n"


class Workbook:
    """Sheets as a test gives them."""

    def __init__(self, *sheets: Sheet, fault: str = "") -> None:
        self.sheets, self.fault = sheets, fault

    def read_sheets(self, path: Path) -> Sequence[Sheet]:
        if self.fault:
            raise RequestError(self.fault)
        return self.sheets


def read(folder: Path, name: str, data: str | bytes, workbook: Workbook | None = None) -> FileRows:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_rows(path, workbook or Workbook())


def read_sheets(folder: Path, *sheets: Sheet) -> FileRows:
    return read(folder, "city.xlsx", b"PK\x03\x04", Workbook(*sheets))


def refused(folder: Path, name: str, data: str | bytes) -> str:
    with pytest.raises(InventoryError) as caught:
        read(folder, name, data)
    (fault,) = caught.value.faults
    return fault


# --- what a file is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("city.toml", b"", "city.toml: is empty"),
        ("line.csv", b"\xef\xbb\xbf \r\n", "line.csv: is empty"),
        ("city.xlsx", b"code,name", "city.xlsx: is not an Excel workbook, though its name says XLSX"),
        ("line.csv", b"PK\x03\x04rest", "line.csv: is a packed file such as an Excel workbook"),
        ("city.toml", b"PK\x03\x04rest", "city.toml: is a packed file such as an Excel workbook"),
        ("city.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "city.xlsx: is an encrypted or an old (.xls) workbook"),
        ("city.xls", b"x", "city.xls: is not a form that can be imported; save it as .xlsx"),
        ("city.docx", b"x", "city.docx: is not a form that can be imported; give a .toml, .xlsx or .csv"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str, data: bytes, fault: str) -> None:
    assert refused(tmp_path, name, data).startswith(fault)


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InventoryError, match="cannot be read: No such file"):
        read_rows(tmp_path / "none.toml", Workbook())
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InventoryError, match="cannot be read: Is a directory"):
        read_rows(tmp_path / "folder.toml", Workbook())
    monkeypatch.setattr(inventory_files, "LARGEST_FILE_BYTES", 3)
    assert "is larger than" in refused(tmp_path, "city.toml", "# long")


def test_a_file_without_rows_is_a_fault(tmp_path: Path) -> None:
    assert "holds no rows" in read(tmp_path, "city.toml", "# nothing\n").faults[0]
    assert "holds no rows" in read(tmp_path, "unit.csv", "code,name,kind,parent\n").faults[0]


# --- TOML --------------------------------------------------------------------------------------------------------


def test_toml_rows_know_their_text_line_ordinal_and_key(tmp_path: Path) -> None:
    text = '\ufeff# city\r\n[[unit]]\r\ncode = "CITY"\r\n\r\n  [[ unit ]] # second\r\ncode = "HP"\r\n'
    rows = read(tmp_path, "city.toml", text).rows
    assert rows == (
        Row("unit", "city.toml:2: [[unit]] 1 (CITY)", {"code": "CITY"}),
        Row("unit", "city.toml:5: [[unit]] 2 (HP)", {"code": "HP"}),
    )


def test_toml_places_do_without_text_lines_when_they_cannot_be_known(tmp_path: Path) -> None:
    inline = read(tmp_path, "city.toml", 'unit = [{ code = "A" }, { code = "B" }]\n')
    assert [row.place for row in inline.rows] == ["city.toml: [[unit]] 1 (A)", "city.toml: [[unit]] 2 (B)"]
    text = '[[unit]]\ncode = "A"\nname = """\n[[unit]]\n"""\n'
    assert read(tmp_path, "city.toml", text).rows[0].place == "city.toml: [[unit]] 1 (A)"


def test_phones_inside_a_line_become_rows_of_that_line(tmp_path: Path) -> None:
    text = (
        '[[line]]\nnumber = "1"\nphone = { user = "a" }\n'
        '[[line]]\nnumber = "2"\nphones = [{ user = "b" }, { user = "c" }]\n[[line]]\nnumber = "3"\n'
    )
    file = read(tmp_path, "city.toml", text)
    assert file.faults == ()
    assert [(row.table, row.prefix, dict(row.values), row.whole_phones) for row in file.rows] == [
        ("line", "", {"number": "1"}, True),
        ("phone", "phone.", {"user": "a", "line": "1"}, False),
        ("line", "", {"number": "2"}, True),
        ("phone", "phones 1.", {"user": "b", "line": "2"}, False),
        ("phone", "phones 2.", {"user": "c", "line": "2"}, False),
        ("line", "", {"number": "3"}, False),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[unit]\n", "city.toml: is not valid TOML: "),
        (f"a = {'[' * 3000}{']' * 3000}\n", "city.toml: is not valid TOML: "),
        (f"a = {'1' * 5000}\n", "city.toml: is not valid TOML: "),
        ("[unit]\n", "city.toml: unit: must be a list of tables; begin each with [[unit]]"),
        ("unit = [1]\n", "city.toml: unit: must be a list of tables"),
        ("[[lines]]\n", "city.toml: lines: is unknown (did you mean 'line'?)"),
        ('[[line]]\nphone = "desk"\n', "city.toml:1: [[line]] 1: phone: must be a table"),
        ("[[line]]\nphones = [3]\n", "city.toml:1: [[line]] 1: phones 1: must be a table"),
        ("[[line]]\nphone = {}\nphones = []\n", "city.toml:1: [[line]] 1: phones: stand beside phone"),
        ('[[line]]\nphone = { line = "1" }\n', "city.toml:1: [[line]] 1: phone.line: is the line it stands in"),
    ],
)
def test_faulty_toml(tmp_path: Path, text: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in read(tmp_path, "city.toml", text).faults)


def test_toml_in_gbk_says_where(tmp_path: Path) -> None:
    data = '[[unit]]\ncode = "HP"\nname = "和平"\n'.encode("gbk")
    assert read(tmp_path, "city.toml", data).faults == ("city.toml:3: is not UTF-8 text; save the file in UTF-8",)


# --- CSV ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        UNITS.encode(),
        codecs.BOM_UTF8 + UNITS.encode(),
        UNITS.encode("gbk"),
        UNITS.encode("utf-16"),
        UNITS.replace(",", ";").encode(),
        UNITS.replace(",", "\t").encode("utf-16"),
    ],
    ids=["utf-8", "bom", "gbk", "utf-16", "semicolons", "unicode-text"],
)
def test_csv_as_chinese_excel_writes_it(tmp_path: Path, data: bytes) -> None:
    file = read(tmp_path, "unit.csv", data)
    assert file.faults == ()
    values = {"code": "HP", "name": "和平区人民政府", "kind": "district", "parent": "CITY"}
    assert file.rows == (Row("unit", "unit.csv: unit row 2", values),)


@pytest.mark.parametrize("name", ["unit.csv", "unit-2026.csv", "单位.csv", "UNIT.CSV", "export.csv"])
def test_the_table_of_a_csv_is_told_by_its_name_or_its_header(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, name, UNITS).rows[0].table == "unit"


def test_a_csv_that_does_not_say_its_table(tmp_path: Path) -> None:
    assert "does not say which table it is" in read(tmp_path, "export.csv", "a,b\n1,2\n").faults[0]


def test_csv_rows_count_as_in_the_spreadsheet(tmp_path: Path) -> None:
    text = '单位代码,单位名称\n\ncode,name\n单位代码,单位名称\n,\nA,"x\ny"\nB,z\n'
    rows = read(tmp_path, "unit.csv", text).rows
    assert [(row.place, row.values["code"]) for row in rows] == [
        ("unit.csv: unit row 6", "A"),
        ("unit.csv: unit row 7", "B"),
    ]


def test_csv_header_faults_are_told_once_and_not_per_row(tmp_path: Path) -> None:
    file = read(tmp_path, "unit.csv", "code,nmae,code\nA,x,B\nC,y,D,surplus\n")
    assert file.faults[1].startswith("unit.csv: unit row 1: nmae: is an unknown column (did you mean 'name'?)")
    assert "unit.csv: unit row 1: code: stands in 2 columns; keep one" in file.faults
    assert "unit.csv: unit row 1: name: the column is missing; add it" in file.faults
    assert "unit.csv: unit row 3: column 4: 'surplus' stands beyond the header; name its column" in file.faults
    assert [row.silent for row in file.rows] == [frozenset({"name", "kind"})] * 2


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'code,name\n"A,x\n', "is not valid CSV"),
        (b"\x81", "is neither UTF-8 nor GBK"),
        (b"a,b\n1,2\n", "header: names no known column"),
    ],
)
def test_faulty_csv(tmp_path: Path, data: bytes, fault: str) -> None:
    assert fault in read(tmp_path, "unit.csv", data).faults[0]


# --- sheets ------------------------------------------------------------------------------------------------------


def test_sheets_are_found_by_key_label_or_header(tmp_path: Path) -> None:
    file = read_sheets(
        tmp_path,
        Sheet("说明", [["anything"]]),
        Sheet("Sheet9", [[None], []]),
        Sheet("单位", [["单位代码", "单位名称", "单位类别"], ["HP", "和平", "district"]]),
        Sheet("Sheet2", [["name", "uri"], ["信道名称", "网关地址"], ["net1", "sip:a@b"]]),
    )
    assert file.faults == ()
    assert [(row.table, row.place) for row in file.rows] == [
        ("unit", "city.xlsx: 单位!2"),
        ("radio", "city.xlsx: Sheet2!3"),
    ]


def test_unknown_and_repeated_sheets_are_faults(tmp_path: Path) -> None:
    radios = [["name", "uri"], ["net1", "sip:a@b"]]
    file = read_sheets(tmp_path, Sheet("radios", [["x"]]), Sheet("radio", radios), Sheet("电台信道", radios))
    assert file.faults[0].startswith("city.xlsx: radios: is an unknown sheet (did you mean 'radio'?)")
    assert file.faults[1].startswith("city.xlsx: 电台信道: holds the table 'radio' a second time, beside sheet radio")


def test_nothing_is_imported_from_a_hidden_sheet_unsaid(tmp_path: Path) -> None:
    radios = [["name", "uri"], ["net1", "sip:a@b"]]
    file = read_sheets(tmp_path, Sheet("radio", radios, hidden=True), Sheet("WpsReserved", [["x"]], hidden=True))
    assert file.faults == (
        "city.xlsx: radio: is hidden, so nobody sees what would be imported from it; show the sheet, or delete it",
    )


def test_merged_cells_below_the_header_are_faults_and_a_merged_title_is_not(tmp_path: Path) -> None:
    rows = [["值班电台", None], ["name", "uri"], ["net1", "sip:a@b"], [None, "sip:a@c"]]
    file = read_sheets(tmp_path, Sheet("radio", rows, [("A1:B1", 1), ("A3:A4", 4)]))
    assert file.faults == (
        "city.xlsx: radio!A3:A4: merged cells: only the first keeps its value; unmerge them and fill in every row",
    )
    assert [row.place for row in file.rows] == ["city.xlsx: radio!3", "city.xlsx: radio!4"]


def test_a_workbook_that_cannot_be_read(tmp_path: Path) -> None:
    file = read(tmp_path, "city.xlsx", b"PK\x03\x04", Workbook(fault="is damaged"))
    assert file.faults == ("city.xlsx: is damaged",)
