"""The HTTP edge over real sockets: whatever a client sends or leaves undone, the server goes on."""

import json
import socket
from contextlib import ExitStack

import apsw
import pytest

from exporter.cli.serve import BODY_SLACK, CHANNEL_TIMEOUT_SECONDS, CONNECTIONS, HEADER_BYTES, _server
from tests.conftest import make_shop
from tests.server import DEADLINE_SECONDS, serving

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
STALLED = 20  # more than twice the server's threads
ROWS = 300_000


@pytest.fixture(scope="module")
def server(tmp_path_factory, migrated):
    import shutil

    instance = tmp_path_factory.mktemp("edge") / "instance"
    shutil.copytree(migrated, instance)
    make_shop(instance / "shop.db")
    connection = apsw.Connection(str(instance / "shop.db"))
    connection.execute(
        "CREATE TABLE large AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)"
        " SELECT n, hex(randomblob(60)) AS noise FROM c",
        (ROWS,),
    )
    connection.close()
    with serving(instance, instance / "shop.db") as running:
        running.large = running.until(running.submit("large"), "completed")
        yield running


@pytest.fixture
def connect(server):
    """Open connections that are closed after the test."""
    host, port = server.url.removeprefix("http://").split(":")
    with ExitStack() as opened:

        def new(**options):
            made = opened.enter_context(socket.socket())
            made.settimeout(DEADLINE_SECONDS)
            for name, value in options.items():
                made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
            made.connect((host, int(port)))
            return made

        yield new


@pytest.fixture
def ask(server, connect):
    """Send bytes, and give all that comes back until the server closes."""

    def exchange(data):
        connection = connect()
        answer = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while block := connection.recv(65536):
                answer += block
        except OSError:  # it closed without reading the rest, as it may after a refusal
            pass
        return answer

    return exchange


def head(server, line, *headers):
    fixed = ("Host: x", f"Authorization: Bearer {server.token}")
    return "\r\n".join((f"{line} HTTP/1.1", *fixed, *headers, "", "")).encode("latin-1")


def post(server, *headers):
    return head(server, "POST /data-tools/api/v1/auth/tokens/", "Content-Type: application/json", *headers)


def statuses(answer):
    return [int(part[2:5]) for part in answer.split(b"HTTP/1.")[1:]]


def told(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def alive(server):
    return server.call("GET", "auth/me/")[0] == 200


@pytest.mark.parametrize("ranged", [True, False])
def test_many_stalled_downloads_do_not_hang_the_server(server, connect, ranged):
    assert server.large["file_size"] > 32 * 1024 * 1024  # twice what the server keeps for one client
    headers = ["Range: bytes=1-"] if ranged else []
    for _ in range(STALLED):
        connection = connect(SO_RCVBUF=4096)
        connection.sendall(head(server, f"GET {server.large['download_url']}", *headers))
        assert connection.recv(12) == (b"HTTP/1.1 206" if ranged else b"HTTP/1.1 200")
    assert alive(server)
    assert server.until(server.submit("orders"), "completed")["row_count"] == 4


def test_a_stalled_range_that_goes_on_reading_gets_every_byte(server, connect):
    _, whole = server.call("GET", f"exports/{server.large['id']}/download/")
    connection = connect(SO_RCVBUF=4096)
    asked = head(server, f"GET {server.large['download_url']}", "Range: bytes=1000-", "Connection: close")
    connection.sendall(asked)
    start = connection.recv(1000)
    assert alive(server)
    answer = bytearray(start)
    while block := connection.recv(1 << 20):
        answer += block
    front, _, body = bytes(answer).partition(b"\r\n\r\n")
    assert f"Content-Range: bytes 1000-{len(whole) - 1}/{len(whole)}".encode() in front
    assert f"Content-Length: {len(whole) - 1000}".encode() in front
    assert body == whole[1000:]


def test_clients_that_never_finish_their_headers_leave_room_for_others(server, connect):
    for _ in range(CONNECTIONS // 2):
        connect().sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert alive(server)


def test_clients_that_never_finish_their_bodies_leave_the_threads_free(server, connect):
    for _ in range(STALLED):
        connect().sendall(post(server, "Content-Length: 100") + b'{"name":')
    assert alive(server)


def test_a_client_that_hangs_up_amid_its_download_is_forgotten(server, connect):
    for _ in range(STALLED):
        connection = connect(SO_RCVBUF=4096)
        connection.sendall(head(server, f"GET {server.large['download_url']}"))
        connection.recv(100)
        connection.close()
    assert alive(server)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Length: 6", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Content-Length: 6"], b"0\r\n\r\n"),
        (["Content-Length: 2", "Content-Length: 50"], b"{}"),
        (["Content-Length: 2", "Content-Length: 2"], b"{}"),
        (["Content-Length: 2, 2"], b"{}"),
        (["Content-Length: +2"], b"{}"),
        (["Content-Length: -2"], b"{}"),
        (["Content-Length: 0x2"], b"{}"),
        (["Content-Length: 1_0"], b"{}"),
        (["Content-Length: two"], b"{}"),
        (["Transfer-Encoding: chunked"], b"xyz\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"-2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"0x2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2\r\n{}0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2\n{}\n0\n\n"),
        (["Transfer-Encoding: xchunked"], b"2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: gzip, chunked"], b"2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n"),
        (["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding:\x0bchunked"], b"0\r\n\r\n"),
        (["X-A: b\rContent-Length: 2"], b"{}"),
        (["X-A: b\nContent-Length: 2"], b"{}"),
        (["X-A: b\0c"], b"{}"),
        (["Host: y", "Content-Length: 2"], b"{}"),
        (["X A: b"], b"{}"),
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_refused_and_nothing_is_smuggled(
    server, ask, headers, body
):
    (status,) = statuses(ask(post(server, *headers) + body + SMUGGLED))
    assert status in {400, 501}
    assert alive(server)


def test_a_folded_header_cannot_hide_another_one(server, ask):
    folded = head(server, "GET /healthz", "X-A: b", " Transfer-Encoding: chunked", "Connection: close")
    assert statuses(ask(folded)) == [200]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
        b"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a, b\r\n\r\n",
        b'GET /healthz HTTP/9.9\r\nHost: a"><script>\r\n\r\n',
    ],
)
def test_what_is_no_sound_request_is_a_400(server, ask, data):
    assert statuses(ask(data)) == [400]
    assert alive(server)


def test_chunks_are_taken_where_they_are_sound(server, ask):
    chunked = post(server, "Transfer-Encoding: chunked", "Connection: close")
    answer = ask(chunked + b'8;a=b\r\n{"name":\r\n4\r\n"x"}\r\n0\r\n\r\n')
    assert statuses(answer) == [201]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_modest_excess_gets_the_envelope_and_a_huge_body_is_not_read(server, ask, chunked):
    mebibyte = b"x" * 1024 * 1024

    def send(count):
        if chunked:
            body = b"".join(b"%x\r\n%b\r\n" % (len(mebibyte), mebibyte) for _ in range(count)) + b"0\r\n\r\n"
            return ask(post(server, "Transfer-Encoding: chunked", "Connection: close") + body)
        length = f"Content-Length: {count * len(mebibyte)}"
        return ask(post(server, length, "Connection: close") + mebibyte * count)

    modest = send(2)
    assert statuses(modest) == [413]
    assert told(modest)["error"] == "The request body is larger than the 1048576 bytes allowed"
    huge = send(BODY_SLACK + 1)
    assert statuses(huge) in ([413], [])  # the refusal may be lost when it closes before all was sent
    assert alive(server)


def test_headers_without_end_are_431(server, ask):
    answer = ask(head(server, "GET /healthz", f"X-A: {'a' * 2 * HEADER_BYTES}"))
    assert statuses(answer) in ([431], [])
    assert statuses(ask(head(server, "GET /healthz", f"X-A: {'a' * 1000}", "Connection: close"))) == [200]


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":' * 100_000,
        b"[" * 500_000,
        b'{"name": NaN}',
        b'{"name": -Infinity}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "\\ud800"}',
        b'{"name": ' + b"9" * 100_000 + b"}",
        b'{"name": 1e999999}',
        b'{"name": "a\\u0000b"}',
        b'{"expires_in_days": 1' + b"0" * 400 + b', "name": "x"}',
        b'{"name": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"\x00" * 1000,
        b'{"name": "x"} {}',
    ],
)
def test_hostile_json_is_a_400_in_the_envelope(server, ask, body):
    answer = ask(post(server, f"Content-Length: {len(body)}", "Connection: close") + body)
    assert statuses(answer) == [400]
    assert told(answer)["success"] is False


def test_a_wrong_method_names_the_right_ones(server, ask):
    for method in ("PATCH", "TRACE", "FOO"):
        answer = ask(head(server, f"{method} /data-tools/api/v1/exports/", "Connection: close"))
        assert statuses(answer) == [405]
        assert b"Allow: GET, HEAD, OPTIONS, POST\r\n" in answer
        assert told(answer)["success"] is False


@pytest.mark.parametrize(
    "path", ["%00/", "%ff%fe/", "..%2f..%2fetc%2fpasswd/", "a" * 20_000 + "/", "%0d%0aX-A:%20b/"]
)
def test_an_odd_id_is_nothing_but_not_there(server, ask, path):
    answer = ask(head(server, f"GET /data-tools/api/v1/exports/{path}", "Connection: close"))
    assert statuses(answer) == [404]
    assert b"\nX-A" not in answer


def test_a_pipeline_is_answered_in_order(server, ask):
    asked = head(server, "GET /healthz") + head(server, "GET /data-tools/api/v1/nowhere/")
    assert statuses(ask(asked + head(server, "GET /readyz", "Connection: close"))) == [200, 404, 200]


def test_the_server_bounds_what_a_client_may_hold(app):
    with app.app_context():
        server = _server(app.extensions["exporter"], "127.0.0.1", 0, 8)
    try:
        limits = server.adj
        assert limits.connection_limit == CONNECTIONS
        assert limits.channel_timeout == CHANNEL_TIMEOUT_SECONDS
        assert limits.max_request_header_size == HEADER_BYTES
        assert limits.max_request_body_size == 8 * app.config["MAX_CONTENT_LENGTH"]
    finally:
        server.close()
