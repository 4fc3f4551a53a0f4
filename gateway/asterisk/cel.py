r"""Lines of Asterisk's CEL journal: bytes in, events or the reason why not out.

`cel_custom` writes a line that looks like JSON and is not quite: it puts a backslash before every quotation mark of a
value and leaves everything else as it is (res/cdrel_custom, `quote_escaper`). A caller who calls himself `a\` or
`\","linkedid":"x` or who puts a line feed into his number would spoil such a line, or write fields into it, for a JSON
parser. So the writer is undone exactly. What makes that safe: *no value ever contains a quotation mark without a
backslash before it*, hence

    ","name":"     only ever stands between two fields
    {" at the start of a line only ever begins an event

and a line feed inside a value does not begin with `{"`: the line is put together again.

A write that was cut short, by a full disk or a power cut, leaves the beginning of an event without a line feed, and the
next event follows on the same line. It is cut there: only the torn one is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

from gateway.core.cel import CelEvent, cel_event

LONGEST_LINE = 65_536

_WHOLE = re.compile(r'\{\s*"([A-Za-z_]+)":\s*"(.*)"\s*\}\s*', re.DOTALL)
_BETWEEN = re.compile(r'",\s*"([A-Za-z_]+)":\s*"')
_OPENING = re.compile(rb'\{"[A-Za-z_]+":\s*"')
_BARE_QUOTE = re.compile(r'(?<!\\)"')


def whole_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of the lines in `data`, which ends with a line feed; a line may hold line feeds of its values."""
    lines = data.split(b"\n")
    lines.pop()
    offset = number = 0
    while number < len(lines):
        count = _line_count(lines, number)
        line = b"\n".join(lines[number : number + count])
        starts = _beginnings(line)
        yield from ((offset + start, line[start:end]) for start, end in pairwise((*starts, len(line))))
        offset += len(line) + 1
        number += count


def _beginnings(line: bytes) -> list[int]:
    """0, and where an event begins behind one that was cut short: in the way in which this line itself begins."""
    if line.find(b'{"', 1) < 0:
        return [0]
    own = _OPENING.match(line)
    return [0, *(found.start() for found in re.finditer(re.escape(own[0]) if own else _OPENING, line) if found.start())]


def _line_count(lines: list[bytes], first: int) -> int:
    """How many physical lines the event that begins in `first` takes; 1 when it is never completed."""
    if not lines[first].startswith(b'{"') or _is_end(lines[first]):
        return 1
    length = len(lines[first])
    for number in range(first + 1, len(lines)):
        length += len(lines[number])
        if lines[number].startswith(b'{"') or length > LONGEST_LINE:
            return 1
        if _is_end(lines[number]):
            return number - first + 1
    return 1


def _is_end(line: bytes) -> bool:
    """Whether an event ends here and not a part of a value.

    The last field, `eventextra`, is empty or JSON. It never ends in a backslash: with one, the quotation mark is a
    value's own; nor in a colon: with one, a value begins with a brace.
    """
    return line.endswith(b'"}') and not line.endswith((b'\\"}', b':"}'))


def read_line(line: bytes, *, node: str, file: str, offset: int) -> tuple[CelEvent, dict[str, Any], str]:
    """The event of a line, the line's fields, and what was amiss though it could be read ("" for nothing).

    Raises ValueError with the reason when it is no event.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError(f"the line is longer than {LONGEST_LINE} bytes")
    if b"\0" in line:
        raise ValueError("the line contains a NUL byte")
    amiss = ""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        text = line.decode(errors="replace")
        amiss = f"invalid UTF-8 at byte {error.start}; stored with replacement characters"
    raw = line_fields(text)
    return cel_event(raw, node=node, file=file, offset=offset), raw, amiss


def line_fields(text: str) -> dict[str, Any]:
    """Name → value of a line's fields. Raises ValueError."""
    escapes = text.count("\\")
    if escapes == 0 or (escapes == text.count('\\"') and "\\\\" not in text):
        # JSON means the same here, and C is faster than a regular expression. A value that ends in a backslash looks
        # so too; it is told by the error: behind the next quotation mark a name stands, and JSON allows none there.
        with suppress(ValueError):
            return _json_fields(text)
    fields = _written_fields(text)
    return _json_fields(text) if fields is None else fields


def _json_fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text, strict=False)
    except ValueError as error:
        raise ValueError(f"no event: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError("no event: not a JSON object")
    return fields


def _written_fields(text: str) -> dict[str, Any] | None:
    """The fields as Asterisk wrote them; None when this is not Asterisk's way of writing."""
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        return None
    parts = _BETWEEN.split(whole[2])
    names, values = [whole[1], *parts[1::2]], parts[0::2]
    if len(set(names)) < len(names) or any(_BARE_QUOTE.search(value) for value in values):
        return None
    return {name: value.replace('\\"', '"') for name, value in zip(names, values, strict=True)}
