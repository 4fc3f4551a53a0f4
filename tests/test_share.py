"""Files that are no Python are found in a checkout and in an installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import share as module
from gateway.errors import ConfigError
from gateway.share import share


@pytest.mark.parametrize("name", ["dialplans", "migrations", "dutyline.example.toml"])
def test_a_checkout_has_them_all(name: str) -> None:
    assert share(name).exists()


def test_an_installation_has_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "gateway"
    (package / "_share" / "migrations").mkdir(parents=True)
    monkeypatch.setattr(module, "_PACKAGE", package)
    assert share("migrations") == package / "_share" / "migrations"
    with pytest.raises(ConfigError, match="incomplete"):
        share("dialplans")
