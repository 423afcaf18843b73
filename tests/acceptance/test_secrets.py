"""Marker passwords and tokens go through everything that takes one, and turn up nowhere."""

import json
from pathlib import Path

import psycopg
import pytest

from tests.postgres_server import fresh_role
from tests.server import serving

ACCOUNT = "Marker-account-1"  # a user's password
GUESSED = "Marker-guessed-2"  # a wrong password, and a password typed as the username
DATABASE = "Marker-database-3"  # the right password of a datasource
REFUSED = "Marker-refused-4"  # passwords in URLs that do not work
RECEIVER = "Marker-receiver-6"  # in a webhook's address: its owner sees it, nobody else
VALUE = "Marker-value-5"  # of a filter: it is in its job, and in no log
SECRETS = (ACCOUNT, GUESSED, DATABASE, REFUSED)


class Recorder:
    """Calls the server and keeps every answer, its headers too."""

    def __init__(self, server):
        self.server = server
        self.heard = []

    def __call__(self, method, path, body=None, **headers):
        status, content = self.server.call(method, path, body, **headers)
        self.heard.append(content)
        return status, content

    def data(self, method, path, body=None):
        status, content = self(method, path, body)
        assert status in {200, 201}, content
        return json.loads(content)["data"]


@pytest.mark.postgres
def test_no_secret_turns_up_in_any_answer_log_database_file_or_process_title(
    instance, shop, postgres_database
):
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders AS SELECT n, 'Köln' AS city FROM generate_series(1, 100) n")
        connection.execute("GRANT SELECT ON orders TO PUBLIC")
    with serving(instance, shop) as server, fresh_role(postgres_database, DATABASE) as (url, role):
        ask = Recorder(server)
        commands = [
            server.command("users", "create", "max", stdin=f"{ACCOUNT}\n"),
            server.command("users", "set-password", "max", stdin=f"{ACCOUNT}\n"),
            server.command("datasources", "list", "--json"),
            server.command("datasources", "add", "bad", f"postgresql://u:{REFUSED}@127.0.0.1:1/d"),
            server.command("datasources", "add", "bad", f"postgresql://u:{REFUSED}@host:port/d"),
        ]
        sign_in(ask)
        other = ask.server.data("POST", "auth/tokens/", {"name": "other"})["token"]
        whsec = make_webhook(ask)
        use_datasources(ask, url)
        source = ask.data("POST", "datasources/", {"name": "crm", "url": url, "is_shared": True})["id"]
        export(ask, source)
        ask("GET", "auth/tokens/")
        title = process_title(server.process.pid)
        lose_the_role(ask, source, postgres_database, role)
        commands += [
            server.command("doctor"),
            server.command("audit", "list", "--json"),
            server.command("tokens", "list"),
        ]
        for path in ("audit/?page_size=100", "datasources/", "exports/", "openapi.json"):
            ask("GET", path)
        _, log = server.stop()
        token = server.token
    heard = b"\n".join(ask.heard).decode("utf-8", "replace")
    told = "\n".join(command.stdout + command.stderr for command in commands)
    kept = b"".join(path.read_bytes() for path in files(instance)).decode("utf-8", "replace")
    for name, text in {"commands": told, "log": log, "files": kept, "title": title}.items():
        assert RECEIVER not in text, name
    for secret in (*SECRETS, token, other, whsec, whsec.removeprefix("whsec_")):
        for name, text in {
            "answers": heard,
            "commands": told,
            "log": log,
            "files": kept,
            "title": title,
        }.items():
            assert secret not in text, f"{secret} in the {name}"
    assert VALUE not in log
    assert VALUE not in "".join(json.dumps(each) for each in audit_entries(heard))
    assert VALUE in heard  # the job says what was asked


def sign_in(ask):
    for name, password in (("max", ACCOUNT), ("max", GUESSED), (GUESSED, "x"), ("nobody", GUESSED)):
        ask("POST", "auth/login/", {"username": name, "password": password})
    ask("POST", "auth/login/", {"username": "max", "password": GUESSED, "extra": 1})
    ask("POST", "auth/login/", {"username": "max", "password": [GUESSED]})
    ask("GET", "auth/me/", Authorization=f"Bearer {GUESSED}")
    ask("GET", "auth/me/", Authorization=f"Basic {GUESSED}")


def make_webhook(ask):
    """Have every end told to where nobody listens; give the secret, which this one answer may hold."""
    events = ["job.completed", "job.failed"]
    hook = {"name": "hook", "url": f"http://127.0.0.1:9/{RECEIVER}", "events": events}
    made = ask.server.data("POST", "webhooks/", hook)
    path = f"webhooks/{made['id']}/"
    for method, rest in (("GET", ""), ("POST", "test/"), ("GET", "deliveries/")):
        ask(method, path + rest)
    for bad in (f"https://u:{REFUSED}@127.0.0.1/", f"http://10.0.0.1/?key={REFUSED}", f"x{REFUSED}"):
        assert ask("POST", "webhooks/", {"name": "bad", "url": bad})[0] == 400
    return made["secret"]


def use_datasources(ask, url):
    """Register what cannot work, in every way a URL can be wrong."""
    wrong = url.replace(DATABASE, REFUSED)
    host = url.rpartition("@")[2]
    for bad in (
        wrong,
        f"postgresql://u:{REFUSED}@127.0.0.1:1/d",
        f"postgresql://u:{REFUSED}@127.0.0.1:port/d",
        f"postgresql://u:{REFUSED}@host.invalid/d",
        f"postgresql://u:{REFUSED}@[::1/d",
        f"postgresql://u:{REFUSED}",
        f"postgresql://u:{REFUSED}@with@{host}",
        f"postgresql://u:{REFUSED}/with@{host}",
        f"postgresql://{host}?user=u&password={REFUSED}",
        f"postgresql://{host}?user=u&password={REFUSED}&colour=red",
        f"postgresql://u:{REFUSED}@127.0.0.1:1/d?sslmode={REFUSED}x",
        f"mysql://u:{REFUSED}@127.0.0.1/d",
        f"sqlite://u:{REFUSED}@host/x.db",
        f"u:{REFUSED}@host",
    ):
        status, _ = ask("POST", "datasources/", {"name": "bad", "url": bad})
        assert status == 400, bad
    ask("POST", "datasources/", {"name": "bad", "url": url, "query": "SELECT nonsense FROM"})


def export(ask, source):
    ask("POST", f"datasources/{source}/test/")
    ask("GET", f"datasources/{source}/tables/")
    ask("GET", f"datasources/{source}/columns/?table=orders")
    where = [{"column": "city", "operator": "!=", "value": VALUE}]
    filters = {"table": "orders", "where_conditions": where}
    ask("POST", f"datasources/{source}/preview/", filters)
    job = ask.data("POST", "exports/", {"datasource": source, "format": "csv", "filters": filters})
    done = ask.server.until(job["id"], "completed")
    for path in ("", "receipt/", "download/"):
        ask("GET", f"exports/{done['id']}/{path}")


def lose_the_role(ask, source, database, role):
    """See what is told when the password no longer fits, to a call, to a change and to a running server's job."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {role} PASSWORD 'changed'")
    for method, path in (("POST", "test/"), ("GET", "tables/"), ("POST", "preview/")):
        status, _ = ask(
            method, f"datasources/{source}/{path}", {"table": "orders"} if path == "preview/" else None
        )
        assert status >= 400
    ask("POST", "exports/", {"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    ask("PUT", f"datasources/{source}/", {"name": "crm", "table": "orders"})


def process_title(pid):
    folder = Path("/proc") / str(pid)
    names = [(folder / name).read_text() for name in ("cmdline", "comm")]
    return " ".join(names + [path.read_text() for path in folder.glob("task/*/comm")])


def files(instance):
    return [path for path in instance.rglob("*") if path.is_file() and path.name != "secret_key"]


def audit_entries(heard):
    for line in heard.splitlines():
        if line.startswith('{"success":true') and '"entries"' in line:
            yield from json.loads(line)["data"]["entries"]
