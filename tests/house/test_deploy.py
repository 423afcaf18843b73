"""The examples of `deploy/`: what can be run of them is run, the rest is held against the program."""

import json
import os
import pwd
import re
import shlex
import shutil
import ssl
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exporter.cli.main import cli
from exporter.jobs.engine import STOP_CHECK_SECONDS
from exporter.jobs.lease import JOIN_SECONDS
from exporter.settings import SETTINGS, load_settings
from tests.postgres_server import free_port
from tests.server import DEADLINE_SECONDS, Server, serving

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "deploy/exporter.service").read_text()
SITE = (ROOT / "deploy/nginx.conf").read_text()
CONTAINER = (ROOT / "deploy/Containerfile").read_text()
CLIENT = "127.0.0.9"  # an address of this machine that is neither the server's nor the proxy's


def settings_of(text):
    return set(re.findall(r"\bEXPORTER_([A-Z_]+)=", text))


@pytest.mark.parametrize("text", [UNIT, CONTAINER])
def test_the_examples_name_settings_that_there_are(text):
    assert settings_of(text) <= {*SETTINGS, "INSTANCE_PATH"}
    assert "INSTANCE_PATH" in settings_of(text)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one_that_systemd_takes(tmp_path):
    unit = tmp_path / "exporter.service"
    unit.write_text(UNIT.replace("/opt/exporter/bin/exporter", sys.executable))
    told = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")


def test_systemd_waits_for_longer_than_the_server_needs_to_stop(tmp_path):
    grace = load_settings({"EXPORTER_INSTANCE_PATH": str(tmp_path)}).shutdown_grace_seconds
    waits = int(re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[1])
    assert waits >= grace + 2 * STOP_CHECK_SECONDS + JOIN_SECONDS


def test_the_unit_starts_the_server_as_it_can_be_started():
    command = shlex.split(re.search(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)[1])
    check(command[1:])


def check(words):
    """Parse a command line of ours without running it."""
    command = cli.commands[words[0]]
    command.make_context(words[0], words[1:])


def instructions():
    """Give each instruction of the container's file with its words."""
    joined = CONTAINER.replace("\\\n", " ")
    return [line.split(" ", 1) for line in joined.splitlines() if line and not line.startswith("#")]


def test_the_container_starts_the_server_as_its_own_user_and_stops_it_gently():
    last = dict(instructions())  # of each kind, the last counts
    assert json.loads(last["ENTRYPOINT"]) == ["exporter"]
    check(json.loads(last["CMD"]))
    assert last["USER"] == "exporter"
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert f"EXPORTER_INSTANCE_PATH={last['VOLUME']}" in last["ENV"]
    names = [name for name, _ in instructions()]
    assert names.index("USER") < names.index("VOLUME")  # the volume belongs to the user


def test_the_container_is_built_from_what_is_in_the_checkout():
    (run, *_) = (words for name, words in instructions() if name == "RUN")
    for name in re.findall(r"/src/(\S+)", run):
        assert (ROOT / name).is_file()
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "instance/*"} <= set(ignored)


def health_check(url):
    """Run the container's check against a server elsewhere."""
    (words,) = (words for name, words in instructions() if name == "HEALTHCHECK")
    _, code, *rest = json.loads(words.partition("CMD ")[2])
    assert code == "-c"
    script = rest[0].replace("http://127.0.0.1:8000", url)
    assert script != rest[0]
    return subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode


def test_the_health_check_tells_a_living_server_from_a_dead_one(instance):
    server = Server(instance)
    server.start()
    try:
        assert health_check(server.url) == 0
    finally:
        server.kill()
    assert health_check(server.url) == 1


def make_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "data.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))


def adapted(folder, server, port):
    """Give the site with this test's addresses in place of a real one's."""
    changes = {
        "127.0.0.1:8000": server.url.removeprefix("http://"),
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/certs/data.example.pem": str(folder / "cert.pem"),
        "/etc/ssl/private/data.example.key": str(folder / "key.pem"),
        "/var/lib/exporter/exports/": f"{server.environ['EXPORTER_INSTANCE_PATH']}/exports/",
    }
    site = SITE
    for old, new in changes.items():
        assert site.count(old) == 1, old
        site = site.replace(old, new)
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy"))
    user = (
        f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    )  # else nobody, who may not go to the folder
    return f"{user} pid {folder}/pid; events {{}}\nhttp {{ access_log off; {temporary}\n{site}}}"


@contextmanager
def behind_nginx(server, folder):
    make_certificate(folder)
    port = free_port()
    (folder / "nginx.conf").write_text(adapted(folder, server, port))
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    told = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    subprocess.run(
        command, check=True, timeout=DEADLINE_SECONDS
    )  # it binds its ports before it goes to the background
    try:
        yield port
    finally:
        subprocess.run([*command, "-s", "stop"], check=True, timeout=DEADLINE_SECONDS)


def request(port, folder, method, path, body=None, **headers):
    trusted = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    connection = HTTPSConnection(
        "127.0.0.1", port, context=trusted, source_address=(CLIENT, 0), timeout=DEADLINE_SECONDS
    )
    try:
        told = json.dumps(body) if body is not None else None
        connection.request(method, path, told, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_the_server_works_behind_the_site_for_nginx(instance, shop, tmp_path):
    folder = tmp_path / "nginx"
    folder.mkdir()
    with (
        serving(instance, shop, EXPORTER_TRUSTED_PROXIES="127.0.0.1") as server,
        behind_nginx(server, folder) as port,
    ):
        job = server.submit("numbers")
        server.until(job, "completed")

        def ask(method, path, body=None, **headers):
            return request(port, folder, method, f"/data-tools/api/v1/{path}", body, **headers)

        status, told, _ = ask("POST", "auth/login/", {"username": "ada", "password": "pw"})
        assert status == 200
        assert "; Secure" in told["Set-Cookie"]
        cookie = {"Cookie": told["Set-Cookie"].partition(";")[0]}
        _, whole, content = ask("GET", f"exports/{job}/download/", **cookie)
        status, part, some = ask("GET", f"exports/{job}/download/", Range="bytes=2-9", **cookie)
        assert (status, some) == (206, content[2:10])
        assert (part["ETag"], part["Content-Length"]) == (whole["ETag"], "8")
        status, _, refused = ask("POST", "exports/", {"name": "x" * 1_500_000}, **cookie)
        assert status == 413, refused
        assert json.loads(refused)["success"] is False, refused
        assert request(port, folder, "GET", f"/exporter-files/{job}-1")[0] == 404
        log = server.data("GET", "audit/")["entries"]
        (login,) = (line for line in log if line["action"] == "user.log_in")
        assert login["address"] == CLIENT
        assert re.fullmatch("[0-9a-f]{32}", login["request_id"])
