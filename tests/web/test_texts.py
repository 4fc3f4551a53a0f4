"""Both languages say everything, and templates say nothing by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.core.roles import ROLES
from gateway.web.metrics import SEVERITIES
from gateway.web.shapes import DISPOSITIONS
from gateway.web.texts import LANGUAGES, TEXTS, known_or, translator

TEMPLATES = sorted((Path(__file__).parents[2] / "gateway/web/templates").glob("*.html"))
STATIC = sorted((Path(__file__).parents[2] / "gateway/web/static").glob("*.js"))
HOUSE = Path(__file__).parents[2] / "gateway"
SERVICES = [path.read_text(encoding="utf-8") for path in sorted((HOUSE / "services").glob("*.py"))]
SAME_ANYWHERE = {"WAV", "MP", "Hz", "J", "K", "C", "F", "A", "L", "Enter", "Backspace", "Space"}
SPOKEN = ("aria-label", "title", "placeholder", "alt", "data-failed", "data-stale", "data-on", "data-off")


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_both_languages_have_every_key(key: str) -> None:
    assert len(TEXTS[key]) == len(LANGUAGES)
    for language in LANGUAGES:
        assert translator(language)(key).strip()


def test_chinese_is_chinese() -> None:
    allowed = {"language.en", "recording.sha256"}
    for key, (chinese, english) in TEXTS.items():
        assert key in allowed or re.search(r"[\u4e00-\u9fff]", chinese), key
        assert key in {"language.zh"} or not re.search(r"[\u4e00-\u9fff]", english), key


def test_every_code_has_a_name() -> None:
    for prefix, words in (("disposition", DISPOSITIONS), ("role", ROLES), ("severity", SEVERITIES)):
        for word in words:
            assert f"{prefix}.{word}" in TEXTS
    assert known_or(translator("zh"), "reason", "something_new") == "something_new"


def alarm_codes() -> set[str]:
    """The codes of alarms, as the services that raise them write them."""
    raised = re.compile(r'"(\w+)", "(?:critical|warning|notice)"|_(?:raise|note)\("(\w+)", ')
    return {first or second for text in SERVICES for first, second in raised.findall(text)}


def test_every_alarm_has_a_name_and_says_what_to_do() -> None:
    codes = alarm_codes()
    assert {"missed_call", "disk_low", "recording_folder", "engine_silent", "recording_failed"} <= codes
    for code in codes:
        assert f"alarm.code.{code}" in TEXTS
        assert f"alarm.advice.{code}" in TEXTS


def test_only_the_console_speaks_chinese() -> None:
    for text in SERVICES:
        for line in text.splitlines():
            assert not re.search(r'"[^"]*[\u4e00-\u9fff]', line), line


def test_every_row_of_the_access_log_has_words() -> None:
    rooms = [path for path in HOUSE.rglob("*.py") if "demo" not in path.parts]
    source = "\n".join(path.read_text(encoding="utf-8") for path in rooms)
    actions = set(re.findall(r'action="(\w+)"', source))
    actions |= set(re.findall(r'audit(?:ed)?\(\s*(?:request, )?(?:uow, )?"(\w+)"', source))
    assert {"login", "export", "import", "save_user", "clear_alarm"} <= actions
    for action in actions:
        assert f"action.{action}" in TEXTS
    for kind in re.findall(r'object_type="(\w+)"', source):
        assert f"object.{kind}" in TEXTS


def bare_words(template: str) -> list[str]:
    """Words that a reader sees or hears and that do not come from the table."""
    text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", template, flags=re.S)
    heard = [value for name in SPOKEN for value in re.findall(rf'\b{name}="([^"]*)"', text)]
    seen = re.sub(r"<!?[a-zA-Z/][^>]*>|&\w+;", " ", text)
    return [word for word in re.findall(r"[^\W\d_]+", " ".join([seen, *heard])) if word not in SAME_ANYWHERE]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_bare_words_in_templates(template: Path) -> None:
    assert bare_words(template.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", ["<p>Hello</p>", '<b title="你好">{{ t("x") }}</b>', "{% if a %}录音{% endif %}"])
def test_bare_words_are_found(text: str) -> None:
    assert bare_words(text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_key_of_a_template_is_in_the_table(template: Path) -> None:
    for key in re.findall(r"""\bt\(["']([\w.]+)["']\)""", template.read_text(encoding="utf-8")):
        assert key in TEXTS


@pytest.mark.parametrize("script", STATIC, ids=lambda path: path.name)
def test_scripts_hold_no_chinese(script: Path) -> None:
    assert not re.search(r"[\u4e00-\u9fff]", script.read_text(encoding="utf-8"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_nothing_inline_and_nothing_from_elsewhere(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?://|\|\s*safe", text)
