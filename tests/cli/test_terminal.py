"""How commands look and behave at a terminal."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import click
import pytest
from click.testing import CliRunner

from exporter.cli import output
from exporter.cli.interrupt import Interrupt
from exporter.cli.main import cli
from tests.server import DEADLINE_SECONDS, INTERRUPTIBLE

SCRIPT = Path(sys.executable).with_name("exporter")


def commands(command=cli, path=()):
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


@pytest.fixture
def table():
    """Print rows as a command does, on a terminal of a given width."""

    def show(rows, columns, width):
        @click.command
        def command():
            output.show_table(rows, columns, empty="nothing")

        terminal = {"COLUMNS": str(width), "FORCE_COLOR": "1", "TERM": "xterm"}
        answer = CliRunner().invoke(command, env=terminal, catch_exceptions=False)
        assert answer.exit_code == 0
        return re.sub(r"\x1b\[[0-9;]*m", "", answer.output)

    return show


@pytest.mark.parametrize("width", [8, 20, 60])
def test_a_narrow_terminal_folds_cells_and_loses_nothing(table, width):
    rows = [{"name": "x" * 50, "rows": 1234567}, {"name": "[bold]:smile:[/bold]", "rows": None}]
    told = table(rows, ("name", "rows"), width)
    assert max(map(len, told.splitlines())) <= width
    assert told.count("x") == 50
    squeezed = "".join(told.split())
    assert "[bold]" in squeezed or width < 20
    assert "1,234,567" in squeezed or width < 20


def test_an_id_can_be_copied_from_a_terminal_of_any_width(table):
    rows = [{"id": str(UUID(int=number)), "row_count": 1000, "format": "csv"} for number in (1, 2)]
    for width in (20, 60, 80):
        told = table(rows, ("id", "row_count", "format"), width)
        assert all(row["id"] in told for row in rows), width
    assert table(rows, ("id", "row_count", "format"), 60).startswith(
        f"id: {rows[0]['id']}\nrow_count: 1,000\nformat: csv\n\nid: "
    )


def test_no_cell_is_cut_where_there_is_no_terminal():
    @click.command
    def command():
        output.show_table([{"name": "x" * 500}], ("name",), empty="nothing")

    assert "x" * 500 in CliRunner().invoke(command).output


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_help_fits_sixty_columns_and_shows_an_example(path):
    told = CliRunner().invoke(cli, [*path, "--help"], terminal_width=60).output
    assert max(map(len, told.splitlines())) <= 62
    words = " ".join(told.split())
    assert f"exporter {' '.join(path)}".strip() in words.partition("Options:")[0].partition(" Usage: ")[0]
    assert "Example: exporter" in words or not path


def test_help_needs_none_of_the_servers_libraries():
    heavy = ("flask", "sqlalchemy", "marshmallow", "rich", "pyarrow", "alembic", "urllib.request")
    code = f"""
import sys
from exporter.__main__ import main
try:
    main()
finally:
    print([module for module in {heavy!r} if module in sys.modules], file=sys.stderr)
"""
    for path in ((), ("exports",), ("exports", "create")):
        answer = subprocess.run(
            [sys.executable, "-c", code, *path, "--help"], capture_output=True, text=True, check=True
        )
        assert answer.stderr.strip() == "[]"


def test_hints_name_the_program_as_it_was_started(tmp_path):
    environ = {**os.environ, "EXPORTER_INSTANCE_PATH": str(tmp_path / "instance")}
    beside = f"../{SCRIPT.parent.name}/exporter"
    started = {
        (sys.executable, "-m", "exporter"): f"{sys.executable} -m exporter",
        (str(SCRIPT),): str(SCRIPT),
        (beside,): beside,
        ("exporter",): "exporter",
        ("flask", "--app", "wsgi"): "flask --app wsgi",
    }
    for words, name in started.items():
        on_path = words[0] in {"exporter", "flask"}
        variables = {**environ, "PATH": f"{SCRIPT.parent}:/usr/bin:/bin" if on_path else "/usr/bin:/bin"}
        folder = Path(__file__).parents[2] if words[0] == "flask" else SCRIPT.parent
        answer = subprocess.run(
            shlex.split(f"/usr/bin/env -- {shlex.join((*words, 'users', 'list'))}"),
            env=variables, cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 1
        assert answer.stderr.strip().endswith(f"Run: {name} init"), answer.stderr


def test_completion_knows_the_commands():
    environ = {
        **os.environ,
        "_EXPORTER_COMPLETE": "bash_complete",
        "COMP_WORDS": "exporter exports re",
        "COMP_CWORD": "2",
    }
    answer = subprocess.run([str(SCRIPT)], env=environ, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["plain,receipt", "plain,retry"]
    script = subprocess.run(
        [str(SCRIPT)],
        env={**os.environ, "_EXPORTER_COMPLETE": "zsh_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_EXPORTER_COMPLETE=zsh_complete" in script.stdout


def test_an_output_that_cannot_be_is_refused_before_the_export(run, shop_registered, tmp_path):
    for target in (tmp_path / "nowhere" / "x.csv", Path("/dev/null")):
        stderr = run("exports", "create", "shop", "--table", "orders", "--output", str(target), code=2).stderr
        assert "--output" in stderr
    assert "no export jobs" in run("exports", "list").output


def test_ctrl_c_cancels_an_export_that_runs_here(run, shop_registered, instance, services, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "exports", "create", "shop", "--table", "endless"],
        env={**os.environ, "EXPORTER_INSTANCE_PATH": str(instance)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    user = services.accounts.user_named("ada")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "processing" not in [job.status for job in services.jobs.page(query(), user).items]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, log.strip()) == (1, "Error: Interrupted: the export was cancelled")
    (job,) = services.jobs.page(query(), user).items
    assert job.status == "cancelled"


def query():
    from exporter.storage.jobs import JobQuery

    return JobQuery()


@pytest.fixture
def interruptible():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_is_noticed_while_waiting_and_only_then():
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupt.sleep(60)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interruptible")
def test_a_process_that_ignores_ctrl_c_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        interrupt.sleep(0)
