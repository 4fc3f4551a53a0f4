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
