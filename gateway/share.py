"""Where the files are that are no Python: dial plans, migrations, the example configuration.

In a checkout they are folders of the repository; in an installed wheel they lie in `gateway/_share` (`force-include` in
`pyproject.toml` puts them there).
"""

from __future__ import annotations

from pathlib import Path

from gateway.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent
_IN_REPOSITORY = {
    "dialplans": "dialplans",
    "migrations": "db/migrations",
    "dutyline.example.toml": "dutyline.example.toml",
}


def share(name: str) -> Path:
    """The path of `dialplans`, `migrations` or `dutyline.example.toml`."""
    installed = _PACKAGE / "_share" / name
    if installed.exists():
        return installed
    beside = _PACKAGE.parent / _IN_REPOSITORY[name]
    if beside.exists():
        return beside
    raise ConfigError(f"The installation is incomplete: {installed} is missing. Install the package again.")
