"""Failpoints are for tests alone: nothing outside of the process can switch one on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import exporter
from exporter import failpoints
from exporter.errors import SettingInvalid
from exporter.settings import load_settings
from tests.faults.probes import doing

ROOT = Path(exporter.__file__).parent


def trees():
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_no_module_of_the_program_hands_over_a_probe():
    wrong = [
        (name, node.lineno)
        for name, tree in trees()
        if name != "failpoints.py"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name | ast.Attribute) and "prob" in (getattr(node, "id", "") or node.attr))
        or (isinstance(node, ast.Import) and any("failpoints" in alias.name for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "exporter.failpoints"
            and [alias.name for alias in node.names] != ["reach"])
    ]  # fmt: skip
    assert wrong == []


def test_the_module_looks_at_nothing_outside_of_itself():
    tree = dict(trees())["failpoints.py"]
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"collections.abc", "contextlib"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]


def test_a_fresh_process_has_no_probe_and_a_variable_for_one_stops_the_start(tmp_path):
    code = "import exporter.app, exporter.failpoints as f; print(f._probe)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "None"
    with pytest.raises(SettingInvalid):
        load_settings({"EXPORTER_INSTANCE_PATH": str(tmp_path), "EXPORTER_FAILPOINTS": "batch"})


def test_every_place_is_named_by_a_literal():
    calls = [
        (name, ast.unparse(node))
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach"
    ]
    assert len(calls) > 20
    assert [(name, call) for name, call in calls if not call.startswith("reach('")] == []


def test_a_probe_is_gone_when_its_block_ends():
    with doing("here", lambda: None) as reached:
        failpoints.reach("here")
    failpoints.reach("there")
    assert reached == ["here"]
