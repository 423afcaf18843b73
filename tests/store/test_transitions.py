"""The state machine, over SQLite and PostgreSQL: every pair of statuses, every race with one winner."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, update

from exporter.errors import KeyReused, QueueFull, UserQueueFull
from exporter.model import TRANSITIONS, JobStatus, NewJob, Outcome, Role
from exporter.storage.database import Database, engine_options, prepare_engine
from exporter.storage.datasources import DatasourceStore
from exporter.storage.intake import IdempotencyKey
from exporter.storage.jobs import JobQuery, JobStore
from exporter.storage.room import QueueLimits
from exporter.storage.secrets import Vault
from exporter.storage.tables import Base, JobRow
from exporter.storage.transitions import JobTransitions
from exporter.storage.users import UserStore

NOW = datetime(2024, 1, 1, 12, tzinfo=UTC)
LIMITS = QueueLimits(server=100, user=100)
OUTCOME = Outcome(
    artifact="a",
    file_name="a.csv",
    file_size=1,
    checksum="0",
    row_count=5,
    warnings=(),
    receipt={"x": 1},
    expires_at=None,
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'app.db'}"
    else:
        url = request.getfixturevalue("postgres_database").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, **engine_options(url))
    prepare_engine(engine)
    Base.metadata.create_all(engine)
    yield Database(engine)
    engine.dispose()


@pytest.fixture
def jobs(database):
    return JobStore(database)


@pytest.fixture
def transitions(database):
    return JobTransitions(database)


@pytest.fixture
def new(database):
    user = UserStore(database).create("ada", role=Role.ADMIN, password_hash="x", now=NOW)
    values = {
        "name": "d", "kind": "sqlite", "url": "sqlite:///d", "table": None, "query": None, "date_column": None,
        "is_shared": False, "snapshot_copy": False, "warnings": (),
    }  # fmt: skip
    datasource = DatasourceStore(database, Vault("key")).create(values, now=NOW)
    return NewJob(
        owner_id=user.id, name=None, format="csv", datasource_id=datasource.id, datasource_name="d",
        template_id=None, template_name=None, filters={"columns": ["a"]}, options={},
    )  # fmt: skip


@pytest.fixture
def job(jobs, new):
    return jobs.insert(new, now=NOW, limits=LIMITS)[0]


def put(database, job_id, status):
    with database.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == job_id).values(status=status, attempt=1))


def moves(transitions, job_id, to):
    return {
        JobStatus.PENDING: lambda: (
            transitions.retry(job_id, now=NOW, limits=LIMITS) or transitions.release(job_id, 1, now=NOW)
        ),
        JobStatus.PROCESSING: lambda: transitions.claim(job_id, worker="w", now=NOW),
        JobStatus.COMPLETED: lambda: transitions.complete(job_id, 1, OUTCOME, now=NOW),
        JobStatus.FAILED: lambda: transitions.fail(job_id, 1, code="c", message="m", row_count=1, now=NOW),
        JobStatus.CANCELLED: lambda: transitions.cancel(job_id, now=NOW),
    }[to]()


@pytest.mark.parametrize("to", list(JobStatus))
@pytest.mark.parametrize("start", list(JobStatus))
def test_exactly_the_listed_transitions_exist(database, jobs, transitions, job, start, to):
    put(database, job.id, start)
    moved = bool(moves(transitions, job.id, to))
    assert moved == (to in TRANSITIONS[start])
    assert jobs.get(job.id).status is (to if moved else start)


def test_the_database_refuses_a_status_that_is_not_one(database, job):
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError):
        put(database, job.id, "done")


def test_a_job_comes_back_as_it_was_inserted(jobs, new, job):
    found = jobs.get(job.id)
    assert found == job
    assert (found.status, found.filters, found.created_at) == (JobStatus.PENDING, new.filters, NOW)


def test_an_old_attempt_can_neither_beat_nor_publish_nor_fail(jobs, transitions, job):
    first = transitions.claim(job.id, worker="w1", now=NOW)
    assert (
        transitions.take_over(job.id, first, beat=0, max_attempts=3, message="m", now=NOW)
        is JobStatus.PENDING
    )
    second = transitions.claim(job.id, worker="w2", now=NOW)
    assert not transitions.beat(job.id, first, row_count=1)
    assert not transitions.complete(job.id, first, OUTCOME, now=NOW)
    assert not transitions.fail(job.id, first, code="c", message="m", row_count=0, now=NOW)
    assert transitions.beat(job.id, second, row_count=2)
    assert transitions.complete(job.id, second, OUTCOME, now=NOW)
    assert [a.outcome for a in jobs.with_attempts(job.id)[1]] == ["worker_lost", "completed"]


def test_a_job_that_kills_its_worker_each_time_fails_in_the_end(jobs, transitions, job):
    for expected in (JobStatus.PENDING, JobStatus.PENDING, JobStatus.FAILED):
        attempt = transitions.claim(job.id, worker="w", now=NOW)
        assert (
            transitions.take_over(job.id, attempt, beat=0, max_attempts=3, message="lost", now=NOW)
            is expected
        )
    failed = jobs.get(job.id)
    assert (failed.error_code, failed.error_message) == ("worker_lost", "lost")
    assert transitions.retry(job.id, now=NOW, limits=LIMITS)
    attempt = transitions.claim(job.id, worker="w", now=NOW)
    assert (
        transitions.take_over(job.id, attempt, beat=0, max_attempts=3, message="m", now=NOW)
        is JobStatus.PENDING
    )


def test_a_worker_that_still_beats_is_not_taken_over(transitions, job):
    attempt = transitions.claim(job.id, worker="w", now=NOW)
    transitions.beat(job.id, attempt, row_count=1)
    assert transitions.take_over(job.id, attempt, beat=0, max_attempts=3, message="m", now=NOW) is None


def test_retry_clears_the_past_from_the_job(jobs, transitions, job):
    attempt = transitions.claim(job.id, worker="w", now=NOW)
    transitions.fail(job.id, attempt, code="c", message="m", row_count=7, now=NOW)
    later = NOW + timedelta(minutes=1)
    assert transitions.retry(job.id, now=later, limits=LIMITS)
    again = jobs.get(job.id)
    assert (again.error_code, again.row_count, again.completed_at, again.started_at) == (
        None,
        None,
        None,
        None,
    )
    assert again.queued_at == later
    assert jobs.with_attempts(job.id)[1][0].error_message == "m"


def test_stopped_is_noted_once_and_only_on_a_cancelled_job(jobs, transitions, job):
    attempt = transitions.claim(job.id, worker="w", now=NOW)
    transitions.stopped(job.id, attempt, now=NOW)
    assert jobs.get(job.id).stopped_at is None
    transitions.cancel(job.id, now=NOW)
    assert jobs.get(job.id).stopped_at is None
    transitions.stopped(job.id, attempt, now=NOW)
    assert jobs.get(job.id).stopped_at == NOW


@pytest.mark.parametrize("action", ["claim", "cancel", "retry"])
def test_of_many_at_once_one_wins(jobs, transitions, job, action):
    if action == "retry":
        transitions.cancel(job.id, now=NOW)
    acts = {
        "claim": lambda: transitions.claim(job.id, worker="w", now=NOW) is not None,
        "cancel": lambda: transitions.cancel(job.id, now=NOW),
        "retry": lambda: transitions.retry(job.id, now=NOW, limits=LIMITS),
    }
    together = threading.Barrier(8)
    won = []

    def act():
        together.wait(timeout=10)
        won.append(acts[action]())

    threads = [threading.Thread(target=act) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_ten_equal_submits_with_one_key_make_one_job(jobs, new):
    key = IdempotencyKey(key="k", digest="d", not_before=NOW - timedelta(hours=24))
    together = threading.Barrier(10)
    made = []

    def submit():
        together.wait(timeout=10)
        made.append(jobs.insert(new, now=NOW, limits=LIMITS, key=key))

    threads = [threading.Thread(target=submit) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job, _ in made}) == 1
    assert sum(created for _, created in made) == 1


def test_a_key_with_another_request_is_refused_and_an_old_key_is_forgotten(jobs, new):
    key = IdempotencyKey(key="k", digest="d", not_before=NOW - timedelta(hours=24))
    jobs.insert(new, now=NOW, limits=LIMITS, key=key)
    with pytest.raises(KeyReused):
        jobs.insert(new, now=NOW, limits=LIMITS, key=replace(key, digest="other"))
    fresh = replace(key, digest="other", not_before=NOW + timedelta(seconds=1))
    assert jobs.insert(new, now=NOW, limits=LIMITS, key=fresh)[1]


def test_a_refused_submit_leaves_no_trace(jobs, new, job):
    for limits, error in (
        (QueueLimits(server=1, user=9), QueueFull),
        (QueueLimits(server=9, user=1), UserQueueFull),
    ):
        with pytest.raises(error):
            jobs.insert(new, now=NOW, limits=limits)
    assert jobs.page(JobQuery()).total == 1


def test_a_running_job_is_not_deleted_and_another_goes_with_its_attempts(jobs, transitions, job):
    transitions.claim(job.id, worker="w", now=NOW)
    assert jobs.delete(job.id) is None
    transitions.cancel(job.id, now=NOW)
    assert jobs.delete(job.id).id == job.id
    assert jobs.get(job.id) is None
    assert jobs.with_attempts(job.id) is None


def test_search_takes_wildcards_literally(jobs, new):
    jobs.insert(replace(new, name="100% of_it"), now=NOW, limits=LIMITS)
    jobs.insert(replace(new, name="other"), now=NOW, limits=LIMITS)
    for text, found in (("100%", 1), ("OF_", 1), ("%", 1), ("_", 1), ("o", 2), ("\\", 0)):
        assert jobs.page(JobQuery(search=text)).total == found, text


def test_the_oldest_job_of_each_user_waits_for_its_turn(jobs, new):
    first = jobs.insert(new, now=NOW, limits=LIMITS)[0]
    second = jobs.insert(new, now=NOW + timedelta(seconds=1), limits=LIMITS)[0]
    assert [w.job_id for w in jobs.waiting()] == [first.id]
    assert [w.job_id for w in jobs.waiting(leaving_out=[first.id])] == [second.id]
    assert jobs.waiting(only=frozenset()) == []
    assert (first.queue_position, second.queue_position) == (1, 2)
    assert [job.queue_position for job in jobs.page(JobQuery()).items] == [2, 1]


def test_a_retry_waits_for_room_like_a_new_job(jobs, transitions, new, job):
    transitions.cancel(job.id, now=NOW)
    jobs.insert(new, now=NOW, limits=LIMITS)
    with pytest.raises(UserQueueFull):
        transitions.retry(job.id, now=NOW, limits=QueueLimits(server=9, user=1))
    assert jobs.get(job.id).status is JobStatus.CANCELLED
    assert transitions.retry(job.id, now=NOW, limits=QueueLimits(server=9, user=2))


@pytest.mark.parametrize("ending", ["cancel", "release", "take over"])
def test_the_rows_of_an_attempt_that_did_not_end_well_stay_in_it(jobs, transitions, job, ending):
    attempt = transitions.claim(job.id, worker="w", now=NOW)
    transitions.beat(job.id, attempt, row_count=77)
    match ending:
        case "cancel":
            transitions.cancel(job.id, now=NOW)
        case "release":
            transitions.release(job.id, attempt, now=NOW)
        case _:
            transitions.take_over(job.id, attempt, beat=1, max_attempts=3, message="m", now=NOW)
    assert jobs.with_attempts(job.id)[1][0].row_count == 77


def test_a_page_far_past_the_end_is_empty(jobs, job):
    assert jobs.page(JobQuery(page=10**30)).items == ()
