"""`dutyline demo`: the city is founded, the gateway started, the story played, and what came of it observed.

    --once      the story, its summary as one line of JSON on standard output, and the end: exit 0 only if all is well
    without     the story plays at once before the eyes of whoever opened the console; then the city stays, quietly

Everything that was started ends with this process, even when it is killed: Asterisk by its keeper's leash, the phones
by the kernel. Everything that was written lies below the data folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from gateway import app, clock
from gateway.app import Gateway
from gateway.asterisk import install
from gateway.config import Config
from gateway.demo import city as places
from gateway.demo import hearing, quiet, speech, story
from gateway.demo.api import Api
from gateway.demo.checks import checks, summary
from gateway.demo.city import City
from gateway.demo.observe import observe
from gateway.demo.story import Stage
from gateway.services import people

OBSERVER = "demo"
SENTENCE = "missed-leave-message"
INTERRUPTED = 1


async def play(*, once: bool, data: Path | None, http_port: int, sip_port: int, given: Config) -> int:
    """The whole command; gives its exit code. Raises DutylineError when the city cannot be founded."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with _folder(data, keep=not once) as folder:
        city = places.build(folder, http_port, sip_port, given)
        playing = asyncio.create_task(_in_city(city, once=once))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if playing.done():
            return playing.result()
        say("stopping")
        playing.cancel()
        await asyncio.wait({playing})
        if not playing.cancelled():
            playing.result()
        return INTERRUPTED if once else 0


def say(text: str) -> None:
    """For the person at the terminal; standard output is for the summary."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def _folder(data: Path | None, *, keep: bool) -> Iterator[Path]:
    """The data folder: the one given, or a temporary one that goes at the end unless it is to be kept."""
    if data is not None:
        yield data
    elif keep:
        folder = Path(tempfile.mkdtemp(prefix="dutyline-demo-"))
        yield folder
        say(f"what was written is kept in {folder}")
    else:
        with tempfile.TemporaryDirectory(prefix="dutyline-demo-", ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)


async def _in_city(city: City, *, once: bool) -> int:
    say(await places.settle(city))
    async with app.running(city.config, say, leash=os.getpid()) as gateway:
        if not once:
            _welcome(city, gateway)
        async with _stage(city, await asyncio.to_thread(_engine, city)) as stage:
            ok = await _tell_story(gateway, stage, as_json=once)
            if once:
                return 0 if ok else 1
            say("the city stays until you press Ctrl-C")
            await quiet.stays(stage)
    raise AssertionError("the quiet city does not end by itself")


@asynccontextmanager
async def _stage(city: City, engine: install.Engine) -> AsyncIterator[Stage]:
    sentence_s = len(_sentence(city)) / 2 / hearing.RATE_HZ
    folder = city.config.data_dir / "speech"
    tracks = await asyncio.to_thread(speech.render, folder, engine, sentence_s)
    async with story.staged(city, engine, tracks) as stage:
        yield stage


def _engine(city: City) -> install.Engine:
    """Where the phones and the synthesizer are; the gateway has fetched it by now."""
    return install.ensure(Path(city.config.asterisk.cache_dir).expanduser(), say)


def _sentence(city: City) -> bytes:
    """What a caller hears when nobody answers, as samples."""
    return hearing.samples((city.config.prompts_dir / "rendered" / f"{SENTENCE}.wav").read_bytes())


async def _tell_story(gateway: Gateway, stage: Stage, *, as_json: bool) -> bool:
    """Plays and observes; True when all is well."""
    since, began_s = clock.now(), clock.monotonic_s()
    say("the story begins")
    scenes = await story.play(stage)
    story_s = clock.monotonic_s() - began_s
    async with gateway.store.begin() as uow:
        token = await people.create_token(uow, OBSERVER, "administrator", clock.now())
    observed = await observe(Api(gateway.http_address, token), stage, scenes, since)
    found = await asyncio.to_thread(checks, observed, _sentence(stage.city))
    for check in found:
        say(f"  {'ok   ' if check.ok else 'WRONG'} {check.name}: {check.detail}")
    told = summary(observed, found, story_s)
    say(f"the story took {story_s:.0f} s; {sum(check.ok for check in found)} of {len(found)} checks are good")
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    return bool(told["ok"])


def _welcome(city: City, gateway: Gateway) -> None:
    password = gateway.first_password or "as it was shown when this data folder was new"
    rule = "─" * 78
    say(
        f"\n{rule}\n"
        f"  演示城市 / demo city        open this address in a browser now: the story is beginning\n\n"
        f"    控制台 / console   http://{gateway.http_address}/\n"
        f"    用户名 / user      {people.FIRST_ADMINISTRATOR}\n"
        f"    口令 / password    {password}\n\n"
        f"  Ring it yourself with any SIP softphone on this machine, no account needed:\n\n"
        f"    sip:{places.LINE}@{city.config.sip.listen}    answered by the duty room, recorded\n"
        f"    sip:{places.SECOND_LINE}@{city.config.sip.listen}    not answered: leave a message\n\n"
        f"  数据 / data: {city.config.data_dir}      结束 / end: Ctrl-C\n{rule}\n"
    )
