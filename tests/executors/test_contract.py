"""What every executor keeps, be its slots threads of this process or workers of a Dask cluster."""

import pytest

from exporter.jobs.executors.base import PoolClosed
from exporter.model import JobStatus
from tests.faults.probes import DEADLINE_SECONDS, eventually

pytestmark = pytest.mark.postgres

SLOTS = 2  # of the bench


def test_a_job_that_is_handed_over_runs_and_frees_its_slot(bench):
    job_id = bench.job("orders")
    bench.executor.submit(job_id)
    eventually(lambda: bench.status(job_id) is JobStatus.COMPLETED)
    assert bench.freed.wait(DEADLINE_SECONDS)
    eventually(lambda: bench.executor.free == SLOTS)
    assert bench.executor.running() == frozenset()
    assert bench.executor.trouble is None


def test_a_job_holds_its_slot_for_as_long_as_it_runs(bench):
    jobs = {bench.job("endless") for _ in range(SLOTS)}
    for number, job_id in enumerate(jobs):
        assert bench.executor.free == SLOTS - number
        bench.executor.submit(job_id)
    eventually(lambda: all(bench.status(job_id) is JobStatus.PROCESSING for job_id in jobs))
    assert (bench.executor.free, bench.executor.running()) == (0, jobs)
    for job_id in jobs:
        bench.cancel(job_id)
        bench.parts.engine._parts.pulse.cancel(job_id, "cancelled")
    eventually(lambda: bench.executor.free == SLOTS)
    assert bench.executor.running() == frozenset()


def test_a_job_that_is_handed_over_again_runs_once(bench):
    job_id = bench.job("numbers")
    bench.executor.submit(job_id)
    eventually(lambda: bench.executor.running() == frozenset())
    bench.executor.submit(job_id)
    eventually(lambda: bench.executor.running() == frozenset())
    assert (bench.status(job_id), bench.attempts(job_id)) == (JobStatus.COMPLETED, 1)


def test_a_job_that_is_gone_frees_its_slot(bench):
    bench.executor.submit("no such job")
    eventually(lambda: bench.executor.free == SLOTS)


def test_a_closed_executor_takes_no_more(bench):
    assert bench.executor.close(wait=DEADLINE_SECONDS)
    with pytest.raises(PoolClosed):
        bench.executor.submit(bench.job("orders"))
