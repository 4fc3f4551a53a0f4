"""The Makefile on other machines: with and without root, with and without the parts that only root can add.

The machine is played by scripts on PATH that write down how they were called: `id`, `apt-get`, and a `python3` whose
virtual environments consist of themselves.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.source import ROOT

PYTHON = """#!/bin/bash
echo "python $*" >> "$LOG"
case "$*" in
  *ensurepip*) test -e "$MACHINE/venv-package" ;;
  "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/pip && cp "$0" .venv/bin/dutyline ;;
  "-m pip --version") test -e .venv/pip ;;
  "engine fetch") test ! -e "$MACHINE/no-network" ;;
esac
"""
APT_GET = """#!/bin/bash
echo "apt-get $*" >> "$LOG"
case "$*" in *-venv) touch "$MACHINE/venv-package" ;; esac
case "$*" in *chromium-driver) printf '#!/bin/bash\\n' > "$MACHINE/chromium"; chmod +x "$MACHINE/chromium" ;; esac
"""
TOOLS = ("make", "awk", "chmod", "cp", "mkdir", "touch")  # what else a fresh machine has


@dataclass(frozen=True, slots=True)
class Machine:
    """A fresh machine with a checkout on it."""

    home: Path
    checkout: Path

    def become(self, user_id: int) -> None:
        self.command("id", f"#!/bin/bash\necho {user_id}\n")

    def command(self, name: str, text: str) -> None:
        path = self.home / name
        path.write_text(text)
        path.chmod(0o755)

    def make(self, *goals: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.home), "MACHINE": str(self.home), "LOG": str(self.home / "log")}
        return subprocess.run(
            ["make", *goals],
            cwd=self.checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def log(self) -> list[str]:
        path = self.home / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line for line in lines if "version_info" not in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path / "home", tmp_path / "checkout")
    found.home.mkdir()
    found.checkout.mkdir()
    shutil.copy(ROOT / "Makefile", found.checkout)
    (found.checkout / "pyproject.toml").touch()
    for tool in TOOLS:
        (found.home / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is missing on this machine"))
    found.become(1000)
    found.command("python3", PYTHON)
    found.command("apt-get", APT_GET)
    found.command("chromium", "#!/bin/bash\n")
    found.command("chromedriver", "#!/bin/bash\n")
    (found.home / "venv-package").touch()
    return found


def test_set_up_once(machine: Machine) -> None:
    done = machine.make("setup")
    assert done.returncode == 0, done.stderr
    assert [line for line in machine.log() if not line.endswith("pip --version")] == [
        "python -c import ensurepip, venv",
        "python -m venv --clear .venv",
        "python -m pip install --quiet --disable-pip-version-check -e .[dev]",
        "python engine fetch",
    ]
    assert machine.make("setup").returncode == 0
    assert machine.log() == []


def test_set_up_again_when_moved_or_emptied(machine: Machine) -> None:
    machine.make("setup")
    machine.log()
    elsewhere = Machine(machine.home, machine.checkout.rename(machine.checkout.parent / "elsewhere"))
    assert elsewhere.make("setup").returncode == 0
    assert "python engine fetch" in elsewhere.log()
    shutil.rmtree(elsewhere.checkout / ".venv")
    assert elsewhere.make("setup").returncode == 0
    assert "python -m venv --clear .venv" in elsewhere.log()


def test_interrupted_set_up_is_taken_up_again(machine: Machine) -> None:
    (machine.home / "no-network").touch()
    assert machine.make("setup").returncode != 0
    assert not (machine.checkout / ".setup-done").exists()
    (machine.home / "no-network").unlink()
    machine.log()
    assert machine.make("setup").returncode == 0
    assert "python -m venv --clear .venv" not in machine.log()


def test_half_a_virtual_environment_is_made_anew(machine: Machine) -> None:
    machine.make("setup")
    (machine.checkout / ".venv" / "pip").unlink()
    (machine.checkout / ".setup-done").unlink()
    machine.log()
    assert machine.make("setup").returncode == 0
    assert "python -m venv --clear .venv" in machine.log()


def test_missing_venv_package_stops_an_ordinary_user_with_the_remedy(machine: Machine) -> None:
    (machine.home / "venv-package").unlink()
    done = machine.make("setup")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == "missing; as root run: apt-get install -y python3-venv"
    assert not any(line.startswith("apt-get") for line in machine.log())


def test_root_adds_the_venv_package(machine: Machine) -> None:
    (machine.home / "venv-package").unlink()
    machine.become(0)
    assert machine.make("setup").returncode == 0
    called = machine.log()
    assert called.index("apt-get update -qq") < called.index(
        "apt-get install -y -qq --no-install-recommends python3-venv"
    )
    assert "python engine fetch" in called


@pytest.mark.parametrize("user_id", [0, 1000])
def test_tests_run_with_or_without_a_browser(machine: Machine, user_id: int) -> None:
    (machine.home / "chromium").unlink()
    machine.become(user_id)
    done = machine.make("test")
    assert done.returncode == 0, done.stderr
    called = machine.log()
    assert "python -m pytest -q -rs" in called
    assert any(line.endswith("chromium chromium-driver") for line in called) == (user_id == 0)
    assert ("will be reported as not run" in done.stderr) == (user_id != 0)
    assert ("apt-get install -y chromium" in done.stderr) == (user_id != 0)


def test_old_python_is_refused_by_name(machine: Machine) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        machine.command(name, "#!/bin/bash\nexit 1\n")
    done = machine.make("setup")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr


def test_help_is_the_default_and_names_every_verb(machine: Machine) -> None:
    said = machine.make().stdout
    for verb in ("setup", "run", "test", "check", "bench", "faults", "live", "clean"):
        assert f"make {verb}" in said
