"""What there is, is documented."""

import re
from pathlib import Path

import click
import pytest

from exporter.cli.main import cli
from exporter.model import JobStatus, Phase
from exporter.settings import SETTINGS

ROOT = Path(__file__).parents[2]
API = "/data-tools/api/v1/"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
API_PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
WEB_PAGE = (ROOT / "docs" / "page.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*SETTINGS, "INSTANCE_PATH"])
def test_every_setting_is_documented(name):
    assert f"| `{name}` |" in OPERATIONS


@pytest.mark.parametrize("name", [*SETTINGS, "INSTANCE_PATH"])
def test_every_setting_says_when_to_touch_it(name):
    row = re.search(rf"^\| `{name}` \|.*$", OPERATIONS, re.MULTILINE)[0]
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert len(cells) == 4
    assert all(cells)


def test_no_setting_is_documented_that_does_not_exist():
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", OPERATIONS, re.MULTILINE)) == {*SETTINGS, "INSTANCE_PATH"}


def test_every_command_is_documented():
    for name, command in cli.commands.items():
        row = re.search(rf"^\| `exporter {name}\b.*$", OPERATIONS, re.MULTILINE)
        assert row, name
        if isinstance(command, click.Group):
            assert set(command.commands) <= set(re.findall(r"[a-z-]+", row[0])), name


def test_every_route_is_documented(app):
    paths = {(re.sub(r"<\w+:", "<", rule.rule), rule.endpoint) for rule in app.url_map.iter_rules()}
    missing = [path for path, endpoint in paths if f"{path.removeprefix(API)}`" not in page_of(endpoint)]
    assert not missing


def page_of(endpoint):
    return WEB_PAGE if endpoint.startswith("pages.") else API_PAGE


def test_the_same_commands_run_under_flask(app):
    assert set(cli.commands) <= set(app.cli.commands)


def test_every_command_has_help():
    def walk(command):
        assert command.help, command.name
        for inner in getattr(command, "commands", {}).values():
            walk(inner)

    walk(cli)


def test_the_readme_leads_to_every_page_and_every_link_leads_somewhere():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    assert {f"docs/{page.name}" for page in pages[2:]} <= set(re.findall(r"\]\(([^)#]+)\)", readme))
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link, anchor in re.findall(
            r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")
        )
        if not leads(page.parent / link if link else page, anchor)
    ]
    assert not broken


def leads(target, anchor):
    if not target.exists():
        return False
    return not anchor or anchor in {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    }


def test_the_glossary_is_in_order_and_knows_the_words_of_the_model():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| (?!word|---)([^|]+) \|", text, re.MULTILINE)
    assert words == sorted(words)
    for word in (*JobStatus, *Phase):
        assert f"`{word}`" in text
