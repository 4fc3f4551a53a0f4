"""Whatever is read by a column of the inventory can be rendered into an Asterisk configuration without breaking out."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import fields
from gateway.core.columns import TABLES
from gateway.core.fields import Unreadable

BREAKING = set("\r\n\t\0;[](){}\"'`\\$<>|&=!#%^*?~,")
EXAMPLES: dict[str, str] = {
    "code": "HP",
    "name": "carrier",
    "kind": "district",
    "parent": "CITY",
    "host": "127.0.0.5:5060",
    "match": "10.1.0.0/16 2001:db8::/32",
    "number": "02283000000",
    "unit": "CITY",
    "owner": "ours",
    "trunk": "carrier",
    "aliases": "02223000000, +862223000001",
    "ring_timeout_s": "60",
    "announce_recording": "true",
    "medium": "wired",
    "purpose": "fax",
    "line": "02283000000",
    "user": "desk1",
    "net": "127.0.0.0/8",
    "uri": "sip:net1@127.0.0.6:5070",
    "radio": "net1",
    "call_sign": "和平",
    "remove": "true",
}
COLUMNS = [
    (table.name, column) for table in TABLES.values() for column in table.columns if column.key != "secret"
]  # of a secret only the digest is kept


def texts_of(value: object) -> list[str]:
    return [text for item in value for text in texts_of(item)] if isinstance(value, tuple) else [str(value)]


anything = st.characters() | st.sampled_from(
    sorted(BREAKING) + list("；［］＂，\u2028\u2029\u0085\u200b\u202e\u00a0\u3000")
)


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[f"{table}.{column.key}" for table, column in COLUMNS])
@given(inserted=st.lists(anything, min_size=1, max_size=3), where=st.integers(0, 30))
def test_no_accepted_value_can_break_out(table: str, column: object, inserted: list[str], where: int) -> None:
    key, read = column.key, column.read  # type: ignore[attr-defined]
    example = EXAMPLES[key]
    at = where % (len(example) + 1)
    try:
        value = read(example[:at] + "".join(inserted) + example[at:])
    except ValueError:
        return
    for text in texts_of(value):
        assert not BREAKING & set(text), (table, key, text)
        assert all(unicodedata.category(character) not in {"Cc", "Cf", "Zl", "Zp", "Cs"} for character in text)
        assert text == text.strip()


@given(st.text(anything, min_size=1))
def test_no_text_at_all_can_break_out(text: str) -> None:
    for _, column in COLUMNS:
        try:
            value = column.read(text)
        except ValueError:
            continue
        assert not any(BREAKING & set(part) for part in texts_of(value)), (column.key, text)


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table, column in COLUMNS if (table, column.key) != ("line", "purpose")],
    ids=lambda value: getattr(value, "key", value),
)
def test_the_examples_themselves_are_accepted(table: str, column: object) -> None:
    column.read(EXAMPLES[column.key])  # type: ignore[attr-defined]


def test_full_width_becomes_plain() -> None:
    assert fields.read_number("０２２－８３００　００００") == "02283000000"
    assert fields.read_code("ＨＰ") == "HP"
    assert fields.read_host("１２７.０.０.５：５０６０") == "127.0.0.5:5060"


def test_invisible_characters_go_and_control_characters_are_refused() -> None:
    assert fields.read_number("\u202d02283000000\u202c\u200b") == "02283000000"
    assert fields.named(64)("\ufeff和平 ") == "和平"
    with pytest.raises(ValueError, match=r"line break or control character \(U\+000A\)"):
        fields.read_code("H\nP")


@pytest.mark.parametrize("value", [2283000000, 2.283e9])
def test_a_number_typed_as_a_number_is_refused_with_advice(value: float) -> None:
    with pytest.raises(ValueError, match=r"is the number 2283000000, not text.*perhaps 02283000000"):
        fields.read_number(value)


@pytest.mark.parametrize("value", [math.inf, math.nan, 0, -1, 1e300])
def test_odd_numbers_are_refused_too(value: float) -> None:
    with pytest.raises(ValueError, match="not text"):
        fields.read_number(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2283000000", "lost its leading zero; write 02283000000"),
        ("2283000000.0", "what a spreadsheet made of a number"),
        ("2.283E+09", "what a spreadsheet made of a number"),
        ("02283000000 02283000001", "looks like 2 numbers"),
        ("12", "has 2 digits"),
        ("1" * 21, "has 21 digits"),
        ("0228300000x", "is not a telephone number"),
        ("022,83000000", "is not a telephone number"),
        ("02283000000;x", "is not a telephone number"),
    ],
)
def test_numbers_that_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fields.read_number(text)


@pytest.mark.parametrize("text", ["110", "8001", "12345", "+862283000000", "022-8300-0000", "4000000000"])
def test_numbers_that_are_accepted(text: str) -> None:
    assert fields.read_number(text) == text.replace("-", "")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("127.0.0.5:5060", "127.0.0.5:5060"),
        ("127.0.0.5", "127.0.0.5:5060"),
        ("sip.example.cn", "sip.example.cn:5060"),
        ("sip.example.cn:05070", "sip.example.cn:5070"),
    ],
)
def test_hosts(text: str, host: str) -> None:
    assert fields.read_host(text) == host


@pytest.mark.parametrize(
    "text", ["", ":5060", "h:", "h:0", "h:65536", "h:x", "999.1.1.1", "1.2.3", "a..b", "-a", "::1", "[::1]:5060", "a b"]
)
def test_hosts_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no host:port|no port"):
        fields.read_host(text)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3/32", "10.1.2.3"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:DB8::/32", "2001:db8::/32"),
    ],
)
def test_networks(text: str, network: str) -> None:
    assert fields.read_network(text) == network


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10.0.0.5/24", r"write 10\.0\.0\.0/24"),
        ("carrier", "no address or network"),
        ("10.0.0.0/33", "no address or network"),
        ("fe80::1%eth0", "names an interface"),
    ],
)
def test_networks_that_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fields.read_network(text)


def test_lists_are_read_from_lists_and_from_separated_text() -> None:
    read = fields.many(fields.read_number)
    expected = ("02223000000", "02223000001")
    assert read(["022 23000000", "02223000001"]) == expected
    assert read("02223000000, 02223000001，02223000000") == expected
    assert read("02223000000 02223000001\n") == expected
    with pytest.raises(ValueError, match="is the number 2223000000"):
        read(2223000000)
    with pytest.raises(ValueError, match="must be text, not a table"):
        read([{}])


@pytest.mark.parametrize("value", [60, 60.0, "60", "６０", " 60 "])
def test_whole_numbers(value: object) -> None:
    assert fields.whole(5, 300)(value) == 60


@pytest.mark.parametrize("value", [4, 301, 60.5, "x", True, "-60", None, []])
def test_whole_numbers_that_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no whole number from 5 to 300"):
        fields.whole(5, 300)(value)


@pytest.mark.parametrize(("value", "truth"), [(True, True), ("TRUE", True), ("是", True), (1, True), ("否", False)])
def test_truth(value: object, truth: bool) -> None:
    assert fields.read_truth(value) is truth


@pytest.mark.parametrize("value", ["maybe", 2, [], 1.5])
def test_truth_that_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        fields.read_truth(value)


def test_words_from_a_list_suggest_the_nearest() -> None:
    assert fields.read_kind("City") == "city_duty_office"
    with pytest.raises(ValueError, match="did you mean 'district'"):
        fields.read_kind("distrct")


def test_article_9_1_is_named() -> None:
    with pytest.raises(ValueError, match=r"wired \(art\. 9\(1\)\)"):
        fields.read_medium("mobile")
    with pytest.raises(ValueError, match="register it in the table 'number'"):
        fields.read_duty_purpose("fax")
    assert (fields.read_medium("Wired"), fields.read_duty_purpose("duty")) == ("wired", "duty")


@pytest.mark.parametrize("secret", ["short12", "with space", "密码密码密码密码", "tab\ttabtab", 12345678, None])
def test_secrets_that_are_refused_are_not_quoted(secret: object) -> None:
    with pytest.raises(ValueError, match=r"characters|must be text") as caught:
        fields.read_secret(secret)
    assert str(secret) not in str(caught.value)


@pytest.mark.parametrize("read", [fields.read_number, fields.read_secret, fields.read_truth, fields.whole(1, 2)])
def test_what_a_door_could_not_read_says_why(read: fields.Reader) -> None:
    with pytest.raises(ValueError, match="is a formula"):
        read(Unreadable("is a formula"))


@pytest.mark.parametrize("uri", ["sip:net1@127.0.0.6:5070", "sips:net1@gw.example.cn", "sip:127.0.0.6:5070"])
def test_radio_addresses(uri: str) -> None:
    assert fields.read_uri(uri) == uri


@pytest.mark.parametrize(
    "uri", ["net1@127.0.0.6", "sip:", "sip:a@b@c", "sip:a@b;transport=tcp", "http://x", "sip:a@b:0"]
)
def test_radio_addresses_that_are_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"no SIP address|no host|no port"):
        fields.read_uri(uri)
