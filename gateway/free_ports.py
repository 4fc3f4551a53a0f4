"""Ports for those who must name one before anybody listens on it: a phone, Asterisk's ARI, a test's database.

A port asked from the kernel (port 0) lies in the range from which it also serves every outgoing connection and every
other port 0, so between the asking and the use it may be given to somebody else. Ports are taken from below that range
(`net.ipv4.ip_local_port_range`), where only those sit who name their port:

    10000 ─── 19999 ─── 20000 ────── 27999 ─── 28000 ─────── 32767 ─── 32768 ──── 60999
       speech, by          speech of phones       promised here           the kernel's
       default             and test offices

A promised port is nobody else's for as long as this process lives and makes fewer than PROMISES more promises: the
promise is an abstract Unix socket (unix(7)) named after the port, which one process of a network namespace can hold.
"""

from __future__ import annotations

import errno
import os
import random
import socket
from collections import deque
from itertools import chain

from gateway.errors import ConfigError

SINGLE_PORTS = range(28_000, 32_768)
SPEECH_PORTS = range(20_000, 28_000)
PROMISES = 256

_promised: deque[int] = deque()  # file descriptors: they live as long as the process, and nothing else closes them
_chance = random.SystemRandom()


def free_port(host: str, *kinds: socket.SocketKind) -> int:
    """A port of `host` free for each of `kinds` (UDP unless said), promised to this process alone.

    Raises ConfigError when there is none, OSError when `host` is no address of this machine.
    """
    wanted = kinds or (socket.SOCK_DGRAM,)
    with socket.socket(_family(host), wanted[0]) as probe:
        probe.bind((host, 0))
    first = _chance.randrange(len(SINGLE_PORTS))
    for port in chain(SINGLE_PORTS[first:], SINGLE_PORTS[:first]):
        promise = _promise(port)
        if promise is None:
            continue
        if not any(refusal(host, port, kind) for kind in wanted):
            _keep(promise)
            return port
        promise.close()
    raise ConfigError(f"no port from {SINGLE_PORTS.start} to {SINGLE_PORTS.stop - 1} is free on {host}")


def refusal(host: str, port: int, kind: socket.SocketKind) -> str:
    """Why nobody can begin to listen there now, as the end of a sentence; empty when somebody can."""
    try:
        with socket.socket(_family(host), kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"is in use ({'UDP' if kind is socket.SOCK_DGRAM else 'TCP'})",
            errno.EADDRNOTAVAIL: "is no address of this machine",
            errno.EACCES: "is kept for root",
        }
        return reasons.get(error.errno or 0, f"cannot be used: {error.strerror or error}")
    return ""


def speech_ports(size: int) -> range:
    """`size` ports from an even one on; not promised, for who sends speech passes over those in use."""
    first = _chance.randrange(SPEECH_PORTS.start, SPEECH_PORTS.stop - size, 2)
    return range(first, first + size)


def _keep(promise: socket.socket) -> None:
    _promised.append(promise.detach())
    while len(_promised) > PROMISES:
        os.close(_promised.popleft())


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _promise(port: int) -> socket.socket | None:
    promise = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        promise.bind(f"\0dutyline-port-{port}")
    except OSError:
        promise.close()
        return None
    return promise
