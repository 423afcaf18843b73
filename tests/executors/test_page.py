"""The commands that docs/scaling.md shows start a cluster, and export on it."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cluster import DaskCluster
from tests.faults.probes import eventually
from tests.server import Server

pytest.importorskip("distributed")
pytestmark = pytest.mark.postgres

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")


def blocks():
    return [block.splitlines() for block in re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def adapted(line, port):
    """Have the scheduler listen on this test's port, and the web server on any free one."""
    extra = {"dask scheduler": f" --port {port}", "exporter serve": " --port 0"}
    added = next((more for begin, more in extra.items() if line.startswith(begin)), "")
    program, *words = shlex.split(line.replace(":8786", f":{port}") + added)
    return ("-m", program), words


@pytest.fixture
def cluster(tmp_path, instance, postgres_database):
    folder = tmp_path / "cluster"
    folder.mkdir()
    environ = {"EXPORTER_INSTANCE_PATH": str(instance), "EXPORTER_DATABASE_URL": postgres_database}
    cluster = DaskCluster(folder, **environ)
    yield cluster
    cluster.close()


def test_the_three_commands_start_a_cluster_and_the_others_export_on_it(cluster, instance, shop, tmp_path):
    starting, using = blocks()
    here = Server(instance, **cluster.shared)
    assert here.command("init", "--admin", "ada", stdin="a password\n").returncode == 0
    assert here.command("datasources", "add", "shop", "sqlite:///shop.db").returncode == 0
    assert len(starting) == 3
    for line in starting:
        program, words = adapted(line, cluster.port)
        cluster.start(*words, program=program, **cluster.shared)
    eventually(lambda: here.command("doctor").stdout.count("same app database, key and store") == 2)
    for line in using:
        _, words = adapted(line.replace("orders.csv", str(tmp_path / "orders.csv")), cluster.port)
        done = here.command(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "orders.csv").read_text().startswith('"id","city"')
    assert "worker tcp://" in here.command("doctor").stdout
