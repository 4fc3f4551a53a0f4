"""The configuration: one frozen value, checked once at the door.

A TOML file, then `DUTYLINE_<SECTION>_<KEY>` from the environment (the environment wins). Unknown keys are faults: a
misspelt key that is silently ignored is a duty line that is silently not recorded. Every field's description is its
line in the generated reference and in `dutyline.example.toml`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ENV_PREFIX = "DUTYLINE_"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def split_address(value: str) -> tuple[str, int]:
    """`127.0.0.1:5060` → `("127.0.0.1", 5060)`; `[::1]:5060` works too. Raises ValueError."""
    host, separator, port = value.rpartition(":")
    if not separator or not port.isdecimal() or not 0 <= int(port) <= 65535 or not host:
        raise ValueError(f"'{value}' is not an address; write host:port, for example 127.0.0.1:5060")
    return host.strip("[]"), int(port)


def _address(value: str) -> str:
    split_address(value)
    return value


Address = Annotated[str, AfterValidator(_address)]


class Http(_Section):
    """The console and the API."""

    listen: Address = Field("127.0.0.1:8080", description="address and port of the console and the API")


class Sip(_Section):
    """Where phones and trunks reach us."""

    listen: Address = Field("127.0.0.1:5060", description="address and port for SIP over UDP and TCP")
    rtp_ports: str = Field("10000-19999", description="UDP ports for speech, first-last")
    realm: str = Field("dutyline", description="realm of the phones' passwords; changing it invalidates them all")

    @field_validator("rtp_ports")
    @classmethod
    def _range(cls, value: str) -> str:
        first, _, last = value.partition("-")
        if not (first.isdecimal() and last.isdecimal() and 1024 <= int(first) < int(last) <= 65535):
            raise ValueError(f"'{value}' is not a port range; write first-last between 1024 and 65535")
        return value


class Database(_Section):
    """Where call events, recordings' facts and audits are kept."""

    url: str = Field(
        "sqlite:///{data_dir}/dutyline.db",
        description="sqlite:///path, or postgresql://user@host/name; {data_dir} stands for the data folder",
    )

    @field_validator("url")
    @classmethod
    def _scheme(cls, value: str) -> str:
        if value.partition(":")[0] not in ("sqlite", "postgresql"):
            raise ValueError("the database is sqlite:///path or postgresql://user@host/name")
        return value


class Asterisk(_Section):
    """The telephone engine."""

    mode: Literal["embedded", "external"] = Field(
        "embedded", description="embedded: we fetch, start and watch it; external: you run it, we use it"
    )
    cache_dir: str = Field(
        "~/.cache/dutyline", description="where the embedded engine is kept, shared by all instances"
    )
    config_dir: str = Field(
        "/etc/asterisk", description="external mode: the folder of the running Asterisk's configuration"
    )
    ari_url: str = Field(
        "", description="external mode: for example http://127.0.0.1:8088; embedded: chosen at first start"
    )
    ari_user: str = Field("dutyline", description="account for ARI; the only one with write access")
    ari_secret_file: str = Field("", description="external mode: file holding the ARI password, mode 0600")
    agi_listen: Address = Field(
        "127.0.0.1:0", description="FastAGI; port 0 chooses a free one at first start and keeps it"
    )
    hep_listen: Address = Field("127.0.0.1:0", description="collector of raw SIP copies; port 0 as above")
    node: str = Field("node1", description="name of this node: part of every call id, so unique in the city")


class Inbound(_Section):
    """What a caller meets."""

    ring_timeout_s: int = Field(60, ge=5, le=300, description="a line without its own value rings this long")
    message_max_s: int = Field(180, ge=10, le=1800, description="longest message after an unanswered call")
    announce_recording: bool = Field(False, description="tell callers that the call is recorded, before it rings")


class Recording(_Section):
    """Recording of duty lines."""

    failure_policy: Literal["answer-and-announce", "refuse"] = Field(
        "answer-and-announce",
        description="when a call cannot be recorded: connect it and say so to both sides, or refuse it with a sentence",
    )
    stalled_after_s: float = Field(
        4.0, ge=2.5, le=5.0, description="no growth of a running recording for this long raises the alarm"
    )
    min_free_mb: int = Field(500, ge=0, description="less free disk than this raises the alarm")


class Rollcall(_Section):
    """Unannounced roll-calls."""

    ring_timeout_s: int = Field(60, ge=5, le=300, description="a called unit's phone rings this long")


class Prompts(_Section):
    """Spoken sentences. A WAV named like a prompt in `<data_dir>/prompts` wins over synthesis."""

    command: str = Field(
        "",
        description="another synthesizer: a command with {text_file} and {wav_file}; empty: espeak-ng",
    )
    voice: str = Field("cmn", description="espeak-ng voice")
    speed_wpm: int = Field(150, ge=80, le=300, description="espeak-ng speed in words per minute")


class Config(_Section):
    """The whole configuration."""

    data_dir: Path = Field(Path("var"), description="everything that is written lies below it")
    http: Http = Field(default_factory=Http)
    sip: Sip = Field(default_factory=Sip)
    database: Database = Field(default_factory=Database)
    asterisk: Asterisk = Field(default_factory=Asterisk)
    inbound: Inbound = Field(default_factory=Inbound)
    recording: Recording = Field(default_factory=Recording)
    rollcall: Rollcall = Field(default_factory=Rollcall)
    prompts: Prompts = Field(default_factory=Prompts)

    @property
    def recordings_dir(self) -> Path:
        """Sealed recordings by date; `live/` below it holds those being captured."""
        return self.data_dir / "recordings"

    @property
    def live_dir(self) -> Path:
        """Where Asterisk writes recordings while the call lasts."""
        return self.recordings_dir / "live"

    @property
    def journal_dir(self) -> Path:
        """Journals: facts on disk before they are rows."""
        return self.data_dir / "journal"

    @property
    def sip_journal_dir(self) -> Path:
        """The keeper's journal of raw SIP."""
        return self.journal_dir / "sip"

    @property
    def run_dir(self) -> Path:
        """Rendered engine configuration, sockets and process ids; private."""
        return self.data_dir / "run"

    @property
    def prompts_dir(self) -> Path:
        """Recorded prompts by the owner; `rendered/` below it holds the synthesized ones."""
        return self.data_dir / "prompts"

    def make_data_dir(self) -> None:
        """Makes the data folder, closed to others unless an Asterisk of another account must write into it."""
        mode = 0o700 if self.asterisk.mode == "embedded" else 0o755
        for folder in (self.data_dir, self.recordings_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=mode)

    @property
    def database_url(self) -> str:
        """The database URL with the data folder filled in."""
        return self.database.url.replace("{data_dir}", str(self.data_dir))


def sections() -> dict[str, type[BaseModel]]:
    """The sections of the file by name."""
    return {
        name: field.annotation
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def variable(*path: str) -> str:
    """The environment variable of a key: `http`, `listen` → `DUTYLINE_HTTP_LISTEN`."""
    return ENV_PREFIX + "_".join(path).upper()


def _from_environment(tree: dict[str, Any], environment: dict[str, str]) -> None:
    if variable("data_dir") in environment:
        tree["data_dir"] = environment[variable("data_dir")]
    for section, model in sections().items():
        given = {
            key: environment[variable(section, key)]
            for key in model.model_fields
            if variable(section, key) in environment
        }
        misspelt = {name for name in environment if name.startswith(variable(section, ""))}
        misspelt -= {variable(section, key) for key in model.model_fields}
        if misspelt:
            raise ConfigError(f"{', '.join(sorted(misspelt))}: there is no such key in [{section}]")
        if given and isinstance(tree.setdefault(section, {}), dict):
            tree[section] |= given


def _sentence(fault: ErrorDetails, source: str, environment: dict[str, str]) -> str:
    path = [str(step) for step in fault["loc"]]
    where = variable(*path) if variable(*path) in environment else f"{source}: {'.'.join(path)}"
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}"


def load(path: Path | None = None, environment: dict[str, str] | None = None) -> Config:
    """The configuration from `path` (or the defaults) and the environment.

    Relative paths in the file mean relative to the folder `dutyline` is started in. Raises ConfigError.
    """
    tree: dict[str, Any] = {}
    environment = dict(os.environ) if environment is None else environment
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Notepad puts a byte order mark first
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or what breaks the reader itself
            raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    _from_environment(tree, environment)
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        source = str(path or "configuration")
        faults = [_sentence(fault, source, environment) for fault in error.errors()]
        raise ConfigError("\n".join(faults)) from error
    return config.model_copy(update={"data_dir": config.data_dir.expanduser().absolute()})
