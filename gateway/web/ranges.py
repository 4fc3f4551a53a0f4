"""Which part of a file is asked for (RFC 9110, sections 13.1.5 and 14): one range of bytes, or the whole.

    Range: bytes=0-99       the first hundred        Range: bytes=-100     the last hundred
    no Range, a unit nobody knows, several ranges, or an If-Range that names another file      the whole
    a range behind the end, of no bytes, or that cannot be read                                416

aiohttp sends the part. But it takes a unit it does not know for a range that cannot be, `bytes=-0` for the whole file,
and knows no If-Range with an ETag: so what is asked for is decided here, and a Range that does not count is taken off
before aiohttp sees it.
"""

from __future__ import annotations

import os
import re
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from gateway.web.problem import Problem

_ONE_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


def first_byte(request: web.Request, file: os.stat_result) -> int | None:
    """Where the wanted part begins; None when the whole file is wanted. Raises Problem 416."""
    unit, _, wanted = request.headers.get(hdrs.RANGE, "").partition("=")
    if unit.strip().lower() != "bytes" or "," in wanted or not _is_of_this_file(request, file):
        return None
    found = _ONE_RANGE.fullmatch(wanted.strip())
    first, last = found.groups() if found else ("", "")
    if first:
        is_there = int(first) < file.st_size and (not last or int(first) <= int(last))
        begin = int(first)
    else:
        is_there = bool(last) and int(last) > 0 and file.st_size > 0
        begin = max(0, file.st_size - int(last or 0))
    if not is_there:
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"the file has {file.st_size} bytes; ask for one range within them, such as bytes=0-",
            headers={hdrs.CONTENT_RANGE: f"bytes */{file.st_size}"},
        )
    return begin


def _is_of_this_file(request: web.Request, file: os.stat_result) -> bool:
    """Whether If-Range, when there is one, names the file as it is now, by the ETag or time that we gave."""
    condition = request.headers.get(hdrs.IF_RANGE)
    if condition is None:
        return True
    if '"' in condition:  # compared strongly: a weak ETag is never the same
        return condition.strip() == f'"{file.st_mtime_ns:x}-{file.st_size:x}"'
    return request.if_range is not None and file.st_mtime <= request.if_range.timestamp()


class WholeFile(web.FileResponse):
    """A file without regard to Range."""

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Sends the headers, and the file."""
        # A header that is no text cannot be copied, and none of those that matter here is such a one.
        kept = [item for item in request.headers.items() if item[0].lower() != "range" and item[1].isprintable()]
        return await super().prepare(request.clone(headers=kept))
