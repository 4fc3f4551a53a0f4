"""Telephone numbers of China: how people write them, how carriers present them, when two are the same.

    02283000000 = 0 (long distance) + 22 (area: 10, 2x or three digits) + 83000000 (local, 7 or 8 digits)
    the same line arrives as +862283000000, 862283000000, 00862283000000, 2283000000 or, inside the city, 83000000;
    people also write 086-22-83000000

The normal form is E.164 (`+862283000000`) for everything that has one. Short service numbers (110, 12345), extensions
(8001) and local numbers whose city is not known stay as they are: completing them would be guessing. A number need not
be assigned today to be compared, so only the form is judged, never whether a carrier has put it into service.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import phonenumbers

_SEPARATORS = re.compile(r"[ ()\u2010-\u2015-]")
_DIALABLE = re.compile(r"\+?[0-9]+")
_LOCAL = re.compile(r"[2-8][0-9]{6,7}")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_GEOGRAPHIC = re.compile(r"\+86(?!400|800)(10|2[0-9]|[3-9][0-9]{2})([0-9]{7,8})")
_CARRIER_CODE = re.compile(r"\A(?:125|179)[0-9]{2}(?=(?:0|1[3-9])[0-9]{9,})")  # 17911, 12593 …: chooses who carries it
_LONGEST_LOCAL = 8
_SHORTEST_WITH_86 = 12


def dialable(text: str) -> str:
    """Digits with an optional leading +, without separators and invisible characters; full-width digits become plain.

    Raises ValueError when anything else is in it.
    """
    plain = unicodedata.normalize("NFKC", text)
    visible = "".join(character for character in plain if unicodedata.category(character) != "Cf")
    bare = _SEPARATORS.sub("", visible)
    if not _DIALABLE.fullmatch(bare):
        raise ValueError(f"'{text}' is not a telephone number; write digits, with + in front when international")
    return bare


def normalise(text: str, area_code: str | None = None) -> str:
    """The normal form; `area_code` (`022`) completes local numbers. Raises ValueError when it is no number."""
    dial = _CARRIER_CODE.sub("", dialable(text), count=1)
    if len(dial) <= _LONGEST_LOCAL and dial[0] != "+":
        completed = area_code is not None and _LOCAL.fullmatch(dial)
        return f"+86{str(area_code).lstrip('0')}{dial}" if completed else dial
    if _MOBILE.fullmatch(dial):
        return f"+86{dial}"
    if dial.startswith("086") and len(dial) > _SHORTEST_WITH_86:  # no area code begins so
        dial = dial[1:]
    return _international(f"+{dial}" if dial.startswith("86") and len(dial) >= _SHORTEST_WITH_86 else dial)


@lru_cache(maxsize=512)  # each event of a call asks for the same two numbers
def _international(dial: str) -> str:
    """E.164 where `dial` says or proves that it has one."""
    try:
        parsed = phonenumbers.parse(dial, "CN")
    except phonenumbers.NumberParseException:
        return dial
    if dial[0] not in "+0" and not phonenumbers.is_valid_number(parsed):
        return dial
    number = f"+{parsed.country_code}{parsed.national_number}"
    return number if number == dial else _international(number)


def same_number(a: str, b: str, area_code: str | None = None) -> bool:
    """Whether both reach the same line; two texts that are no numbers are never the same."""
    try:
        return normalise(a, area_code) == normalise(b, area_code)
    except ValueError:
        return False


def is_mobile(text: str) -> bool:
    """Whether it is a mobile number of the mainland, with or without +86, 0086, 86 or 0 in front."""
    try:
        number = normalise(text)
    except ValueError:
        return False
    return bool(number.startswith("+86") and _MOBILE.fullmatch(number[3:]))


def area_code_of(text: str) -> str | None:
    """`022` of 02283000000; None for numbers that belong to no area, or do not say which."""
    try:
        geographic = _GEOGRAPHIC.fullmatch(normalise(text))
    except ValueError:
        return None
    return f"0{geographic[1]}" if geographic else None


def presented_forms(number: str, area_code_of_city: str | None = None) -> tuple[str, ...]:
    """The dial strings under which a carrier may deliver a call to `number`, the registered one first.

    The local form is given when the number lies in the city's area; without a city, its own area counts as it.
    Raises ValueError when it is no number.
    """
    registered = dialable(number)
    normal = normalise(number, area_code_of_city)
    forms = [registered]
    if normal.startswith("+86"):
        national = normal[3:]
        geographic = _GEOGRAPHIC.fullmatch(normal)
        if geographic or _MOBILE.fullmatch(national):
            forms.append(f"0{national}")
        forms += [normal, f"86{national}", f"0086{national}"]
        if geographic:  # a carrier may keep the 0 of long distance behind the country's code
            forms += [f"+860{national}", f"860{national}", f"00860{national}"]
        forms += [national] if normalise(national) == normal else []
        if geographic and _LOCAL.fullmatch(geographic[2]) and area_code_of_city in (None, f"0{geographic[1]}"):
            forms.append(geographic[2])
    elif normal.startswith("+"):
        forms += [normal, normal[1:], f"00{normal[1:]}"]
    return tuple(dict.fromkeys(forms))
