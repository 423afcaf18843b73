"""The house keeps its floors: imports point strictly down."""

import ast
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import exporter

ROOT = Path(exporter.__file__).parent
FLOORS = {
    "exporter.version": 0,
    "exporter.errors": 0,
    "exporter.failures": 0.5,
    "exporter.failpoints": 0,
    "exporter.log": 0,
    "exporter.figures": 0,
    "exporter.garbage": 0,
    "exporter.literals": 0,
    "exporter.secretkey": 0.5,
    "exporter.storageurl": 0.5,
    "exporter.settingvalues": 0.75,
    "exporter.settings": 1,
    "exporter.model": 1,
    "exporter.outbox": 1.5,
    "exporter.storage": 2,
    "exporter.sources": 2,
    "exporter.formats": 2.5,  # writers speak of the sources' columns
    "exporter.query": 3,
    "exporter.extensions": 3,
    "exporter.sample": 3,
    "exporter.configuration": 3.5,
    "exporter.accounts": 4,
    "exporter.audit": 4,
    "exporter.datasources": 4,
    "exporter.templates": 4,
    "exporter.profile": 1,
    "exporter.naming": 1,
    "exporter.preview": 4.5,
    "exporter.jobs": 5,
    "exporter.schedules": 5.1,
    "exporter.webhooks": 5.2,
    "exporter.documents": 5.2,
    "exporter.wiring": 5.5,
    "exporter.blueprints": 6,
    "exporter.cli": 6,
    "exporter.app": 7,
    "exporter": 8,
    "exporter.__main__": 9,
}
MAY_IMPORT_FLASK = (
    "exporter.blueprints",
    "exporter.cli",
    "exporter.extensions",
    "exporter.app",
    "exporter.__main__",
)
HEAVY = ("pyarrow", "pandas", "openpyxl", "numpy", "psycopg", "apsw", "dask", "distributed")


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        if "migrations" not in parts:
            yield ".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree):
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def targets(tree):
    """Give the modules that are really meant: `from package import module` means the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [
                name for name in inner if ROOT.parent.joinpath(*name.split(".")).with_suffix(".py").is_file()
            ]
            yield from found or [node.module]


def room(module):
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 1 else module


def test_every_room_has_a_floor():
    assert {room(name) for name, _ in modules()} == set(FLOORS)


def picture():
    """Give the rooms on each floor of the picture in the design page, from the top."""
    page = (ROOT.parent / "docs/design.md").read_text(encoding="utf-8")
    block = page.partition("```\n")[2].partition("```")[0]
    for floor in block.split("\n     |\n"):
        names = re.split(r" {3,}", floor.splitlines()[0])[0].split()
        yield [f"exporter.{name.removesuffix('/')}" for name in names]


def test_every_room_is_in_the_picture_of_the_house_on_its_floor():
    floors = list(picture())
    assert sorted(room for rooms in floors for room in rooms) == sorted(set(FLOORS) - {"exporter"})
    heights = [{FLOORS[room] for room in rooms} for rooms in floors]
    wrong = [(above, below) for above, below in pairwise(heights) if min(above) <= max(below)]
    assert not wrong, floors


def test_imports_point_strictly_down():
    wrong = [
        f"{name} imports {target}"
        for name, tree in modules()
        for target in imported(tree)
        if target.startswith("exporter.") and room(target) != room(name)
        if FLOORS[room(target)] >= FLOORS[room(name)]
    ]
    assert not wrong


def test_only_the_edges_know_flask():
    wrong = [
        f"{name} imports {target}"
        for name, tree in modules()
        for target in imported(tree)
        if target.split(".")[0].startswith("flask") and not name.startswith(MAY_IMPORT_FLASK)
    ]
    assert not wrong


def test_no_module_imports_itself_in_a_ring():
    names = {name for name, _ in modules()}
    graph = {name: {t for t in targets(tree) if t in names} for name, tree in modules()}
    done: set[str] = set()

    def walk(name, path):
        assert name not in path, " -> ".join([*path, name])
        if name in done:
            return
        for target in graph.get(name, ()):
            walk(target, [*path, name])
        done.add(name)

    for name in graph:
        walk(name, [])


def loaded(code, names, **environ):
    """Run the code in a fresh interpreter and say which of the modules it pulled in."""
    told = f"import sys\n{code}\nprint([name for name in {names!r} if name in sys.modules], file=sys.stderr)"
    command = [sys.executable, "-c", told]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **environ}
    ).stderr.strip()


def test_building_the_app_pulls_in_nothing_heavy(tmp_path):
    code = "from exporter import create_app; create_app()"
    assert loaded(code, HEAVY, EXPORTER_INSTANCE_PATH=str(tmp_path)) == "[]"


def test_the_help_of_the_command_line_pulls_in_no_library_but_its_own():
    code = """
from exporter.__main__ import main
sys.argv = ["exporter", "--help"]
try:
    main()
except SystemExit as exc:
    assert exc.code == 0
"""
    assert loaded(code, (*HEAVY, "flask", "sqlalchemy", "marshmallow", "rich")) == "[]"
