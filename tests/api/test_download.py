"""Downloads: whole, in part, conditional, and gone."""

import hashlib

import pytest


@pytest.fixture
def job(admin, source):
    return admin.export({"datasource": source, "format": "csv", "filters": {"table": "numbers"}})


@pytest.fixture
def url(job):
    return f"exports/{job['id']}/download/"


def test_a_file_is_sent_whole_as_an_inert_attachment(admin, job, url):
    answer = admin.get(url)
    assert hashlib.sha256(answer.data).hexdigest() == job["checksum"]["value"]
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Length"] == str(job["file_size"])
    assert answer.headers["ETag"] == f'"{job["checksum"]["value"]}"'
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=-99999", slice(0, None)),
        ("bytes=0-0", slice(0, 1)),
    ],
)
def test_one_range_is_sent_as_206(admin, url, asked, part):
    whole = admin.get(url).data
    answer = admin.get(url, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.data == whole[part]
    assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=-0"])
def test_a_range_past_the_end_is_416_with_the_size(admin, job, url, asked):
    answer = admin.get(url, headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{job['file_size']}"
    assert answer.json["success"] is False


def test_several_ranges_are_answered_with_the_whole(admin, job, url):
    answer = admin.get(url, headers={"Range": "bytes=0-1,5-6"})
    assert answer.status_code == 200
    assert len(answer.data) == job["file_size"]


def test_if_range_with_another_etag_sends_the_whole(admin, job, url):
    same = {"Range": "bytes=0-9", "If-Range": f'"{job["checksum"]["value"]}"'}
    assert admin.get(url, headers=same).status_code == 206
    assert admin.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).status_code == 200


def test_an_unchanged_file_is_304(admin, url):
    etag = admin.get(url).headers["ETag"]
    answer = admin.get(url, headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert answer.data == b""


def test_head_tells_the_size_and_sends_nothing(admin, job, url):
    answer = admin.http.head("/data-tools/api/v1/" + url)
    assert answer.headers["Content-Length"] == str(job["file_size"])
    assert answer.data == b""


def test_a_file_removed_by_hand_is_410(admin, job, url, services):
    published = services.artifacts.keys()
    for key in published:
        services.artifacts.delete(key)
    assert admin.get(url).status_code == 410
    told = admin.job(job["id"])
    assert (told["allowed_actions"], told["download_url"]) == (["delete"], None)
    assert told["warnings"][-1]["code"] == "artifact_gone"


def test_an_unfinished_job_has_no_file_yet(admin, source):
    body = {"datasource": source, "format": "csv", "filters": {"table": "endless"}}
    job_id = admin.post("exports/", body).json["data"]["id"]
    assert admin.get(f"exports/{job_id}/download/").status_code == 409
    assert admin.get(f"exports/{job_id}/receipt/").status_code == 409
    admin.post(f"exports/{job_id}/cancel/")


def test_a_download_that_runs_ends_intact_when_its_job_is_deleted(admin, job, url):
    answer = admin.get(url, buffered=False)
    admin.delete(f"exports/{job['id']}/")
    assert hashlib.sha256(answer.data).hexdigest() == job["checksum"]["value"]
