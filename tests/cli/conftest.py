"""Commands, run in a process's stead."""

import pytest
from click.testing import CliRunner

from exporter import create_app
from exporter.cli.main import cli
from exporter.settings import load_settings
from tests.conftest import close


@pytest.fixture
def run(instance):
    """Run one command in a process's stead: its own app, its own engine."""

    def run_command(*arguments: str, stdin: str = "", code: int = 0, **environ: str):
        apps = []

        def build():
            values = {f"EXPORTER_{name}": value for name, value in environ.items()}
            apps.append(create_app(load_settings({"EXPORTER_INSTANCE_PATH": str(instance), **values})))
            return apps[-1]

        answer = CliRunner().invoke(cli, list(arguments), input=stdin, obj=build, catch_exceptions=False)
        for app in apps:
            close(app)
        assert answer.exit_code == code, answer.output
        return answer

    return run_command


@pytest.fixture
def shop_registered(run, shop):
    run("users", "create", "ada", "--admin", stdin="pw\n")
    run("datasources", "add", "shop", f"sqlite:///{shop}", "--shared")
