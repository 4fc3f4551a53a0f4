"""The embedded engine: where it comes from, which version will do, and that a broken fetch leaves nothing half-done."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.asterisk import install
from gateway.asterisk.install import Engine, debian_source, fetch, fetched, installed, version_of
from gateway.errors import EngineError

MIRROR, KEYS = "http://mirror.example/debian", "/usr/share/keyrings/city.gpg"
DEFAULT_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def source(uri: str = MIRROR, keys: str = DEFAULT_KEYS) -> str:
    return f"Types: deb\nURIs: {uri}\nSuites: forky\nComponents: main\nSigned-By: {keys}\n"


# --- the machine's own Debian source -------------------------------------------------------------------------------

OTHER = "Types: deb\nURIs: http://security.example/debian-security\nSuites: x\nComponents: main\n"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("debian.sources", f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\n", source()),
        (
            "debian.sources",
            f"Types: deb deb-src\nURIs: {MIRROR}/\nSuites: x\nComponents: contrib main\n",
            source(f"{MIRROR}/"),
        ),
        (
            "debian.sources",
            f"{OTHER}\n# ours\nTypes: deb\nURIs: {MIRROR}\nSuites: x y\nComponents: main\nSigned-By: {KEYS}\n",
            source(keys=KEYS),
        ),
        ("debian.sources", f"Types: deb\nURIs: http://x/ubuntu {MIRROR}\nSuites: x\nComponents: main\n", source()),
        ("debian.sources", f"Enabled: yes\nTypes: deb\nURIs: {MIRROR}\nSuites: x\nComponents: main\n", source()),
        ("x.list", f"deb {MIRROR} bookworm main\n", source()),
        (
            "x.list",
            f"# deb http://y/debian x main\n  deb  [ arch=amd64 signed-by={KEYS} ]  {MIRROR}  x  main\n",
            source(keys=KEYS),
        ),
        (
            "x.list",
            f"deb-src http://y/debian x main\ndeb http://y/debian x contrib # main\ndeb {MIRROR} x main",
            source(),
        ),
    ],
)
def test_debian_source(tmp_path: Path, file: str, text: str, expected: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / file).write_text(text)
    assert debian_source(tmp_path) == expected


def test_the_old_place_counts_too(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(f"deb {MIRROR} bookworm main non-free\n")
    assert debian_source(tmp_path) == source()


def test_the_new_form_is_preferred(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://old/debian bookworm main\n")
    (tmp_path / "sources.list.d/a.sources").write_text(f"Types: deb\nURIs: {MIRROR}\nSuites: x\nComponents: main\n")
    assert debian_source(tmp_path) == source()


@pytest.mark.parametrize(
    "text",
    [
        "",
        OTHER,
        f"Enabled: no\nTypes: deb\nURIs: {MIRROR}\nSuites: x\nComponents: main\n",
        f"Types: deb-src\nURIs: {MIRROR}\nSuites: x\nComponents: main\n",
        f"Types: deb\nURIs: {MIRROR}\nSuites: x\nComponents: contrib\n",
        f"#Types: deb\n#URIs: {MIRROR}\n#Components: main\n",
    ],
)
def test_no_debian_source(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/x.sources").write_text(text)
    with pytest.raises(EngineError, match="no Debian source"):
        debian_source(tmp_path)


# --- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "version"),
    [
        ("Asterisk 22.10.1", (22, 10, 1)),
        ("Asterisk 22.9.0~dfsg+~cs6.15.60671435-1", (22, 9, 0)),
        ("Asterisk 16.28.0~dfsg-0+deb11u4", (16, 28, 0)),
        ("Asterisk certified/20.7-cert3", (20, 7)),
    ],
)
def test_version(tmp_path: Path, shown: str, version: tuple[int, ...]) -> None:
    assert version_of([str(script(tmp_path / "asterisk", f'test "$1" = -V && echo "{shown}"'))]) == version


@pytest.mark.parametrize("text", ["echo Asterisk GIT-master", "exit 1", "kill -SEGV $$"])
def test_version_that_cannot_be_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(EngineError):
        version_of([str(script(tmp_path / "asterisk", text))])
    with pytest.raises(EngineError, match="cannot be started"):
        version_of([str(tmp_path / "nothing")])


@pytest.mark.parametrize(
    ("shown", "used"), [("22.9.0", True), ("22.10.1", True), ("23.0.0", True), ("22.8.2", False), ("20.19.0", False)]
)
def test_an_installed_one_is_used_if_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, used: bool
) -> None:
    path = script(tmp_path / "asterisk", f"echo Asterisk {shown}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    engine, reason = installed()
    assert (engine == Engine(None, shown)) is used
    if not used:
        assert (engine, reason) == (None, f"{path} is Asterisk {shown}; 22.9 or later is needed, so it is not used")
    else:
        assert engine is not None
        assert engine.command("asterisk") == [str(path)]
        assert install.ensure(tmp_path / "cache", print) == engine
        assert not (tmp_path / "cache").exists(), "nothing is fetched then"


def test_tools_that_the_machine_lacks_come_from_the_fetched_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin/asterisk", "echo Asterisk 22.10.1")
    cache = tmp_path / "cache"
    for file in ("lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/espeak-ng-data/phontab"):
        script(cache / "root-1/usr" / file, "")
    (cache / "root-1/version").write_text("22.10.0")
    (cache / "current").write_text("root-1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + ":/usr/bin:/bin")
    monkeypatch.setattr(shutil, "which", which_of(tmp_path / "bin"))
    engine = install.ensure(cache, print)
    assert (engine.root, engine.version) == (None, "22.10.1")
    assert engine.command("asterisk") == [str(tmp_path / "bin/asterisk")]
    assert engine.command("sipp")[-1] == str(cache / "root-1/usr/bin/sipp")
    assert engine.environment == {"ESPEAK_DATA_PATH": str(cache / "root-1/usr/lib/x86_64-linux-gnu")}
    script(tmp_path / "bin/espeak-ng", "")
    assert engine.command("espeak-ng") == [str(tmp_path / "bin/espeak-ng")]
    assert engine.environment == {}
    assert install.own_tools(cache).command("sipp") == engine.command("sipp")


@pytest.mark.parametrize(
    ("modules", "data"),
    [
        ("lib/x86_64-linux-gnu/asterisk/modules", "share/asterisk"),
        ("lib/asterisk/modules", "var/lib/asterisk"),
        ("lib64/asterisk/modules", "share/asterisk"),
    ],
)
def test_places_of_an_installed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: str, data: str) -> None:
    prefix = tmp_path.resolve() / "opt"
    script(prefix / "sbin/asterisk", "echo Asterisk 23.0.0")
    monkeypatch.setenv("PATH", f"{prefix / 'sbin'}:{os.environ['PATH']}")
    (engine, _) = installed()
    assert engine is not None
    if not list(Path("/").glob("var/lib/asterisk/documentation")):  # this machine has none of its own
        with pytest.raises(EngineError, match=r"of Asterisk 23\.0\.0 is not found in .*opt"):
            _ = engine.data_dir
    (prefix / modules).mkdir(parents=True)
    (prefix / data / "documentation").mkdir(parents=True)
    assert (engine.modules_dir, engine.data_dir) == (prefix / modules, prefix / data)


def which_of(folder: Path) -> Callable[..., str | None]:
    """`shutil.which` of a machine that has the programs of one folder and no others."""
    return lambda name, **_: str(folder / name) if (folder / name).exists() else None


def test_one_that_is_too_old_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = script(tmp_path / "bin/asterisk", "echo Asterisk 20.6.0")
    (tmp_path / "cache/root-1").mkdir(parents=True)
    (tmp_path / "cache/root-1/version").write_text("22.10.0")
    (tmp_path / "cache/current").write_text("root-1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    said: list[str] = []
    assert install.ensure(tmp_path / "cache", said.append) == Engine(tmp_path / "cache/root-1", "22.10.0")
    (line,) = said
    assert line.startswith("embedded Asterisk 22.10.0 in ")
    assert line.endswith(f"; {old} is Asterisk 20.6.0; 22.9 or later is needed, so it is not used")


def test_nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert installed() == (None, "no Asterisk is installed on this machine")
    with pytest.raises(EngineError, match="espeak-ng is not installed"):
        Engine(None, "").command("espeak-ng")


# --- fetching ------------------------------------------------------------------------------------------------------


def package(folder: Path, version: str) -> Path:
    """A package whose `asterisk` shows a version: its loader is a script that looks at nothing else."""
    tree = folder / "tree"
    script(tree / "usr/lib/ld-linux-test.so.2", f"echo Asterisk {version}")
    (tree / "usr/lib/x86_64-linux-gnu/asterisk/modules").mkdir(parents=True, exist_ok=True)
    (tree / "DEBIAN").mkdir(exist_ok=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: asterisk\nVersion: 1:{version}\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    archive = folder / f"asterisk_{version}.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--build", tree, archive], check=True, capture_output=True)
    return archive


class Mirror:
    """Stands in for apt: hands out the same packages each time and counts."""

    def __init__(self, *archives: Path) -> None:
        self._archives = archives
        self.asked = 0

    def __call__(self, apt_dir: Path, progress: install.Progress) -> list[Path]:
        self.asked += 1
        folder = apt_dir / "cache/archives"
        folder.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(archive, folder)) for archive in self._archives]


def test_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror, told = Mirror(package(tmp_path, "22.10.1")), list[str]()
    monkeypatch.setattr(install, "_download", mirror)
    cache = tmp_path / "cache"
    engine = fetch(cache, told.append)
    assert engine.version == "22.10.1"
    assert engine.root is not None
    assert fetched(cache) == engine
    assert fetch(cache, told.append) == engine
    assert mirror.asked == 1
    loader = f"{engine.root}/usr/lib/ld-linux-test.so.2"
    command = engine.command("asterisk")
    assert (command[0], command[-3:]) == (loader, ["--argv0", "asterisk", f"{engine.root}/usr/sbin/asterisk"])
    assert engine.modules_dir == engine.root / "usr/lib/x86_64-linux-gnu/asterisk/modules"
    assert not list(cache.glob("apt/cache/archives/*.deb")), "archives are of no more use"
    assert any("22.10.1 is ready" in line for line in told)


def test_two_at_once_fetch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = Mirror(package(tmp_path, "22.10.1"))
    monkeypatch.setattr(install, "_download", mirror)
    found: list[Engine] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(tmp_path / "cache", str))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 3
    assert len({engine.root for engine in found}) == 1
    assert mirror.asked == 1


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.name not in ("apt", "fetch.lock"))


def test_an_old_version_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_download", Mirror(package(tmp_path, "22.4.0")))
    with pytest.raises(EngineError, match="older"):
        fetch(tmp_path / "cache", str)
    assert (fetched(tmp_path / "cache"), left(tmp_path / "cache")) == (None, [])


def test_a_broken_package_leaves_nothing_and_the_next_try_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = package(tmp_path, "22.10.1")
    broken = tmp_path / "broken.deb"
    broken.write_bytes(good.read_bytes()[:200])
    monkeypatch.setattr(install, "_download", Mirror(good, broken))
    with pytest.raises(EngineError, match=r"broken\.deb cannot be unpacked"):
        fetch(tmp_path / "cache", str)
    assert (fetched(tmp_path / "cache"), left(tmp_path / "cache")) == (None, [])
    monkeypatch.setattr(install, "_download", Mirror(good))
    assert fetch(tmp_path / "cache", str).version == "22.10.1"


def test_a_cache_that_was_cleared_by_hand_is_no_engine(tmp_path: Path) -> None:
    assert fetched(tmp_path) is None
    (tmp_path / "current").write_text("root-gone")
    assert fetched(tmp_path) is None


APT = """\
case "$1" in
  update) echo "Hit:1 x"; exit ${UPDATE:-0};;
esac
for word in "$@"; do
  test "$word" = --print-uris && echo "'http://x/a_1.deb' a_1.deb 10 SHA256:0" && exit 0
done
echo "Get:1 http://x forky/main amd64 asterisk amd64 1:22.10 [10 kB]"
echo "E: Failed to fetch http://x/a_1.deb  Connection timed out"
exit ${INSTALL:-0}
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an apt that says what it is told to say."""
    script(tmp_path / "bin/apt-get", APT)
    script(tmp_path / "bin/apt-config", "echo 'Acquire::http::Proxy \"http://proxy\";'")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(install, "debian_source", source)
    return tmp_path / "cache"


def test_a_download_that_breaks_says_so_and_is_kept(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTALL", "100")
    (apt / "apt/cache/archives").mkdir(parents=True)
    (apt / "apt/cache/archives/b_1.deb").touch()
    told: list[str] = []
    with pytest.raises(EngineError, match=r"Connection timed out.*goes on from there"):
        fetch(apt, told.append)
    assert (apt / "apt/cache/archives/b_1.deb").exists()
    assert "fetching 1 packages (1 are here already)" in told
    assert any("asterisk" in line and "1/1" in line for line in told), "each file is told of"


def test_lists_that_cannot_be_read(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPDATE", "100")
    with pytest.raises(EngineError, match="apt-get update failed"):
        fetch(apt, str)


def test_the_private_state_is_the_machine_s_own_with_another_suite(apt: Path) -> None:
    environment = install._apt_state(apt / "apt")
    assert (apt / "apt/etc/sources.list.d/debian.sources").read_text() == source()
    written = Path(environment["APT_CONFIG"]).read_text()
    assert 'Acquire::http::Proxy "http://proxy";' in written, "its proxy counts"
    assert f'Dir::State::status "{apt}/apt/status";' in written
    assert (apt / "apt/status").read_text() == "", "nothing is installed here"


def test_a_machine_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(EngineError, match="docker"):
        fetch(tmp_path, str)
