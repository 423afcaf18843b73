"""Room beside an attempt's staged file, for a source that is copied before it is read."""

from collections.abc import Iterator
from contextlib import contextmanager

from exporter.failpoints import reach
from exporter.failures import DiskFull
from exporter.jobs.cancel import CancelToken
from exporter.sources.base import Scratch
from exporter.storage.staging import Store


@contextmanager
def lent(artifacts: Store, key: str, token: CancelToken) -> Iterator[Scratch]:
    """Lend a path to an attempt; what it puts there is removed in the end, or swept if its process dies."""

    def check(more: int) -> None:
        token.check()
        reach("copy_step")
        if not artifacts.has_room(more):
            raise DiskFull

    path = artifacts.scratch(key)
    try:
        yield Scratch(path=path, check=check)
    finally:
        artifacts.discard_staged(path.name)
