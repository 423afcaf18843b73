"""Who may call what: every route of the server, asked by everybody.

A line is a call, what it is about, and the status for: nobody, a disabled user, a stranger, the owner, an admin. Each is
asked with a session and with a token. A route without a line fails the first test.
"""

import json
from itertools import count

import pytest

from exporter.model import Role
from tests.client import API, ENDED, Client
from tests.conftest import PASSWORD, close, make_shop, migrated  # noqa: F401 - a fixture

WHO = ("nobody", "disabled", "stranger", "owner", "admin")
CSV = {"format": "csv", "filters": {"table": "orders"}}

# A 400 or 409 says that the caller was let in: the request's own fault was found, or the state forbids it.
LINES = """
auth.log_in              POST    -                   400 400 400 400 400
auth.log_out             POST    -                   401 401 200 200 200
auth.me                  GET     -                   401 401 200 200 200
auth.list_tokens         GET     -                   401 401 200 200 200
auth.create_token        POST    token-body          401 401 201 201 201
auth.revoke_token        DELETE  token               401 401 404 200 200
audit.index              GET     -                   401 401 403 403 200
datasources.index        GET     -                   401 401 200 200 200
datasources.create       POST    datasource-body     401 401 403 403 201
datasources.show         GET     private-datasource  401 401 404 404 200
datasources.show         GET     shared-datasource   401 401 200 200 200
datasources.update       PUT     private-datasource  401 401 403 403 200
datasources.update       PUT     shared-datasource   401 401 403 403 200
datasources.delete       DELETE  private-datasource  401 401 403 403 200
datasources.delete       DELETE  shared-datasource   401 401 403 403 200
datasources.test         POST    private-datasource  401 401 404 404 200
datasources.test         POST    shared-datasource   401 401 200 200 200
datasources.tables       GET     private-datasource  401 401 404 404 200
datasources.tables       GET     shared-datasource   401 401 200 200 200
datasources.columns      GET     private-datasource  401 401 404 404 400
datasources.columns      GET     shared-datasource   401 401 400 400 400
datasources.preview      POST    private-datasource  401 401 404 404 200
datasources.preview      POST    shared-datasource   401 401 200 200 200
exports.create           POST    private-export      401 401 400 400 201
exports.create           POST    shared-export       401 401 201 201 201
exports.estimate         POST    private-export      401 401 400 400 200
exports.estimate         POST    shared-export       401 401 200 200 200
exports.index            GET     -                   401 401 200 200 200
exports.show             GET     job                 401 401 404 200 200
exports.cancel           POST    job                 401 401 404 409 409
exports.retry            POST    job                 401 401 404 409 409
exports.download         GET     job                 401 401 404 200 200
exports.download         HEAD    job                 401 401 404 200 200
exports.receipt          GET     job                 401 401 404 200 200
exports.delete           DELETE  job                 401 401 404 200 200
export_templates.index   GET     -                   401 401 200 200 200
export_templates.create  POST    template-body       401 401 201 201 201
export_templates.create  POST    system-body         401 401 403 403 201
export_templates.show    GET     user-template       401 401 404 200 200
export_templates.show    GET     shared-template     401 401 200 200 200
export_templates.show    GET     system-template     401 401 200 200 200
export_templates.replace PUT     user-template       401 401 404 200 200
export_templates.replace PUT     shared-template     401 401 403 200 200
export_templates.replace PUT     system-template     401 401 403 403 200
export_templates.change  PATCH   user-template       401 401 404 200 200
export_templates.change  PATCH   shared-template     401 401 403 200 200
export_templates.change  PATCH   system-template     401 401 403 403 200
export_templates.delete  DELETE  user-template       401 401 404 200 200
export_templates.delete  DELETE  shared-template     401 401 403 200 200
export_templates.delete  DELETE  system-template     401 401 403 403 200
schedules.index          GET     -                   401 401 200 200 200
schedules.create         POST    schedule-body       401 401 201 201 201
schedules.show           GET     schedule            401 401 404 200 200
schedules.replace        PUT     schedule            401 401 404 200 200
schedules.change         PATCH   schedule            401 401 404 200 200
schedules.delete         DELETE  schedule            401 401 404 200 200
schedules.run            POST    schedule            401 401 404 201 201
schedules.runs           GET     schedule            401 401 404 200 200
webhooks.index           GET     -                   401 401 200 200 200
webhooks.create          POST    webhook-body        401 401 201 201 201
webhooks.show            GET     webhook             401 401 404 200 200
webhooks.replace         PUT     webhook             401 401 404 200 200
webhooks.change          PATCH   webhook             401 401 404 200 200
webhooks.delete          DELETE  webhook             401 401 404 200 200
webhooks.test            POST    webhook             401 401 404 200 200
webhooks.deliveries      GET     webhook             401 401 404 200 200
webhooks.delivery        GET     delivery            401 401 404 200 200
webhooks.redeliver       POST    delivery            401 401 404 200 200
service.healthz          GET     -                   200 200 200 200 200
service.readyz           GET     -                   200 200 200 200 200
service.metrics          GET     -                   401 401 200 200 200
service.openapi          GET     -                   401 401 200 200 200
docs.page                GET     -                   401 401 200 200 200
docs.static              GET     static              200 200 200 200 200
"""
TABLE = [line.split() for line in LINES.strip().splitlines()]
CASES = {
    f"{endpoint} {method} {thing} {who} {way}": (endpoint, method, thing, who, way, int(status))
    for endpoint, method, thing, *statuses in TABLE
    for who, status in zip(WHO, statuses, strict=True)
    for way in (("cookie",) if who == "nobody" else ("cookie", "token"))
}
HOOK = "http://127.0.0.1:9/"  # nobody listens there
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}  # the figures are open to the server's own machine


@pytest.fixture(scope="module")
def world(tmp_path_factory, migrated):  # noqa: F811 - the fixture
    import shutil

    from exporter import create_app
    from exporter.settings import load_settings

    folder = tmp_path_factory.mktemp("world") / "instance"
    shutil.copytree(migrated, folder)
    make_shop(folder / "shop.db")
    app = create_app(
        load_settings(
            {
                "EXPORTER_INSTANCE_PATH": str(folder),
                "EXPORTER_MAX_PENDING_PER_USER": "1000",
                "EXPORTER_WEBHOOK_HOSTS": "127.0.0.1",
            }
        )
    )
    yield World(app, folder)
    close(app)


class World:
    """Users, and what belongs to the owner; whatever a call may use up is made anew for each."""

    def __init__(self, app, folder):
        self.app = app
        self.services = app.extensions["exporter"]
        self.url = f"sqlite:///{folder / 'shop.db'}"
        self.numbers = count()
        self.tokens = {}
        for name in WHO[1:]:
            role = Role.ADMIN if name == "admin" else Role.MEMBER
            user = self.services.accounts.create_user(name, PASSWORD, role=role)
            _, self.tokens[name] = self.services.accounts.create_token(user, name="t", expires_in_days=None)
        self.shared = self.new_datasource(shared=True)
        self.job = self.new_job()

    def client(self, who, way):
        """Sign somebody in; the disabled user was signed in before being shut out."""
        http = self.app.test_client()
        http.environ_base.update(ELSEWHERE)
        if way == "token":
            http.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.tokens[who]}"
        elif who != "nobody":
            user = self.services.accounts.user_named(who)
            self.services.accounts.enable(user)
            body = {"username": who, "password": PASSWORD}
            assert http.post(API + "auth/login/", json=body).status_code == 200
        if who == "disabled":
            user = self.services.accounts.user_named(who)
            # Straight in the row: `disable` also changes the key, which alone would end the session.
            self.services.accounts._users.set_active(user.id, active=False)
        return http

    def as_user(self, who):
        return Client(self.client(who, "token"))

    def new_datasource(self, *, shared):
        body = {"name": f"d{next(self.numbers)}", "url": self.url, "is_shared": shared}
        return self.as_user("admin").post("datasources/", body).json["data"]["id"]

    def new_job(self):
        owner = self.as_user("owner")
        created = owner.post("exports/", {"datasource": self.shared, **CSV})
        return owner.until(created.json["data"]["id"], *ENDED)["id"]

    def new_template(self, kind):
        body = {"name": f"t{next(self.numbers)}", "configuration": {"format": "csv"}, "template_type": kind}
        maker = self.as_user("admin" if kind == "system" else "owner")
        return maker.post("export-templates/", body).json["data"]["id"]

    def schedule(self, name):
        export = {"datasource": self.shared, **CSV}
        return {"name": name, "cron": "0 6 * * *", "timezone": "UTC", "export": export}

    def new_schedule(self, name):
        return self.as_user("owner").post("schedules/", self.schedule(name)).json["data"]["id"]

    def new_webhook(self, name):
        """Make one, in place of the last: a user may have some, but not any number."""
        owner = self.as_user("owner")
        for each in owner.get("webhooks/").json["data"]["webhooks"]:
            owner.delete(f"webhooks/{each['id']}/")
        return owner.post("webhooks/", {"name": name, "url": HOOK}).json["data"]["id"]

    def new_delivery(self, name):
        webhook = self.new_webhook(name)
        tested = self.as_user("owner").post(f"webhooks/{webhook}/test/").json["data"]
        return {"webhook_id": webhook, "delivery_id": tested["id"]}

    def new_token(self):
        return self.as_user("owner").post("auth/tokens/", {"name": "t"}).json["data"]["id"]

    def arguments(self, thing, method):
        """Give the ids of the path, and the body."""
        kind, _, rest = thing.partition("-")
        name = f"n{next(self.numbers)}"
        template = {"name": name, "configuration": {"format": "csv"}}
        changed = {"name": name, "is_shared": kind == "shared"} if method == "PUT" else {"table": "orders"}
        makers = {
            "token-body": lambda: ({}, {"name": name}),
            "datasource-body": lambda: ({}, {"name": name, "url": self.url}),
            "template-body": lambda: ({}, template),
            "system-body": lambda: ({}, {**template, "template_type": "system"}),
            "job": lambda: ({"job_id": self.new_job() if method == "DELETE" else self.job}, None),
            "schedule-body": lambda: ({}, self.schedule(name)),
            "schedule": lambda: ({"schedule_id": self.new_schedule(name)}, self.schedule(name)),
            "webhook-body": lambda: ({}, {"name": name, "url": HOOK}),
            "webhook": lambda: ({"webhook_id": self.new_webhook(name)}, {"name": name, "url": HOOK}),
            "delivery": lambda: (self.new_delivery(name), None),
            "token": lambda: ({"token_id": self.new_token()}, None),
            "static": lambda: ({"filename": "api.css"}, None),
            "-": lambda: ({}, {} if method == "POST" else None),
        }
        several = {
            "datasource": lambda: ({"datasource_id": self.new_datasource(shared=kind == "shared")}, changed),
            "template": lambda: ({"template_id": self.new_template(kind)}, template),
            "export": lambda: ({}, {"datasource": self.new_datasource(shared=kind == "shared"), **CSV}),
        }
        return (makers.get(thing) or several[rest])()


def test_every_route_has_its_line(world):
    served = {
        (rule.endpoint, method)
        for rule in world.app.url_map.iter_rules()
        for method in rule.methods - {"OPTIONS", "HEAD"}
        if not rule.endpoint.startswith("pages.")  # tests/pages asks those
    }
    assert {(endpoint, method) for endpoint, method, *_ in TABLE if method != "HEAD"} == served


@pytest.mark.parametrize("case", CASES)
def test_everybody_gets_what_is_theirs(world, case):
    endpoint, method, thing, who, way, status = CASES[case]
    ids, body = world.arguments(thing, method)
    http = world.client(who, way)
    path = world.app.url_map.bind("localhost").build(endpoint, ids, method=method)
    sent = {"json": body} if body is not None and method not in {"GET", "HEAD"} else {}
    answer = http.open(path, method=method, **sent)
    assert answer.status_code == status, answer.text
    if status in {401, 403, 404} and method != "HEAD":
        assert set(json.loads(answer.text)) == {"success", "error"}
    answer.close()


def test_options_tells_nothing_to_nobody(world):
    for rule in world.app.url_map.iter_rules():
        path = rule.rule.replace("<", "").replace(">", "").replace("path:", "")
        answer = world.app.test_client().options(path, environ_base=ELSEWHERE)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.status_code in {200, 401}


def test_a_stranger_cannot_tell_somebody_elses_from_what_is_not_there(world):
    stranger = world.as_user("stranger")
    nowhere = "00000000-0000-4000-8000-000000000000"
    for path in ("exports/{}/", "exports/{}/receipt/", "export-templates/{}/", "datasources/{}/"):
        there = {"exports": world.job, "export-templates": world.new_template("user")}.get(
            path.partition("/")[0]
        ) or world.new_datasource(shared=False)
        assert stranger.get(path.format(there)).json == stranger.get(path.format(nowhere)).json


def test_a_list_holds_nothing_of_somebody_else(world):
    world.new_template("user")
    stranger = world.as_user("stranger")
    mine = {job["id"] for job in stranger.get("exports/?page_size=100").json["data"]["export_jobs"]}
    assert world.job not in mine
    owners = {
        each["owner"]
        for each in stranger.get("export-templates/?page_size=100&type=user").json["data"]["templates"]
    }
    assert owners <= {"stranger"}
    private = world.new_datasource(shared=False)
    assert private not in stranger.get("datasources/").text
    job = stranger.get(f"exports/?datasource={world.shared}").json["data"]["export_jobs"]
    assert all(each["id"] != world.job for each in job)
