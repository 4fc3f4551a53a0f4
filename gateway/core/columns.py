"""The tables of the inventory as people fill them in: TOML tables, sheets and CSV files share these columns.

The export template, the check of unknown keys and the reading of rows all come from here, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core import fields
from gateway.core.fields import Reader
from gateway.core.inventory import OTHER_PURPOSES, UNIT_KINDS


@dataclass(frozen=True, slots=True)
class Column:
    """One field: its key in files, its Chinese label and explanation in the template, and its reader."""

    key: str
    label: str
    explanation: str
    read: Reader
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of thing. `key` names the columns that say which one it is."""

    name: str
    label: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def column(self, key: str) -> Column | None:
        """The column of that key, or None."""
        return next((column for column in self.columns if column.key == key), None)


_REMOVE = Column("remove", "删除", "填 true 则从登记中删除此行所指对象", fields.read_truth, choices=("true",))
_TEXT_64 = fields.named(64)
_NUMBERS = fields.many(fields.read_number)
_NETWORKS = fields.many(fields.read_network)


def _table(name: str, label: str, key: str, *columns: Column) -> Table:
    return Table(name, label, tuple(key.split()), (*columns, _REMOVE))


_UNIT = _table(
    "unit",
    "单位",
    "code",
    Column("code", "单位代码", "字母、数字、- 或 _，最多 32 个", fields.read_code, required=True),
    Column("name", "单位名称", "全称", fields.named(200), required=True),
    Column("kind", "单位类别", "根单位为 city_duty_office", fields.read_kind, required=True, choices=UNIT_KINDS),
    Column("parent", "上级单位代码", "只有根单位不填", fields.read_code),
)
_TRUNK = _table(
    "trunk",
    "中继",
    "name",
    Column("name", "中继名称", "运营商或交换机的代号", fields.read_endpoint, required=True),
    Column("host", "对端地址", "host:port，呼出发往此处；端口缺省 5060", fields.read_host, required=True),
    Column("match", "接受来源", "接受呼入的地址或网段，用空格或逗号分隔", _NETWORKS, required=True),
)
_LINE = _table(
    "line",
    "值班电话",
    "number",
    Column("number", "号码", "带区号，如 02283000000；须为有线电话，不得为手机", fields.read_number, required=True),
    Column("unit", "单位代码", "号码所属单位", fields.read_code, required=True),
    Column(
        "owner", "归属", "ours 本机构，remote 其他单位", fields.read_owner, required=True, choices=("ours", "remote")
    ),
    Column("trunk", "中继名称", "remote 必填", fields.read_endpoint),
    Column("aliases", "别名号码", "运营商可能呈现的其他号码，用空格或逗号分隔", _NUMBERS),
    Column("ring_timeout_s", "振铃秒数", "5 至 300，不填用系统设置", fields.whole(5, 300)),
    Column(
        "announce_recording", "录音提示", "true 或 false，不填用系统设置", fields.read_truth, choices=("true", "false")
    ),
    Column("medium", "介质", "只能是 wired（有线）", fields.read_medium, choices=("wired",)),
    Column("purpose", "用途", "只能是 duty（值班）", fields.read_duty_purpose, choices=("duty",)),
)
_PHONE = _table(
    "phone",
    "话机",
    "user",
    Column("line", "值班电话号码", "话机所在的本机构值班电话；一线多机则多行", fields.read_number, required=True),
    Column("user", "注册用户名", "字母、数字、_ . -，最多 64 个", fields.read_endpoint, required=True),
    Column("secret", "注册密码", "至少 8 位；已登记的话机留空则密码不变", fields.read_secret),
    Column("net", "允许网段", "话机所在网段，用空格或逗号分隔", _NETWORKS),
)
_NUMBER = _table(
    "number",
    "其他用途号码",
    "number",
    Column("number", "号码", "不得同时作为值班电话", fields.read_number, required=True),
    Column("unit", "单位代码", "号码所属单位", fields.read_code, required=True),
    Column(
        "purpose",
        "用途",
        "传真、热线、门卫、保安、物业",
        fields.read_other_purpose,
        required=True,
        choices=OTHER_PURPOSES,
    ),
)
_RADIO = _table(
    "radio",
    "电台信道",
    "name",
    Column("name", "信道名称", "信道代号", fields.read_endpoint, required=True),
    Column("uri", "网关地址", "sip:用户@地址:端口", fields.read_uri, required=True),
)
_STATION = _table(
    "station",
    "电台台站",
    "unit radio",
    Column("unit", "单位代码", "台站所属单位", fields.read_code, required=True),
    Column("radio", "信道名称", "所在信道", fields.read_endpoint, required=True),
    Column("call_sign", "呼号", "点名时呼叫的名称", _TEXT_64, required=True),
)

GUIDE_SHEET = "说明"  # the template's explanations; never read
TABLES = {table.name: table for table in (_UNIT, _TRUNK, _LINE, _PHONE, _NUMBER, _RADIO, _STATION)}


def table_named(name: str) -> Table | None:
    """The table of that key or Chinese label, or None."""
    word = fields.visible(name).strip()
    by_label = (table for table in TABLES.values() if table.label == word)
    return TABLES.get(word.lower()) or next(by_label, None)
