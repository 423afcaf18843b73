"""Downloads as they leave a real server: past slow clients, and through a real nginx."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import apsw
import pytest

from tests.objectstore import CREDENTIALS
from tests.server import API, DEADLINE_SECONDS, serving

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
MEGABYTES = 40  # more than the server and the system keep in memory for one client


@pytest.fixture
def large(shop):
    """A shop with a table whose file is large and quickly made."""
    with apsw.Connection(str(shop)) as connection:
        connection.execute("CREATE TABLE large AS SELECT printf('%.*c', 1000000, 'x') AS t FROM numbers")
        connection.execute(f"DELETE FROM large WHERE rowid > {MEGABYTES}")
    connection.close()
    return shop


def asked(server, path):
    """Ask for a path and read nothing of the answer."""
    place = urlsplit(server.url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((place.hostname, place.port))
    token = f"Authorization: Bearer {server.token}"
    client.sendall(f"GET {API}{path} HTTP/1.1\r\nHost: {place.netloc}\r\n{token}\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def test_clients_that_do_not_read_keep_no_other_from_a_bucket(instance, large, objectstore):
    settings = {"EXPORTER_STORAGE_URL": objectstore.url("team"), **CREDENTIALS}
    with serving(instance, large, options=["--threads", "2"], **settings) as server:
        job = server.until(server.submit("large"), "completed")
        assert job["file_size"] > MEGABYTES * 10**6
        path = f"exports/{job['id']}/download/"
        stalled = [asked(server, path) for _ in range(3)]
        status, content = server.call("GET", path)
        assert (status, hashlib.sha256(content).hexdigest()) == (200, job["checksum"]["value"])
        for client in stalled:
            client.close()
        code, _ = server.stop()
        assert code == 0


@pytest.fixture
def nginx(tmp_path, instance):
    """Start nginx with the location of our documentation in front of a server."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("EXPORTER_REQUIRE_NGINX") == "1" else pytest.skip)("there is no nginx")
    started = []

    def start(server):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        folder = tmp_path / "nginx"
        folder.mkdir()
        (folder / "nginx.conf").write_text(configuration(folder, port, server.url, instance / "exports"))
        command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not answers(url):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return url

    yield start
    for process in started:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def configuration(folder, port, server, store):
    blocks = re.findall(r"```nginx\n(.*?)```", OPERATIONS.read_text("utf-8"), re.DOTALL)
    locations = "\n".join(blocks).replace("/srv/exports", str(store))
    proxied = f"location / {{ proxy_pass {server}; proxy_set_header X-Forwarded-For $remote_addr; }}"
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""
        daemon off; {user} pid {folder}/pid;
        events {{}}
        http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port}; {proxied} {locations} }} }}
    """


def answers(url):
    try:
        urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
    except OSError:
        return False
    return True


def test_nginx_sends_the_file_with_our_headers_and_obeys_ranges(instance, shop, nginx):
    settings = {"EXPORTER_DOWNLOADS": "x-accel-redirect", "EXPORTER_TRUSTED_PROXIES": "127.0.0.1"}
    with serving(instance, shop, **settings) as server:
        job = server.until(server.submit("numbers"), "completed")
        own, server.url = server.url, nginx(server)
        path = f"exports/{job['id']}/download/"
        etag = f'"{job["checksum"]["value"]}"'

        def get(method="GET", **headers):
            request = urllib.request.Request(
                server.url + API + path,
                method=method,
                headers={"Authorization": f"Bearer {server.token}", **headers},
            )
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
                return answer.status, answer.headers, answer.read()

        status, headers, content = get()
        assert (status, hashlib.sha256(content).hexdigest()) == (200, job["checksum"]["value"])
        assert headers["ETag"] == etag
        assert headers["Content-Type"] == "text/csv; charset=utf-8"
        assert headers["Content-Disposition"].startswith("attachment; filename=")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert headers["Cache-Control"] == "private, no-store"
        status, headers, nothing = get("HEAD")
        assert (status, headers["Content-Length"], nothing) == (200, str(len(content)), b"")
        assert get(Range="bytes=10-19")[::2] == (206, content[10:20])
        assert get(Range="bytes=10-19", **{"If-Range": etag})[::2] == (206, content[10:20])
        assert get(Range="bytes=10-19", **{"If-Range": '"other"'})[::2] == (200, content)
        assert server.call("GET", path, **{"If-None-Match": etag})[0] == 304
        assert server.call("GET", f"../../../exporter-files/{job['id']}-1")[0] == 404
        server.url = own
