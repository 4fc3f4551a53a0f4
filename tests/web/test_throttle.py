from __future__ import annotations

from gateway.web.throttle import FORGET_AFTER_S, FREE_FAILURES, FREE_FAILURES_OF_ADDRESS, LONGEST_WAIT_S, LoginThrottle


def failing(times: int, name: str = "a", address: str = "1") -> LoginThrottle:
    throttle = LoginThrottle()
    for _ in range(times):
        throttle.tried(name, address, 0.0)
    return throttle


def test_a_few_failures_are_free() -> None:
    assert failing(FREE_FAILURES).wait_s("a", "1", 0.0) == 0.0


def test_wait_doubles_up_to_a_minute() -> None:
    waits = [failing(FREE_FAILURES + more).wait_s("a", "1", 0.0) for more in (1, 2, 3, 20)]
    assert waits == [2.0, 4.0, 8.0, LONGEST_WAIT_S]


def test_nobody_is_locked_out_for_ever() -> None:
    throttle = failing(25)
    assert throttle.wait_s("a", "1", LONGEST_WAIT_S) == 0.0
    throttle.tried("a", "1", FORGET_AFTER_S)
    assert throttle.wait_s("a", "1", FORGET_AFTER_S) == 0.0


def test_a_stranger_cannot_lock_out_a_clerk() -> None:
    assert failing(20).wait_s("a", "2", 0.0) == 0.0


def test_many_names_from_one_address() -> None:
    throttle = LoginThrottle()
    for number in range(FREE_FAILURES_OF_ADDRESS + 1):
        throttle.tried(f"name{number}", "1", 0.0)
    assert throttle.wait_s("another", "1", 0.0) == 2.0


def test_success_forgets() -> None:
    throttle = failing(FREE_FAILURES)
    throttle.tried("a", "1", 0.0)
    throttle.succeeded("a", "1")
    assert throttle.wait_s("a", "1", 0.0) == 0.0
