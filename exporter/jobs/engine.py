"""The part of the server that works: dispatcher, slots, pulse, reaper, sweep and post, started and stopped as one."""

import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from exporter.errors import DatabaseAway, ExporterError, StoreAway
from exporter.jobs.cancel import Reason
from exporter.jobs.dispatcher import Dispatcher
from exporter.jobs.executors.base import Census, Executor
from exporter.jobs.lease import Pulse, Reaper
from exporter.jobs.retention import Sweeper
from exporter.jobs.service import JobNotices

log = logging.getLogger(__name__)

SWEEP_SECONDS = 300.0
STOP_CHECK_SECONDS = 5.0  # how long flagged jobs may take to let go, within or after the grace


class AlreadyServed(ExporterError):
    """This instance folder is already served by {holder}. One process serves an embedded database."""

    code = "already_served"


class InstanceUnwritable(ExporterError):
    """The instance folder cannot be written to: {reason}"""

    code = "instance_unwritable"


MOVED = (
    "The app database was moved or replaced while the server ran: {file} is not the file that was opened."
    " Restart the server"
)


class InstanceLock:
    """One serving process per instance folder: an flock that the system drops when its holder dies.

    Its holder has the app database's file open, and can tell whether that is still the one in the folder.
    """

    def __init__(self, folder: Path, database_file: Path | None = None) -> None:
        self._path = folder / "server.lock"
        self._descriptor: int | None = None
        self._database_file = database_file
        self._opened: tuple[int, int] | None = None

    def acquire(self) -> None:
        """Raise AlreadyServed, naming the holder, or InstanceUnwritable."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise InstanceUnwritable(reason=exc.strerror or str(exc)) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise AlreadyServed(holder=holder or "another process") from exc
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        self._descriptor = descriptor
        self._opened = self._found()

    @property
    def trouble(self) -> str | None:
        if self._opened is None or self._found() == self._opened:
            return None
        return MOVED.format(file=self._database_file)

    def _found(self) -> tuple[int, int] | None:
        """Tell the app database's file from every other."""
        try:
            found = self._database_file.stat() if self._database_file is not None else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found is not None else None

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


class Lock(Protocol):
    @property
    def trouble(self) -> str | None:
        """Why what is held is no longer what it was."""

    def acquire(self) -> None: ...

    def release(self) -> None: ...


class NoLock:
    """On PostgreSQL any number of processes may serve: rows, not files, keep them apart."""

    trouble = None

    def acquire(self) -> None:
        """Always succeed."""

    def release(self) -> None:
        """Nothing was held."""


class Post(Protocol):
    """What sends, beside the jobs, what was written for others."""

    def start(self) -> None: ...

    def stop(self, *, wait: float) -> None:
        """Let go within `wait` seconds; what is left is sent later."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an engine is made of. `alone` says that no other process can be running this database's jobs."""

    pulse: Pulse
    reaper: Reaper
    sweeper: Sweeper
    notices: JobNotices
    lock: Lock
    alone: bool
    make_executor: Callable[[Callable[[], None]], Executor]
    make_dispatcher: Callable[[Executor, frozenset[str] | None], Dispatcher]
    clock: Callable[[], datetime]
    tick: Callable[[], None]  # makes jobs of what is due
    post: Post


class Engine:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._executor: Executor | None = None
        self._dispatcher: Dispatcher | None = None
        self._housekeeper: threading.Thread | None = None
        self._told: str | None = None

    @property
    def running(self) -> bool:
        return self._dispatcher is not None and self._dispatcher.alive

    def census(self) -> Census:
        executor = self._executor
        return executor.census() if executor is not None else Census()

    @property
    def trouble(self) -> str | None:
        """Why no job can run at present, or none that would be remembered, though they are handed out."""
        executor = self._executor
        return self._parts.lock.trouble or (executor.trouble if executor is not None else None)

    @property
    def stopping(self) -> bool:
        return self._closing.is_set()

    def start(self, *, only: frozenset[str] | None = None) -> None:
        """Recover what a dead process left, then run jobs (`only` these). Starting twice does nothing.

        Raises AlreadyServed.
        """
        with self._guard:
            if self._dispatcher is not None or self.stopping:
                return
            parts = self._parts
            self._take_instance()
            executor = self._executor = parts.make_executor(self._notify)
            dispatcher = self._dispatcher = parts.make_dispatcher(executor, only)
            parts.notices.queued = self._notify
            parts.notices.cancelled = lambda job_id: parts.pulse.cancel(job_id, Reason.CANCELLED)
            parts.pulse.start()
            dispatcher.start()
            self._housekeeper = threading.Thread(
                target=self._keep_house, args=(only is None,), name="exporter-sweep", daemon=True
            )
            self._housekeeper.start()
            if only is None:
                parts.post.start()

    def _take_instance(self) -> None:
        """Take the lock and recover; a recovery that fails gives the lock back, for the next try."""
        parts = self._parts
        parts.lock.acquire()
        try:
            if parts.alone:
                parts.reaper.recover(now=parts.clock())
        except BaseException:
            parts.lock.release()
            raise

    def close_door(self) -> None:
        """Hand out no more jobs; those that run go on."""
        self._closing.set()
        if self._dispatcher is not None:
            self._dispatcher.stop()

    def stop(self, *, grace: float) -> bool:
        """Close the door, wait `grace` seconds for what runs, put the rest back in the queue. Say if all let go."""
        self.close_door()
        with self._guard:
            if self._executor is None or self._dispatcher is None:
                return True
            self._dispatcher.stop()  # one that was being started when the door was closed
            ended = self._executor.close(wait=grace)
            if not ended:
                log.warning("the grace is over: running exports go back to the queue")
                self._parts.pulse.cancel_all(Reason.STOPPING)
                ended = self._executor.close(wait=STOP_CHECK_SECONDS)
            if not ended:
                self._give_up_stuck()
            if self._housekeeper is not None:
                self._housekeeper.join(STOP_CHECK_SECONDS)
            self._parts.post.stop(wait=STOP_CHECK_SECONDS)
            self._parts.pulse.stop()
            self._parts.lock.release()
            self._executor = None
            return ended

    def _give_up_stuck(self) -> None:
        try:
            self._parts.pulse.release_all(now=self._parts.clock())
        except DatabaseAway:
            log.warning("stuck exports stay as they are: the app database does not answer")

    def _notify(self) -> None:
        if self._dispatcher is not None:
            self._dispatcher.notify()

    def _sweep(self) -> None:
        """Put a sweep off where the store is away: waiting for it, the reaper would take itself for asleep."""
        try:
            self._parts.sweeper.sweep()
        except StoreAway as exc:
            log.warning("the sweep was put off: %s", exc.message)

    def _look_at_lock(self) -> None:
        trouble = self._parts.lock.trouble
        if trouble is not None and trouble != self._told:
            log.error("%s", trouble)
        self._told = trouble

    def _keep_house(self, keep_time: bool) -> None:
        """Reap, and `keep_time`, about four times a lease; sweep every few minutes, and at once at the start."""
        next_sweep = time.monotonic()
        while True:
            self._look_at_lock()
            try:
                self._parts.reaper.reap(now=self._parts.clock())
                if keep_time:
                    self._parts.tick()
                if time.monotonic() >= next_sweep:
                    self._sweep()
                    next_sweep = time.monotonic() + SWEEP_SECONDS
            except (DatabaseAway, StoreAway) as exc:
                log.warning("housekeeping was put off: %s", exc.message)
            except Exception:
                log.exception("housekeeping met an unexpected fault; trying again")
            if self._closing.wait(self._parts.reaper.every):
                return
