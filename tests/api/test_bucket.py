"""Exports whose files rest in a bucket: made, handed out, swept and lost."""

import hashlib
from datetime import timedelta

import pytest
from click.testing import CliRunner

from exporter.cli.main import cli
from exporter.jobs import runner
from exporter.storage import objects
from tests.faults.probes import doing, eventually, holding
from tests.objectstore import BUCKET, SECRET, refusal

EVERY_METHOD = {"GET", "HEAD", "PUT", "POST", "DELETE"}


@pytest.fixture
def app(make_app, objectstore):
    return make_app(EXPORTER_STORAGE_URL=objectstore.url("team"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(objects, "UPLOAD_AGAIN_SECONDS", (0.0,))
    monkeypatch.setattr(runner, "BACKOFF_SECONDS", 0.0)


def body(source, table="numbers", **more):
    return {"datasource": source, "format": "csv", "filters": {"table": table}, **more}


@pytest.fixture
def job(admin, source):
    job = admin.export(body(source))
    assert job["status"] == "completed", job
    return job


@pytest.fixture
def url(job):
    return f"exports/{job['id']}/download/"


@pytest.fixture
def left(objectstore):
    """Give the names of what is in the bucket, without the marker of the prefix itself."""

    def names():
        listed = objectstore.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [found["Key"] for found in listed if found["Key"] != "team/"]

    return names


def test_a_file_goes_into_the_bucket_and_comes_back_whole(admin, job, url, left, services):
    assert left() == [f"team/{job['id']}-1"]
    assert list(services.settings.storage_path.iterdir()) == []
    answer = admin.get(url)
    assert hashlib.sha256(answer.data).hexdigest() == job["checksum"]["value"]
    assert answer.headers["Content-Length"] == str(job["file_size"])
    assert answer.headers["ETag"] == f'"{job["checksum"]["value"]}"'
    assert admin.get(f"exports/{job['id']}/receipt/").json["data"]["file_size"] == job["file_size"]


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-9", slice(0, 10)), ("bytes=100-", slice(100, None)), ("bytes=-7", slice(-7, None))],
)
def test_a_range_is_read_from_the_bucket_alone(admin, job, url, objectstore, asked, part):
    whole = admin.get(url).data
    answer = admin.get(url, headers={"Range": asked, "If-Range": f'"{job["checksum"]["value"]}"'})
    assert (answer.status_code, answer.data) == (206, whole[part])
    assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")


def test_head_and_an_unchanged_file_read_no_byte(admin, job, url, objectstore):
    objectstore.requests.clear()
    answer = admin.http.head("/data-tools/api/v1/" + url)
    assert (answer.headers["Content-Length"], answer.data) == (str(job["file_size"]), b"")
    etag = {"If-None-Match": f'"{job["checksum"]["value"]}"'}
    assert admin.get(url, headers=etag).status_code == 304
    assert objectstore.asked("GET") == []


def test_a_file_is_known_as_whole_after_a_start_without_being_read(job, url, objectstore, make_app, services):
    again = make_app(EXPORTER_STORAGE_URL=objectstore.url("team")).extensions["exporter"]
    objectstore.requests.clear()
    kept = again.jobs.get(job["id"], again.accounts.user_named("ada"))
    again.jobs.open_file(kept).close()
    assert objectstore.asked("GET") == []


def test_a_file_altered_in_the_bucket_is_410_and_the_job_says_so(admin, job, url, objectstore):
    whole = admin.get(url).data
    objectstore.client.put_object(Bucket=BUCKET, Key=f"team/{job['id']}-1", Body=b"9" + whole[1:])
    assert admin.get(url).status_code == 410
    told = admin.job(job["id"])
    assert (told["allowed_actions"], told["warnings"][-1]["code"]) == (["delete"], "artifact_gone")


def test_a_file_removed_from_the_bucket_is_410(admin, job, url, objectstore):
    objectstore.client.delete_object(Bucket=BUCKET, Key=f"team/{job['id']}-1")
    assert admin.get(url).status_code == 410
    assert admin.job(job["id"])["download_url"] is None


@pytest.mark.parametrize("how", ["delete", "retention"])
def test_a_download_that_runs_ends_intact_and_then_the_object_goes(admin, job, url, services, left, how):
    answer = admin.get(url, buffered=False)
    if how == "delete":
        assert admin.delete(f"exports/{job['id']}/").status_code == 200
    else:
        services.sweeper._clock = lambda: services.clock() + timedelta(days=8)
        assert len(services.sweeper.sweep().expired) == 1
    assert hashlib.sha256(answer.data).hexdigest() == job["checksum"]["value"]
    answer.close()
    assert left() == []


def test_what_no_row_refers_to_is_swept_when_it_is_old_enough(
    admin, job, services, objectstore, left, monkeypatch
):
    orphan = f"team/{job['id'][:-12]}000000000000-1"
    for key in (orphan, "team/holiday.jpg", "team/deeper/x"):
        objectstore.client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    assert services.sweeper.sweep().orphans == ()
    monkeypatch.setattr(objects, "YOUNG", timedelta(0))
    assert services.sweeper.sweep().orphans == (orphan.removeprefix("team/"),)
    assert left() == sorted(["team/deeper/x", "team/holiday.jpg", f"team/{job['id']}-1"])


def test_a_sweep_of_a_bucket_that_is_away_is_put_off(services, objectstore, caplog):
    with objectstore.failing(refusal(503, "SlowDown", methods={"GET"})):
        services.engine.start()
        eventually(lambda: "the sweep was put off" in caplog.text)
        services.engine.stop(grace=0)
    assert "unexpected fault" not in caplog.text
    assert caplog.text.count("the sweep was put off") == 1


def test_a_sweep_leaves_alone_what_is_being_uploaded(admin, source, services, monkeypatch):
    monkeypatch.setattr(objects, "YOUNG", timedelta(0))
    for place in ("batch", "upload_part", "uploaded", "before_complete"):
        with doing(place, services.sweeper.sweep) as reached:
            job = admin.export(body(source))
        assert job["status"] == "completed", (place, job)
        assert place in reached
        assert len(admin.file(job)) == job["file_size"]


def test_a_bucket_that_fails_for_a_moment_costs_no_attempt(admin, source, objectstore):
    fault = refusal(500, "InternalError", methods={"PUT"}, times=4)  # beyond what pyarrow tries itself
    with objectstore.failing(fault):
        job = admin.export(body(source))
    assert (job["status"], job["attempt"]) == ("completed", 1)


def test_a_bucket_that_stays_away_fails_the_job_with_its_reason(admin, source, objectstore, left):
    with objectstore.failing(refusal(503, "SlowDown", methods={"PUT", "POST"})):
        job = admin.export(body(source))
    assert (job["status"], job["error_code"], job["attempt"]) == ("failed", "store_away", 3)
    assert SECRET not in str(job)
    assert left() == []


def test_a_bucket_that_refuses_fails_the_job_at_once(admin, source, objectstore, left, caplog):
    with objectstore.failing(refusal(403, "SignatureDoesNotMatch", methods={"PUT", "POST"})):
        job = admin.export(body(source))
    assert (job["status"], job["error_code"], job["attempt"]) == ("failed", "store_failed", 1)
    assert "SIGNATURE_DOES_NOT_MATCH during CreateMultipartUpload" in job["error_message"]
    assert SECRET not in str(job) + caplog.text
    assert left() == []


def test_a_bucket_that_is_away_is_a_503_and_costs_no_job_its_file(admin, job, url, objectstore):
    with objectstore.failing(refusal(503, "SlowDown", methods=EVERY_METHOD)):
        answer = admin.get(url)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), answer.json
        assert admin.http.get("/readyz").status_code == 503
    assert len(admin.file(job)) == job["file_size"]


def test_a_read_that_fails_before_the_first_byte_is_a_503(admin, job, url, objectstore):
    with objectstore.failing(refusal(503, "SlowDown", methods={"GET"})):
        assert admin.get(url).status_code == 503
    assert admin.get(url).status_code == 200


def test_a_bucket_that_is_gone_takes_no_row_its_file(admin, job, url, objectstore):
    missing = refusal(404, "NoSuchBucket", methods={"GET", "HEAD"})
    with objectstore.failing(missing):
        answer = admin.get(url)
        assert (answer.status_code, "there is no bucket" in answer.json["error"]) == (503, True)
    assert admin.get(url).status_code == 200


def test_a_cancel_during_the_upload_leaves_nothing(admin, source, left, services):
    with holding("upload_part") as hold:
        job_id = admin.post("exports/", body(source)).json["data"]["id"]
        hold.wait()
        assert admin.post(f"exports/{job_id}/cancel/").status_code == 200
        hold.go()
    eventually(lambda: admin.job(job_id)["stopped_at"] is not None)
    assert admin.job(job_id)["status"] == "cancelled"
    assert left() == []


def test_doctor_says_whether_the_bucket_can_be_used(app, admin, objectstore):
    def doctor():
        return CliRunner().invoke(cli, ["doctor"], obj=lambda: app)

    assert f"ok    store: s3://{BUCKET}/team," in doctor().output
    with objectstore.failing(refusal(403, "AccessDenied", methods=EVERY_METHOD)):
        told = doctor()
    assert f"WRONG store: s3://{BUCKET}/team cannot be used: ACCESS_DENIED during HeadBucket" in told.output
    assert told.exit_code == 1
