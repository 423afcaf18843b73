"""A client of the API, as a script would write it."""

import time
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

API = "/data-tools/api/v1/"
DEADLINE_SECONDS = 30
ENDED = {"completed", "failed", "cancelled"}


class Client:
    def __init__(self, http: FlaskClient) -> None:
        self.http = http

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.http.get(API + path, **options)

    def post(self, path: str, body: object = None, **options: Any) -> TestResponse:
        return self.http.post(API + path, **({"json": body} if body is not None else {}), **options)

    def put(self, path: str, body: object) -> TestResponse:
        return self.http.put(API + path, json=body)

    def patch(self, path: str, body: object) -> TestResponse:
        return self.http.patch(API + path, json=body)

    def delete(self, path: str) -> TestResponse:
        return self.http.delete(API + path)

    def job(self, job_id: str) -> dict[str, Any]:
        return self.get(f"exports/{job_id}/").json["data"]

    def until(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """Poll a job, as a client does, until it has one of `statuses`."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (job := self.job(job_id))["status"] not in statuses:
            assert time.monotonic() < deadline, f"still {job['status']}: {job}"
            assert job["status"] not in ENDED, job
            time.sleep(0.01)
        return job

    def export(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a job and wait for its end."""
        created = self.post("exports/", body)
        assert created.status_code == 201, created.json
        return self.until(created.json["data"]["id"], *ENDED)

    def file(self, job: dict[str, Any]) -> bytes:
        answer = self.get(f"exports/{job['id']}/download/")
        assert answer.status_code == 200, answer.json
        return answer.data
