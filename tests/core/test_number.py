from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import number

ONE_LINE = [
    "02283000000",
    "022-8300 0000",
    "(022)83000000",
    "+862283000000",
    "+86 (0)22 8300 0000",
    "862283000000",
    "0086 22 83000000",
    "086-22-83000000",
    "2283000000",
    "０２２８３００００００",
    "022\u201383000000",
    "\u202d02283000000\u202c",
]


@pytest.mark.parametrize("text", ONE_LINE)
def test_all_ways_of_writing_a_line_are_the_same_number(text: str) -> None:
    assert number.normalise(text) == "+862283000000"
    assert number.same_number(text, "02283000000")


@pytest.mark.parametrize("text", ["110", "119", "12345", "95588", "8001", "83000000"])
def test_short_and_local_numbers_stay_as_they_are(text: str) -> None:
    assert number.normalise(text) == text
    assert number.presented_forms(text) == (text,)


def test_a_local_number_is_completed_only_with_its_city() -> None:
    assert number.normalise("83000000", "022") == "+862283000000"
    assert not number.same_number("83000000", "02283000000")
    assert number.same_number("83000000", "02283000000", "022")
    assert number.normalise("12345", "022") == "12345"
    assert number.normalise("95013000", "022") == "95013000"


@pytest.mark.parametrize(
    ("a", "b"),
    [("02283000000", "02283000001"), ("02283000000", "01083000000"), ("110", "0110"), ("abc", "abc"), ("", "")],
)
def test_different_numbers_and_no_numbers_are_not_the_same(a: str, b: str) -> None:
    assert not number.same_number(a, b)


@pytest.mark.parametrize(
    "text",
    ["", "+", "abc", "0228300000x", "02283000000;ext=1", "*57*02283000000", "1.5", "2.283E+09", "٠٢٢٨٣٠٠٠٠٠٠", "1\n2"],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a telephone number"):
        number.normalise(text)


@pytest.mark.parametrize("prefix", ["", "0", "86", "+86", "0086", "+86 0", "086-", "17951", "12593 "])
@pytest.mark.parametrize("start", ["13", "14", "15", "16", "17", "18", "19"])
def test_a_mobile_is_seen_behind_every_prefix(prefix: str, start: str) -> None:
    assert number.is_mobile(f"{prefix}{start}800000000")


@pytest.mark.parametrize(
    "text", ["02283000000", "01013800138", "12345", "4000000000", "+4915112345678", "x", "1380013800"]
)
def test_what_is_not_a_mainland_mobile(text: str) -> None:
    assert not number.is_mobile(text)


def test_forms_a_carrier_may_present() -> None:
    assert number.presented_forms("02283000000", "022") == (
        "02283000000",
        "+862283000000",
        "862283000000",
        "00862283000000",
        "+8602283000000",
        "8602283000000",
        "008602283000000",
        "2283000000",
        "83000000",
    )
    assert "83000000" not in number.presented_forms("02283000000", "010")
    assert number.presented_forms("83000000", "022")[0] == "83000000"
    assert "+862283000000" in number.presented_forms("83000000", "022")
    assert number.presented_forms("4000000000") == ("4000000000", "+864000000000", "864000000000", "00864000000000")
    assert "7654321" in number.presented_forms("0310 7654321")


def test_area_codes() -> None:
    assert number.area_code_of("02283000000") == "022"
    assert number.area_code_of("01083000000") == "010"
    assert number.area_code_of("03107654321") == "0310"
    assert number.area_code_of("13800000000") is None
    assert number.area_code_of("4000000000") is None
    assert number.area_code_of("83000000") is None
    assert number.area_code_of("no number") is None


texts = st.text(st.sampled_from("0123456789+- ()"), max_size=22) | st.from_regex(r"\A\+?[0-9]{1,20}\Z")


@given(texts, st.sampled_from([None, "022", "010", "0310"]))
def test_the_normal_form_is_its_own_normal_form(text: str, area_code: str | None) -> None:
    try:
        normal = number.normalise(text, area_code)
    except ValueError:
        return
    assert number.normalise(normal, area_code) == normal


@given(st.from_regex(r"\A0(10|2[0-9]|[3-9][1-9][0-9])[2-8][0-9]{7}\Z"))
def test_every_presented_form_leads_back_to_the_line(text: str) -> None:
    area_code = number.area_code_of(text)
    for form in number.presented_forms(text, area_code):
        assert number.same_number(form, text, area_code), form


@given(texts)
def test_presented_forms_are_dial_strings(text: str) -> None:
    try:
        forms = number.presented_forms(text)
    except ValueError:
        return
    assert forms
    assert all(number.dialable(form) == form for form in forms)
