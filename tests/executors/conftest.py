"""Benches for executors: threads of this process, and a real Dask cluster."""

import threading

import pytest

from exporter.datasources import DatasourceValues
from exporter.jobs.requests import JobRequest
from exporter.model import Role
from tests.cluster import running_cluster
from tests.faults.probes import DEADLINE_SECONDS, eventually
from tests.faults.test_app_database import upgraded
from tests.postgres_server import fresh_database

SLOTS = 2


@pytest.fixture(scope="module")
def database(postgres_url):
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="module")
def threads(database):
    return {"EXPORTER_EXECUTOR": "threads"}


@pytest.fixture(scope="module")
def dask(database, tmp_path_factory):
    """Settings of a cluster with a worker for each slot. It brings a folder of its own: its workers stay."""
    pytest.importorskip("distributed")
    instance = tmp_path_factory.mktemp("cluster") / "instance"
    environ = {
        "EXPORTER_INSTANCE_PATH": str(instance),
        "EXPORTER_SQLITE_ROOTS": "/",
        "EXPORTER_SECRET_KEY": "the same on every machine",
        "EXPORTER_DATABASE_URL": database,
        "EXPORTER_STORAGE_URL": f"file://{instance}/exports",
    }
    with running_cluster(instance.parent / "logs", **environ) as cluster:
        for _ in range(SLOTS):
            cluster.start_worker()
        names = ("EXECUTOR", "DASK_SCHEDULER", "SECRET_KEY", "STORAGE_URL")
        settings = {f"EXPORTER_{name}": cluster.shared[f"EXPORTER_{name}"] for name in names}
        yield {**settings, "EXPORTER_LEASE_SECONDS": "2"}


class Bench:
    """An executor, and jobs for it."""

    def __init__(self, app):
        self.parts = app.extensions["exporter"]
        self.freed = threading.Event()
        self.executor = None

    def prepare(self, shop):
        self.parts.artifacts.create()  # the rows speak of another store's files
        self.user = self.parts.accounts.create_user(
            f"user of {shop.parent.parent.name}", "a password", role=Role.MEMBER
        )
        values = DatasourceValues(name=str(shop), url=f"sqlite:///{shop}", is_shared=True)
        self.source = self.parts.datasources.register(values)
        self.parts.engine._parts.pulse.start()
        self.executor = self.parts.engine._parts.make_executor(self.freed.set)
        eventually(lambda: self.executor.free == SLOTS)

    def job(self, table):
        request = JobRequest(datasource=self.source.id, format="csv", filters={"table": table})
        return self.parts.jobs.submit(request, self.user)[0].id

    def status(self, job_id):
        return self.parts.jobs.get(job_id, self.user).status

    def attempts(self, job_id):
        return len(self.parts.jobs.detail(job_id, self.user)[1])

    def cancel(self, job_id):
        self.parts.jobs.cancel(self.parts.jobs.get(job_id, self.user))

    def close(self):
        if self.executor is not None:
            assert self.executor.close(wait=DEADLINE_SECONDS)
        self.parts.engine._parts.pulse.stop()


@pytest.fixture(params=["threads", "dask"])
def bench(request, make_app, database, shop):
    settings = request.getfixturevalue(request.param)
    app = make_app(EXPORTER_DATABASE_URL=database, EXPORTER_WORKERS=str(SLOTS), **settings)
    upgraded(app)
    made = Bench(app)
    try:
        made.prepare(shop)
        yield made
    finally:
        made.close()
