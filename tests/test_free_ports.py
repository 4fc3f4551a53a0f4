"""A port that was given out is nobody else's, in this process or in another."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from gateway import free_ports
from gateway.errors import ConfigError
from gateway.free_ports import SINGLE_PORTS, SPEECH_PORTS, free_port, refusal, speech_ports

HOST = "127.0.0.1"


def test_no_port_is_given_twice() -> None:
    given = [free_port(HOST) for _ in range(free_ports.PROMISES)]
    assert len(set(given)) == len(given)


def test_no_port_is_given_that_another_process_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from gateway.free_ports import free_port; print(free_port('127.0.0.1'), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        monkeypatch.setattr(free_ports, "SINGLE_PORTS", range(theirs, theirs + 1))
        with pytest.raises(ConfigError, match=f"no port from {theirs} to {theirs} is free on {HOST}"):
            free_port(HOST)
        other.communicate(b"\n")
    assert free_port(HOST) == theirs


def test_old_promises_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_ports, "PROMISES", 4)
    monkeypatch.setattr(free_ports, "SINGLE_PORTS", range(SINGLE_PORTS.stop - 64, SINGLE_PORTS.stop))
    for _ in range(200):
        free_port(HOST)


def test_none_that_the_kernel_gives_to_others() -> None:
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as told:  # noqa: PTH123
        first = int(told.read().split()[0])
    assert SPEECH_PORTS.stop <= SINGLE_PORTS.start
    assert all(free_port(HOST, socket.SOCK_STREAM) < first for _ in range(10))


@pytest.mark.parametrize("host", [HOST, "::1"])
def test_free_for_every_kind_asked(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    port = free_port(host, socket.SOCK_STREAM)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as taken:
        taken.bind((host, port))
        taken.listen()
        assert refusal(host, port, socket.SOCK_STREAM) == "is in use (TCP)"
        assert refusal(host, port, socket.SOCK_DGRAM) == ""
        monkeypatch.setattr(free_ports, "SINGLE_PORTS", range(port, port + 1))
        for _ in range(free_ports.PROMISES):
            free_ports._keep(socket.socket())
        with pytest.raises(ConfigError):
            free_port(host, socket.SOCK_DGRAM, socket.SOCK_STREAM)
        assert free_port(host, socket.SOCK_DGRAM) == port


def test_no_address_of_ours() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        free_port("192.0.2.1")
    assert refusal("192.0.2.1", 5060, socket.SOCK_DGRAM) == "is no address of this machine"


def test_ports_for_speech() -> None:
    for _ in range(100):
        ports = speech_ports(100)
        assert len(ports) == 100
        assert ports.start % 2 == 0
        assert SPEECH_PORTS.start <= ports.start < ports.stop <= SPEECH_PORTS.stop
