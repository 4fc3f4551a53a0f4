"""The composition root: the parts are built from the configuration, started in a list, stopped in reverse.

    1 lock            one gateway for one data folder
    2 database        everything else reports into it
    3 prompts         what the engine plays
    4 FastAGI         listening before Asterisk can ask
    5 Asterisk        by its keeper: started, or found running and adopted
    6 journals        what happened while we were away is stored first
    7 recordings      they rest on what the journals say
    8 people          last: what they see is true from the first page on

Stopping runs upwards: people are let go first; calls are ended so that their recordings are closed and sealed; then
Asterisk; the database last. A gateway that is killed does none of this, and nothing depends on it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import structlog

from gateway import clock, control
from gateway.asterisk import install, pulse
from gateway.asterisk.agi import AgiServer
from gateway.asterisk.ari import Ari
from gateway.asterisk.cel_journal import CelJournal
from gateway.asterisk.engine import Engine
from gateway.asterisk.sip_journal import SipJournal
from gateway.audio import prompts
from gateway.audio.files import PydubSoundFiles
from gateway.config import Config, split_address
from gateway.core.cel import CelEvent
from gateway.duties import Duties
from gateway.errors import ConfigError, EngineError, StoreError
from gateway.machine import keep_memory_together
from gateway.node import Node
from gateway.ports import Store, UnitOfWork
from gateway.scheduler import daily
from gateway.services.engine_watch import EngineWatch
from gateway.services.evidence import Evidence
from gateway.services.forwarding import ForwardingWatch
from gateway.services.journal import Ingester
from gateway.services.live import LiveHub
from gateway.services.lost_calls import LostCalls
from gateway.services.missed_calls import MissedCalls
from gateway.services.recording_watch import GrowthWatch
from gateway.services.recordings import Recordings
from gateway.store.engine import open_store
from gateway.store.migrate import migrate
from gateway.web import auth
from gateway.web.app import create_app, serve
from gateway.web.parts import WebParts

log = structlog.get_logger(__name__)

ENGINE_READY_S = 20.0
CALLS_ENDED_S = 5.0
LOOK_S = 0.05
LAG_FAULT_S = 30.0  # this far behind the journal we are not ready, though nothing is lost
PULSE_S = 2.0

Progress = Callable[[str], None]


@dataclass(slots=True)
class Gateway:
    """A running gateway, as the commands see it."""

    config: Config
    store: Store
    engine: Engine
    ari: Ari
    node: Node
    live: LiveHub
    sounds: PydubSoundFiles
    duties: Duties
    ingester: Ingester
    recordings: Recordings
    watch: EngineWatch
    growth: GrowthWatch
    journals: tuple[CelJournal, SipJournal]
    first_password: str | None
    http_address: str = ""

    async def faults(self) -> Mapping[str, str]:
        """Part → what is wrong with it; empty when all is well."""
        found = {**self.duties.faults, **self.watch.faults}
        if not self.ari.connected.is_set():
            found.setdefault("ari", "Asterisk's event stream is not connected")
        if self.ingester.fault is not None or self.ingester.lag_s > LAG_FAULT_S:
            found["journal"] = f"delayed by {self.ingester.lag_s:.0f} s: {self.ingester.fault or 'catching up'}"
        if self.growth.fault:
            found["alarms"] = self.growth.fault
        if not self.config.live_dir.is_dir():
            found["recordings"] = f"{self.config.live_dir} is not there; calls cannot be recorded"
        return found

    def rotate_journals(self) -> None:
        """New journal files begin; the old ones stay beside them."""
        for journal in self.journals:
            journal.rotate(clock.now())

    async def status(self) -> str:
        """What a person at this machine asks first, as JSON."""
        return json.dumps({"console": f"http://{self.http_address}/", "faults": dict(await self.faults())})


@asynccontextmanager
async def running(config: Config, progress: Progress, leash: int = 0) -> AsyncIterator[Gateway]:
    """A gateway for as long as the block lasts. Raises ConfigError, EngineError, StoreError when it cannot start.

    `leash`: Asterisk ends when that process does; 0 lets it outlive a killed gateway.
    """
    keep_memory_together()
    async with AsyncExitStack() as stack:
        stack.enter_context(_only_one(config))
        program = await asyncio.to_thread(_program, config, progress)
        await migrate(config.database_url)
        store = await open_store(config.database_url)
        stack.push_async_callback(store.close)
        await asyncio.to_thread(prompts.render, config.prompts_dir, _synthesizer(config, program))
        gateway = await _assemble(config, store, Engine(config, program))
        stack.callback(gateway.sounds.close)
        await _start_engine(gateway, stack, leash)
        await gateway.recordings.recover()
        stack.enter_context(daily({"rotate_journals": gateway.rotate_journals}, hour=3, minute=17))
        await _serve_people(gateway, stack)
        progress(f"console http://{gateway.http_address}/")
        yield gateway


@contextmanager
def _only_one(config: Config) -> Iterator[None]:
    config.make_data_dir()
    config.run_dir.mkdir(exist_ok=True, mode=0o700)
    with (config.run_dir / "gateway.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"a gateway is running on {config.data_dir} already") from None
        yield


def _program(config: Config, progress: Progress) -> install.Engine | None:
    if config.asterisk.mode == "external":
        return None
    return install.ensure(Path(config.asterisk.cache_dir).expanduser(), progress)


def _synthesizer(config: Config, program: install.Engine | None) -> prompts.Synthesizer:
    if config.prompts.command:
        return prompts.other_synthesizer(config.prompts.command)
    tools = program or install.own_tools(Path(config.asterisk.cache_dir).expanduser())
    return prompts.espeak(
        tools.command("espeak-ng"),
        voice=config.prompts.voice,
        speed_wpm=config.prompts.speed_wpm,
        environment=tools.environment,
    )


async def _assemble(config: Config, store: Store, engine: Engine) -> Gateway:
    """Builds the services and ties them together; nothing runs yet."""
    async with store.begin() as uow:
        inventory = await uow.inventory.current()
        first_password = await auth.ensure_first_administrator(uow, clock.now())
    ari = Ari(engine.ari_url, config.asterisk.ari_user, engine.ari_secret)
    node = Node(config, store, engine, ari, inventory)
    live, duties, sounds = LiveHub(), Duties(), PydubSoundFiles(config.data_dir / "cache")
    recordings = Recordings(
        store=store, sounds=sounds, feed=live, folder=config.recordings_dir, calls_alive=node.calls_alive
    )
    forwarding = ForwardingWatch(store, live, lambda: node.directory, lambda: ingester.lag_s)
    missed = MissedCalls(live)

    async def on_events(uow: UnitOfWork, events: list[CelEvent]) -> None:
        for story in (recordings, forwarding, missed):
            await story.on_events(uow, events)

    journal = CelJournal(config.journal_dir, config.asterisk.node)
    sip_journal = SipJournal(config.sip_journal_dir, config.asterisk.node)
    ingester = Ingester(store, journal, live, units_of=node.units_of, on_events=on_events)
    lost = LostCalls(store, journal, next_start=ari.next_start, channels=ari.channel_ids, lag_s=lambda: ingester.lag_s)
    watch = _engine_watch(config, store, live, engine, ari, node)
    growth = _growth_watch(config, store, live, sounds, node, recordings)
    for name, duty in {
        "journal": ingester.run,
        "lost_calls": lost.run,
        "sip_evidence": Evidence(sip_journal, store, forwarding.on_message).run,
        "engine_log": Evidence(engine.log(), store, forwarding.on_log_line).run,
        "recordings": recordings.run,
        "recording_watch": growth.run,
        "engine_watch": watch.run,
    }.items():
        duties.plan(name, duty)
    journals = (journal, sip_journal)
    return Gateway(
        config, store, engine, ari, node, live, sounds, duties, ingester, recordings, watch, growth, journals,
        first_password,
    )  # fmt: skip


def _growth_watch(
    config: Config, store: Store, live: LiveHub, sounds: PydubSoundFiles, node: Node, recordings: Recordings
) -> GrowthWatch:
    return GrowthWatch(
        store=store,
        sounds=sounds,
        feed=live,
        folder=config.recordings_dir,
        begun=recordings.begun,
        is_call_alive=node.is_call_alive,
        on_stalled=node.recording_stalled,
        stalled_after_s=config.recording.stalled_after_s,
        min_free_mb=config.recording.min_free_mb,
    )


def _engine_watch(config: Config, store: Store, live: LiveHub, engine: Engine, ari: Ari, node: Node) -> EngineWatch:
    host, port = split_address(config.sip.listen)
    return EngineWatch(
        asks={"engine": lambda: pulse.sip_answers(host, port, PULSE_S), "ari": ari.ping},
        starts=lambda: engine.starts,
        restart=engine.kill_hanging,
        guard=node.guard_keeper,
        store=store,
        live=live,
    )


async def _start_engine(gateway: Gateway, stack: AsyncExitStack, leash: int) -> None:
    """FastAGI, Asterisk, ARI, then the duties that follow what Asterisk writes."""
    async with gateway.store.begin() as uow:
        inventory = await uow.inventory.current()
    agi = AgiServer(*split_address(gateway.engine.addresses.agi), gateway.node.answer)
    agi.start()
    stack.callback(agi.stop)
    changed = gateway.engine.prepare(inventory)
    stack.push_async_callback(gateway.engine.stop)
    adopted = await gateway.engine.start(changed, leash)
    await stack.enter_async_context(gateway.ari)
    await _until_ready(gateway.ari)
    if adopted:
        await gateway.node.reload(changed)
    gateway.duties.begin()
    stack.push_async_callback(gateway.duties.end)
    stack.push_async_callback(_end_calls, gateway)


async def _until_ready(ari: Ari) -> None:
    try:
        await asyncio.wait_for(ari.connected.wait(), ENGINE_READY_S)
    except TimeoutError:
        raise EngineError(
            f"Asterisk's ARI did not answer within {ENGINE_READY_S:.0f} s; its log is run/log/messages.log"
        ) from None


async def _end_calls(gateway: Gateway) -> None:
    """Ends what is going on and waits, for a while, until it is recorded as over and sealed."""
    if gateway.config.asterisk.mode == "external":
        return  # not our Asterisk to silence
    deadline_s = clock.monotonic_s() + CALLS_ENDED_S
    try:
        for channel_id in await gateway.ari.channel_ids():
            await gateway.ari.hang_up(channel_id)
        # Asterisk and the journal take their time; both are looked at, not assumed.
        while await gateway.ari.channel_ids() or await _unsealed(gateway.store):
            if clock.monotonic_s() > deadline_s:
                break
            await asyncio.sleep(LOOK_S)
    except (EngineError, StoreError) as error:
        log.warning("calls_not_ended_in_order", error=str(error))  # what is left is recovered at the next start


async def _unsealed(store: Store) -> bool:
    async with store.begin() as uow:
        return bool(await uow.recordings.capturing())


async def _serve_people(gateway: Gateway, stack: AsyncExitStack) -> None:
    """The console and the API, and the socket for commands on this machine."""
    config = gateway.config
    app = create_app(
        WebParts(
            store=gateway.store,
            live=gateway.live,
            health=gateway,
            sounds=gateway.sounds,
            recordings_dir=config.recordings_dir,
            version=version("dutyline"),
            journal_lag_s=lambda: gateway.ingester.lag_s,
            waiting_alarms=gateway.growth.waiting_alarms,
        )
    )
    try:
        host, port = await stack.enter_async_context(serve(app, *split_address(config.http.listen)))
    except OSError as error:
        raise ConfigError(f"http.listen: {config.http.listen} cannot be used: {error.strerror}") from error
    gateway.http_address = f"{host}:{port}"
    verbs = {"inventory_changed": gateway.node.inventory_changed, "status": gateway.status}
    await stack.enter_async_context(control.listening(config.run_dir / "control.sock", verbs))
