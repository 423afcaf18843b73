"""Whom a command asks: this installation or a server elsewhere, in the same documents as the REST API's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Document = dict[str, Any]
# Looks at the job of an id: its document, and after how many seconds to look again.
Look = Callable[[str], tuple[Document, float]]


class Backend(Protocol):
    """Every method raises an ExporterError whose message is the API's sentence."""

    @property
    def flags(self) -> str:
        """What to add to a hint so that it means this backend, with a space before it; or nothing."""

    def datasources(self) -> list[Document]: ...

    def datasource(self, name: str) -> Document:
        """Find by name or id."""

    def add_datasource(self, values: Document) -> Document: ...

    def test_datasource(self, datasource_id: str) -> Document: ...

    def tables(self, datasource_id: str) -> list[Document]: ...

    def columns(self, datasource_id: str, table: str | None) -> list[Document]: ...

    def remove_datasource(self, datasource_id: str) -> None: ...

    def templates(self) -> list[Document]: ...

    def template(self, name: str) -> Document:
        """Find by name, the user's own first, or by id; with its configuration."""

    def create_template(self, values: Document) -> Document: ...

    def delete_template(self, template_id: str) -> None: ...

    def schedules(self) -> list[Document]: ...

    def schedule(self, name: str) -> Document:
        """Find by name or id."""

    def create_schedule(self, values: Document) -> Document:
        """Take the body of `POST schedules/`."""

    def change_schedule(self, schedule_id: str, values: Document) -> Document:
        """Take the body of `PATCH schedules/<id>/`."""

    def delete_schedule(self, schedule_id: str) -> None: ...

    def schedule_runs(self, schedule_id: str) -> list[Document]: ...

    def webhooks(self) -> list[Document]: ...

    def webhook(self, name: str) -> Document:
        """Find by name or id."""

    def create_webhook(self, values: Document) -> Document:
        """Take the body of `POST webhooks/`; the answer has the secret."""

    def change_webhook(self, webhook_id: str, values: Document) -> Document:
        """Take the body of `PATCH webhooks/<id>/`."""

    def delete_webhook(self, webhook_id: str) -> None: ...

    def test_webhook(self, webhook_id: str) -> Document: ...

    def deliveries(
        self, webhook_id: str, asked: Mapping[str, str], *, limit: int
    ) -> tuple[list[Document], int]:
        """Give the newest deliveries, and how many there are in all."""

    def redeliver(self, webhook_id: str, delivery_id: str) -> Document: ...

    def submit(self, request: Document) -> Document:
        """Take the body of `POST exports/`."""

    def jobs(self, asked: Mapping[str, str], *, limit: int) -> tuple[list[Document], int]:
        """Give the newest jobs, and how many there are in all."""

    def job(self, job_id: str) -> Document:
        """Give the job with its attempts."""

    def cancel(self, job_id: str) -> Document: ...

    def retry(self, job_id: str) -> Document: ...

    def delete(self, job_id: str) -> None: ...

    def deeds(self, asked: Mapping[str, str], *, limit: int) -> tuple[list[Document], int]:
        """Give the newest lines of the audit log, and how many there are in all."""

    def receipt(self, job_id: str) -> Document: ...

    def running(self, jobs: Sequence[Document]) -> AbstractContextManager[Look]:
        """See to it that the jobs run, here or wherever they do, and give the way to look at them."""

    def blocks(self, job_id: str) -> Iterator[bytes]:
        """Read a finished file from its beginning."""
