"""What an executor is. Only a job's id travels; what became of it is in its row, never in a future."""

from typing import Protocol


class PoolClosed(Exception):
    """The pool takes no more jobs."""


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

    def submit(self, job_id: str) -> None:
        """Run the job soon. Raises PoolClosed."""
        ...

    def running(self) -> frozenset[str]:
        """Which jobs were submitted and have not returned."""
        ...

    def close(self, *, wait: float) -> bool:
        """Take no more, wait so many seconds for what runs in this process, and say whether that ended."""
        ...
