"""The containers, as far as they can be judged without starting one: whole, consistent, and without a secret."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import load
from tests.house.source import ROOT, assert_none

FOLDER = ROOT / "docker"
ONCE = {"secrets", "prepare"}


def compose() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    return tree


def faults_of(tree: dict[str, Any], folder: Path) -> list[str]:
    """Services that are not watched, refer to what is not there, or hold a secret."""
    faults = []
    for name, service in tree["services"].items():
        if name not in ONCE and not ("healthcheck" in service and service.get("restart") == "unless-stopped"):
            faults.append(f"{name}: a service that stays needs a healthcheck and restart: unless-stopped")
        for volume in service.get("volumes", []):
            if volume.split(":")[0] not in tree["volumes"]:
                faults.append(f"{name}: volume {volume} is not declared")
        for other, condition in service.get("depends_on", {}).items():
            ends = condition["condition"] == "service_completed_successfully"
            if other not in tree["services"] or ends != (other in ONCE):
                faults.append(f"{name}: cannot wait for {other} like this")
        for key in service.get("environment", {}):
            if re.search(r"PASSWORD|SECRET|TOKEN", key) and not key.endswith("_FILE"):
                faults.append(f"{name}: {key} would hold a secret")
        build = service.get("build")
        if build and not (folder / build["context"] / build["dockerfile"]).is_file():
            faults.append(f"{name}: {build['dockerfile']} is not there")
    return faults


def missing_copies(dockerfile: str, context: Path) -> list[str]:
    """Sources of COPY that are not in the build context."""
    sources = []
    for line in re.findall(r"^COPY (.*)$", dockerfile, re.M):
        sources += [word for word in shlex.split(line)[:-1] if not word.startswith("--")]
    return [source for source in sources if not (context / source).exists()]


def undeclared_arguments(dockerfile: str, given: dict[str, str]) -> set[str]:
    """Build arguments that compose gives and the Dockerfile does not take, or the other way round."""
    return set(re.findall(r"^ARG (\w+)", dockerfile, re.M)) ^ set(given)


def test_compose() -> None:
    tree = compose()
    assert set(tree["services"]) == {"secrets", "postgres", "prepare", "asterisk", "gateway"}
    assert_none(faults_of(tree, FOLDER))


@pytest.mark.parametrize("name", ["asterisk", "gateway"])
def test_images(name: str) -> None:
    text = (FOLDER / name / "Dockerfile").read_text(encoding="utf-8")
    assert_none(missing_copies(text, ROOT))
    assert undeclared_arguments(text, compose()["services"][name]["build"]["args"]) == set()
    assert "USER dutyline" in text.splitlines()


def test_both_images_write_as_the_same_user() -> None:
    users = {
        re.findall(r"--uid (\d+)", (FOLDER / name / "Dockerfile").read_text())[0] for name in ("asterisk", "gateway")
    }
    assert len(users) == 1


def test_gateway_finds_asterisk() -> None:
    config = load(FOLDER / "gateway/dutyline.toml", {})
    http = (FOLDER / "asterisk/etc/http.conf").read_text()
    assert config.asterisk.mode == "external"
    assert f"bindport = {config.asterisk.ari_url.rpartition(':')[2]}" in http
    assert "bindaddr = 127.0.0.1" in http
    assert f"bind = {config.sip.listen}" in (FOLDER / "asterisk/etc/pjsip.conf").read_text()
    assert f"--to {config.asterisk.config_dir}/dutyline " in (FOLDER / "gateway/prepare").read_text()
    mounts = [volume.split(":")[1] for volume in compose()["services"]["asterisk"]["volumes"]]
    assert str(config.data_dir) in mounts
    assert f"{config.asterisk.config_dir}/dutyline" in mounts


def test_variables_are_documented() -> None:
    used = set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text()))
    shown = set(re.findall(r"^\| `([A-Z_]+)` \|", (FOLDER / "README.md").read_text(), re.M))
    assert used == shown


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    script = FOLDER / "gateway/generate-secrets"
    environment = {"PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"}
    subprocess.run([script, tmp_path], check=True, env=environment, timeout=20)
    first = {path.name: path.read_text() for path in tmp_path.iterdir()}
    subprocess.run([script, tmp_path], check=True, env=environment, timeout=20)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == first
    assert set(first) == {"ari", "postgres", "pgpass"}
    assert len(first["ari"]) == len(first["postgres"]) == 32
    assert first["ari"] != first["postgres"]
    assert first["pgpass"] == f"*:*:dutyline:dutyline:{first['postgres']}\n"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_faults_are_found() -> None:
    service = {
        "volumes": ["nowhere:/x"],
        "depends_on": {"prepare": {"condition": "service_healthy"}},
        "environment": {"POSTGRES_PASSWORD": "x", "POSTGRES_PASSWORD_FILE": "/secrets/x"},
        "build": {"context": "..", "dockerfile": "docker/none/Dockerfile"},
    }
    tree = {"services": {"web": service, "prepare": {}}, "volumes": {}}
    assert len(faults_of(tree, FOLDER)) == 5


def test_missing_copy_and_argument_are_found() -> None:
    text = "ARG A=1\nARG B\nCOPY --chmod=0755 Makefile nothing/ /x/\n"
    assert missing_copies(text, ROOT) == ["nothing/"]
    assert undeclared_arguments(text, {"A": "1", "C": "2"}) == {"B", "C"}
