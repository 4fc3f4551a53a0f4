"""Who may do what: one table. To read, to hear, to take away and to export are four different rights.

The regulation asks for recorded lines (art. 9) and for checks that name people (art. 17, 18); a person whose voice is
on file must be able to ask who heard it. So hearing (`play`) is not included in reading, taking a copy out of the
building (`download`, `export`) is not included in hearing, and whoever reads the access log need not hear a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

Role = Literal["administrator", "general_office", "clerk", "auditor"]
Permission = Literal[
    "read",  # calls, legs, events, recordings' facts, forward attempts, alarms, live news
    "play",  # hear a recording
    "download",  # take a recording away as a file
    "export",  # take a list away as a file
    "clear_alarms",
    "read_audits",
    "manage_people",  # users and tokens
]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)

GRANTED: Final[Mapping[Role, frozenset[Permission]]] = {
    "administrator": frozenset(PERMISSIONS),
    "general_office": frozenset({"read", "play", "download", "export", "clear_alarms"}),
    "clerk": frozenset({"read", "play", "clear_alarms"}),
    "auditor": frozenset({"read", "read_audits", "export"}),
}


def as_role(name: str) -> Role:
    """`name` as a role; raises ValueError that lists the roles."""
    for role in ROLES:
        if role == name:
            return role
    raise ValueError(f"'{name}' is not a role; allowed: {', '.join(ROLES)}")


def may(role: Role, permission: Permission) -> bool:
    """Whether `role` has `permission`."""
    return permission in GRANTED[role]
