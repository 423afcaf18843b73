"""The backend that is this installation: the services, with no server in between."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import click
from flask import current_app

from exporter.audit import MOMENT_RULE, moment
from exporter.cli.backend import Document, Look
from exporter.cli.deeds import deed
from exporter.datasources import DatasourceValues
from exporter.documents import (
    audit_document,
    column_document,
    datasource_document,
    delivery_detail,
    delivery_document,
    schedule_document,
    schedule_run_document,
    table_document,
    template_detail,
    template_document,
    webhook_document,
)
from exporter.errors import Invalid, UserNotFound
from exporter.jobs.documents import attempt_document, job_document
from exporter.jobs.engine import AlreadyServed
from exporter.jobs.requests import JobRequest
from exporter.model import Action, Datasource, Job, Schedule, TemplateType, User
from exporter.outbox import Webhook
from exporter.schedules.service import ScheduleValues
from exporter.storage.audit import AuditQuery
from exporter.storage.jobs import JobQuery
from exporter.storage.templates import TemplateQuery
from exporter.templates import TemplateValues
from exporter.webhooks.service import WebhookValues
from exporter.wiring import Services

LOOK_SECONDS = 0.1
BLOCK_BYTES = 1024 * 1024
ALL = 1_000_000


class LocalBackend:
    """Jobs and templates are those of `username`, else of the only admin; datasources are an admin's business."""

    flags = ""

    def __init__(self, parts: Services, username: str | None) -> None:
        self._parts = parts
        self._username = username

    @cached_property
    def user(self) -> User:
        """Raise UserNotFound when nobody is named and there is not exactly one admin."""
        if self._username is not None:
            return self._parts.accounts.user_named(self._username)
        admin = self._parts.accounts.only_admin()
        if admin is None:
            raise UserNotFound("There is not exactly one admin: say for whom with --user NAME")
        return admin

    def datasources(self) -> list[Document]:
        return [datasource_document(found, for_admin=True) for found in self._parts.datasources.all(None)]

    def datasource(self, name: str) -> Document:
        return datasource_document(self._parts.datasources.named(name, None), for_admin=True)

    def add_datasource(self, values: Document) -> Document:
        with deed(self._parts, Action.DATASOURCE_CREATE, self._named_user()) as done:
            datasource = self._parts.datasources.register(DatasourceValues(**values))
            done.about(datasource.id, datasource.name)
        return datasource_document(datasource, for_admin=True)

    def test_datasource(self, datasource_id: str) -> Document:
        connection = self._parts.datasources.test(self._datasource(datasource_id))
        return {
            "server_version": connection.server_version,
            "milliseconds": round(connection.milliseconds, 1),
            "warnings": list(connection.warnings),
        }

    def tables(self, datasource_id: str) -> list[Document]:
        found = self._parts.datasources.tables(self._datasource(datasource_id))
        return [table_document(table) for table in found]

    def columns(self, datasource_id: str, table: str | None) -> list[Document]:
        relation = self._parts.datasources.relation(self._datasource(datasource_id), table)
        return [column_document(column) for column in relation.columns]

    def remove_datasource(self, datasource_id: str) -> None:
        with deed(self._parts, Action.DATASOURCE_DELETE, self._named_user()) as done:
            datasource = self._datasource(datasource_id)
            done.about(datasource.id, datasource.name)
            self._parts.datasources.delete(datasource)

    def templates(self) -> list[Document]:
        query = TemplateQuery(visible_to=None if self.user.is_admin else self.user.id, page_size=ALL)
        return [template_document(found) for found in self._parts.templates.page(query).items]

    def template(self, name: str) -> Document:
        return template_detail(self._parts.templates.named(name, self.user))

    def create_template(self, values: Document) -> Document:
        wanted = {**values, "template_type": TemplateType(values["template_type"])}
        with deed(self._parts, Action.TEMPLATE_CREATE, self.user) as done:
            template = self._parts.templates.create(TemplateValues(**wanted), self.user)
            done.about(template.id, template.name)
        return template_detail(template)

    def delete_template(self, template_id: str) -> None:
        with deed(self._parts, Action.TEMPLATE_DELETE, self.user) as done:
            template = self._parts.templates.get(template_id, self.user)
            done.about(template.id, template.name)
            self._parts.templates.delete(template, self.user)

    def schedules(self) -> list[Document]:
        page = self._parts.schedules.page(self.user, number=1, size=ALL)
        return [schedule_document(found) for found in page.items]

    def schedule(self, name: str) -> Document:
        return schedule_document(self._parts.schedules.named(name, self.user))

    def create_schedule(self, values: Document) -> Document:
        with deed(self._parts, Action.SCHEDULE_CREATE, self.user) as done:
            schedule = self._parts.schedules.create(ScheduleValues(**values), self.user)
            done.about(schedule.id, schedule.name)
        return schedule_document(schedule)

    def change_schedule(self, schedule_id: str, values: Document) -> Document:
        with deed(self._parts, Action.SCHEDULE_UPDATE, self.user) as done:
            schedule = self._schedule(schedule_id)
            done.about(schedule.id, schedule.name)
            kept = {name: getattr(schedule, name) for name in ScheduleValues.__dataclass_fields__}
            changed = self._parts.schedules.change(schedule, ScheduleValues(**{**kept, **values}), self.user)
        return schedule_document(changed)

    def delete_schedule(self, schedule_id: str) -> None:
        with deed(self._parts, Action.SCHEDULE_DELETE, self.user) as done:
            schedule = self._schedule(schedule_id)
            done.about(schedule.id, schedule.name)
            self._parts.schedules.delete(schedule)

    def schedule_runs(self, schedule_id: str) -> list[Document]:
        runs = self._parts.schedules.runs(self._schedule(schedule_id))
        return [schedule_run_document(run) for run in runs]

    def webhooks(self) -> list[Document]:
        page = self._parts.webhooks.page(self.user, number=1, size=ALL)
        return [webhook_document(found) for found in page.items]

    def webhook(self, name: str) -> Document:
        return webhook_document(self._parts.webhooks.named(name, self.user))

    def create_webhook(self, values: Document) -> Document:
        with deed(self._parts, Action.WEBHOOK_CREATE, self.user) as done:
            webhook = self._parts.webhooks.create(WebhookValues(**values), self.user)
            done.about(webhook.id, webhook.name)
        return {**webhook_document(webhook), "secret": webhook.secret}

    def change_webhook(self, webhook_id: str, values: Document) -> Document:
        with self._on_webhook(Action.WEBHOOK_UPDATE, webhook_id) as webhook:
            present = webhook_document(webhook)
            kept = {name: present[name] for name in WebhookValues.__dataclass_fields__}
            changed = self._parts.webhooks.change(webhook, WebhookValues(**{**kept, **values}), self.user)
        return webhook_document(changed)

    def delete_webhook(self, webhook_id: str) -> None:
        with self._on_webhook(Action.WEBHOOK_DELETE, webhook_id) as webhook:
            self._parts.webhooks.delete(webhook)

    def test_webhook(self, webhook_id: str) -> Document:
        with self._on_webhook(Action.WEBHOOK_TEST, webhook_id) as webhook:
            sent = self._parts.webhooks.test(webhook)
        return delivery_detail(sent, self._parts.webhooks.attempts(sent))

    def deliveries(
        self, webhook_id: str, asked: Mapping[str, str], *, limit: int
    ) -> tuple[list[Document], int]:
        webhook = self._parts.webhooks.get(webhook_id, self.user)
        page = self._parts.webhooks.deliveries(webhook, number=1, size=limit, **asked)
        return [delivery_document(found) for found in page.items], page.total

    def redeliver(self, webhook_id: str, delivery_id: str) -> Document:
        with self._on_webhook(Action.WEBHOOK_REDELIVER, webhook_id) as webhook:
            found = self._parts.webhooks.delivery(webhook, delivery_id)
            queued = self._parts.webhooks.redeliver(found)
        return delivery_detail(queued, self._parts.webhooks.attempts(queued))

    def submit(self, request: Document) -> Document:
        with deed(self._parts, Action.EXPORT_CREATE, self.user) as done:
            job, _ = self._parts.jobs.submit(JobRequest(**request), self.user, deed=done)
        return self._document(job)

    def jobs(self, asked: Mapping[str, str], *, limit: int) -> tuple[list[Document], int]:
        page = self._parts.jobs.page(JobQuery(page_size=limit, **dict[str, Any](asked)), self.user)
        return [self._document(job) for job in page.items], page.total

    def job(self, job_id: str) -> Document:
        job, attempts = self._parts.jobs.detail(job_id, self.user)
        return {**self._document(job), "attempts": [attempt_document(each) for each in attempts]}

    def cancel(self, job_id: str) -> Document:
        with self._on_job(Action.EXPORT_CANCEL, job_id) as job:
            return self._document(self._parts.jobs.cancel(job))

    def retry(self, job_id: str) -> Document:
        with self._on_job(Action.EXPORT_RETRY, job_id) as job:
            return self._document(self._parts.jobs.retry(job))

    def delete(self, job_id: str) -> None:
        with self._on_job(Action.EXPORT_DELETE, job_id) as job:
            self._parts.jobs.delete(job)

    def receipt(self, job_id: str) -> Document:
        return dict(self._parts.jobs.receipt(self._job(job_id)))

    @contextmanager
    def running(self, jobs: Sequence[Document]) -> Iterator[Look]:
        """Run the jobs here, or leave them to the server that holds this instance.

        The engine is stopped afterwards: once in a process.
        """
        engine = self._parts.engine
        try:
            engine.start(only=frozenset(job["id"] for job in jobs))
        except AlreadyServed as exc:
            click.echo(f"Handed to the server: {exc.facts['holder']}", err=True)
        try:
            yield lambda job_id: (self.job(job_id), LOOK_SECONDS)
        finally:
            engine.stop(grace=self._parts.settings.shutdown_grace_seconds)

    def blocks(self, job_id: str) -> Iterator[bytes]:
        with self._on_job(Action.EXPORT_DOWNLOAD, job_id) as job:
            file = self._parts.jobs.open_file(job)
        with file:
            while block := file.read(BLOCK_BYTES):
                yield block

    def _datasource(self, datasource_id: str) -> Datasource:
        return self._parts.datasources.get(datasource_id, None)

    def deeds(self, asked: Mapping[str, str], *, limit: int) -> tuple[list[Document], int]:
        page = self._parts.audit.page(AuditQuery(page_size=limit, **_spans(asked)))
        return [audit_document(entry) for entry in page.items], page.total

    @contextmanager
    def _on_job(self, action: Action, job_id: str) -> Iterator[Job]:
        with deed(self._parts, action, self.user) as done:
            job = self._job(job_id)
            done.about(job.id, job.title)
            yield job

    @contextmanager
    def _on_webhook(self, action: Action, webhook_id: str) -> Iterator[Webhook]:
        with deed(self._parts, action, self.user) as done:
            webhook = self._parts.webhooks.get(webhook_id, self.user)
            done.about(webhook.id, webhook.name)
            yield webhook

    def _named_user(self) -> User | None:
        return self.user if self._username is not None else None

    def _schedule(self, schedule_id: str) -> Schedule:
        return self._parts.schedules.get(schedule_id, self.user)

    def _job(self, job_id: str) -> Job:
        return self._parts.jobs.get(job_id, self.user)

    def _document(self, job: Job) -> Document:
        urls = current_app.url_map.bind("")
        return job_document(
            job,
            owner=self._parts.accounts.usernames({job.owner_id}, asking=self.user)[job.owner_id],
            now=self._parts.clock(),
            download_url=urls.build("exports.download", {"job_id": job.id}),
        )


def _spans(asked: Mapping[str, str]) -> dict[str, Any]:
    """Read the moments among what is asked. Raises Invalid."""
    found = dict[str, Any](asked)
    for name in ("since", "until"):
        if name in found:
            try:
                found[name] = moment(found[name], last=name == "until")
            except ValueError as exc:
                raise Invalid({name: MOMENT_RULE}) from exc
    return found
