"""What the image needs of the checkout, read from the Dockerfile: no engine is asked."""
import configparser
import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
EXTRAS = {name: listed.split() for name, listed in SETUP["options.extras_require"].items()}


def instructions():
    """[(instruction, the rest of its line)] of the Dockerfile; a continued line is one."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace(
        "\\\n", " "
    )
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def sent():
    """The names that .dockerignore, a list of what is let through, sends to the builder."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line
             and not line.startswith("#")]
    assert lines[0] == "*" and lines[-1] == "**/__pycache__"
    return {line.removeprefix("!") for line in lines[1:-1]}


def test_the_builder_is_sent_what_the_package_is_made_of_and_nothing_else():
    packages = {pattern.rstrip("*") for pattern in SETUP["options.packages.find"]["include"].split()}
    readme = SETUP["metadata"]["long_description"].removeprefix("file: ")
    assert sent() == packages | {"pyproject.toml", "setup.cfg", readme, SETUP["metadata"]["license_files"]}
    assert all((ROOT / name).exists() for name in sent())


def test_what_is_copied_is_sent():
    copied = [words.split() for name, words in instructions() if name == "COPY" and "--from" not in words]
    assert copied and all(source == "." or source in sent() for *sources, _ in copied for source in sources)


def test_the_image_runs_the_command_and_not_as_root():
    last = dict(instructions()[[name for name, _ in instructions()].index("FROM", 1):])
    command = SETUP["options.entry_points"]["console_scripts"].split("=")[0].strip()
    assert json.loads(last["ENTRYPOINT"]) == [command] and json.loads(last["CMD"]) == ["--help"]
    assert (last["USER"] not in ("root", "0")
            and f"useradd --create-home --uid 1000 {last['USER']}" in last["RUN"])
    assert last["STOPSIGNAL"] == "SIGINT"  # process 1 ignores SIGTERM: a stop would wait and then kill


@pytest.mark.parametrize("page", ["Dockerfile", "docs/container.md"])
def test_extras_are_those_of_the_package(page):
    named = re.findall(r"EXTRAS=([\w,]+)", (ROOT / page).read_text())
    assert named and all("dataset" in names.split(",") and {*names.split(",")} <= {*EXTRAS}
                         for names in named)
