"""Where the texts that are not Python are found: beside the package in an installed wheel, at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_IN_WHEEL = Path(__file__).parent / "_share"
_IN_CHECKOUT = {"migrations": "db/migrations"}


def share(name: str) -> Path:
    """The path of `dialplans`, `migrations` or `dutyline.example.toml`."""
    inside = _IN_WHEEL / name
    return inside if inside.exists() else Path(__file__).parents[1] / _IN_CHECKOUT.get(name, name)
