"""The parts of the documentation that are generated: what can be derived is not kept by hand.

    module docstrings  ──►  the module map       in README.md and README.zh-CN.md, between markers
    gateway/config.py  ──►  the configuration reference there, and dutyline.example.toml
    dialplans/*.j2     ──►  docker/asterisk/etc: what the container's Asterisk has beyond `asterisk render`

`python -m gateway.docs map|config|docker` writes them; `check` says which are stale and exits with 1. The Chinese of
keys and rooms stands in `gateway/docs_zh.py`; a key without Chinese is a fault, so the languages cannot drift apart.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

from gateway.asterisk import conf
from gateway.config import Config, load, sections
from gateway.core.inventory import Inventory
from gateway.docs_zh import HEADER_ZH, KEYS_ZH, MAP_HEADER_ZH, ROOMS_ZH, TABLE_HEADER_ZH
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("core", "services", "asterisk", "radio", "audio", "store", "web")  # the order in which a reader meets them
EXAMPLE = "dutyline.example.toml"
CONTAINER_ETC = Path("docker/asterisk/etc")
PARTS: Final = frozenset({"map", "config", "docker"})
SENTENCE_END = re.compile(r"(?<=[.!?])(?<!art\.) (?=[A-Z`<])")

Language = Literal["en", "zh"]
READMES: Final[dict[str, Language]] = {"README.md": "en", "README.zh-CN.md": "zh"}


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key: `http.listen`, its default as TOML, what it means and what it accepts."""

    section: str
    name: str
    default: str
    description: str
    accepts: str

    @property
    def path(self) -> str:
        """As it is written in messages: `http.listen`."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def chinese(self) -> str:
        """Its Chinese description. Raises ConfigError when nobody wrote one."""
        if self.path not in KEYS_ZH:
            raise ConfigError(f"gateway/docs_zh.py: no Chinese description of {self.path}")
        return KEYS_ZH[self.path]


def first_sentence(docstring: str) -> str:
    """The first sentence of the first paragraph, on one line."""
    paragraph = " ".join(docstring.strip().split("\n\n", 1)[0].split())
    return SENTENCE_END.split(paragraph, maxsplit=1)[0]


def _purpose(module: Path) -> str:
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    return first_sentence(docstring).replace("|", "\\|") if docstring else "(no docstring)"


def _rooms(package: Path) -> list[str]:
    found = {folder.parent.name for folder in package.glob("*/__init__.py")}
    return ["", *(room for room in ROOMS if room in found), *sorted(found.difference(ROOMS))]


def _room_zh(room: str) -> str:
    if room not in ROOMS_ZH:
        raise ConfigError(f"gateway/docs_zh.py: no Chinese description of the room {room}")
    return ROOMS_ZH[room]


def module_map(package: Path, language: Language) -> str:
    """A Markdown table of every module of `package`, room by room, from the modules' own first sentences."""
    lines = list(MAP_HEADER_ZH) if language == "zh" else ["| Module | What it is for |", "|---|---|"]
    for room in _rooms(package):
        folder = package / room
        purpose = _room_zh(room) if language == "zh" else _purpose(folder / "__init__.py")
        title = f"{package.name}/{room}/" if room else f"{package.name}/"
        lines.append(f"| **`{title}`** | **{purpose}** |")
        lines += [
            f"| `{title}{module.name}` | {_purpose(module)} |"
            for module in sorted(folder.glob("*.py"))
            if module.name != "__init__.py"
        ]
    return "\n".join(lines)


def _accepts(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(str(choice) for choice in get_args(field.annotation))
    bounds: dict[str, Any] = {}
    for constraint in field.metadata:
        bounds |= {side: getattr(constraint, side) for side in ("ge", "le") if hasattr(constraint, side)}
    if "ge" in bounds and "le" in bounds:
        return f"{bounds['ge']}-{bounds['le']}"
    return f">= {bounds['ge']}" if "ge" in bounds else ""


def _key(section: str, name: str, field: FieldInfo) -> Key:
    default = str(field.default) if isinstance(field.default, Path) else field.default
    # JSON of a string, a number or a truth value is TOML too.
    return Key(section, name, json.dumps(default, ensure_ascii=False), field.description or "", _accepts(field))


def config_keys() -> list[Key]:
    """Every configuration key, in the order of the file."""
    found = [_key("", name, field) for name, field in Config.model_fields.items() if name not in sections()]
    for section, model in sections().items():
        found += [_key(section, name, field) for name, field in model.model_fields.items()]
    return found


def config_table(language: Language) -> str:
    """The configuration reference as a Markdown table."""
    lines = (
        list(TABLE_HEADER_ZH) if language == "zh" else ["| Key | Default | Accepts | Meaning |", "|---|---|---|---|"]
    )
    for key in config_keys():
        meaning = (key.chinese if language == "zh" else key.description).replace("|", "\\|")
        lines.append(f"| `{key.path}` | `{key.default}` | {key.accepts} | {meaning} |")
    return "\n".join(lines)


def example_toml() -> str:
    """A configuration file with every key at its default, explained in both languages."""
    lines = [*HEADER_ZH, ""]
    section = ""
    for key in config_keys():
        if key.section != section:
            section = key.section
            purpose = first_sentence(sections()[section].__doc__ or "")
            lines += ["", f"# {purpose}", f"[{section}]"]
        accepts = f" ({key.accepts})" if key.accepts else ""
        lines += [f"# {key.description}{accepts}", f"# {key.chinese}", f"{key.name} = {key.default}"]
    return "\n".join(lines) + "\n"


def between(text: str, marker: str, content: str) -> str:
    """`text` with what stands between the markers replaced. Raises ConfigError when they are not there once each."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ConfigError(f"the markers {begin} and {end} must stand once each, in this order")
    head, tail = text[: text.index(begin)], text[text.index(end) + len(end) :]
    return f"{head}{begin}\n{content}\n{end}{tail}"


def container_etc(config: Config) -> dict[str, str]:
    """The container's `/etc/asterisk` without what `dutyline asterisk render` writes, which is included by name."""
    log_dir = config.run_dir / "log"
    places = conf.Places(
        etc_dir=Path("/etc/asterisk"),
        modules_dir=Path("/usr/lib/asterisk/modules"),  # the image links it there, whatever the architecture
        engine_data_dir=Path("/usr/share/asterisk"),
        var_dir=Path("/var/lib/asterisk"),
        spool_dir=Path("/var/spool/asterisk"),
        socket_dir=Path("/run/asterisk"),
        log_dir=log_dir,
        agi_address=config.asterisk.agi_listen,
        hep_address=config.asterisk.hep_listen,
        ari_address=config.asterisk.ari_url.removeprefix("http://"),
        ari_secret="",
    )
    files = conf.render(config, Inventory(), places)
    for name in conf.EXTERNAL_TEMPLATES:
        files[f"{name}.conf"] = f"; Written by `dutyline asterisk render`.\n#include dutyline/{name}.conf\n"
    return files


def generated(root: Path, parts: frozenset[str]) -> dict[Path, str]:
    """What the generated files should hold. `parts`: any of PARTS."""
    files: dict[Path, str] = {}
    if "docker" in parts:
        config = load(root / "docker/gateway/dutyline.toml", {})
        files |= {root / CONTAINER_ETC / name: text for name, text in container_etc(config).items()}
    if not parts & {"map", "config"}:
        return files
    for name, language in READMES.items():
        text = (root / name).read_text(encoding="utf-8")
        if "map" in parts:
            text = between(text, "map", module_map(root / "gateway", language))
        if "config" in parts:
            text = between(text, "config", config_table(language))
        files[root / name] = text
    if "config" in parts:
        files[root / EXAMPLE] = example_toml()
    return files


def stale(root: Path) -> list[str]:
    """Names of the generated files that are missing or do not hold what they should."""
    files = generated(root, PARTS)
    return [
        path.relative_to(root).as_posix()
        for path, text in files.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """The parts' names write, `check` compares; the exit code."""
    if arguments == ["check"]:
        names = stale(root)
        for name in names:
            sys.stderr.write(f"{name} is stale: run python -m gateway.docs {'|'.join(sorted(PARTS))}\n")
        return 1 if names else 0
    if len(arguments) == 1 and arguments[0] in PARTS:
        for path, text in generated(root, frozenset(arguments)).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    sys.stderr.write("usage: python -m gateway.docs map|config|docker|check\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
