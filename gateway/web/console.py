"""The console: pages a clerk reads, made on the server, so that they work before any script does.

What moves (rows of the list, lamps, clock) is a fragment of the same templates, loaded again when the live feed says
that something happened. A page that needs a login sends the browser to the login page and back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from aiohttp import hdrs, web
from jinja2 import Environment

from gateway.clock import DUTY_ZONE
from gateway.core.roles import may
from gateway.errors import PeerError
from gateway.ids import new_id
from gateway.ports import Row
from gateway.services.people import Person
from gateway.web.access import add_audit
from gateway.web.alarms import clear_alarm
from gateway.web.auth import check_origin, give_cookie, guarded, log_in, log_out, take_cookie
from gateway.web.calls import FILTERS, SEARCH, find_calls, whole_call, with_ringing
from gateway.web.directories import unit_names
from gateway.web.params import read_query
from gateway.web.parts import HEALTH_PARTS, PERSON, parts_of, person_of
from gateway.web.problem import Problem
from gateway.web.readiness import READINESS
from gateway.web.texts import LANGUAGE_TAGS, LANGUAGES, TEXTS, known_or, translator
from gateway.web.timeline import timeline
from gateway.web.views import environment, minute

TEMPLATES: Final = web.AppKey("templates", Environment)
LANGUAGE_COOKIE: Final = "dutyline_language"
CALLS_ON_A_PAGE = 50
ROWS_ON_A_PAGE = 200
_RECORDING_SUFFIX = re.compile(r"-(talk|message)$")
PAGES = (
    ("/", "nav.calls", "read", "c"),
    ("/forward-attempts", "nav.forward_attempts", "read", "f"),
    ("/alarms", "nav.alarms", "read", "a"),
    ("/audits", "nav.audits", "read_audits", "l"),
)


def language_of(request: web.Request) -> str:
    """The language of the cookie; Chinese without one."""
    wanted = request.cookies.get(LANGUAGE_COOKIE, LANGUAGES[0])
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


def _frame(request: web.Request, person: Person | None) -> dict[str, Any]:
    """What every page needs."""
    language, parts = language_of(request), parts_of(request)
    translate = translator(language)
    now = parts.now()
    return {
        "t": translate,
        "known": lambda prefix, word: known_or(translate, prefix, word),
        "language": language,
        "language_tag": LANGUAGE_TAGS[language],
        "person": person,
        "may": lambda right: person is not None and may(person.role, right),
        "version": parts.version,
        "pages": PAGES,
        "here": request.path,
        "path": request.path_qs,
        "now": now,
        "now_ms": int(now.timestamp() * 1000),
    }


async def _status(request: web.Request) -> dict[str, Any]:
    """Lamps and standing alarms; a dead database costs the alarms, not the page."""
    parts = parts_of(request)
    faults, standing = await request.app[READINESS].faults(), list(parts.waiting_alarms())
    try:
        async with parts.store.begin() as uow:
            standing += await uow.alarms.standing()
    except PeerError as error:
        faults["database"] = faults.get("database") or str(error)
    return {"faults": faults, "standing": standing}


def _html(request: web.Request, template: str, values: Mapping[str, Any], status: int = 200) -> web.Response:
    text = request.app[TEMPLATES].get_template(template).render(values)
    return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})


async def _page(request: web.Request, template: str, **values: Any) -> web.Response:
    status = await _status(request)
    return _html(request, template, {**_frame(request, person_of(request)), **status, **values})


def _local_path(path: str) -> str:
    """`path` when it stays in the console, else the front page."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


async def error_page(request: web.Request, problem: Problem) -> web.Response:
    """The middleware's page for a problem; somebody who is not known is sent to the login page."""
    fragment = request.path.startswith(("/fragments/", "/static/", "/metrics"))
    if problem.status == 401 and not fragment:
        following = request.path_qs if request.method == hdrs.METH_GET else "/"
        return web.Response(status=303, headers={"Location": f"/login?next={quote(following, safe='')}"})
    if fragment:
        return web.Response(text=problem.detail, status=problem.status, headers=problem.headers)
    key = f"error.{problem.status}"
    person = request.get(PERSON)
    values = {"title": TEXTS.get(key, TEXTS["error.other"])[LANGUAGES.index(language_of(request))]}
    frame = {**_frame(request, person), "faults": dict.fromkeys(HEALTH_PARTS, ""), "standing": []}
    if person is not None:
        frame |= await _status(request)
    answer = _html(
        request, "error.html", {**frame, **values, "status": problem.status, "detail": problem.detail}, problem.status
    )
    answer.headers.update(problem.headers)
    return answer


# --- coming and going --------------------------------------------------------------------------------------------


def _login_page(request: web.Request, status: int, wrong: str, name: str, following: str) -> web.Response:
    values = {"wrong": wrong, "name": name, "following": following, "path": request.path_qs}
    return _html(request, "login.html", {**_frame(request, None), **values}, status)


async def login_page(request: web.Request) -> web.Response:
    """The form."""
    return _login_page(request, 200, "", "", _local_path(request.query.get("next", "/")))


def _field(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""  # a file where words belong


async def login(request: web.Request) -> web.Response:
    """The form, filled in."""
    check_origin(request)
    form = await request.post()
    name, following = _field(form, "name").strip(), _local_path(_field(form, "next"))
    translate = translator(language_of(request))
    try:
        _, secret, _ = await log_in(request, name, _field(form, "password"))
    except Problem as problem:
        wrong = translate("login.wrong")
        if problem.status == 429:
            wrong = f"{translate('login.slow')}{problem.more['retry_after_s']}"
        return _login_page(request, problem.status, wrong, name[:64], following)
    response = web.Response(status=303, headers={"Location": quote(following, safe="/?&=%:+,;@")})
    give_cookie(request, response, secret)
    return response


async def logout(request: web.Request) -> web.Response:
    """Back to the login page."""
    check_origin(request)
    await log_out(request)
    response = web.Response(status=303, headers={"Location": "/login"})
    take_cookie(request, response)
    return response


async def language(request: web.Request) -> web.Response:
    """Keeps the language in a cookie for a year."""
    check_origin(request)
    form = await request.post()
    following = quote(_local_path(_field(form, "next")), safe="/?&=%:+,;@")
    response = web.Response(status=303, headers={"Location": following})
    wanted = _field(form, "language")
    if wanted in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, wanted, max_age=31_536_000, path="/", samesite="Lax", httponly=True)
    return response


# --- calls -------------------------------------------------------------------------------------------------------


def _chips(request: web.Request) -> list[tuple[str, str, bool]]:
    """Time spans one click away: (text key, address, whether it is on)."""
    today = parts_of(request).now().astimezone(DUTY_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    kept = {name: value for name, value in request.query.items() if name in ("number", "unit", "q") and value}
    spans: tuple[tuple[str, dict[str, str]], ...] = (
        ("filter.today", {"since": minute(today)}),
        ("filter.yesterday", {"since": minute(today - timedelta(days=1)), "until": minute(today)}),
        ("filter.week", {"since": minute(today - timedelta(days=6))}),
        ("filter.any_time", {}),
    )
    on = {name: request.query[name] for name in ("since", "until") if request.query.get(name)}
    return [(key, f"/?{urlencode({**kept, **span})}", span == on) for key, span in spans]


def _query_string(request: web.Request) -> str:
    kept = {name: value for name, value in request.query.items() if name in _FILTER_NAMES and value}
    return f"?{urlencode(kept)}" if kept else ""


_FILTER_NAMES = tuple(param.name for param in FILTERS)


async def _find_calls(request: web.Request) -> dict[str, Any]:
    """Calls of the page asked for, with the names of units."""
    query = read_query(request, SEARCH)
    async with parts_of(request).store.begin() as uow:
        page = await find_calls(request, uow, query, query["limit"] or CALLS_ON_A_PAGE)
        rows = await with_ringing(uow, page.rows)
        units = await unit_names(request, uow)
    query_string = _query_string(request)
    joined = f"{query_string}&" if query_string else "?"
    following = f"/{joined}{urlencode({'cursor': page.cursor})}" if page.cursor else ""
    return {"calls": rows, "units": units, "following": following, "wrong": ""}


async def _nothing_found(request: web.Request, problem: Problem) -> dict[str, Any]:
    """The same for a filter that is wrong, with what is wrong in the reader's language."""
    async with parts_of(request).store.begin() as uow:
        units = await unit_names(request, uow)
    translate, name = translator(language_of(request)), problem.more.get("parameter")
    if name in _FILTER_NAMES:
        allowed = translate("filter.allowed.time" if name in ("since", "until") else "filter.allowed.text")
        wrong = f"{translate(f'filter.{name}')}: {problem.more['value']} – {allowed}"
    else:
        wrong = problem.detail
    return {"calls": [], "units": units, "following": "", "wrong": wrong}


async def calls(request: web.Request) -> web.Response:
    """The list; a wrong filter is said above it, not on a page of its own."""
    try:
        found = await _find_calls(request)
    except Problem as problem:
        found = await _nothing_found(request, problem)
    shown = {name: request.query.get(name, "") for name in _FILTER_NAMES}
    return await _page(
        request,
        "calls.html",
        **found,
        filter=shown,
        chips=_chips(request),
        query=_query_string(request),
        older="cursor" in request.query,
    )


async def call_rows(request: web.Request) -> web.Response:
    """The rows of the list again."""
    return _html(request, "_calls.html", {**_frame(request, person_of(request)), **await _find_calls(request)})


async def status(request: web.Request) -> web.Response:
    """The status bar again."""
    return _html(request, "_status.html", {**_frame(request, person_of(request)), **await _status(request)})


async def call(request: web.Request) -> web.Response:
    """One call; reading it is in the access log."""
    parts, call_id = parts_of(request), request.match_info["id"]
    async with parts.store.begin() as uow:
        row, known = await whole_call(uow, call_id)
        (row,) = await with_ringing(uow, [row])
        units = await unit_names(request, uow)
        await add_audit(request, uow, "read", "call", call_id)
    return await _page(
        request,
        "call.html",
        call=row,
        events=known["events"],
        recordings=known["recordings"],
        attempts=known["forward_attempts"],
        timeline=timeline(row, known["legs"], known["recordings"], parts.now()),
        units=units,
        listening=new_id("listening"),
    )


# --- the other pages ---------------------------------------------------------------------------------------------


async def forward_attempts(request: web.Request) -> web.Response:
    """Attempts to forward, newest first."""
    async with parts_of(request).store.begin() as uow:
        rows = await uow.forward_attempts.search(None, None, ROWS_ON_A_PAGE)
    return await _page(request, "forward_attempts.html", attempts=rows)


async def alarms(request: web.Request) -> web.Response:
    """Standing alarms first, then those that are over."""
    async with parts_of(request).store.begin() as uow:
        rows = await uow.alarms.search(ROWS_ON_A_PAGE)
        standing = [*parts_of(request).waiting_alarms(), *await uow.alarms.standing()]
        shown: list[Row] = [*standing, *(row for row in rows if row["cleared_at"] is not None)]
        links = {row["subject"]: _RECORDING_SUFFIX.sub("", row["subject"]) for row in shown}
        known = {row["id"] for row in await uow.calls.rows(sorted(set(links.values())))}
    links = {subject: call_id for subject, call_id in links.items() if call_id in known}
    return await _page(request, "alarms.html", alarms=shown, links=links)


async def alarm_cleared(request: web.Request) -> web.Response:
    """Clears one and shows the rest."""
    await clear_alarm(request, request.match_info["id"])
    return web.Response(status=303, headers={"Location": "/alarms"})


async def audits(request: web.Request) -> web.Response:
    """The access log, newest first."""
    async with parts_of(request).store.begin() as uow:
        rows = await uow.audits.search(None, ROWS_ON_A_PAGE)
    return await _page(request, "audits.html", audits=rows)


def add_console(app: web.Application) -> None:
    """Lets `app` serve the pages."""
    app[TEMPLATES] = environment()
    app.router.add_get("/login", login_page)
    app.router.add_post("/login", login)
    app.router.add_post("/logout", logout)
    app.router.add_post("/language", language)
    for path, handler in (
        ("/", calls),
        ("/calls/{id}", call),
        ("/forward-attempts", forward_attempts),
        ("/alarms", alarms),
        ("/fragments/calls", call_rows),
        ("/fragments/status", status),
    ):
        app.router.add_get(path, guarded(handler, "read"))
    app.router.add_get("/audits", guarded(audits, "read_audits"))
    app.router.add_post("/alarms/{id}/clear", guarded(alarm_cleared, "clear_alarms"))
