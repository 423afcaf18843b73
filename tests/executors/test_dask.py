"""What only a cluster can do to a job that was handed to it."""

import pytest

from exporter.jobs.executors import dask
from exporter.model import JobStatus
from tests.faults.probes import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("bench", ["dask"], indirect=True)]


def runs(bench, job_id):
    eventually(lambda: bench.status(job_id) is JobStatus.PROCESSING)


def end(bench, *jobs):
    for job_id in jobs:
        bench.cancel(job_id)
    eventually(lambda: not bench.executor.running())


def test_a_job_that_nobody_begins_is_taken_back_and_can_be_handed_over_again(bench):
    first, second, third = (bench.job("endless") for _ in range(3))
    for job_id in (first, second):
        bench.executor.submit(job_id)
        runs(bench, job_id)
    bench.executor.submit(third)  # all threads of the cluster are busy: it waits at the scheduler
    eventually(lambda: bench.executor.running() == {first, second})
    bench.cancel(first)
    eventually(lambda: bench.executor.free == 1)
    assert bench.status(third) is JobStatus.PENDING
    bench.executor.submit(third)
    runs(bench, third)
    assert bench.attempts(third) == 1
    end(bench, second, third)


def test_a_slot_is_taken_by_what_another_server_had_run(bench):
    job_id = bench.job("endless")
    bench.executor.submit(job_id)
    runs(bench, job_id)
    other = bench.parts.engine._parts.make_executor(bench.freed.set)
    try:
        assert (other.free, other.running()) == (1, frozenset())
        end(bench, job_id)
        eventually(lambda: other.free == 2)
    finally:
        other.close(wait=0)


def test_a_slot_is_free_as_soon_as_its_job_has_returned(bench, monkeypatch):
    job_id = bench.job("endless")
    bench.executor.submit(job_id)
    runs(bench, job_id)
    looked, leases = [], bench.executor._jobs.leases
    monkeypatch.setattr(bench.executor._jobs, "leases", lambda: looked.append(found := leases()) or found)
    monkeypatch.setattr(dask, "LOOK_SECONDS", 3600)  # no further look puts it right
    eventually(lambda: looked)
    assert bench.executor.free == 1
    end(bench, job_id)
    eventually(lambda: bench.executor.free == 2)


def test_jobs_that_are_handed_over_twice_at_once_run_once(bench):
    other = bench.parts.engine._parts.make_executor(bench.freed.set)
    jobs = [bench.job("numbers") for _ in range(6)]
    try:
        for job_id in jobs:
            bench.executor.submit(job_id)
            other.submit(job_id)
        eventually(lambda: all(bench.status(job_id) is JobStatus.COMPLETED for job_id in jobs))
        eventually(lambda: not (bench.executor.running() or other.running()))
    finally:
        other.close(wait=0)
    assert [bench.attempts(job_id) for job_id in jobs] == [1] * 6
