"""What a dialplan's texts can become, and which applications a step may run."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.asterisk.conf_reader import Setting, read
from gateway.asterisk.dialplan import UNKNOWN, Step, alternatives, invocations, split, steps

GIVEN = {
    "A": ["1", "2"],
    "RING": ["", "${RING}&PJSIP/${ARG1}"],
    "B": ["x${A}"],
    "LOOP": ["${POOL}"],
    "POOL": ["a${LOOP}"],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", {"plain"}),
        ("${A}", {"", "1", "2"}),
        ("${A}${A}", {"", "1", "2", "11", "12", "21", "22"}),
        ("${B}!", {"!", "x!", "x1!", "x2!"}),
        ("${RING:1}", {"", f"PJSIP/{UNKNOWN}"}),
        ("${B:0:1}", {"", "x"}),
        ("${EXTEN}", {UNKNOWN}),
        ("${A:-1}", {UNKNOWN}),
        ("$[1 + ${A}]", {UNKNOWN}),
        ("${IF($[1 = 1]?tT:)}", {"tT", ""}),
        ('${IF($["${A}" = "?"]?x(y:z):w${A})}', {"x(y:z)", "w", "w1", "w2"}),
        ("${IF(${X}?yes)}", {"yes", ""}),
        ("${LOOP}", {"", "a"}),
        ("${CUT(A,-,1)}", {UNKNOWN}),
        ("$5 ${", {f"$5 {UNKNOWN}"}),
        ("${A}" * 9, {UNKNOWN}),
    ],
)
def test_alternatives(text: str, expected: set[str]) -> None:
    assert alternatives(text, GIVEN) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b", ["a", "b"]),
        ("a(b,c),d", ["a(b,c)", "d"]),
        ('"a,b",c', ['"a,b"', "c"]),
        ('$["a" = "b,"],c', ['$["a" = "b,"]', "c"]),
        ("", [""]),
    ],
)
def test_split(text: str, expected: list[str]) -> None:
    assert split(text, ",") == expected


@pytest.mark.parametrize(
    ("text", "apps"),
    [
        ("Hangup", [("hangup", "")]),
        ("Hangup()", [("hangup", "")]),
        ("Dial(PJSIP/a,1,U(x^y(z)))", [("dial", "PJSIP/a,1,U(x^y(z))")]),
        ("ExecIf($[${X}]?A(1):B(2))", [("execif", "$[${X}]?A(1):B(2)"), ("a", "1"), ("b", "2")]),
        ('ExecIf($["a" = "?"]?A(1))', [("execif", '$["a" = "?"]?A(1)'), ("a", "1")]),
        ("TryExec(Exec(System(ls)))", [("tryexec", "Exec(System(ls))"), ("exec", "System(ls)"), ("system", "ls")]),
        ("${APP}(x)", [(UNKNOWN, "x")]),
    ],
)
def test_invocations(text: str, apps: list[tuple[str, str]]) -> None:
    step = Step("c", "s", Setting(Path("x"), 1, "exten", ""), "1", text)
    assert [(found.app, found.arguments) for found in invocations(step)] == apps


def test_steps(tmp_path: Path) -> None:
    (tmp_path / "e.conf").write_text(
        "[globals]\nA = 1\n[c]\ninclude => d\nexten => _X.,1(a),NoOp(x)\n same => n,Hangup\nexten => 1,hint,PJSIP/a\n"
        "[t](!)\nexten => s,1,NoOp()\n[d](t)\n"
    )
    found = steps(read(tmp_path, "e.conf"))
    assert [(step.context, step.pattern, step.priority, step.text) for step in found] == [
        ("c", "_X.", "1", "NoOp(x)"),
        ("c", "_X.", "n", "Hangup"),
        ("c", "1", "hint", "PJSIP/a"),
        ("d", "s", "1", "NoOp()"),
    ]
    assert invocations(found[2]) == []
