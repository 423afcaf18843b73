"""The quiet parts of running jobs: tokens, progress, turns, leases, what is swept."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import islice
from queue import Queue

import pytest

from exporter.errors import DatabaseAway
from exporter.figures import Figures
from exporter.jobs.cancel import Cancelled, CancelToken, Reason
from exporter.jobs.dispatcher import Dispatcher, next_turn
from exporter.jobs.engine import AlreadyServed, InstanceLock
from exporter.jobs.executors.base import PoolClosed
from exporter.jobs.executors.threads import ThreadExecutor
from exporter.jobs.lease import Pulse, Reaper, Running
from exporter.jobs.progress import Progress
from exporter.jobs.retention import orphans
from exporter.jobs.runner import backoff
from exporter.model import JobStatus, Phase
from exporter.sources.base import RowEstimate
from exporter.storage.jobs import Lease, Waiting

NOW = datetime(2024, 1, 1, tzinfo=UTC)
DEADLINE_SECONDS = 10.0


def test_the_first_reason_of_a_cancel_stays():
    token = CancelToken()
    token.check()
    token.cancel(Reason.CANCELLED)
    token.cancel(Reason.LOST)
    with pytest.raises(Cancelled) as caught:
        token.check()
    assert caught.value.reason is Reason.CANCELLED


def test_a_cancel_interrupts_what_runs_and_never_what_has_ended():
    token, calls = CancelToken(), []
    with token.interrupting(lambda: calls.append(1)):
        token.cancel(Reason.CANCELLED)
    token.cancel(Reason.CANCELLED)
    assert calls == [1]
    with pytest.raises(Cancelled), token.interrupting(lambda: calls.append(2)):
        calls.append(3)
    assert calls == [1]


def test_progress_never_falls_and_never_says_100_before_the_end():
    progress = Progress(total=RowEstimate(rows=100, kind="estimate"))
    seen = []
    for rows in (0, 50, 40, 99, 500):
        progress.rows = rows
        seen.append(progress.values()["progress"])
    assert seen == [0, 50, 50, 99, 99]
    progress.phase = Phase.PUBLISHING
    assert progress.values()["progress"] == 99


def test_progress_of_an_unknown_total_stays_at_zero():
    progress = Progress(rows=10)
    assert progress.values()["progress"] == 0
    assert progress.values()["rows_total"] is None


def waiting(job, owner, seconds):
    return Waiting(job_id=job, owner_id=owner, queued_at=NOW + timedelta(seconds=seconds))


def test_one_users_many_exports_do_not_starve_anothers_one():
    queue = [waiting("a2", "ada", 0), waiting("b1", "bea", 60)]
    assert next_turn(queue, {"ada": 1}).job_id == "b1"
    assert next_turn(queue, {}).job_id == "a2"
    assert next_turn(queue, {"ada": 1, "bea": 1}).job_id == "a2"
    assert next_turn([], {}) is None


def test_a_dispatcher_stops_though_a_long_queue_of_short_jobs_never_fills_the_slots():
    handed = Queue()
    dispatcher = Dispatcher(EndlessQueue(), EndlessSlots(handed))
    dispatcher.start()
    handed.get(timeout=DEADLINE_SECONDS)
    stopping = threading.Thread(target=dispatcher.stop, daemon=True)
    stopping.start()
    stopping.join(DEADLINE_SECONDS)
    assert not dispatcher.alive


class EndlessQueue:
    """Always has one more job."""

    def waiting(self, *, leaving_out, only):
        return [waiting("a", "ada", 0)]

    def running_per_owner(self, *, leaving_out):
        return {}


class EndlessSlots:
    """Ends each job as soon as it is handed over."""

    free = 1

    def __init__(self, handed):
        self.handed = handed

    def submit(self, job_id):
        self.handed.put(job_id)

    def running(self):
        return frozenset()


class Rows:
    """The two stores that a reaper asks, with the rows of a test."""

    def __init__(self, *leases):
        self.rows, self.taken = list(leases), []

    def leases(self):
        return self.rows

    def letting_go(self):
        return []

    def settle_stopped(self, *, now):
        self.taken.append("settled")

    def take_over(self, job_id, attempt, **facts):
        self.taken.append((job_id, facts["beat"]))
        return JobStatus.PENDING


def make_reaper(rows, monotonic, ours=frozenset, figures=None):
    return Reaper(
        rows, rows, figures or Figures(), lease_seconds=15, max_attempts=3, ours=ours, monotonic=monotonic
    )


def lease(beat):
    return Lease(job_id="j", attempt=1, beat=beat, worker="w")


def test_a_beat_that_stands_still_for_a_lease_is_taken_over_whatever_the_wall_clock_says():
    moment, rows = [0.0], Rows(lease(1))
    reaper = make_reaper(rows, lambda: moment[0])
    reaper.reap(now=NOW)
    moment[0] = 14
    reaper.reap(now=NOW + timedelta(hours=1))
    assert rows.taken == []
    rows.rows = [lease(2)]
    moment[0] = 20
    reaper.reap(now=NOW)
    moment[0] = 34
    reaper.reap(now=NOW - timedelta(hours=1))
    assert rows.taken == []
    moment[0] = 35
    reaper.reap(now=NOW)
    assert rows.taken == [("j", 2)]


def test_a_lost_worker_counts_as_a_failed_attempt():
    figures, rows = Figures(), Rows(lease(1))
    make_reaper(rows, lambda: 0.0, figures=figures).recover(now=NOW)
    assert figures.failures.items() == [(("worker_lost",), 1)]


def test_time_without_the_app_database_is_nobodys_silence():
    moment, rows = [0.0], Rows(lease(1))
    reaper = make_reaper(rows, lambda: moment[0])
    reaper.reap(now=NOW)
    moment[0] = 14
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "leases", lambda: (_ for _ in ()).throw(DatabaseAway(retry_after=1)))
        with pytest.raises(DatabaseAway):
            reaper.reap(now=NOW)
    for moment[0] in (20, 34):
        reaper.reap(now=NOW)
    assert rows.taken == []
    moment[0] = 35
    reaper.reap(now=NOW)
    assert rows.taken == [("j", 1)]


def test_a_reaper_that_slept_itself_begins_to_count_anew():
    moment, rows = [0.0], Rows(lease(1))
    reaper = make_reaper(rows, lambda: moment[0])
    reaper.reap(now=NOW)
    for moment[0] in (3600, 3614):
        reaper.reap(now=NOW)
    assert rows.taken == []
    moment[0] = 3615
    reaper.reap(now=NOW)
    assert rows.taken == [("j", 1)]


def test_an_attempt_of_this_process_is_never_lost():
    moment, rows = [0.0], Rows(lease(1))
    reaper = make_reaper(rows, lambda: moment[0], lambda: frozenset({("j", 1)}))
    for moment[0] in range(0, 60, 10):
        reaper.reap(now=NOW)
    assert rows.taken == []


def test_further_attempts_wait_twice_as_long_each_time_up_to_a_limit():
    assert list(islice(backoff(), 6)) == [1, 2, 4, 8, 15, 15]


def test_a_token_that_waits_wakes_at_its_flag():
    token = CancelToken()
    token.wait(0)
    token.cancel(Reason.STOPPING)
    with pytest.raises(Cancelled):
        token.wait(3600)


def test_the_only_process_takes_over_at_once_when_it_starts():
    rows = Rows(lease(7))
    make_reaper(rows, lambda: 0.0).recover(now=NOW)
    assert rows.taken == [("j", 7), "settled"]


def test_a_process_that_ends_waits_until_nothing_runs_in_it_and_not_longer():
    pulse = Pulse(Rows(), lease_seconds=15)
    entered, leave = threading.Event(), threading.Event()

    def run():
        running = Running(job_id="j", attempt=1, token=CancelToken(), progress=Progress())
        with pulse.watching(running):
            entered.set()
            leave.wait(DEADLINE_SECONDS)

    thread = threading.Thread(target=run)
    thread.start()
    assert entered.wait(DEADLINE_SECONDS)
    assert not pulse.wait_until_idle(seconds=0)
    leave.set()
    assert pulse.wait_until_idle(seconds=DEADLINE_SECONDS)
    thread.join()
    assert pulse.wait_until_idle(seconds=0)


def test_what_no_row_refers_to_is_swept_but_not_a_running_attempts_file():
    assert orphans({"a", "b", "c"}, referred={"a"}, running={"b"}) == ("c",)


def test_an_instance_has_one_server_and_the_second_is_told_who(tmp_path):
    first, second = InstanceLock(tmp_path), InstanceLock(tmp_path)
    first.acquire()
    with pytest.raises(AlreadyServed, match="process"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_pool_frees_its_slot_whatever_a_job_did():
    freed = threading.Event()

    def run(job_id):
        raise SystemExit(job_id)

    pool = ThreadExecutor(run, 1, freed.set)
    pool.submit("j")
    assert freed.wait(10)
    assert pool.close(wait=10)
    assert pool.free == 1
    with pytest.raises(PoolClosed):
        pool.submit("k")


def test_a_pool_says_when_its_jobs_do_not_end_in_time():
    go = threading.Event()
    pool = ThreadExecutor(lambda _: go.wait(30), 1, lambda: None)
    pool.submit("j")
    assert pool.running() == {"j"}
    assert not pool.close(wait=0)
    go.set()
    assert pool.close(wait=10)
