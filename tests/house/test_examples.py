"""What the documents show, works: commands parse, the session of the API page runs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from exporter.cli.main import cli
from tests.server import DEADLINE_SECONDS, serving

ROOT = Path(__file__).parents[2]
API = "/data-tools/api/v1/"
USER_PASSWORD = "pw"  # of tests.server
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"(?:^|&& |; |\| |\$\()\s*(?:\.venv/bin/)?exporter ([^|;&)\n]*(?:\\\n[^|;&)\n]*)*)", re.MULTILINE
)


def examples():
    for page in PAGES:
        for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language in {"", "bash", "sh", "shell"}:
                for command in COMMAND.findall(block):
                    yield f"{page.name}: {command.strip()}", command
    for path, command in commands(cli, ()):
        for example in re.findall(r"Example: exporter ([^\n]*)", command.help or ""):
            yield f"help of {' '.join(path)}", example


def commands(command, path):
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


def parse(words):
    """Walk down the tree as click does. Raises click's UsageError; a path of the example need not exist."""
    command, ctx = cli, click.Context(cli, info_name="exporter")
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(ctx).parse_args(list(words))
        _, command, words = command.resolve_command(ctx, rest)
        ctx = click.Context(command, parent=ctx)
    values, extra, _ = command.make_parser(ctx).parse_args(list(words))
    if extra:
        raise click.UsageError(f"Too many arguments: {extra}")
    for parameter in command.params:
        value = values.get(parameter.name)
        missing = value is None or value is click.core.UNSET
        if missing and parameter.required:
            raise click.UsageError(f"{parameter.name} is missing")
        if not missing and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(ctx, value)


EXAMPLES = dict(examples())


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_that_is_shown_can_be_typed(name):
    parse(shlex.split(EXAMPLES[name].replace("\\\n", " "), comments=True))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "design.md"], ids=lambda page: page.name
)
def test_every_shell_block_can_be_read_by_a_shell(page):
    """But for those of the page on the design, which are drawings."""
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in {"", "bash"}:
            answer = subprocess.run(
                ["bash", "-n"],
                input=block,
                capture_output=True,
                text=True,
                timeout=DEADLINE_SECONDS,
                check=False,
            )
            assert answer.returncode == 0, (block, answer.stderr)


def test_the_pages_show_commands_and_nonsense_would_be_found():
    assert len(EXAMPLES) > 40
    for nonsense in (
        "nonsense",
        "exports create",
        "exports list --colour",
        "exports list --status odd",
        "demo x",
    ):
        with pytest.raises(click.UsageError):
            parse(shlex.split(nonsense))


@pytest.fixture(scope="module")
def session():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return dict(BLOCK.findall(page.partition("## A whole session")[2]))


@pytest.fixture
def server(instance, shop):
    with serving(instance, shop) as running:
        yield running


def told(script, server):
    """Put this server's address and token in place of the page's."""
    changed, count = re.subn(r"http://127\.0\.0\.1:8000", server.url, script)
    changed, tokens = re.subn(r"exp_…", server.token, changed)
    assert (count, tokens) == (1, 1)
    return changed


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_session_with_curl_runs(server, session, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", told(session["bash"], server)],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "whole, 4 rows" in answer.stdout
    assert "Export job deleted successfully" in answer.stdout
    assert {path.name for path in folder.iterdir()} == {"orders.csv.gz", "receipt.json"}


def test_the_session_in_python_runs(server, session, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", told(session["python"], server)],
        cwd=folder, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    (file,) = folder.iterdir()
    assert answer.stdout.split() == [file.name, "4"]


@pytest.fixture(scope="module")
def every_call():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    section = page.partition("## Every call")[2].partition("## A whole session")[0]
    return {
        language: text.replace('"secret"', f'"{USER_PASSWORD}"') for language, text in BLOCK.findall(section)
    }


def calls(app):
    """Give every call of the API as a method and a path with `*` for each id."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(API) and not rule.rule.endswith(".json"):
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield method, re.sub(r"<[^>]+>", "*", rule.rule.removeprefix(API))


def test_the_page_shows_every_call_in_both_languages(app, every_call):
    curl = {
        (method or ("POST" if " -d " in line else "GET"), re.sub(r"\$[A-Z]+", "*", path))
        for line in every_call["bash"].replace("\n  ", " ").splitlines()
        for method, path in re.findall(r'(?:-X ([A-Z]+) )?"\$API/([^"?]+)', line)
        if not path.endswith(".json")
    }
    python = {
        (method, re.sub(r"{[^}]+}", "*", path))
        for method, path in re.findall(r'call\("([A-Z]+)", f?"([^"?]+)', every_call["python"])
    }
    assert set(calls(app)) == curl == python


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_call_with_curl_runs(server, every_call, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", told(every_call["bash"], server)],
        cwd=folder, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Datasource deleted successfully" in answer.stdout
    assert json.loads((folder / "openapi.json").read_text())["openapi"].startswith("3.1")


def test_every_call_in_python_runs(server, every_call, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", told(every_call["python"], server)],
        cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "b'" in answer.stdout
