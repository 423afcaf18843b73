"""How a server finds out whether a worker elsewhere may run its jobs: a question, the answer, and what it means.

The question names a file that the server has just written to its store, and a mark that it holds in its app database
meanwhile. A worker that finds both, and has the same secret key, works for the same installation.
"""

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any
from uuid import uuid4

from exporter.errors import ArtifactGone, ExporterError
from exporter.jobs.workplace import Workplace
from exporter.storage.database import Database, schema_version
from exporter.storage.secrets import sign
from exporter.storage.staging import Finished, Store
from exporter.storage.tables import SCHEMA_VERSION
from exporter.version import __version__

TRIAL = b"Can you read what the server wrote?\n"
MARK_BITS = 63
NO_ATTEMPT = 0  # a file has the name of a job's attempt, or a store does not take it for one of ours


@dataclass(frozen=True, kw_only=True)
class Question:
    mark: int
    trial: Finished


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A worker with `faults` gets no jobs; `doubts` are differences that may do no harm."""

    faults: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    store_shared: bool = True


class Examiner:
    def __init__(self, database: Database, artifacts: Store, secret_key: str) -> None:
        self._database = database
        self._artifacts = artifacts
        self._secret_key = secret_key

    @contextmanager
    def asking(self) -> Iterator[Question]:
        """Keep what a worker has to find for as long as the block runs. Raises DatabaseAway or a store's error."""
        mark = uuid4().int >> (128 - MARK_BITS)
        with self._database.marked(mark), self._trial(f"{uuid4()}-{NO_ATTEMPT}") as trial:
            yield Question(mark=mark, trial=trial)

    def judge(self, question: Question, answer: Mapping[str, Any]) -> Verdict:
        if reason := answer.get("error"):
            return Verdict(faults=(reason,))
        faults = {
            "it uses another app database: set DATABASE_URL there as here": not answer["database"],
            "it has another SECRET_KEY: set the one of the server": answer["signed"]
            != sign(self._secret_key, question.trial.key),
            f"it cannot use the store: {answer['store']}": answer["store"] is not None,
        }
        return Verdict(
            faults=tuple(line for line, found in faults.items() if found),
            doubts=tuple(_differences(answer["versions"])),
            store_shared=answer["store"] is None,
        )

    @contextmanager
    def _trial(self, key: str) -> Iterator[Finished]:
        staged = self._artifacts.stage(key)
        try:
            staged.write(TRIAL)
            finished = staged.publish()
        except BaseException:
            staged.discard()
            raise
        try:
            yield finished
        finally:
            self._artifacts.delete(key)


def spelled(question: Question) -> dict[str, Any]:
    """Give the question as plain values: the versions on both sides may differ."""
    return asdict(question)


def answer(question: Mapping[str, Any], place: Workplace, secret_key: str) -> dict[str, Any]:
    """Answer on a worker. Raises DatabaseAway."""
    trial = Finished(**question["trial"])
    return {
        "versions": versions(),
        "database": place.database.sees(question["mark"]),
        "signed": sign(secret_key, trial.key),
        "store": _trouble_with(place.artifacts, trial),
    }


def versions() -> dict[str, str]:
    return {
        "exporter": __version__,
        "schema": SCHEMA_VERSION,
        "python": platform.python_version(),
        "pyarrow": version("pyarrow"),
        "psycopg": version("psycopg"),
    }


def wrong_schema(database: Database) -> str | None:
    """Say what is wrong with the app database's schema for this version."""
    found = schema_version(database.engine)
    if found == SCHEMA_VERSION:
        return None
    return f"the app database has schema {found}, Exporter {__version__} there needs {SCHEMA_VERSION}"


def _differences(theirs: Mapping[str, str]) -> Iterator[str]:
    for name, ours in versions().items():
        if (found := theirs.get(name)) != ours:
            yield f"{name} {found or 'of an unknown version'} there, {ours} here"


def _trouble_with(artifacts: Store, trial: Finished) -> str | None:
    """Read what the server wrote, and stage a file beside it."""
    try:
        artifacts.open(trial.key, size=trial.size, sha256=trial.sha256, tag=trial.tag).close()
        staged = artifacts.stage(f"{trial.key}-{uuid4()}")
    except ArtifactGone:
        return "what the server has just written is not there"
    except ExporterError as exc:
        return str(exc.facts.get("reason", exc.line))
    with suppress(ExporterError):
        staged.write(TRIAL)
    staged.discard()
    return None
