"""A real Dask cluster for the tests: a scheduler and workers, each a process of its own on a free port."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.postgres_server import free_port

# For `python -c`: a worker of some other version of Exporter.
NEWER = (
    "import sys, exporter.version; exporter.version.__version__ = '99.0';"
    " sys.argv[0] = 'dask'; from dask.__main__ import main; main()"
)


class DaskCluster:
    """`environ` is what a worker shares with its server; the scheduler needs none of it."""

    def __init__(self, folder, **environ):
        self.folder = folder
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("EXPORTER_")}
        self.shared = {
            **environ,
            "EXPORTER_EXECUTOR": "dask",
            "EXPORTER_DASK_SCHEDULER": self.address,
        }
        self.processes = []
        self.scheduler = None

    def start_scheduler(self):
        self.scheduler = self.start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
        )

    def start_worker(self, *, nanny=False, program=("-m", "dask"), **environ):
        """Without a nanny the worker is this very process, to be killed or frozen."""
        kind = "--nanny" if nanny else "--no-nanny"
        options = (self.address, kind, "--nthreads", "1", "--no-dashboard", "--local-directory", self.folder)
        return self.start("worker", *map(str, options), program=program, **self.shared, **environ)

    def close(self, *, but=()):
        """End what was started, frozen or not."""
        for process in self.processes:
            if process not in but:
                process.kill()
                process.wait()

    def start(self, *words, program=("-m", "dask"), **environ):
        path = self.folder / f"{len(self.processes)}-{words[0]}.log"
        with path.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *program, *words],
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.processes.append(process)
        return process


@contextmanager
def running_cluster(folder, **environ) -> Iterator[DaskCluster]:
    """Give a cluster with a scheduler and no worker."""
    folder.mkdir()
    cluster = DaskCluster(folder, **environ)
    cluster.start_scheduler()
    try:
        yield cluster
    finally:
        cluster.close()
