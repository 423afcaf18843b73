"""Parts of one export that other workers read: what is asked of them, and what is done with their answers.

A worker leaves its part as a file in the store, under a name that begins like that of the attempt's own file: so the
sweep removes it if the attempt dies. Nothing else travels but ids, a range of pages, a snapshot's name and two
signatures, which prove that both sides mean the same login and the same statement.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any, BinaryIO

from exporter.errors import ArtifactGone, StoreAway
from exporter.jobs.partfiles import read_pieces
from exporter.sources.sharing import Errand, Helpers, Lost, NotFetched, Way
from exporter.storage.secrets import sign
from exporter.storage.staging import Finished, Store
from exporter.version import __version__

log = logging.getLogger(__name__)

Wanted = Callable[[], bool]
Send = Callable[[Mapping[str, Any], Wanted], Mapping[str, Any] | None]


class Crew:
    """The workers that may read for an attempt of this one: so many `hands`, each with one part at a time.

    `send` has an errand done by one of them, and gives None when it is no longer wanted. It raises NotFetched.
    """

    def __init__(self, send: Send, artifacts: Store, secret_key: str, *, hands: int) -> None:
        self.send = send
        self.artifacts = artifacts
        self.hands = hands
        self._secret_key = secret_key

    def sign(self, text: str) -> str:
        return sign(self._secret_key, text)

    @contextmanager
    def helping(self, job_id: str, attempt: int, url: str) -> Iterator[Helpers]:
        """Let them read parts for an attempt on the database at `url`; in the end none of its parts is left."""
        helpers = AttemptHelpers(self, job_id, attempt, login=self.sign(url))
        try:
            yield helpers
        finally:
            helpers.clear()


class AttemptHelpers:
    def __init__(self, crew: Crew, job_id: str, attempt: int, *, login: str) -> None:
        self.hands = crew.hands
        self._crew = crew
        self._job_id = job_id
        self._attempt = attempt
        self._login = login
        self._fetched: list[str] = []
        self._sent: list[Errand] = []

    def fetch(self, errand: Errand, wanted: Wanted) -> "FetchedPart | None":
        self._sent.append(errand)
        answer = self._crew.send(self._spelled(errand), wanted)
        if answer is None:
            return None
        if (reason := answer.get("error")) is not None:
            raise NotFetched(f"{answer.get('worker')}: {reason}", lasting=True)
        part = self._opened(answer, errand.way)
        self._fetched.append(part.key)
        return part

    def clear(self) -> None:
        """Remove what came too late to be taken. Never raises: the sweep removes the rest."""
        if self._fetched:
            told = "job %s: %d of its parts came from other workers"
            extra = {"job": self._job_id, "attempt": self._attempt}
            log.info(told, self._job_id, len(self._fetched), extra=extra)
        if len(self._sent) > len(self._fetched):
            begin = f"{self._job_id}-{self._attempt}."
            with suppress(StoreAway):
                keys = self._crew.artifacts.keys()
                for key in (key for key in keys if key.startswith(begin)):
                    self._crew.artifacts.delete(key)

    def _spelled(self, errand: Errand) -> dict[str, Any]:
        """Give the errand as plain values."""
        return {
            "job_id": self._job_id,
            "attempt": self._attempt,
            "version": __version__,
            "portion": asdict(errand.portion),
            "way": errand.way.value,
            "login": self._login,
            "select": self._crew.sign(errand.select.decode()),
        }

    def _opened(self, answer: Mapping[str, Any], way: Way) -> "FetchedPart":
        """Open a part that is whole. Raises NotFetched."""
        told = Finished(**answer["part"])
        store = self._crew.artifacts
        try:
            file = store.open(told.key, size=told.size, sha256=told.sha256, tag=told.tag)
        except (ArtifactGone, StoreAway) as exc:
            reason = f"{answer.get('worker')}: what it wrote is not there, or not whole"
            raise NotFetched(reason, lasting=True) from exc
        lost = Lost({(position, code): count for position, code, count in answer["lost"]})
        return FetchedPart(store, file, told, lost=lost, text=way is Way.TEXT)


class FetchedPart:
    """A part's file, whole and open."""

    def __init__(self, store: Store, file: BinaryIO, told: Finished, *, lost: Lost, text: bool) -> None:
        self.key = told.key
        self.lost = lost
        self._store = store
        self._file = file
        self._size = told.size
        self._text = text

    def pieces(self) -> Iterator[Any]:
        return read_pieces(self._file, size=self._size, text=self._text)

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()
        self._store.delete(self.key)
