"""The embedded Asterisk: fetched without root, without chroot, checked by apt's own signatures.

Debian's stable suites carry no Asterisk 22; its newer suite does. A private apt state (empty dpkg status, the machine's
own Debian source with only the suite replaced) lets apt resolve, download and verify the packages as it always does;
`dpkg -x` unpacks them into a folder of ours; the programs start through that folder's own `ld-linux`, so nothing of the
machine is touched and nothing of the machine's libraries is mixed in.

    cache_dir/apt/…            lists and archives; an interrupted download goes on where it stopped
    cache_dir/root-<digest>/   the unpacked tree, complete or absent (unpacked beside, then renamed)
    cache_dir/current          the name of the tree in use

The same tree brings the synthesizer (espeak-ng) and the SIP phones that the demo city and the tests use.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.errors import EngineError

VERSION_FLOOR = (22, 9)  # 302 cause codes and cheap CEL JSON came with 22.9
SUITE = "forky"
PACKAGES = ("asterisk", "espeak-ng", "sip-tester", "baresip-core")
_PROGRAMS = {
    "asterisk": "usr/sbin/asterisk",
    "espeak-ng": "usr/bin/espeak-ng",
    "sipp": "usr/bin/sipp",
    "baresip": "usr/bin/baresip",
}

_DATA = ("share/asterisk", "var/lib/asterisk")
NOT_INSTALLED = "no Asterisk is installed on this machine"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Engine:
    """An Asterisk that can be started: its command, its modules and data, and the tools that came with it.

    `root` is the private tree, or None for an Asterisk installed on the machine; then `tools` is a private tree from
    which the tools come that the machine lacks.
    """

    root: Path | None
    version: str
    tools: Path | None = None

    @property
    def modules_dir(self) -> Path:
        """Where the loadable modules are. Raises EngineError."""
        return self._place("lib/*/asterisk/modules", "lib/asterisk/modules", "lib64/asterisk/modules")

    @property
    def data_dir(self) -> Path:
        """Asterisk's read-only data: XML documentation that its configuration framework needs. Raises EngineError."""
        return self._place(*(f"{place}/documentation" for place in _DATA)).parent

    def _place(self, *patterns: str) -> Path:
        """The first folder there is: below the tree, or around the program of an Asterisk installed on the machine.

        A distribution installs below /usr; one that was built from source keeps its data below /var, or a prefix of
        its own.
        """
        around = (
            [self.root / "usr"] if self.root else [Path(self.command("asterisk")[0]).resolve().parents[1], Path("/")]
        )
        found = next((path for folder in around for pattern in patterns for path in sorted(folder.glob(pattern))), None)
        if found is None:
            raise EngineError(f"{patterns[0]} of Asterisk {self.version} is not found in {around[0]}; reinstall it")
        return found

    def command(self, program: str) -> list[str]:
        """How to start `asterisk`, `espeak-ng`, `sipp` or `baresip`. Raises EngineError when it is not there."""
        if self.root is None:
            found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
            if found is not None:
                return [found]
            if self.tools is not None:
                return Engine(self.tools, "").command(program)
            raise EngineError(
                f"{program} is not installed on this machine; install it, or let dutyline engine fetch bring it"
            )
        libraries = next(self.root.glob("usr/lib/*-linux-gnu"))
        loader = next(self.root.glob("usr/lib*/ld-linux*.so.*"), None) or next(libraries.glob("ld-linux*.so.*"))
        binary = str(self.root / _PROGRAMS[program])
        return [str(loader), "--library-path", f"{libraries}:{libraries}/pulseaudio", "--argv0", program, binary]

    @property
    def environment(self) -> dict[str, str]:
        """What the tools need to find their data below the private tree."""
        tree = self.root
        if tree is None and shutil.which("espeak-ng") is None:  # one of the machine's own knows where its data are
            tree = self.tools
        if tree is None:
            return {}
        return {"ESPEAK_DATA_PATH": str(next(tree.glob("usr/lib/*/espeak-ng-data")).parent)}


def version_of(command: list[str]) -> tuple[int, ...]:
    """The version a program prints with -V, such as (22, 10, 1). Raises EngineError."""
    try:
        shown = subprocess.run([*command, "-V"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"{command[-1]} cannot be started: {error}") from error
    numbers = re.search(r"(\d+(?:\.\d+)+)", shown)
    if numbers is None:
        raise EngineError(f"{command[-1]} does not tell its version: {shown.strip()!r}")
    return tuple(int(part) for part in numbers[1].split("."))


def installed() -> tuple[Engine | None, str]:
    """The machine's own Asterisk if it is new enough, and otherwise why not."""
    found = shutil.which("asterisk", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        return None, NOT_INSTALLED
    version = version_of([found])
    shown = ".".join(map(str, version))
    if version < VERSION_FLOOR:
        floor = ".".join(map(str, VERSION_FLOOR))
        return None, f"{found} is Asterisk {shown}; {floor} or later is needed, so it is not used"
    return Engine(None, shown), f"{found} is Asterisk {shown}"


def fetched(cache_dir: Path) -> Engine | None:
    """The embedded engine if it was fetched before."""
    pointer = cache_dir / "current"
    if not pointer.exists():
        return None
    root = cache_dir / pointer.read_text(encoding="utf-8").strip()
    if not root.is_dir():
        return None
    return Engine(root, (root / "version").read_text(encoding="utf-8").strip())


def found(cache_dir: Path) -> tuple[Engine | None, str]:
    """The engine that is here to be used, the machine's own if new enough; and which it is, or why there is none.

    Raises EngineError when the installed one cannot be asked.
    """
    engine, reason = installed()
    cached = fetched(cache_dir)
    if engine is not None:
        return replace(engine, tools=cached.root if cached else None), reason
    if cached is None:
        return None, reason
    which = f"embedded Asterisk {cached.version} in {cached.root}"
    return cached, which if reason == NOT_INSTALLED else f"{which}; {reason}"


def own_tools(cache_dir: Path) -> Engine:
    """The programs of this machine, and of the embedded engine's tree, if it was fetched, those that it lacks."""
    cached = fetched(cache_dir)
    return Engine(None, "", cached.root if cached else None)


def ensure(cache_dir: Path, progress: Progress) -> Engine:
    """The engine to use, told of in one line: the one that is here, else the embedded one, fetched now."""
    engine, reason = found(cache_dir)
    if engine is not None:
        progress(reason)
        return engine
    progress(f"{reason}; fetching the embedded engine into {cache_dir}")
    return fetch(cache_dir, progress)


def fetch(cache_dir: Path, progress: Progress) -> Engine:
    """Fetches and unpacks the embedded engine; does nothing when it is there. Raises EngineError."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with _locked(cache_dir / "fetch.lock"):
        cached = fetched(cache_dir)
        if cached is not None:
            return cached
        archives = _download(cache_dir / "apt", progress)
        return _unpack(cache_dir, archives, progress)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two starts at once fetch once: the second waits and finds it done."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def debian_source(etc_apt: Path = Path("/etc/apt")) -> str:
    """The machine's own Debian source in deb822 form, its suite replaced. Raises EngineError.

    Only the main archive will do: its mirror, its keyring, as the machine's administrator chose them.
    """
    for path in sorted((etc_apt / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.M))
            in_use = fields.get("Enabled", "yes").strip() != "no" and "deb" in fields.get("Types", "").split()
            for uri in fields.get("URIs", "").split():
                if in_use and _is_debian_archive(uri, fields.get("Components", "")):
                    return _source(uri, fields.get("Signed-By", "").strip())
    for path in (etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*.list"))):
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            found = re.match(r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+\S+\s+(?P<rest>.*)", line)
            if found and _is_debian_archive(found["uri"], found["rest"]):
                signed_by = re.search(r"signed-by=(\S+)", found["options"] or "")
                return _source(found["uri"], signed_by[1] if signed_by else "")
    raise EngineError(
        f"no Debian source was found in {etc_apt}; the embedded Asterisk needs one. "
        "Install Asterisk 22.9 or later yourself, or use docker/"
    )


def _is_debian_archive(uri: str, components: str) -> bool:
    return uri.rstrip("/").endswith("/debian") and "main" in components.partition("#")[0].split()


def _source(uri: str, signed_by: str) -> str:
    keyring = signed_by or "/usr/share/keyrings/debian-archive-keyring.gpg"
    return f"Types: deb\nURIs: {uri}\nSuites: {SUITE}\nComponents: main\nSigned-By: {keyring}\n"


def _apt_state(apt_dir: Path) -> dict[str, str]:
    """Lays out the private apt state; gives the environment that makes apt use it."""
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/apt.conf.d",
                   "etc/preferences.d"):  # fmt: skip
        (apt_dir / folder).mkdir(parents=True, exist_ok=True)
    (apt_dir / "status").touch()
    (apt_dir / "etc/sources.list.d/debian.sources").write_text(debian_source(), encoding="utf-8")
    # The machine's proxies and retries count here too; its hooks and pins do not.
    acquire = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    settings = {
        "Dir": f"{apt_dir}/",
        "Dir::State": f"{apt_dir}/state",
        "Dir::State::status": f"{apt_dir}/status",
        "Dir::Cache": f"{apt_dir}/cache",
        "Dir::Etc": f"{apt_dir}/etc",
        "Dir::Etc::trusted": "/etc/apt/trusted.gpg",
        "Dir::Etc::trustedparts": "/etc/apt/trusted.gpg.d",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": "5",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
    }
    own = "".join(f'{name} "{value}";\n' for name, value in settings.items())
    (apt_dir / "apt.conf").write_text(acquire + own, encoding="utf-8")
    return {
        **os.environ,
        "APT_CONFIG": str(apt_dir / "apt.conf"),
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }


def _download(apt_dir: Path, progress: Progress) -> list[Path]:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise EngineError(
            "the embedded Asterisk needs apt-get and dpkg (Debian); elsewhere use docker/ or external mode"
        )
    environment = _apt_state(apt_dir)
    progress("reading the package lists")
    _apt(["update", "-q"], environment, progress, "")
    wanted = subprocess.run(
        ["apt-get", "install", "-q", "-y", "--print-uris", *PACKAGES],  # noqa: S607
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    names = re.findall(r"^'\S+' (\S+\.deb) ", wanted.stdout, re.M)
    have = {path.name for path in (apt_dir / "cache/archives").glob("*.deb")}
    if wanted.returncode:
        raise EngineError(f"the packages {', '.join(PACKAGES)} cannot be resolved: {_last_words(wanted.stderr)}")
    progress(f"fetching {len(names)} packages ({len(have)} are here already)")
    _apt(["install", "-q", "-y", "--download-only", *PACKAGES], environment, progress, f"/{len(names)}")
    return sorted((apt_dir / "cache/archives").glob("*.deb"))


def _apt(arguments: list[str], environment: dict[str, str], progress: Progress, total: str) -> None:
    """Runs apt-get, telling of each file; apt itself verifies signatures and checksums."""
    said: list[str] = []
    with subprocess.Popen(
        ["apt-get", *arguments],  # noqa: S607
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    ) as apt:  # fmt: skip
        assert apt.stdout is not None  # noqa: S101  a pipe was asked for
        for line in apt.stdout:
            said.append(line.strip())
            fetching = re.match(r"Get:(\d+) \S+ \S+ \S+ (\S+)", line)
            if fetching and total:
                progress(f"  {fetching[1]}{total} {fetching[2]}")
    if apt.returncode:
        raise EngineError(
            f"apt-get {arguments[0]} failed: {_last_words(chr(10).join(said))}. "
            "What was fetched is kept; the same command goes on from there"
        )


def _last_words(text: str) -> str:
    errors = [line for line in text.splitlines() if line.startswith(("E:", "W:", "Err:"))]
    return " ".join((errors or text.splitlines())[-3:])


def _unpack(cache_dir: Path, archives: list[Path], progress: Progress) -> Engine:
    digest = hashlib.sha256("\n".join(path.name for path in archives).encode()).hexdigest()[:12]
    progress(f"unpacking {len(archives)} packages")
    unpacking = Path(tempfile.mkdtemp(prefix="unpacking-", dir=cache_dir))
    try:
        for archive in archives:
            subprocess.run(["dpkg", "-x", str(archive), str(unpacking)], check=True, capture_output=True)  # noqa: S607
        version = version_of(Engine(unpacking, "").command("asterisk"))
        if version < VERSION_FLOOR:
            raise EngineError(f"the fetched Asterisk is {version}, older than the {VERSION_FLOOR} that is needed")
        (unpacking / "version").write_text(".".join(map(str, version)), encoding="utf-8")
        unpacking.chmod(0o755)
        root = cache_dir / f"root-{digest}"
        if not root.exists():
            unpacking.rename(root)
    except subprocess.CalledProcessError as error:
        raise EngineError(
            f"{error.cmd[-2]} cannot be unpacked: {error.stderr.decode(errors='replace').strip()}"
        ) from error
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    pointer = cache_dir / "current.new"
    pointer.write_text(root.name, encoding="utf-8")
    pointer.replace(cache_dir / "current")
    for archive in archives:  # 107 MB that nobody needs again
        archive.unlink()
    engine = Engine(root, ".".join(map(str, version)))
    progress(f"Asterisk {engine.version} is ready in {root}")
    return engine


def say(text: str) -> None:
    """Progress for a person at a terminal."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
