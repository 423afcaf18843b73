"""The app's own queries go by index, so that they stay as quick with 100,000 jobs as with 100."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, event, insert, text, update

from exporter.model import JobStatus, NewJob, Phase, Role
from exporter.storage.database import Database, engine_options, prepare_engine
from exporter.storage.datasources import DatasourceStore
from exporter.storage.jobs import JobQuery, JobStore
from exporter.storage.room import QueueLimits
from exporter.storage.secrets import Vault
from exporter.storage.tables import Base, JobRow
from exporter.storage.transitions import BLANK, JobTransitions
from exporter.storage.users import UserStore

NOW = datetime(2024, 1, 1, 12, tzinfo=UTC)
OLD_JOBS = 5_000
WITH_FILE = 50
SHARE = 10  # one job of so many is ada's
LIMITS = QueueLimits(server=100, user=100)
READS_ALL = {"sqlite": re.compile(r"SCAN jobs$", re.MULTILINE), "postgresql": re.compile("Seq Scan on jobs")}
SORTS_ALL = {
    "sqlite": re.compile("TEMP B-TREE FOR ORDER BY"),
    "postgresql": re.compile(r"(?<!Incremental )Sort  "),
}


class Queue:
    """A database full of old jobs, all of one datasource, and one job that waits."""

    def __init__(self, engine):
        self.engine = engine
        self.dialect = engine.dialect.name
        database = Database(engine)
        self.jobs, self.transitions = JobStore(database), JobTransitions(database)
        users = UserStore(database)
        self.owner_id, self.other_id = (
            users.create(name, role=Role.MEMBER, password_hash="x", now=NOW).id for name in ("ada", "bob")
        )
        values = {
            "name": "d", "kind": "sqlite", "url": "sqlite:///d", "table": None, "query": None, "date_column": None,
            "is_shared": False, "snapshot_copy": False, "warnings": (),
        }  # fmt: skip
        self.datasource_id = DatasourceStore(database, Vault("key")).create(values, now=NOW).id
        with engine.begin() as connection:
            connection.execute(insert(JobRow), [self.old(number) for number in range(OLD_JOBS)])
        if self.dialect == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE jobs"))
        self.waiting, _ = self.insert()

    def insert(self):
        new = NewJob(
            owner_id=self.owner_id, name=None, format="csv", datasource_id=self.datasource_id, datasource_name="d",
            template_id=None, template_name=None, filters={}, options={},
        )  # fmt: skip
        return self.jobs.insert(new, now=NOW, limits=LIMITS)

    def old(self, number):
        moment = NOW - timedelta(minutes=number + 1)
        status = (JobStatus.COMPLETED, JobStatus.CANCELLED)[number % 2]
        return {
            **BLANK, "id": f"job-{number}", "owner_id": self.other_id if number % SHARE else self.owner_id, "name": None, "status": status,
            "phase": Phase.DONE, "format": "json", "datasource_id": self.datasource_id, "datasource_name": "d",
            "template_id": None, "template_name": None, "filters": {}, "options": {}, "attempt": 1, "crashes": 0,
            "row_count": 10, "created_at": moment, "queued_at": moment, "started_at": moment,
            "completed_at": moment, "stopped_at": moment, "expires_at": moment,
            "artifact": f"file-{number}" if number < WITH_FILE else None,
        }  # fmt: skip

    def plans(self, work):
        """Do the work, then ask the database how it went about each of its statements on jobs."""
        sent = []

        def keep(connection, cursor, statement, parameters, context, executemany):
            sent.append((statement, parameters))

        event.listen(self.engine, "before_cursor_execute", keep)
        try:
            work(self)
        finally:
            event.remove(self.engine, "before_cursor_execute", keep)
        asked = [(sql, values) for sql, values in sent if "jobs" in sql and not sql.startswith("INSERT")]
        assert asked
        return "\n".join(self.explained(sql, values) for sql, values in asked)

    def explained(self, sql, values):
        explain = "EXPLAIN QUERY PLAN" if self.dialect == "sqlite" else "EXPLAIN"
        with self.engine.connect() as connection:
            rows = connection.exec_driver_sql(f"{explain} {sql}", values)
            return sql + "\n" + "\n".join(str(row[-1]) for row in rows)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def queue(request, tmp_path_factory):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'app.db'}"
        yield from _queue(url)
    else:
        from tests.postgres_server import fresh_database

        with fresh_database(request.getfixturevalue("postgres_url")) as url:
            yield from _queue(url.replace("postgresql://", "postgresql+psycopg://"))


def _queue(url):
    engine = create_engine(url, **engine_options(url))
    prepare_engine(engine)
    Base.metadata.create_all(engine)
    yield Queue(engine)
    engine.dispose()


WORK = {
    "list": lambda queue: queue.jobs.page(JobQuery(owner_id=queue.owner_id)),
    "list of one status": lambda queue: queue.jobs.page(JobQuery(owner_id=queue.owner_id, status="pending")),
    "everybody's list": lambda queue: queue.jobs.page(JobQuery()),
    "detail": lambda queue: queue.jobs.with_attempts("job-7"),
    "submit": lambda queue: queue.insert(),
    "queue position": lambda queue: queue.jobs.get(queue.waiting.id),
    "whose turn": lambda queue: (queue.jobs.waiting(), queue.jobs.running_per_owner()),
    "claim": lambda queue: queue.transitions.claim("job-7", worker="w", now=NOW),
    "beat": lambda queue: queue.transitions.beat("job-7", 1),
    "leases": lambda queue: queue.jobs.leases(),
    "usual rate": lambda queue: queue.jobs.usual_rate(queue.datasource_id, "json"),
    "busy with": lambda queue: queue.jobs.busy_with(queue.datasource_id),
    "expired": lambda queue: queue.jobs.expired(NOW),
    "artifacts": lambda queue: queue.jobs.artifacts(),
    "tallies": lambda queue: queue.jobs.tallies(),
}


# To count all jobs is to read all of something: PostgreSQL rather reads the table.
COUNTS_ALL = {"everybody's list", "tallies"}


@pytest.mark.parametrize("name", WORK)
def test_no_query_reads_all_jobs(queue, name):
    if queue.dialect == "postgresql" and name in COUNTS_ALL:
        pytest.skip("it counts them all")
    plans = queue.plans(WORK[name])
    assert not READS_ALL[queue.dialect].search(plans), plans


@pytest.mark.parametrize("name", ["list", "everybody's list", "usual rate"])
def test_nothing_is_sorted_to_find_the_newest(queue, name):
    plans = queue.plans(WORK[name])
    assert not SORTS_ALL[queue.dialect].search(plans), plans


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("list", "ix_jobs_owner_id_created_at_id"),
        ("everybody's list", "ix_jobs_created_at_id"),
        ("whose turn", "ix_jobs_status_owner_id_queued_at"),
        ("usual rate", "ix_jobs_datasource_id_status_format"),
        ("artifacts", "ix_jobs_with_file"),
        ("expired", "ix_jobs_with_file"),
    ],
)
def test_each_question_has_its_index(queue, name, index):
    assert index in queue.plans(WORK[name])


def test_a_list_comes_without_receipts_and_a_job_with_its_own(queue):
    with queue.engine.begin() as connection:
        connection.execute(update(JobRow).where(JobRow.id == "job-0").values(receipt={"rows": 1}))
    (newest,) = queue.jobs.page(JobQuery(owner_id=queue.owner_id, status="completed", page_size=1)).items
    assert (newest.id, newest.receipt) == ("job-0", None)
    assert queue.jobs.get("job-0").receipt == {"rows": 1}
