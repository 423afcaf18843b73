"""Lives of a server in a process of its own, with a fault at a chosen place: for the tests of what survives.

Processes are forked from one that has the program loaded, so that a life costs milliseconds and SIGKILL is a real one.
"""

import errno
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from exporter import create_app
from exporter.cli import main as commands
from exporter.failpoints import probing
from exporter.failures import SourceBusy
from exporter.jobs import engine, runner
from exporter.jobs.requests import JobRequest
from exporter.model import JobStatus
from exporter.outbox import Delivery, DeliveryStatus, Webhook
from exporter.settings import load_settings
from exporter.storage import objects
from exporter.webhooks.service import WebhookValues
from tests.client import API
from tests.receiver import receiving

for heavy in ("formats.csv", "formats.json", "formats.parquet", "sources.sqlite.source", "app"):
    import_module(f"exporter.{heavy}")  # once, before a life is forked

DEADLINE_SECONDS = 60
ENDED = {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}
UNCOUNTED = {"beat"}  # comes with time and not with work
TRACE, PROMISES, ENVIRON = "trace", "promises", "environ"  # files beside the instance folder
BUCKET_PLACES = {"before_upload", "upload_part", "uploaded", "after_upload"}  # where the store is one
PART_PLACES = {"part_asked", "part_piece", "part_written", "part_left"}  # where others read for an export

FAULTS: dict[str, Callable[[], BaseException]] = {
    "full disk": lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "broken disk": lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    "no memory": MemoryError,
    "exit": SystemExit,
}


@dataclass(frozen=True)
class Plan:
    """At the `at`-th place reached (or the first one named `place`) do `what`: "kill", or raise one of FAULTS."""

    what: str
    at: int = 0
    place: str = ""


class Probe:
    """Counts the places reached, writes them down, and brings the planned fault."""

    def __init__(self, folder: Path, plan: Plan | None) -> None:
        self._trace = os.open(folder / TRACE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = threading.Lock()
        self._plan = plan
        self._count = 0
        self.expected = (Exception, SystemExit) if plan is not None else ()
        self.scripted: dict[str, Callable[[], None]] = {}

    def __call__(self, place: str) -> None:
        if place in UNCOUNTED:
            return
        with self._lock:
            self._count += 1
            planned = self._is_planned(place)
            os.write(self._trace, f"{place}\n".encode())
        if planned:
            self._bring(self._plan.what)
        if (scripted := self.scripted.get(place)) is not None:
            scripted()

    def _is_planned(self, place: str) -> bool:
        plan = self._plan
        if plan is None or not (self._count == plan.at or place == plan.place):
            return False
        if plan.place:
            self._plan = Plan(what=plan.what)
        return True

    def _bring(self, what: str) -> None:
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what != "exit" or threading.current_thread().name.startswith("exporter-slot"):
            fault = FAULTS[what]()
            raise fault


class Life:
    """One server's life, seen from inside."""

    def __init__(self, folder: Path, probe: Probe) -> None:
        runner.BACKOFF_SECONDS = 0.0
        objects.YOUNG = timedelta(0)
        environ = {"INSTANCE_PATH": str(folder / "instance"), "WORKERS": "1", "LEASE_SECONDS": "1"}
        environ |= _given(folder)
        environ["WEBHOOK_HOSTS"] = "127.0.0.1"
        self.app = create_app(load_settings({f"EXPORTER_{name}": value for name, value in environ.items()}))
        self.parts = self.app.extensions["exporter"]
        self.probe = probe
        self._promises = os.open(folder / PROMISES, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def promise(self, word: str, job_id: str) -> None:
        """Write down what was told to a user, who may hold us to it."""
        os.write(self._promises, f"{word} {job_id}\n".encode())

    def submit(self, table: str, *, source_name: str = "shop", **more: object) -> str:
        source = self.parts.datasources.named(source_name, None)
        request = {"datasource": source.id, "format": "csv", "filters": {"table": table}, **more}
        job, _ = self.parts.jobs.submit(JobRequest(**request), self.user)
        self.promise("submitted", job.id)
        return job.id

    @property
    def user(self):
        return self.parts.accounts.user_named("ada")

    def job(self, job_id: str):
        return self.parts.jobs.get(job_id, self.user)

    def until(self, met: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not met():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.01)

    def export(self, table: str, **more: Any) -> str:
        job_id = self.submit(table, **more)
        self.ended(job_id)
        return job_id

    def ended(self, job_id: str) -> None:
        self.until(lambda: self.job(job_id).status in ENDED)

    def cancel(self, job_id: str) -> None:
        self.parts.jobs.cancel(self.job(job_id))
        self.promise("cancelled", job_id)

    def retry(self, job_id: str) -> None:
        self.parts.jobs.retry(self.job(job_id))
        self.promise("retried", job_id)

    def delete(self, job_id: str) -> None:
        self.promise("deleting", job_id)
        self.parts.jobs.delete(self.job(job_id))
        self.promise("deleted", job_id)

    @contextmanager
    def held(self, place: str = "batch") -> Iterator[threading.Event]:
        """Hold a worker at `place` until the block ends or the server stops; the event says that it is there."""
        there, go = threading.Event(), threading.Event()

        def hold() -> None:
            there.set()
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not (go.wait(0.01) or self.parts.engine.stopping or time.monotonic() > deadline):
                pass

        self.probe.scripted[place] = hold
        try:
            yield there
        finally:
            del self.probe.scripted[place]
            go.set()


def _given(folder: Path) -> dict[str, str]:
    """Read the settings of this folder's lives, and set the variables that are no settings of ours."""
    path = folder / ENVIRON
    given = json.loads(path.read_text()) if path.exists() else {}
    os.environ.update({name: value for name, value in given.items() if name.startswith("AWS_")})
    return {name: value for name, value in given.items() if not name.startswith("AWS_")}


def everything_in_a_bucket(life: Life) -> None:
    """Do what meets the bucket: put files there, remove them, sweep."""
    life.parts.engine.start()
    with suppress(*life.probe.expected):
        export_and_delete(life)
    with suppress(*life.probe.expected):
        life.parts.sweeper.sweep()
    life.parts.engine.stop(grace=10)


def everything(life: Life) -> None:
    """Do each thing once that a server does with jobs and files. A step that meets the fault ends there."""
    life.parts.engine.start()
    for step in (
        tell_a_webhook,
        export_and_delete,
        export_from_a_copy,
        fail_and_retry,
        cancel_while_it_runs,
        meet_a_passing_fault,
        expire_and_sweep,
        stop_while_one_runs,
    ):
        with suppress(*life.probe.expected):
            step(life)
    life.parts.engine.stop(grace=0)


def tell_a_webhook(life: Life) -> None:
    """Let somebody listen for once, until the end of an export was sent there."""
    webhooks = life.parts.webhooks
    with receiving() as receiver:
        hook = webhooks.page(life.user, number=1, size=1).items[0]
        values = WebhookValues(name=hook.name, url=receiver.url, events=hook.events)
        webhooks.change(hook, values, life.user)
        job_id = life.export("orders")
        life.until(lambda: job_id in {each.job_id for each in begun(life, hook)})


def begun(life: Life, hook: Webhook) -> list[Delivery]:
    """Give the deliveries of which one sending at least has come to its end."""
    page = life.parts.webhooks.deliveries(hook, number=1, size=100)
    return [each for each in page.items if each.attempt and each.status is not DeliveryStatus.SENDING]


def export_and_delete(life: Life) -> None:
    life.export("many", format="parquet")
    job_id = life.export("many", options={"compression": "gzip"})
    life.delete(job_id)


def export_from_a_copy(life: Life) -> None:
    life.export("orders", source_name="copied")


def fail_and_retry(life: Life) -> None:
    job_id = life.export("orders", options={"encoding": "iso-8859-1"})
    life.retry(job_id)
    life.ended(job_id)


def cancel_while_it_runs(life: Life) -> None:
    with life.held() as there:
        job_id = life.submit("many")
        assert there.wait(DEADLINE_SECONDS)
        life.cancel(job_id)
    life.until(lambda: life.job(job_id).stopped_at is not None)


def meet_a_passing_fault(life: Life) -> None:
    def busy() -> None:
        life.probe.scripted.pop("before_finish", None)
        raise SourceBusy(reason="scripted")

    life.probe.scripted["before_finish"] = busy
    life.export("orders", format="json")


def expire_and_sweep(life: Life) -> None:
    for orphan in ("orphan", ".staged/orphan"):
        (life.parts.settings.storage_path / orphan).write_text("left behind")
    now = life.parts.sweeper._clock
    life.parts.sweeper._clock = lambda: now() + timedelta(days=8)
    life.parts.sweeper.sweep()
    life.parts.sweeper._clock = now


def stop_while_one_runs(life: Life) -> None:
    with life.held() as there:
        life.submit("many", format="json")
        life.submit("orders")
        assert there.wait(DEADLINE_SECONDS)
        life.parts.engine.stop(grace=0)


def recover(life: Life) -> None:
    """Come back after a fault: run what is left, sweep, and answer every question about every job."""
    life.parts.engine.start()
    life.until(lambda: _all_ended(life))
    life.export("orders")
    life.parts.sweeper.sweep()
    ask_everything(life)
    life.parts.engine.stop(grace=10)


def ask_everything(life: Life) -> None:
    """Hold every answer to the envelope: no fault leaves a 500 behind."""
    http = life.app.test_client()
    token = {"Authorization": f"Bearer {(life.parts.settings.instance_path / 'token').read_text()}"}
    jobs = http.get(f"{API}exports/?page_size=100", headers=token).json["data"]["export_jobs"]
    for job in jobs:
        for part in ("", "receipt/", "download/"):
            answer = http.get(f"{API}exports/{job['id']}/{part}", headers=token)
            assert answer.status_code in {200, 409, 410}, answer.json
            if answer.is_json and part != "download/":
                assert answer.json["success"] is (answer.status_code == 200)
            answer.close()
        assert "download" not in job["allowed_actions"] or job["download_url"], job
    answers = [http.get("/readyz"), http.get(f"{API}exports/", headers=token)]
    assert [answer.status_code for answer in answers] == [200, 200]


def _all_ended(life: Life) -> bool:
    tallies = life.parts.jobs._jobs.tallies()
    return not ({JobStatus.PENDING, JobStatus.PROCESSING} & tallies.keys())


def outgrow(life: Life, format_name: str) -> None:
    """Write a file that is larger than the system lets this process write."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
    life.parts.engine.start()
    life.export("endless", format=format_name)
    life.parts.engine.stop(grace=10)


def serve_stuck(life: Life, grace: str) -> None:
    """Serve by the real command, with an export that holds its slot and hears nothing."""
    folder = life.parts.settings.instance_path.parent
    life.submit("many")

    def stuck() -> None:
        (folder / "stuck").touch()
        while True:
            if life.parts.engine.stopping:
                (folder / "closed").touch()
            time.sleep(0.01)

    life.probe.scripted["batch"] = stuck
    settings = replace(life.parts.settings, shutdown_grace_seconds=int(grace))
    object.__setattr__(life.parts, "settings", settings)
    engine.STOP_CHECK_SECONDS = 0.2
    serve(life, port="0")


def serve(life: Life, port: str = "") -> None:
    """Serve by the real command, on the port that is written beside the instance."""
    port = port or (life.parts.settings.instance_path.parent / "port").read_text()
    commands.cli(["serve", "--port", port], obj=lambda: life.app)


SCRIPTS = {
    "everything": everything,
    "everything in a bucket": everything_in_a_bucket,
    "recover": recover,
    "serve": serve,
    **{f"outgrow {name}": partial(outgrow, format_name=name) for name in ("csv", "json", "parquet", "excel")},
    "serve with a stuck export": partial(serve_stuck, grace="1"),
    "serve with a stuck export, patiently": partial(serve_stuck, grace="600"),
}


def _live(folder: str, script: str, plan: Plan | None) -> None:
    sys.stderr = (Path(folder) / "stderr").open("a")
    life = Life(Path(folder), Probe(Path(folder), plan))
    with life.app.app_context(), probing(life.probe):
        SCRIPTS[script](life)
    sys.stderr.flush()


def spawn(folder: Path, script: str, plan: Plan | None = None) -> ForkServerProcess:
    """Begin a life."""
    nursery = multiprocessing.get_context("forkserver")
    nursery.set_forkserver_preload([__name__])
    process = nursery.Process(target=_live, args=(str(folder), script, plan))
    process.start()
    return process


def live(folder: Path, script: str, plan: Plan | None = None) -> int:
    """Live one life to its end or to its fault; give the exit code, negative for a signal."""
    process = spawn(folder, script, plan)
    process.join(DEADLINE_SECONDS * 4)
    assert process.exitcode is not None, "a life that does not end"
    return process.exitcode


def trace(folder: Path) -> list[str]:
    """Give the places that were reached, in order, over all lives in this folder."""
    return (folder / TRACE).read_text().splitlines()
