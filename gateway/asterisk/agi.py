"""FastAGI (pyst2): Asterisk's one short question of an inbound call, answered from memory.

The dialplan asks from a channel pair beside the call and waits 1 s at most, so nothing here can hold a caller. The
answer is one text in the caller channel's shared variable TREATMENT:

    ok|announce recording 0/1|ring seconds|display name, percent-encoded

pyst2's AGI is subclassed: its constructor installs a signal handler and prints every line to stderr, and its FastAGI
server cannot be imported on Python 3. The protocol itself is pyst2's.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO
from urllib.parse import quote

import structlog
from asterisk.agi import AGI, AGIException

from gateway.core.treatment import Question, Treatment

log = structlog.get_logger()

ANSWER_WITHIN_S = 2.0  # the dialplan has long gone on by then
LONGEST_SESSION = 65_536  # characters


class _Silence:
    """Where pyst2's debug prints go."""

    def write(self, text: str) -> None:
        """Nothing."""


class _Heard:
    """What the other side says, up to its hang-up: pyst2 itself would read on for ever after the end."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._left = LONGEST_SESSION

    def readline(self) -> str:
        """A whole line. Raises ConnectionResetError when there is none."""
        line = self._stream.readline(self._left)
        self._left -= len(line)
        if not line.endswith("\n"):
            raise ConnectionResetError("the other side hung up, or says too much")
        return line


class Conversation(AGI):  # type: ignore[misc]  # pyst2 ships no types
    """One AGI session over a pair of text streams, on pyst2's commands."""

    def __init__(self, incoming: IO[str], outgoing: IO[str]) -> None:
        self.stdin = _Heard(incoming)
        self.stdout = outgoing
        self.stderr = _Silence()
        self._got_sighup = False
        self.env: dict[str, str] = {}
        self._get_agi_env()

    def question(self) -> Question:
        """What the dialplan asks. Raises KeyError when an argument is missing."""
        return Question(
            line=self.env["agi_arg_1"],
            caller=self.env["agi_arg_2"],
            call_id=self.env["agi_arg_3"],
            channel=self.env["agi_arg_4"],
        )

    def answer_question(self, channel: str, treatment: Treatment) -> None:
        """Leaves the treatment on the caller's channel."""
        known_as = quote(treatment.known_as, safe="")
        text = f"ok|{int(treatment.announce_recording)}|{treatment.ring_timeout_s}|{known_as}"
        self.set_variable(f"SHARED(TREATMENT,{channel})", text)


class _Session(socketserver.StreamRequestHandler):
    timeout = ANSWER_WITHIN_S
    disable_nagle_algorithm = True
    server: AgiServer

    def handle(self) -> None:
        incoming = self.connection.makefile("r", encoding="utf-8", errors="replace", newline="\n")
        outgoing = self.connection.makefile("w", encoding="utf-8", newline="\n")
        try:
            with incoming, outgoing:  # closing may fail too: what was said last may find nobody
                conversation = Conversation(incoming, outgoing)
                question = conversation.question()
                conversation.answer_question(question.channel, self.server.answer(question))
        except (AGIException, OSError, KeyError, ValueError) as error:
            # The caller's side has its rendered treatment; the record will say that the question went unanswered.
            log.warning("agi_session_failed", error=repr(error))


@dataclass(frozen=True, slots=True)
class AgiAddress:
    """Where the server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class AgiServer(socketserver.ThreadingTCPServer):
    """Answers questions in threads of its own: a busy event loop delays no caller."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, answer: Callable[[Question], Treatment]) -> None:
        self.answer = answer
        super().__init__((host, port), _Session)
        self._thread = threading.Thread(target=self.serve_forever, name="agi", daemon=True)

    def start(self) -> AgiAddress:
        """Begins to listen."""
        self._thread.start()
        host, port = self.server_address[:2]
        return AgiAddress(str(host), int(port))

    def stop(self) -> None:
        """Ends; sessions under way finish by themselves."""
        self.shutdown()
        self.server_close()
        self._thread.join()
