"""This machine, as far as a duty line depends on it: folders, disk, clock, user, ports, memory."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
from collections.abc import Iterator

from gateway.asterisk import process
from gateway.config import Config, split_address
from gateway.free_ports import refusal
from gateway.remark import Remark, fault, ok, warning

PORTS_OF_A_CALL = 4  # two legs, each with RTP and RTCP
FEW_CALLS = 20
_PROBED_PORTS = 25
_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES = 512
_M_ARENA_MAX = -8  # malloc.h


def folders(config: Config) -> Iterator[Remark]:
    """Can what is written be written, is there room, can nobody else read it."""
    for subject, folder in (("data_dir", config.data_dir), ("recordings", config.recordings_dir)):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield fault(subject, f"{there} cannot be written", "give it to the user that runs dutyline")
            continue
        free_mb = shutil.disk_usage(there).free // 2**20
        if free_mb < config.recording.min_free_mb:
            text = f"{free_mb} MB are free on the disk of {folder}, less than recording.min_free_mb"
            yield fault(subject, text, "make room")
        elif folder.is_dir() and folder.stat().st_mode & 0o007:
            text = f"everybody on this machine may look into {folder}"
            before = "give it the group of Asterisk's user, then " if config.asterisk.mode == "external" else ""
            yield warning(subject, text, f"{before}chmod o= {folder}")
        else:
            yield ok(subject, f"{folder} can be written, {free_mb} MB are free")


def user_and_clock() -> Iterator[Remark]:
    """Who we are, and whether the time is right."""
    if os.geteuid() == 0:
        yield warning("user", "this is root", "run dutyline as a user of its own")
    if _clock_is_synchronised():
        yield ok("clock", "synchronised")
    else:
        text = "the kernel does not know the clock to be synchronised; reports are judged by it"
        yield warning("clock", text, "run chrony or systemd-timesyncd")


def _clock_is_synchronised() -> bool:
    """By the kernel's own state; asking changes nothing and needs no right."""
    asked = ctypes.create_string_buffer(_TIMEX_BYTES)  # struct timex with modes = 0
    return ctypes.CDLL(None).adjtimex(asked) not in (-1, _UNSYNCHRONISED)


def ports(config: Config, *, gateway_runs: bool) -> Iterator[Remark]:
    """Free, or in use by ourselves."""
    engine_runs = process.state(config.run_dir) is not None
    wanted = [("http.listen", config.http.listen, [socket.SOCK_STREAM], gateway_runs)]
    if config.asterisk.mode == "embedded":
        wanted.append(("sip.listen", config.sip.listen, [socket.SOCK_DGRAM, socket.SOCK_STREAM], engine_runs))
    for subject, address, kinds, ours in wanted:
        refusals = [] if ours else [text for kind in kinds if (text := refusal(*split_address(address), kind))]
        if refusals:
            yield fault(subject, f"{address} {refusals[0]}", f"choose another {subject}, or end what uses it")
        else:
            yield ok(subject, f"{address} is {'in use by us' if ours else 'free'}")
    if config.asterisk.mode == "embedded":  # elsewhere rtp.conf is its owner's
        yield from _speech_ports(config, engine_runs)


def _speech_ports(config: Config, engine_runs: bool) -> Iterator[Remark]:
    first, last = map(int, config.sip.rtp_ports.split("-"))
    calls = (last - first + 1) // PORTS_OF_A_CALL
    step = max(2, (last - first) // _PROBED_PORTS)
    host = split_address(config.sip.listen)[0]
    probed = range(first, last, step)
    busy = [port for port in probed if not engine_runs and refusal(host, port, socket.SOCK_DGRAM)]
    inside = [
        name
        for name, address in (("sip.listen", config.sip.listen), ("asterisk.hep_listen", config.asterisk.hep_listen))
        if first <= split_address(address)[1] <= last
    ]
    if inside:
        yield fault("sip.rtp_ports", f"{inside[0]} lies inside {config.sip.rtp_ports}", "choose another range")
    elif 2 * len(busy) > len(probed):
        text = f"most of {config.sip.rtp_ports} is in use, port {busy[0]} for one"
        yield fault("sip.rtp_ports", text, "choose another range")
    elif calls < FEW_CALLS:
        yield warning("sip.rtp_ports", f"{config.sip.rtp_ports} is enough for {calls} calls at once", "widen it")
    else:
        yield ok("sip.rtp_ports", f"{config.sip.rtp_ports} is enough for {calls} calls at once")


def keep_memory_together() -> None:
    """Lets glibc use one memory arena instead of one for each thread.

    FastAGI answers each call in a thread of its own; arenas of threads that have ended are kept and fragment, so that a
    gateway would grow with every thousand calls. Other C libraries have no arenas and nothing to be told.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
