"""The door to APScheduler: it wakes the process at a time of day; what is due is decided by whoever is woken.

A job that comes late (the machine slept) runs late, once: APScheduler's default would skip it after one second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway.clock import DUTY_ZONE


@contextmanager
def daily(jobs: dict[str, Callable[[], None]], *, hour: int, minute: int) -> Iterator[None]:
    """Runs each job once a day at that time in the duty offices' zone, as long as the block lasts."""
    scheduler = AsyncIOScheduler(timezone=DUTY_ZONE)
    for name, job in jobs.items():
        scheduler.add_job(
            job, "cron", hour=hour, minute=minute, id=name, misfire_grace_time=None, coalesce=True, max_instances=1
        )
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)
