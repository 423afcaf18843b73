"""The backend that is a server elsewhere, over its REST API."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from uuid import UUID

from exporter.cli.backend import Document, Look
from exporter.cli.rest import Client, ServerAway
from exporter.errors import (
    DatasourceNotFound,
    DeliveryNotFound,
    JobNotFound,
    Later,
    ScheduleNotFound,
    TemplateNotFound,
    WebhookNotFound,
)

PAGE_SIZE = 100
FIRST_LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 120.0  # how long a server may be away, for a restart, while its job is watched


class RemoteBackend:
    """Everything is the business of the token's user."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def flags(self) -> str:
        return f" --server {self._client.server}"

    def datasources(self) -> list[Document]:
        found: list[Document] = self._client.data("datasources/")["datasources"]
        return found

    def datasource(self, name: str) -> Document:
        found = self.datasources()
        for field in ("name", "id"):
            for datasource in found:
                if datasource[field] == name:
                    return datasource
        raise DatasourceNotFound(f"There is no datasource named {name!r}")

    def add_datasource(self, values: Document) -> Document:
        return self._client.send("POST", "datasources/", values)

    def test_datasource(self, datasource_id: str) -> Document:
        return {"warnings": [], **self._client.send("POST", f"datasources/{datasource_id}/test/")}

    def tables(self, datasource_id: str) -> list[Document]:
        found: list[Document] = self._client.data(f"datasources/{datasource_id}/tables/")["tables"]
        return found

    def columns(self, datasource_id: str, table: str | None) -> list[Document]:
        asked = {"table": table} if table is not None else {}
        found: list[Document] = self._client.data(f"datasources/{datasource_id}/columns/", **asked)["columns"]
        return found

    def remove_datasource(self, datasource_id: str) -> None:
        self._client.send("DELETE", f"datasources/{datasource_id}/")

    def templates(self) -> list[Document]:
        return [found for page in self._pages("export-templates/", {}) for found in page["templates"]]

    def template(self, name: str) -> Document:
        named = [found for found in self.templates() if found["name"] == name]
        if len(named) > 1:
            me = self._client.data("auth/me/")["username"]
            named.sort(key=lambda found: found["owner"] != me)
        template_id = named[0]["id"] if named else _uuid(name)
        if template_id is None:
            raise TemplateNotFound
        return self._client.data(f"export-templates/{template_id}/")

    def create_template(self, values: Document) -> Document:
        return self._client.send("POST", "export-templates/", values)

    def delete_template(self, template_id: str) -> None:
        self._client.send("DELETE", f"export-templates/{template_id}/")

    def schedules(self) -> list[Document]:
        return [found for page in self._pages("schedules/", {}) for found in page["schedules"]]

    def schedule(self, name: str) -> Document:
        for field in ("name", "id"):
            for found in self.schedules():
                if found[field] == name:
                    return found
        raise ScheduleNotFound(f"There is no schedule named {name!r}")

    def create_schedule(self, values: Document) -> Document:
        return self._client.send("POST", "schedules/", values)

    def change_schedule(self, schedule_id: str, values: Document) -> Document:
        return self._client.send("PATCH", f"schedules/{schedule_id}/", values)

    def delete_schedule(self, schedule_id: str) -> None:
        self._client.send("DELETE", f"schedules/{schedule_id}/")

    def schedule_runs(self, schedule_id: str) -> list[Document]:
        found: list[Document] = self._client.data(f"schedules/{schedule_id}/runs/")["runs"]
        return found

    def webhooks(self) -> list[Document]:
        return [found for page in self._pages("webhooks/", {}) for found in page["webhooks"]]

    def webhook(self, name: str) -> Document:
        for field in ("name", "id"):
            for found in self.webhooks():
                if found[field] == name:
                    return found
        raise WebhookNotFound(f"There is no webhook named {name!r}")

    def create_webhook(self, values: Document) -> Document:
        return self._client.send("POST", "webhooks/", values)

    def change_webhook(self, webhook_id: str, values: Document) -> Document:
        return self._client.send("PATCH", f"webhooks/{webhook_id}/", values)

    def delete_webhook(self, webhook_id: str) -> None:
        self._client.send("DELETE", f"webhooks/{webhook_id}/")

    def test_webhook(self, webhook_id: str) -> Document:
        return self._client.send("POST", f"webhooks/{webhook_id}/test/")

    def deliveries(
        self, webhook_id: str, asked: Mapping[str, str], *, limit: int
    ) -> tuple[list[Document], int]:
        return self._newest(f"webhooks/{webhook_id}/deliveries/", "deliveries", asked, limit)

    def redeliver(self, webhook_id: str, delivery_id: str) -> Document:
        if _uuid(delivery_id) is None:
            raise DeliveryNotFound
        return self._client.send("POST", f"webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver/")

    def submit(self, request: Document) -> Document:
        return self._client.send("POST", "exports/", request)

    def jobs(self, asked: Mapping[str, str], *, limit: int) -> tuple[list[Document], int]:
        return self._newest("exports/", "export_jobs", asked, limit)

    def deeds(self, asked: Mapping[str, str], *, limit: int) -> tuple[list[Document], int]:
        return self._newest("audit/", "entries", asked, limit)

    def job(self, job_id: str) -> Document:
        return self._client.data(_path(job_id))

    def cancel(self, job_id: str) -> Document:
        return self._client.send("POST", f"{_path(job_id)}cancel/")

    def retry(self, job_id: str) -> Document:
        return self._client.send("POST", f"{_path(job_id)}retry/")

    def delete(self, job_id: str) -> None:
        self._client.send("DELETE", _path(job_id))

    def receipt(self, job_id: str) -> Document:
        return self._client.data(f"{_path(job_id)}receipt/")

    @contextmanager
    def running(self, jobs: Sequence[Document]) -> Iterator[Look]:
        polls = {job["id"]: Poll(self._client, job, patience=PATIENCE_SECONDS) for job in jobs}
        yield lambda job_id: polls[job_id].look()

    def blocks(self, job_id: str) -> Iterator[bytes]:
        return self._client.blocks(f"{_path(job_id)}download/")

    def _newest(
        self, path: str, key: str, asked: Mapping[str, str], limit: int
    ) -> tuple[list[Document], int]:
        found: dict[str, Document] = {}  # by id: a new one moves the last one of a page to the next page
        for page in self._pages(path, {**asked, "page_size": str(min(limit, PAGE_SIZE))}):
            found |= {each["id"]: each for each in page[key]}
            if len(found) >= limit:
                break
        return list(found.values())[:limit], page["pagination"]["total_count"]

    def _pages(self, path: str, asked: Mapping[str, str]) -> Iterator[Document]:
        for number in count(1):
            page = self._client.data(path, **{"page_size": str(PAGE_SIZE), **asked, "page": str(number)})
            yield page
            if not page["pagination"]["has_next"]:
                return


class Poll:
    """Looks at one job, no oftener than its server likes, and bears with a server that is away for a moment."""

    def __init__(self, client: Client, job: Document, *, patience: float) -> None:
        """Take `patience` in seconds."""
        self._client = client
        self._job = job
        self._path = _path(job["id"])
        self._patience = patience
        self._etag: str | None = None
        self._pause = FIRST_LOOK_SECONDS  # a short export should not wait for a slow look: they slow down
        self._answered = time.monotonic()

    def look(self) -> tuple[Document, float]:
        """Raise ServerAway or Later once it was away for longer than the patience."""
        try:
            answer = self._client.get(self._path, etag=self._etag)
        except (ServerAway, Later) as exc:
            if time.monotonic() - self._answered >= self._patience:
                raise
            return self._job, float(exc.retry_after if isinstance(exc, Later) else 1)
        self._answered = time.monotonic()
        self._etag = answer.etag
        if answer.data is not None:
            self._job = answer.data
        self._pause = min(self._pause * 2, float(answer.retry_after or 1))
        return self._job, self._pause


def _path(job_id: str) -> str:
    """Raise JobNotFound for what is no id at all, before it bends the path."""
    if _uuid(job_id) is None:
        raise JobNotFound
    return f"exports/{job_id}/"


def _uuid(text: str) -> str | None:
    try:
        return text if str(UUID(text)) == text.lower() else None
    except ValueError:
        return None
