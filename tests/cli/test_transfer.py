"""Servers that answer wrongly, or not at all: real sockets, a server of a few lines."""

import hashlib
import json
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from exporter.cli.main import cli
from exporter.cli.remote import Poll
from exporter.cli.rest import Client, ServerAway
from exporter.errors import Unavailable

API = "/data-tools/api/v1/"
CONTENT = b'"id","city"\n1,"K\xc3\xb6ln"\n'
JOB = {
    "id": str(uuid4()),
    "status": "completed",
    "file_name": "../.orders.csv",
    "file_size": len(CONTENT),
    "checksum": {"algorithm": "sha256", "value": hashlib.sha256(CONTENT).hexdigest()},
}
PATH = f"exports/{JOB['id']}/"


def envelope(data):
    return 200, {"ETag": '"1"'}, json.dumps({"success": True, "message": "", "data": data}).encode()


@contextmanager
def answering(answers):
    """Serve `answers` = {path: (status, headers, body)}; a Content-Length among the headers is sent as it is."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, dict(self.headers)))
            status, headers, body = answers[self.path.removeprefix(API)]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with listening(Handler) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen


@contextmanager
def listening(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # a client that hangs up is what is wanted here
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(url, *arguments, code=0):
    answer = CliRunner().invoke(
        cli, list(arguments), env={"EXPORTER_SERVER": url, "EXPORTER_TOKEN": "exp_x"}, catch_exceptions=False
    )
    assert answer.exit_code == code, answer.output
    return answer


@pytest.mark.parametrize(
    ("body", "headers", "told"),
    [
        (CONTENT[:9], {"Content-Length": str(len(CONTENT))}, "9 of its 22 bytes arrived"),
        (CONTENT[:9], {}, "9 of its 22 bytes arrived"),
        (CONTENT.replace(b"1", b"2"), {}, "another sha256"),
        (CONTENT + b"x", {}, "more than its 22 bytes"),
    ],
)
def test_a_download_that_is_not_whole_leaves_what_was_there(tmp_path, body, headers, told):
    target = tmp_path / "orders.csv"
    target.write_bytes(b"the old one")
    answers = {PATH: envelope(JOB), f"{PATH}download/": (200, headers, body)}
    with answering(answers) as (url, _):
        answer = run(url, "exports", "download", JOB["id"], "--output", str(target), code=1)
    assert told in answer.stderr
    assert target.read_bytes() == b"the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]


def test_a_servers_file_name_leads_nowhere_else(tmp_path):
    answers = {PATH: envelope(JOB), f"{PATH}download/": (200, {}, CONTENT)}
    with answering(answers) as (url, _):
        run(url, "exports", "download", JOB["id"], "--output", str(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"orders.csv": CONTENT}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {}, b"<html>welcome</html>"), "its answer is not the expected JSON"),
        ((200, {}, b'{"success": true}'), "holds no data"),
        ((404, {}, b"<html>no such page</html>"), "status 404"),
        ((302, {"Location": "http://elsewhere.example/"}, b""), "sends on to http://elsewhere.example/"),
        (
            (500, {}, b'{"success": false, "error": "Internal server error."}'),
            "Error: Internal server error.",
        ),
        ((503, {"Retry-After": "5"}, b'{"success": false, "error": "Later."}'), "Error: Later."),
        ((200, {"Content-Length": "1000"}, b"{"), "it closed the connection"),
    ],
)
def test_a_strange_answer_is_one_line(answer, told):
    with answering({"datasources/": answer}) as (url, _):
        stderr = run(url, "datasources", "list", code=1).stderr
    assert told in stderr
    assert len(stderr.strip().splitlines()) == 1


def test_a_token_goes_to_no_other_server():
    with answering({"datasources/": envelope({"datasources": []})}) as (other, seen):
        redirect = {"datasources/": (307, {"Location": f"{other}{API}datasources/"}, b"")}
        with answering(redirect) as (url, _):
            run(url, "datasources", "list", code=1)
        assert seen == []


class Mumbling(BaseHTTPRequestHandler):
    """Says at once what no HTTP server says."""

    def handle(self):
        self.wfile.write(b"220 mail.example ESMTP\r\n")
        self.rfile.read(1)


def test_what_speaks_no_http_or_no_tls_is_told():
    with listening(Mumbling) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert "does not speak HTTP" in run(url, "datasources", "list", code=1).stderr
        tls = url.replace("http:", "https:")
        assert "is it https?" in run(tls, "datasources", "list", code=1).stderr


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate(tmp_path / "own.pem"))
    with listening(Mumbling) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        stderr = run(f"https://127.0.0.1:{server.server_address[1]}", "datasources", "list", code=1).stderr
    assert "TLS certificate is not trusted: self-signed certificate" in stderr


def own_certificate(path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = built.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_poll_asks_only_for_news_and_slows_down_to_what_the_server_likes():
    headers = {"ETag": '"1"', "Retry-After": "1"}
    answers = {PATH: (200, headers, envelope({**JOB, "row_count": 5})[2])}
    with answering(answers) as (url, seen):
        poll = Poll(Client(url, "exp_x"), JOB, patience=60)
        job, first = poll.look()
        assert job["row_count"] == 5
        answers[PATH] = (304, headers, b"")
        pauses = [poll.look()[1] for _ in range(5)]
        assert poll.look()[0] == job
    assert first < 1
    assert sorted(pauses) == pauses
    assert pauses[-1] == 1
    assert [headers.get("If-None-Match") for _, headers in seen] == [None] + ['"1"'] * 6


def test_a_poll_bears_with_a_server_that_is_away_for_a_moment():
    answers = {PATH: envelope({**JOB, "row_count": 5})}
    with answering(answers) as (url, _):
        poll, hasty = (Poll(Client(url, "exp_x"), JOB, patience=patience) for patience in (60, 0))
        seen = poll.look()[0]
        answers[PATH] = (503, {"Retry-After": "7"}, b'{"success": false, "error": "Stopping."}')
        assert poll.look() == (seen, 7)
        with pytest.raises(Unavailable):
            hasty.look()
    assert poll.look() == (seen, 1)
    with pytest.raises(ServerAway):
        hasty.look()


def test_a_job_that_is_not_one_is_told_by_the_server():
    refused = (404, {}, b'{"success": false, "error": "Export job not found"}')
    with answering({PATH: refused}) as (url, _):
        assert "Error: Export job not found" in run(url, "exports", "show", JOB["id"], code=1).stderr
