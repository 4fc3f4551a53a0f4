from __future__ import annotations

import pytest

from gateway.core.roles import GRANTED, PERMISSIONS, ROLES, Permission, Role, as_role, may


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("administrator", set(PERMISSIONS)),
        ("general_office", {"read", "play", "download", "export", "clear_alarms"}),
        ("clerk", {"read", "play", "clear_alarms"}),
        ("auditor", {"read", "read_audits", "export"}),
    ],
)
def test_table(role: Role, allowed: set[Permission]) -> None:
    assert {permission for permission in PERMISSIONS if may(role, permission)} == allowed


def test_every_role_has_a_row() -> None:
    assert set(GRANTED) == set(ROLES)


def test_names() -> None:
    assert as_role("clerk") == "clerk"
    with pytest.raises(ValueError, match="allowed: administrator, general_office, clerk, auditor"):
        as_role("root")
