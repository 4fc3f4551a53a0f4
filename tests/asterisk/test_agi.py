"""FastAGI over real sockets: the question asked and answered, and every way in which the other side can misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import TextIO

import pytest
from structlog.testing import capture_logs

from gateway.asterisk import agi
from gateway.asterisk.agi import AgiAddress, AgiServer
from gateway.core.treatment import Question, Treatment

CHANNEL = "PJSIP/carrier-00000001"
ARGUMENTS = ("02283000000", "02223000001", "node1-1.1", CHANNEL)
TREATMENT = Treatment(announce_recording=True, ring_timeout_s=25, known_as="和平区 值班|室")
NAME = "%E5%92%8C%E5%B9%B3%E5%8C%BA%20%E5%80%BC%E7%8F%AD%7C%E5%AE%A4"
ANSWER = f'SET VARIABLE "SHARED(TREATMENT,{CHANNEL})" "ok|1|25|{NAME}"\n'


class Answers:
    """What the gateway would say, and what it was asked."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.treatment = TREATMENT

    def __call__(self, question: Question) -> Treatment:
        self.questions.append(question)
        return self.treatment


ANSWERS = Answers()


class Asking:
    """A call's side of one session."""

    def __init__(self, address: AgiAddress) -> None:
        self.connection = socket.create_connection((address.host, address.port), timeout=10)
        self.incoming: TextIO = self.connection.makefile("r", encoding="utf-8", newline="\n")

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.incoming.close()
        self.connection.close()

    def say(self, text: str | bytes) -> None:
        self.connection.sendall(text.encode() if isinstance(text, str) else text)

    def ask(self, *arguments: str) -> str:
        """Asks and gives the command that comes back; empty when the other side hangs up."""
        lines = ["agi_network: yes", "agi_request: agi://127.0.0.1/lookup", f"agi_channel: {CHANNEL}"]
        lines += [f"agi_arg_{place}: {argument}" for place, argument in enumerate(arguments, 1)]
        self.say("\n".join([*lines, "", ""]))
        return self.incoming.readline()

    def end(self) -> None:
        """Says that the command was carried out, and sees the other side hang up."""
        self.say("200 result=1\n")
        assert self.until_closed() == ""

    def until_closed(self) -> str:
        """Everything up to the other side's hang-up."""
        return self.incoming.read()


@pytest.fixture(scope="module")
def address() -> Iterator[AgiAddress]:
    """One server for all: whatever a test did to it, it works in the next one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agi._Session, "timeout", 1.0)
        server = AgiServer("127.0.0.1", 0, ANSWERS)
        yield server.start()
        server.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "agi"]


@pytest.fixture(autouse=True)
def answers() -> Answers:
    ANSWERS.questions.clear()
    ANSWERS.treatment = TREATMENT
    return ANSWERS


def works(address: AgiAddress) -> bool:
    """Whether a proper question is still answered."""
    with Asking(address) as call:
        found = call.ask(*ARGUMENTS)
        call.end()
        return found == ANSWER


def test_question_and_answer(address: AgiAddress, answers: Answers) -> None:
    assert works(address)
    assert answers.questions == [Question("02283000000", "02223000001", "node1-1.1", CHANNEL)]


def test_address_can_be_written_into_a_dialplan(address: AgiAddress) -> None:
    assert str(address) == f"127.0.0.1:{address.port}"


def test_anonymous_caller_and_unknown_name(address: AgiAddress, answers: Answers) -> None:
    answers.treatment = Treatment(announce_recording=False, ring_timeout_s=60, known_as="")
    with Asking(address) as call:
        assert call.ask("02283000000", "", "node1-1.1", CHANNEL).endswith(' "ok|0|60|"\n')
        call.end()
    assert answers.questions[0].caller == ""


def test_names_arrive_as_utf8(address: AgiAddress, answers: Answers) -> None:
    with Asking(address) as call:
        assert call.ask("线路:一", *ARGUMENTS[1:]) == ANSWER
        call.end()
    assert answers.questions[0].line == "线路:一"


def test_two_hundred_questions_one_after_another(address: AgiAddress, answers: Answers) -> None:
    assert all(works(address) for _ in range(200))
    assert len(answers.questions) == 200


def test_questions_at_the_same_time_do_not_wait_for_each_other(address: AgiAddress) -> None:
    calls = [Asking(address) for _ in range(30)]
    try:
        assert works(address), "thirty silent ones do not hold it"
        assert [call.ask(*ARGUMENTS) for call in calls] == [ANSWER] * 30
    finally:
        for call in calls:
            call.end()
            call.__exit__()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_missing_arguments(address: AgiAddress, answers: Answers, count: int) -> None:
    with capture_logs() as logs, Asking(address) as call:
        assert call.ask(*ARGUMENTS[:count]) == ""
    assert answers.questions == []
    assert [entry["event"] for entry in logs] == ["agi_session_failed"]
    assert works(address)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xfe\x00:\x80\n\n",
        b"agi_arg_1\n\n",
        b":\n\n",
        b"x" * 200_000,
        b"x:1\n" * 40_000,
    ],
    ids=["nothing", "an empty line", "HTTP", "binary", "no colon", "only a colon", "a long line", "many lines"],
)
def test_garbage(address: AgiAddress, answers: Answers, capfd: pytest.CaptureFixture[str], said: bytes) -> None:
    with Asking(address) as call, suppress(OSError) if len(said) > agi.LONGEST_SESSION else nullcontext():
        call.say(said)
        call.connection.shutdown(socket.SHUT_WR)
        assert call.until_closed() == ""
    assert answers.questions == []
    assert works(address)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b"200 result=-1\n",
        b"200 result=1 (hangup)\n",
        b"510 Invalid or unknown command\n",
        b"511 Command Not Permitted on a dead channel\n",
        b"520-Invalid command syntax. Proper usage follows:\nUsage\n520 End of proper usage.\n",
        b"520-Invalid command syntax.\nUsage without an end",
        b"HANGUP\n",
        b"\xff\xff\n",
    ],
)
def test_results_that_are_no_success(address: AgiAddress, result: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with capture_logs() as logs, Asking(address) as call:
        assert call.ask(*ARGUMENTS) == ANSWER
        call.say(result)
        call.connection.shutdown(socket.SHUT_WR)
        assert call.until_closed() == ""
    assert [entry["event"] for entry in logs] == ["agi_session_failed"]
    assert works(address)
    assert "Traceback" not in capfd.readouterr().err


def test_a_caller_that_hangs_up_at_once(address: AgiAddress, capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("", "agi_network: yes\n", "\n".join(f"agi_arg_{n}: x" for n in range(1, 5)) + "\n\n"):
        with Asking(address) as call:
            call.say(text)
            call.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, no farewell
    assert works(address)
    assert "Traceback" not in capfd.readouterr().err


def test_a_caller_that_says_nothing_is_let_go(address: AgiAddress) -> None:
    with Asking(address) as call:
        assert call.until_closed() == ""


def test_a_stopped_server_takes_no_more_questions(answers: Answers) -> None:
    server = AgiServer("127.0.0.1", 0, answers)
    address = server.start()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        Asking(address)
