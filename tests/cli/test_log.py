"""The server's log, read as its admin does: line by line, from a request to the file that came of it."""

import json
import logging
import threading
import warnings

import pytest

from exporter import log
from exporter.version import __version__
from tests.server import Server


@pytest.fixture
def root():
    """Give logging back as it was, from a state in which nobody catches warnings."""
    logging.captureWarnings(capture=False)
    kept = logging.getLogger()
    handlers, level, hook = kept.handlers[:], kept.level, threading.excepthook
    yield kept
    logging.captureWarnings(capture=False)
    kept.handlers[:], kept.level, threading.excepthook = handlers, level, hook


@pytest.fixture
def server(instance, shop):
    server = Server(instance, EXPORTER_LOG_FORMAT="json")
    server.command("users", "create", "ada", "--admin", stdin="pw\n")
    server.token = server.command("tokens", "create", "ada").stdout.strip()
    server.start()
    server.source = server.data("POST", "datasources/", {"name": "shop", "url": f"sqlite:///{shop}"})["id"]
    yield server
    server.kill()


def create(server, request_id, **more):
    body = {"datasource": server.source, "format": "csv", "filters": {"table": "orders"}, **more}
    status, answer = server.call("POST", "exports/", body, **{"X-Request-Id": request_id})
    assert status == 201, answer
    return json.loads(answer)["data"]["id"]


def test_a_job_can_be_followed_from_its_request_to_its_end(server):
    whole = create(server, "req-17")
    server.until(whole, "completed")
    failing = create(server, "req-18", options={"encoding": "iso-8859-1"})
    server.until(failing, "failed")
    lines = [json.loads(line) for line in server.stop()[1].splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)

    def told(job):
        return [
            (line["level"], line.get("request"), line.get("attempt"), line["message"].partition(job)[2].split(" reason")[0])
            for line in lines
            if line.get("job") == job
        ]  # fmt: skip

    rows, size = " rows=4", lines_size(lines, whole)
    assert told(whole) == [
        ("info", "req-17", None, " pending format=csv"),
        ("info", None, 1, " attempt 1 processing"),
        ("info", None, 1, f" attempt 1 completed{rows} bytes={size}"),
    ]
    assert told(failing) == [
        ("info", "req-18", None, " pending format=csv"),
        ("info", None, 1, " attempt 1 processing"),
        ("warning", None, 1, " attempt 1 failed code=value_unwritable"),
    ]


def test_a_server_without_a_user_says_its_version_and_the_code_in_the_same_shape(instance):
    server = Server(instance, EXPORTER_LOG_FORMAT="json")
    server.start()
    invited, serves, *_ = (json.loads(line) for line in server.stop()[1].splitlines())
    assert "/data-tools/setup/ with the code " in invited["message"]
    assert serves["message"] == f"Exporter {__version__} serves {server.url}/data-tools/"


def lines_size(lines, job):
    (line,) = (line for line in lines if line.get("job") == job and "completed" in line["message"])
    return int(line["message"].rpartition("=")[2])


def test_warnings_libraries_and_threads_that_end_badly_write_lines_of_the_same_shape(root, capsys):
    log.configure("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    logging.getLogger("waitress.queue").warning("Task queue depth is %d", 3)
    ends = threading.Thread(target=lambda: 1 / 0, name="exporter-test")
    ends.start()
    ends.join()
    warned, queued, ended = map(json.loads, capsys.readouterr().err.splitlines())
    assert (warned["logger"], "old ways" in warned["message"]) == ("py.warnings", True)
    assert (queued["logger"], queued["message"]) == ("waitress.queue", "Task queue depth is 3")
    assert (ended["level"], "exporter-test" in ended["message"]) == ("critical", True)
    assert "ZeroDivisionError" in ended["exception"]


def test_a_message_in_text_stays_on_its_line_and_names_its_request(root, capsys):
    log.configure("text")
    log.in_request("req-3")
    try:
        logging.getLogger("exporter.x").info("the database says:\nERROR: %s\r\n", "no")
    finally:
        log.in_request(None)
    logging.getLogger("exporter.x").info("later")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("exporter.x: the database says: ERROR: no request=req-3")
    assert second.endswith("exporter.x: later")
