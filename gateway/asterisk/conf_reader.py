r"""Asterisk configuration files, read as Asterisk's own reader (main/config.c) does.

    [phone](!,speech)       a template that inherits; `(+)` adds to a section that is there already
    set_var = A=1           repeated keys are kept in order; `=>` means `=`; `name += more` lengthens the last value
    ; comment               `;-- … --;` may span lines and nest; `\;` is a semicolon
    #include "x.d/*.conf"   relative to the configuration folder, never to the including file; the section goes on
                            after it; with `#tryinclude` the file may be absent

Inheritance copies at the place of the heading, so an own value comes after the inherited ones and wins where only one
counts. Sections of one name stay apart: in pjsip.conf an endpoint, its auth and its AOR usually share it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import ConfigError

DEEPEST_INCLUDE = 10  # MAX_INCLUDE_LEVEL
_TRUE = {"yes", "true", "y", "t", "1", "on"}
_FALSE = {"no", "false", "n", "f", "0", "off"}
_HEADING = re.compile(r"\[(?P<name>[^\]]*)\](?:\((?P<options>[^)]*)(?P<closed>\))?)?")


@dataclass(frozen=True, slots=True)
class Setting:
    """One line `name = value`, and where it stands."""

    file: Path
    line: int
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"

    @property
    def is_true(self) -> bool:
        """What Asterisk takes for yes."""
        return self.value.lower() in _TRUE

    @property
    def is_false(self) -> bool:
        """What Asterisk takes for no; a value may be neither."""
        return self.value.lower() in _FALSE


@dataclass(slots=True)
class Section:
    """What stands under one heading, inherited settings first. Names of settings do not mind their case."""

    name: str
    file: Path
    line: int
    template: bool = False
    settings: list[Setting] = field(default_factory=list)

    def all(self, name: str) -> list[Setting]:
        """Every setting of that name, in order."""
        return [setting for setting in self.settings if setting.name.lower() == name]

    def last(self, name: str) -> Setting | None:
        """The setting that counts where only one can."""
        return next((setting for setting in reversed(self.settings) if setting.name.lower() == name), None)

    def value(self, name: str, default: str = "") -> str:
        """The value that counts."""
        found = self.last(name)
        return default if found is None else found.value


@dataclass(slots=True)
class Conf:
    """One configuration with everything it includes.

    `programs` are `#exec` directives, `passed_over` are lines that Asterisk does not understand and leaves out.
    """

    path: Path
    sections: list[Section] = field(default_factory=list)
    programs: list[Setting] = field(default_factory=list)
    passed_over: list[Setting] = field(default_factory=list)

    def objects(self) -> Iterator[Section]:
        """The sections that are no templates."""
        return (section for section in self.sections if not section.template)

    def named(self, name: str) -> Section:
        """All sections of that name as one; empty when there is none."""
        found = [section for section in self.objects() if section.name.lower() == name.lower()]
        if not found:
            return Section(name, self.path, 0)
        settings = [setting for section in found for setting in section.settings]
        return Section(name, found[0].file, found[0].line, settings=settings)


def read(folder: Path, name: str) -> Conf:
    """The configuration `name` in `folder`. Raises ConfigError with file and line where Asterisk would not load it."""
    conf = Conf(folder / name)
    _Reader(folder, conf).read_file(conf.path, ())
    return conf


@dataclass(slots=True)
class _Reader:
    """The state between lines: the section that settings go into."""

    folder: Path
    conf: Conf
    section: Section | None = None

    def read_file(self, path: Path, outer: tuple[Path, ...]) -> None:
        try:
            text = path.read_bytes().decode("utf-8-sig", "replace")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        depth = 0
        for number, line in enumerate(text.split("\n"), 1):
            visible, depth = _without_comments(line, depth)
            if depth < 0:
                raise ConfigError(
                    f"{path}:{number}: --; ends no comment; Asterisk would pass over the rest of the file"
                )
            if visible.strip():
                self._read_line(path, number, visible.strip(), outer)

    def _read_line(self, path: Path, number: int, text: str, outer: tuple[Path, ...]) -> None:
        if text.startswith("["):
            self._open_section(path, number, text)
        elif text.startswith("#"):
            self._follow(path, number, text, outer)
        else:
            self._add(path, number, text)

    def _open_section(self, path: Path, number: int, text: str) -> None:
        heading = _HEADING.match(text)
        if heading is None:
            raise ConfigError(f"{path}:{number}: the heading '{text}' has no ]")
        if heading["options"] is not None and heading["closed"] is None:
            raise ConfigError(f"{path}:{number}: the heading '{text}' has no )")
        section, added = Section(heading["name"], path, number), False
        for option in (heading["options"] or "").split(","):
            if option == "!":
                section.template = True
            elif option.startswith("+"):
                section, added = self._existing(path, number, heading["name"], option[1:]), True
            elif option:
                section.settings += self._existing(path, number, option, "").settings
        if not added:
            self.conf.sections.append(section)
        self.section = section

    def _existing(self, path: Path, number: int, name: str, conditions: str) -> Section:
        """The first section of that name that fulfils `type=endpoint&…`."""
        wanted = [condition.partition("=")[::2] for condition in conditions.split("&") if condition]
        for section in self.conf.sections:
            if section.name.lower() == name.lower() and all(
                section.value(key) == value for key, value in wanted if key != "TEMPLATES"
            ):
                return section
        raise ConfigError(f"{path}:{number}: there is no section [{name}] before this line to inherit from or add to")

    def _add(self, path: Path, number: int, text: str) -> None:
        name, equals, value = text.removeprefix("\\").partition("=")
        if not equals:
            self.conf.passed_over.append(Setting(path, number, text, ""))
            return
        if self.section is None:
            raise ConfigError(f"{path}:{number}: '{text}' stands before the first section")
        lengthens = name.endswith("+")
        name, value = name.removesuffix("+").strip(), value.removeprefix(">")
        settings = self.section.settings
        places = [place for place, setting in enumerate(settings) if setting.name == name]
        if lengthens and places:
            settings[places[-1]] = Setting(path, number, name, (settings[places[-1]].value + value).strip())
        else:
            settings.append(Setting(path, number, name, value.strip()))

    def _follow(self, path: Path, number: int, text: str, outer: tuple[Path, ...]) -> None:
        directive, _, target = text[1:].partition(" ") if " " in text else text[1:].partition("\t")
        target = target.strip()
        if target[:1] + target[-1:] in ('""', "<>"):
            target = target[1:-1]
        match directive.lower():
            case "exec":
                self.conf.programs.append(Setting(path, number, "#exec", target))
            case "include" | "tryinclude" if target:
                self._include(path, number, target, outer, optional=directive.lower() == "tryinclude")
            case _:
                self.conf.passed_over.append(Setting(path, number, text, ""))

    def _include(self, path: Path, number: int, target: str, outer: tuple[Path, ...], *, optional: bool) -> None:
        if len(outer) >= DEEPEST_INCLUDE:
            raise ConfigError(f"{path}:{number}: more than {DEEPEST_INCLUDE} files include one another")
        base, pattern = (Path("/"), target.lstrip("/")) if target.startswith("/") else (self.folder, target)
        found = sorted(base.glob(pattern)) if re.search(r"[*?\[]", pattern) else [base / pattern]
        found = [file for file in found if file.is_file()]
        if not found and not optional:
            raise ConfigError(f"{path}:{number}: the included file {base / pattern} is not there")
        section = self.section
        for file in found:
            self.read_file(file, (*outer, path))
        self.section = section  # what follows belongs where it stands, whatever the included file opened


def _without_comments(line: str, depth: int) -> tuple[str, int]:
    """What of a line is no comment, and how many `;--` are still open after it."""
    kept, begin, position = "", 0, 0
    while (found := line.find(";", position)) >= 0:
        if found > position and line[found - 1] == "\\":
            kept += line[begin : found - 1] if depth == 0 else ""
            begin, position = found, found + 1
        elif line.startswith(";--", found) and line[found + 3 : found + 4] != "-":
            kept += line[begin:found] if depth == 0 else ""
            depth, begin, position = depth + 1, len(line), found + 3
        elif found >= position + 2 and line[found - 2 : found] == "--":
            depth, position = depth - 1, found + 1
            begin = position
            if depth < 0:
                return line, depth
        elif depth == 0:
            return kept + line[begin:found], 0
        else:
            position = found + 1
    return kept + (line[begin:] if depth == 0 else ""), depth
