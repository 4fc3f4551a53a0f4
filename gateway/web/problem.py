"""Errors as people and programs read them: RFC 9457 problem JSON under /api, a plain page in the console.

Who is to blame decides the status (see `gateway/errors.py`): a wrong request is 4xx and says what would be right, a
peer that failed is 503 and says which, and what nobody foresaw is 500 with a number that is also in the log. A
problem never shows a stack trace or a query.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.errors import ForbiddenError, NotFoundError, PeerError, RequestError, StoreRefusedError
from gateway.ids import new_id

log = structlog.get_logger("web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ErrorPage = Callable[[web.Request, "Problem"], Awaitable[web.Response]]
PROBLEM_JSON = "application/problem+json"


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An answer that is not the one wanted. `more` are extension members, `headers` go with the answer."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or HTTPStatus(status).name.lower().replace("_", "-")
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    def document(self, instance: str) -> dict[str, Any]:
        """The problem as RFC 9457 writes it."""
        return {
            "type": f"urn:dutyline:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.more,
        }


def bad_parameter(name: str, value: str, allowed: str) -> Problem:
    """400 that names the parameter, its value and what is allowed."""
    shown = value if len(value) <= 100 else value[:100] + "…"
    return Problem(
        400,
        f"parameter '{name}' is '{shown}'; allowed: {allowed}",
        code="bad-parameter",
        more={"parameter": name, "value": shown, "allowed": allowed},
    )


_BLAME: tuple[tuple[type[Exception], int], ...] = (  # the first that fits
    (NotFoundError, 404),
    (ForbiddenError, 403),
    (RequestError, 400),
    (StoreRefusedError, 400),  # the data came with the request
    (PeerError, 503),
)


def problem_of(error: Exception) -> Problem:
    """Any error as a problem."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        kept = {name: error.headers[name] for name in ("Allow", "Location") if name in error.headers}
        return Problem(error.status, error.reason, headers=kept)
    status = next((status for kind, status in _BLAME if isinstance(error, kind)), None)
    if status == 503:
        log.error("peer_failed", error=str(error), kind=type(error).__name__)
        return Problem(503, str(error), code="peer-failed", headers={"Retry-After": "5"})
    if status is not None:
        return Problem(status, str(error))
    incident = new_id("incident")
    log.error("unforeseen", incident=incident, exc_info=error)
    return Problem(500, f"something unforeseen went wrong; it is in the log as {incident}", more={"incident": incident})


def problem_json(request: web.Request, problem: Problem) -> web.Response:
    """The problem as an answer of the API."""
    return web.json_response(
        problem.document(request.path),
        status=problem.status,
        headers={**problem.headers, "Cache-Control": "no-store"},
        content_type=PROBLEM_JSON,
    )


def problems(error_page: ErrorPage) -> Middleware:
    """The middleware that turns errors into answers; pages of the console get `error_page`."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionResetError:  # nobody is left who could read an answer
            raise
        except Exception as error:
            if isinstance(error, web.HTTPException) and error.status < 400:
                raise
            problem = problem_of(error)
            if request.path.startswith("/api/"):
                return problem_json(request, problem)
            return await error_page(request, problem)

    return answer
