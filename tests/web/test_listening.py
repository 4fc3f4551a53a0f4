from __future__ import annotations

import pytest

from gateway.web.listening import SLACK_S, Listenings

SIZE, LENGTH_S = 1_000_000, 100.0


def asked(listenings: Listenings, first_byte: int, now_s: float) -> bool:
    opens = listenings.opens("key", first_byte, SIZE, LENGTH_S, now_s)
    if opens:
        listenings.opened("key", now_s)
    return opens


def test_a_player_that_seeks_is_one_listening() -> None:
    listenings = Listenings()
    starts = [0, 500_000, 990_000, 200_000]
    assert [asked(listenings, start, at) for at, start in enumerate(starts)] == [True, False, False, False]


def test_from_the_start_again_is_another() -> None:
    listenings = Listenings()
    assert [asked(listenings, start, at) for at, start in enumerate((0, 0))] == [True, True]


@pytest.mark.parametrize("first_byte", [1, 44, SIZE // 2, SIZE - 1])
def test_hiding_by_not_starting_at_zero_does_not_work(first_byte: int) -> None:
    assert asked(Listenings(), first_byte, 0.0)


def test_byte_one_is_the_start_too() -> None:
    listenings = Listenings()
    assert [asked(listenings, 1, at) for at in range(3)] == [True, True, True]


def test_hiding_behind_an_old_row_does_not_work() -> None:
    listenings = Listenings()
    assert asked(listenings, 0, 0.0)
    assert not asked(listenings, SIZE // 2, 2 * LENGTH_S + SLACK_S)
    assert asked(listenings, SIZE // 2, 2 * LENGTH_S + SLACK_S + 1)


def test_each_key_for_itself() -> None:
    listenings = Listenings()
    listenings.opened("mine", 0.0)
    assert listenings.opens("yours", SIZE // 2, SIZE, LENGTH_S, 1.0)
