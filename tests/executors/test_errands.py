"""Parts of an export that somebody else reads are taken whole or not at all; what is not had so is read here."""

import csv
import io
import threading

import pyarrow as pa
import pyarrow.parquet
import pytest

from exporter.datasources import DatasourceValues
from exporter.errors import StoreAway
from exporter.figures import Figures
from exporter.jobs.cancel import Reason
from exporter.jobs.errands import Crew
from exporter.jobs.reading import PartReader
from exporter.jobs.requests import JobRequest
from exporter.jobs.workplace import furnish
from exporter.model import JobStatus, Role, utc_now
from exporter.sources.postgresql import parts
from exporter.sources.postgresql.ranges import Ranges
from exporter.sources.sharing import NotFetched
from tests.faults.probes import DEADLINE_SECONDS, doing, eventually
from tests.postgres_server import execute, fresh_database, fresh_role

pytestmark = pytest.mark.postgres

ROWS = 20_000
FILLING = f"INSERT INTO big SELECT i, 'Köln ' || i, 'infinity'::date FROM generate_series(1, {ROWS}) i"


@pytest.fixture(autouse=True)
def _no_thread_left():
    yield
    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith(("exporter-read", "exporter-errand"))] == []


@pytest.fixture(scope="module")
def source(postgres_url):
    with fresh_database(postgres_url) as url:
        execute(url, "CREATE TABLE big(id int, name text, day date)", FILLING)
        yield url


class Colleague:
    """Somebody who reads for the exports of an installation, as a worker would; all in this process.

    `alter` may change what is asked, `spoil` what is answered; `answered` has the answers.
    """

    def __init__(self, place, secret_key):
        self.place = place
        self.secret_key = secret_key
        self.reader = self.reading(secret_key)
        self.begun = threading.Event()
        self.answered = []
        self.alter = self.spoil = lambda told: told

    def reading(self, secret_key, max_rows=None):
        place = self.place
        return PartReader(
            jobs=place.jobs, datasources=place.datasources, artifacts=place.artifacts,
            secret_key=secret_key, max_rows=max_rows,
        )  # fmt: skip

    def send(self, asked, wanted):
        try:
            answer = self.reader.read(self.alter(asked))
            self.answered.append(answer)
            return {"worker": "a colleague", **self.spoil(answer)}
        finally:
            self.begun.set()

    def crew(self, hands=1):
        return Crew(self.send, self.place.artifacts, self.secret_key, hands=hands)


@pytest.fixture
def work(app, services, source, monkeypatch):
    """An installation whose exports begin to read when a colleague has read a part, or has failed to."""
    monkeypatch.setattr(parts, "SMALLEST", 8192)
    monkeypatch.setattr(parts, "PART", 1 << 17)
    monkeypatch.setattr(parts, "SHARED", 2)
    made = Work(app, services, source)
    take = Ranges.take

    def taking(ranges):
        if len(ranges._waiting) > 1:
            assert made.colleague.begun.wait(DEADLINE_SECONDS)
        return take(ranges)

    monkeypatch.setattr(Ranges, "take", taking)
    return made


class Work:
    def __init__(self, app, services, source):
        self.services = services
        with app.app_context():
            self.user = services.accounts.create_user("ada", "a password", role=Role.ADMIN)
        self.place = furnish(services.settings, services.database, Figures(), utc_now)
        self.place.artifacts.create()
        self.source = services.datasources.register(DatasourceValues(name="big", url=source))
        self.colleague = Colleague(self.place, services.settings.secret_key)

    def submit(self, form="csv", **filters):
        request = JobRequest(datasource=self.source.id, format=form, filters={"table": "big", **filters})
        return self.services.jobs.submit(request, self.user)[0].id

    def export(self, form="csv", crew=None, **filters):
        job_id = self.submit(form, **filters)
        self.place.runner.run(job_id, crew or self.colleague.crew())
        return self.services.jobs.get(job_id, self.user)

    def content(self, job):
        assert (job.status, job.row_count) == (JobStatus.COMPLETED, ROWS), job
        artifacts = self.place.artifacts
        with artifacts.open(job.artifact, size=job.file_size, sha256=job.checksum) as file:
            return file.read()

    def ids(self, job):
        """Give the ids in a CSV, sorted; nothing but the file is left."""
        assert self.left() == {job.artifact}
        rows = list(csv.reader(io.StringIO(self.content(job).decode())))
        return sorted(int(row[0]) for row in rows[1:])

    def left(self):
        return self.place.artifacts.keys() | self.place.artifacts.staged()


WHOLE = list(range(1, ROWS + 1))


def test_what_a_colleague_reads_is_part_of_the_file(work):
    job = work.export()
    assert work.ids(job) == WHOLE
    assert any("part" in answer for answer in work.colleague.answered)


def test_values_that_a_colleague_could_not_keep_are_counted_with_the_others(work):
    job = work.export("parquet")
    table = pyarrow.parquet.read_table(pa.BufferReader(work.content(job)))
    assert sorted(table["id"].to_pylist()) == WHOLE
    assert table["day"].null_count == ROWS
    assert [(warning["code"], warning["count"]) for warning in job.warnings] == [("infinity_as_null", ROWS)]
    assert any(answer.get("lost") for answer in work.colleague.answered)


def test_nothing_is_asked_for_what_is_no_whole_large_table(work, monkeypatch):
    for filters in ({"limit": 5}, {"order_by": "id"}, {"where_conditions": [{"column": "id", "operator": ">", "value": 1}]}):  # fmt: skip
        assert work.export(**filters).status is JobStatus.COMPLETED
    monkeypatch.setattr(parts, "SHARED", 10**6)
    work.colleague.begun.set()
    assert work.export().status is JobStatus.COMPLETED
    assert work.colleague.answered == []


def refused(work, caplog, reason):
    """Export while the colleague refuses; the one who has the job reads everything."""
    job = work.export()
    assert work.ids(job) == WHOLE
    assert [set(answer) for answer in work.colleague.answered] == [{"error"}]
    assert reason in caplog.text


def test_a_colleague_of_another_version_reads_nothing(work, caplog):
    work.colleague.alter = lambda asked: {**asked, "version": "99.0"}
    refused(work, caplog, "and the attempt of 99.0")


def test_a_colleague_with_another_key_reads_nothing(work, caplog):
    work.colleague.reader = work.colleague.reading("another key")
    refused(work, caplog, "another address or login than when the attempt began")


def test_a_colleague_for_whom_the_login_is_another_reads_nothing(work, source, caplog):
    with fresh_role(source) as (url, role):
        execute(source, f"GRANT SELECT ON big TO {role}")

        def changing(asked):
            values = DatasourceValues(name="big", url=url)
            work.services.datasources.update(work.source, values)
            return asked

        work.colleague.alter = changing
        refused(work, caplog, "another address or login than when the attempt began")


def test_a_colleague_with_another_row_limit_reads_nothing(work, caplog):
    work.colleague.reader = work.colleague.reading(work.colleague.secret_key, max_rows=7)
    refused(work, caplog, "the table or its columns are other ones there")


def test_a_colleague_reads_nothing_for_an_attempt_that_is_over(work, caplog):
    work.colleague.alter = lambda asked: {**asked, "attempt": asked["attempt"] + 1}
    refused(work, caplog, "the attempt is over")


def test_a_snapshot_that_is_gone_is_not_read(work, caplog):
    work.colleague.alter = lambda asked: {
        **asked,
        "portion": {**asked["portion"], "snapshot": "00000001-00000001-1"},
    }
    refused(work, caplog, "a colleague: query_failed")


def test_another_snapshot_than_the_attempts_is_not_read(work, caplog):
    work.colleague.alter = lambda asked: {**asked, "portion": {**asked["portion"], "snapshot_id": "1:1:"}}
    refused(work, caplog, "a colleague: source_unavailable")


@pytest.mark.parametrize("harm", ["cut", "changed", "removed"])
def test_a_part_that_is_not_whole_is_read_again_here(work, caplog, harm):
    def spoil(answer):
        path = work.services.settings.storage_path / answer["part"]["key"]
        data = path.read_bytes()
        path.unlink()
        if harm != "removed":
            path.write_bytes(data[:-1] if harm == "cut" else data.replace(b"K", b"k", 1))
        return answer

    work.colleague.spoil = spoil
    assert work.ids(work.export()) == WHOLE
    assert "is not there, or not whole" in caplog.text


def test_a_colleague_that_dies_is_asked_for_the_next_part(work, caplog):
    deaths = []

    def dying(asked):
        if not deaths:
            deaths.append(asked)
            raise NotFetched("its worker was lost", lasting=False)
        return asked

    work.colleague.alter = dying
    assert work.ids(work.export()) == WHOLE
    assert "its worker was lost" in caplog.text


def test_a_colleague_whose_disk_is_full_leaves_nothing(work, caplog):
    def full():
        raise StoreAway(reason="no space", retry_after=1)

    with doing("part_written", full):
        assert work.ids(work.export()) == WHOLE
    assert "a colleague: store_away" in caplog.text


def test_a_part_that_comes_when_the_attempt_is_over_is_removed(work):
    """The attempt is cancelled while a colleague has its part in the store and has not told yet."""

    def cancel():
        (lease,) = work.place.jobs.leases()
        work.services.jobs.cancel(work.services.jobs.get(lease.job_id, work.user))
        work.place.pulse.cancel(lease.job_id, Reason.CANCELLED)

    with doing("part_left", cancel):
        job = work.export()
    assert job.status is JobStatus.CANCELLED
    assert work.left() == set()
    assert [set(answer) for answer in work.colleague.answered] == [{"error"}]


def test_an_attempt_whose_snapshot_is_lost_with_its_connection_is_followed_by_another(work, source):
    """The first part is asked for when the connection is gone that exported the snapshot."""
    ended = []

    def end(asked):
        if not ended:
            ended.append(asked)
            mine = "application_name = 'exporter' AND datname = current_database()"
            execute(source, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")
        return asked

    work.colleague.alter = end
    job = work.export()
    assert work.ids(job) == WHOLE
    _, attempts = work.services.jobs.detail(job.id, work.user)
    outcomes = [(attempt.outcome, attempt.error_code) for attempt in attempts]
    assert outcomes == [("failed", "source_unavailable"), ("completed", None)]


def test_a_sweep_leaves_the_parts_of_a_running_attempt_alone_and_removes_others(work):
    def sweep():
        staged = work.place.artifacts.stage("0b0e3a52-9d7c-4b0f-8b8d-1f6a54a1f0aa-1.0123456789ab")
        staged.write(b"of nobody")
        staged.publish()
        found.append(work.services.sweeper.sweep())

    found = []
    with doing("part_left", sweep):
        assert work.ids(work.export()) == WHOLE
    assert [swept.orphans for swept in found] == [("0b0e3a52-9d7c-4b0f-8b8d-1f6a54a1f0aa-1.0123456789ab",)]
    assert any("part" in answer for answer in work.colleague.answered)


def test_a_part_that_nobody_waits_for_any_more_is_removed_at_the_end(work):
    """What was read here instead comes in too late."""

    def late(asked, wanted):
        work.colleague.begun.set()
        eventually(lambda: not wanted())
        work.colleague.reader.read(asked)

    crew = Crew(late, work.place.artifacts, work.colleague.secret_key, hands=2)
    assert work.ids(work.export(crew=crew)) == WHOLE


def test_only_ids_a_range_and_signatures_travel(work, source):
    seen = []
    work.colleague.alter = lambda asked: (seen.append(asked), asked)[1]
    work.export()
    told = repr(seen)
    assert set(seen[0]) == {"job_id", "attempt", "version", "portion", "way", "login", "select"}
    assert work.source.url not in told
    assert "big" not in told
