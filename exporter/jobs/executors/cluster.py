"""A Dask cluster as the server sees it: its scheduler's address, its workers, and what each of them proved."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

from exporter.jobs.examination import Examiner, Verdict, spelled

T = TypeVar("T")
Figured = Mapping[str, Any] | None  # what a worker counted since it last told; None from an older one

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0  # a worker that is asked first loads what it needs, and reaches for database and store
MOST_EXAMINED = 4  # at once: each holds a connection of the app database


@dataclass(frozen=True, kw_only=True)
class Member:
    """One life of a worker; the next one may have the same address."""

    address: str
    life: str
    threads: int  # how many jobs it runs at once


class Connection:
    """A conversation with the scheduler. Its methods raise OSError when it has gone."""

    def __init__(self, client: Any, examiner: Examiner) -> None:
        self._client = client
        self._examiner = examiner
        self._examining = asyncio.Semaphore(MOST_EXAMINED)

    async def workers(self) -> frozenset[Member]:
        """Give the workers that take work: none that is paused or leaves."""
        told = await _soon(self._client.scheduler.identity(n_workers=-1))
        return frozenset(
            Member(address=address, life=facts["local_directory"], threads=facts["nthreads"])
            for address, facts in told["workers"].items()
            if facts["status"] == "running"
        )

    async def examine(self, member: Member) -> Verdict:
        """Ask a worker to prove that it is this installation's. Raises DatabaseAway or a store's error.

        One that does not see the store is asked again: a sweep may have removed the probe.
        """
        async with self._examining:
            verdict = await self._ask(member.address)
            return verdict if verdict.store_shared else await self._ask(member.address)

    def hand_over(self, job_id: str, workers: Collection[str]) -> Awaitable[Figured]:
        """Have the job run on one of the workers, also when this server is gone.

        The key is new each time: equal tasks are merged into one. Nothing is tried again but by the job's row.
        """
        import distributed

        from exporter.jobs.remote import run_job

        future: Awaitable[Figured] = self._client.submit(
            run_job,
            job_id,
            list(workers),
            key=f"export-{job_id}-{uuid4().hex[:8]}",
            workers=list(workers),
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        distributed.fire_and_forget(future)  # type: ignore[no-untyped-call]
        return future

    async def take_back(self, future: Awaitable[Figured]) -> None:
        """Have the scheduler forget a job that no worker began. One that was begun goes on."""
        await _soon(self._client.cancel([future], force=True))

    async def _ask(self, worker: str) -> Verdict:
        from exporter.jobs.remote import examine

        with self._examiner.asking() as question:
            asked = self._client.run(examine, spelled(question), workers=[worker], on_error="return")
            try:
                told = (await _soon(asked))[worker]
            except (OSError, KeyError) as exc:
                told = exc
            if isinstance(told, OSError | KeyError):
                return Verdict(faults=("it does not answer",))
            if not isinstance(told, Mapping):
                return Verdict(faults=(_refusal(told),))
            return self._examiner.judge(question, told)


class Cluster:
    def __init__(self, address: str, examiner: Examiner) -> None:
        self.address = address
        self._examiner = examiner

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """Raise OSError where no scheduler answers."""
        import distributed

        options = {"set_as_default": False, "timeout": CONNECT_SECONDS, "name": "exporter"}
        client: Any = distributed.Client(self.address, asynchronous=True, **options)  # type: ignore[no-untyped-call]
        async with client:
            yield Connection(client, self._examiner)

    def survey(self) -> dict[Member, Verdict]:
        """Look once at every worker. Raises OSError, DatabaseAway or a store's error."""
        return asyncio.run(self._survey())

    async def _survey(self) -> dict[Member, Verdict]:
        async with self.connected() as connection:
            members = await connection.workers()
            verdicts = await asyncio.gather(*map(connection.examine, members))
            return dict(zip(members, verdicts, strict=True))


async def _soon(asked: Awaitable[T]) -> T:
    """Wait for an answer, but not for ever. Raises TimeoutError, which is an OSError."""
    return await asyncio.wait_for(asked, ANSWER_SECONDS)


def _refusal(fault: object) -> str:
    """Say in one line what a worker met that could not even take the question."""
    line = next(iter(str(fault).strip().splitlines()), "")
    return f"Exporter does not run there: {type(fault).__name__}: {line}"
