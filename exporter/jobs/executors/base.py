"""What an executor is. Only a job's id travels; what became of it is in its row, and a future tells figures at most."""

from dataclasses import dataclass
from typing import Protocol


class PoolClosed(Exception):
    """The pool takes no more jobs."""


@dataclass(frozen=True, kw_only=True)
class Census:
    """How many exports can run and do run where this server has them run, and who runs them.

    `fit` workers of a cluster get jobs, `refused` ones failed the examination, the others have not answered yet.
    """

    slots: int = 0
    busy: int = 0
    fit: int = 0
    refused: int = 0
    unexamined: int = 0


class Executor(Protocol):
    """A bounded pool of slots."""

    @property
    def free(self) -> int:
        """How many more jobs may be submitted now."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why no job can run at present; None if nothing keeps them from it."""
        ...

    def census(self) -> Census: ...

    def submit(self, job_id: str) -> None:
        """Run the job soon. Raises PoolClosed."""
        ...

    def running(self) -> frozenset[str]:
        """Which jobs were submitted and have not returned."""
        ...

    def close(self, *, wait: float) -> bool:
        """Take no more, wait so many seconds for what runs in this process, and say whether that ended."""
        ...
