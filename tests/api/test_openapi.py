"""The API's own description: valid, complete, and true of every answer."""

import copy
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi import checks

from exporter.blueprints.openapi import described_rules, template_of
from exporter.blueprints.schemas import EVENTS
from exporter.webhooks.signing import signed_headers
from tests.client import API, Client

HOOK = "http://127.0.0.1:9/"  # nobody listens there
DOCUMENT = API + "openapi.json"
PAGE = "/data-tools/api/docs/"
EXAMPLES = 8  # requests of each kind that are made up for each operation
SHAPE_CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

# Clients are generated with these names: they stay as they are.
OPERATIONS = {
    "auth_log_in": ("post", "auth/login/"),
    "auth_log_out": ("post", "auth/logout/"),
    "auth_me": ("get", "auth/me/"),
    "auth_list_tokens": ("get", "auth/tokens/"),
    "auth_create_token": ("post", "auth/tokens/"),
    "auth_revoke_token": ("delete", "auth/tokens/{token_id}/"),
    "datasources_index": ("get", "datasources/"),
    "datasources_create": ("post", "datasources/"),
    "datasources_show": ("get", "datasources/{datasource_id}/"),
    "datasources_update": ("put", "datasources/{datasource_id}/"),
    "datasources_delete": ("delete", "datasources/{datasource_id}/"),
    "datasources_test": ("post", "datasources/{datasource_id}/test/"),
    "datasources_tables": ("get", "datasources/{datasource_id}/tables/"),
    "datasources_columns": ("get", "datasources/{datasource_id}/columns/"),
    "datasources_preview": ("post", "datasources/{datasource_id}/preview/"),
    "exports_create": ("post", "exports/"),
    "exports_estimate": ("post", "exports/estimate/"),
    "exports_index": ("get", "exports/"),
    "exports_show": ("get", "exports/{job_id}/"),
    "exports_cancel": ("post", "exports/{job_id}/cancel/"),
    "exports_retry": ("post", "exports/{job_id}/retry/"),
    "exports_download": ("get", "exports/{job_id}/download/"),
    "exports_download_head": ("head", "exports/{job_id}/download/"),
    "exports_receipt": ("get", "exports/{job_id}/receipt/"),
    "exports_delete": ("delete", "exports/{job_id}/"),
    "export_templates_index": ("get", "export-templates/"),
    "export_templates_create": ("post", "export-templates/"),
    "export_templates_show": ("get", "export-templates/{template_id}/"),
    "export_templates_replace": ("put", "export-templates/{template_id}/"),
    "export_templates_change": ("patch", "export-templates/{template_id}/"),
    "export_templates_delete": ("delete", "export-templates/{template_id}/"),
    "audit_index": ("get", "audit/"),
    "schedules_index": ("get", "schedules/"),
    "schedules_create": ("post", "schedules/"),
    "schedules_show": ("get", "schedules/{schedule_id}/"),
    "schedules_replace": ("put", "schedules/{schedule_id}/"),
    "schedules_change": ("patch", "schedules/{schedule_id}/"),
    "schedules_delete": ("delete", "schedules/{schedule_id}/"),
    "schedules_run": ("post", "schedules/{schedule_id}/run/"),
    "schedules_runs": ("get", "schedules/{schedule_id}/runs/"),
    "webhooks_index": ("get", "webhooks/"),
    "webhooks_create": ("post", "webhooks/"),
    "webhooks_show": ("get", "webhooks/{webhook_id}/"),
    "webhooks_replace": ("put", "webhooks/{webhook_id}/"),
    "webhooks_change": ("patch", "webhooks/{webhook_id}/"),
    "webhooks_delete": ("delete", "webhooks/{webhook_id}/"),
    "webhooks_test": ("post", "webhooks/{webhook_id}/test/"),
    "webhooks_deliveries": ("get", "webhooks/{webhook_id}/deliveries/"),
    "webhooks_delivery": ("get", "webhooks/{webhook_id}/deliveries/{delivery_id}/"),
    "webhooks_redeliver": ("post", "webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver/"),
    "service_healthz": ("get", "/healthz"),
    "service_readyz": ("get", "/readyz"),
    "service_metrics": ("get", "/metrics"),
    "service_openapi": ("get", "openapi.json"),
    "docs_page": ("get", PAGE),
}


@pytest.fixture
def app(make_app):
    return make_app(EXPORTER_WEBHOOK_HOSTS="127.0.0.1")


@pytest.fixture
def document(admin):
    return admin.http.get(DOCUMENT).json


def closed(document):
    """Refuse every key that is not described: a client must not mind one, this suite does."""
    strict = copy.deepcopy(document)
    for schema in strict["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return strict


def check(document, schema, value):
    whole = {**schema, "components": document["components"]}
    OAS31Validator(whole, format_checker=oas31_format_checker).validate(value)


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


class Witness:
    """Makes requests and holds each answer against the description."""

    def __init__(self, app, http, document):
        self.app = app
        self.http = http
        self.document = closed(document)

    def __call__(self, method, path, status, body=None, **options):
        url = path if path.startswith("/") else API + path
        json = {"json": body} if body is not None else {}
        answer = self.http.open(url, method=method.upper(), **json, **options)
        assert answer.status_code == status, answer.text
        rule, _ = self.app.url_map.bind("localhost").match(
            url.partition("?")[0], method=method.upper(), return_rule=True
        )
        told = self.document["paths"][template_of(rule)][method]["responses"][str(status)]
        if status == 304 or method == "head":
            assert "content" not in told
            return answer
        schema = told["content"][answer.mimetype].get("schema", {})
        if schema:
            check(self.document, schema, answer.json)
        for header in ("ETag", "Location", "Retry-After", "Content-Range", "WWW-Authenticate"):
            assert header not in answer.headers or header in told["headers"]
        return answer


@pytest.fixture
def witness(app, admin, document):
    return Witness(app, admin.http, document)


def test_the_document_is_valid_openapi(document):
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_path_of_the_server_is_described_and_no_other(app, document):
    served = {
        (method.lower(), template_of(rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "docs.static" and not rule.endpoint.startswith("pages.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {(method, path) for method, path, _ in operations(document) if method != "head"}
    assert described == served


def test_operations_keep_their_names(document):
    named = {operation["operationId"]: (method, path) for method, path, operation in operations(document)}
    spelled = {
        name: (method, path if path.startswith("/") else API + path)
        for name, (method, path) in OPERATIONS.items()
    }
    assert named == spelled


def test_every_view_says_what_it_is_and_takes_only_known_tags(app, document):
    tags = {tag["name"] for tag in document["tags"]}
    for _, _, operation in operations(document):
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
    assert len(list(described_rules(app))) == len(OPERATIONS) - 1  # HEAD is not a rule of its own


def test_every_example_fits_its_schema(document):
    contents = [
        content
        for _, _, operation in operations(document)
        for holder in (operation.get("requestBody", {}), *operation["responses"].values())
        for content in holder.get("content", {}).values()
    ]
    shown = [content for content in contents if "example" in content]
    assert len(shown) >= 15
    for content in shown:
        check(closed(document), content["schema"], content["example"])


def test_every_schema_that_is_pointed_at_exists_and_is_pointed_at(document):
    text = str(document)
    for name in document["components"]["schemas"]:
        assert f"'#/components/schemas/{name}'" in text
    assert "Schema1" not in text


def test_a_request_that_the_server_takes_fits_the_description(document):
    filters = {
        "table": "orders",
        "columns": ["*"],
        "where_conditions": [
            {"column": "age", "operator": ">", "value": 18},
            {
                "any": [
                    {"column": "a", "operator": "is null"},
                    {"all": [{"column": "b", "operator": "in", "value": [1]}]},
                ]
            },
        ],
        "group_by": ["a"],
        "order_by": "a DESC, b",
        "limit": 1,
        "date_range": {"start": "2024-01-01"},
    }
    options = {"delimiter": "tab", "encoding": "utf-16", "preset": "spreadsheet"}
    body = {"datasource": str(uuid4()), "format": "csv", "filters": filters, "options": options}
    schema = {"$ref": "#/components/schemas/ExportRequest"}
    check(document, schema, body)
    faulty = [
        {**body, "filters": {**filters, "where_conditions": [{"any": []}]}},
        {**body, "filters": {**filters, "limit": 0}},
        {**body, "filters": {**filters, "colour": "red"}},
        {**body, "options": {"delimiter": "ab"}},
        {**body, "format": "xml"},
        {"format": "csv"},
    ]
    for each in faulty:
        assert not OAS31Validator({**schema, "components": document["components"]}).is_valid(each)


def test_the_description_is_for_those_who_signed_in_and_can_be_kept(app, admin):
    for path in (DOCUMENT, PAGE):
        refused = app.test_client().get(path)
        assert refused.status_code == 401
        assert refused.json["success"] is False
    tag = admin.http.get(DOCUMENT).headers["ETag"]
    assert admin.http.get(DOCUMENT, headers={"If-None-Match": tag}).status_code == 304


def test_the_page_shows_every_call_and_schema_and_needs_no_outside_host(admin, document):
    answer = admin.http.get(PAGE)
    assert answer.mimetype == "text/html"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    for _, _, operation in operations(document):
        assert f'<h3 id="{operation["operationId"]}">' in answer.text
        assert f'href="#{operation["operationId"]}"' in answer.text
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in answer.text
    for event in document["webhooks"]:
        assert f'<th scope="row"><code>{event}</code></th>' in answer.text
    assert "<code>&#34;&lt;&gt;&#34;</code>" in answer.text  # an operator, as it is written
    text = answer.text.replace("https://hooks.example/exports", "")  # of an example
    for foreign in ("<script", "<style", " style=", "src=", "https://", "onclick", "onload"):
        assert foreign not in text, foreign
    with admin.http.get("/data-tools/static/api.css") as sheet:
        assert sheet.mimetype == "text/css"


def test_the_answers_about_jobs_are_as_described(witness, source):
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders", "limit": 2}}
    key = {"Idempotency-Key": "walk"}
    made = witness("post", "exports/", 201, body, headers=key).json["data"]
    witness("post", "exports/", 200, body, headers=key)
    witness("post", "exports/", 422, {**body, "format": "json"}, headers=key)
    witness("post", "exports/", 400, {"format": "xml", "filters": {"limit": -1}, "colour": 1})
    witness("post", "exports/", 415, data="x", content_type="text/plain")
    url = f"exports/{made['id']}/"
    Client(witness.http).until(made["id"], "completed")
    shown = witness("get", url, 200)
    assert shown.json["data"]["warnings"]
    witness("get", url, 304, headers={"If-None-Match": shown.headers["ETag"]})
    witness("get", "exports/?status=completed&page_size=1", 200)
    witness("get", "exports/?page=0", 400)
    witness("get", f"{url}download/", 200)
    witness("head", f"{url}download/", 200)
    part = {"Range": "bytes=0-3"}
    witness("get", f"{url}download/", 206, headers=part)
    witness("head", f"{url}download/", 206, headers=part)
    witness("get", f"{url}download/", 416, headers={"Range": "bytes=99999-"})
    witness("get", f"{url}receipt/", 200)
    witness("post", f"{url}cancel/", 409)
    witness("post", f"{url}retry/", 409)
    witness("delete", url, 200)
    witness("get", url, 404)
    witness("post", "exports/estimate/", 200, body)


@pytest.mark.parametrize("format_name", ["csv", "json", "parquet", "excel"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "zip", "snappy"])
def test_every_kind_of_file_is_described(witness, source, format_name, compression):
    body = {
        "datasource": source,
        "format": format_name,
        "filters": {"table": "orders"},
        "options": {"compression": compression} if format_name != "excel" else {},
    }
    made = witness.http.post(API + "exports/", json=body)
    if made.status_code == 201:
        job = Client(witness.http).until(made.json["data"]["id"], "completed")
        witness("get", f"exports/{job['id']}/", 200)
        witness("get", f"exports/{job['id']}/download/", 200)


def test_the_answers_about_a_running_and_a_cancelled_job_are_as_described(witness, source):
    body = {"datasource": source, "format": "json", "filters": {"table": "endless"}, "name": "n"}
    job_id = witness("post", "exports/", 201, body).json["data"]["id"]
    url = f"exports/{job_id}/"
    Client(witness.http).until(job_id, "processing")
    witness("get", url, 200)
    witness("delete", url, 409)
    witness("get", f"{url}download/", 409)
    witness("get", f"{url}receipt/", 409)
    witness("post", f"{url}cancel/", 200)
    witness("post", f"{url}retry/", 200)
    Client(witness.http).until(job_id, "processing")
    witness("post", f"{url}cancel/", 200)
    assert len(witness("get", url, 200).json["data"]["attempts"]) == 2


def test_the_answers_about_templates_are_as_described(witness, source):
    configuration = {"format": "csv", "filters": {"table": "orders"}, "options": {"quoting": "all"}}
    body = {"name": "t", "configuration": configuration}
    made = witness("post", "export-templates/", 201, body).json["data"]
    url = f"export-templates/{made['id']}/"
    witness("post", "export-templates/", 409, body)
    witness("post", "export-templates/", 400, {"name": "", "configuration": {"format": "xml"}})
    witness("get", "export-templates/", 200)
    witness("get", url, 200)
    witness("put", url, 200, {**body, "template_type": "shared"})
    witness("post", "exports/", 201, {"datasource": source, "template": made["id"]})
    witness("patch", url, 200, {"is_active": False})
    witness("post", "exports/", 409, {"datasource": source, "template": made["id"]})
    witness("delete", url, 200)
    witness("delete", url, 404)


def test_the_answers_about_webhooks_are_as_described(witness, source):
    body = {"name": "hook", "url": HOOK, "datasource": source}
    made = witness("post", "webhooks/", 201, body).json["data"]
    url = f"webhooks/{made['id']}/"
    witness("post", "webhooks/", 409, body)
    witness("post", "webhooks/", 400, {"name": "", "url": "https://10.0.0.1/"})
    witness("get", "webhooks/", 200)
    witness("get", url, 200)
    witness("put", url, 200, body)
    witness("patch", url, 200, {"events": ["job.cancelled"]})
    sent = witness("post", f"{url}test/", 200).json["data"]
    witness("get", f"{url}deliveries/", 200)
    witness("get", f"{url}deliveries/?status=odd", 400)
    witness("get", f"{url}deliveries/{sent['id']}/", 200)
    witness("post", f"{url}deliveries/{sent['id']}/redeliver/", 200)
    witness("delete", url, 200)
    witness("get", f"{url}deliveries/{sent['id']}/", 404)


def test_what_webhooks_are_sent_is_as_described(admin, source, document):
    told = document["webhooks"]
    assert set(told) == {"job.completed", "job.failed", "job.cancelled", "webhook.test"}
    hook = admin.post("webhooks/", {"name": "hook", "url": HOOK, "events": [*EVENTS]}).json["data"]
    url = f"webhooks/{hook['id']}/"
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    admin.export({**body, "name": "n"})
    admin.export({**body, "options": {"encoding": "iso-8859-1"}})
    endless = admin.post("exports/", {**body, "filters": {"table": "endless"}}).json["data"]["id"]
    admin.post(f"exports/{endless}/cancel/")
    admin.post(f"{url}test/")
    sent = [
        admin.get(f"{url}deliveries/{each['id']}/").json["data"]
        for each in admin.get(f"{url}deliveries/").json["data"]["deliveries"]
    ]
    assert {each["event"] for each in sent} == set(told)
    for each in sent:
        request = told[each["event"]]["post"]["requestBody"]
        check(closed(document), request["content"]["application/json"]["schema"], each["body"])


def test_the_headers_of_a_webhook_are_as_described(document):
    sent = signed_headers("whsec_MTIz", "id", b"{}", now=datetime(2026, 1, 5, tzinfo=UTC))
    for told in document["webhooks"].values():
        assert [each["name"] for each in told["post"]["parameters"]] == [*sent]


def test_the_answers_about_datasources_are_as_described(witness, source, shop):
    url = f"datasources/{source}/"
    witness("get", "datasources/", 200)
    witness("get", url, 200)
    witness("get", "datasources/nope/", 404)
    witness("post", "datasources/", 201, {"name": "second", "url": f"sqlite:///{shop}", "table": "orders"})
    witness("post", "datasources/", 409, {"name": "second", "url": f"sqlite:///{shop}"})
    witness("post", "datasources/", 400, {"name": "third", "url": "sqlite:///missing.db"})
    witness("put", url, 200, {"name": "renamed"})
    witness("post", f"{url}test/", 200)
    witness("get", f"{url}tables/", 200)
    witness("get", f"{url}columns/?table=orders", 200)
    witness("get", f"{url}columns/", 400)
    witness("post", f"{url}preview/", 200, {"table": "orders"})
    witness("post", f"{url}preview/", 400)
    shop.rename(shop.with_suffix(".away"))
    witness("post", f"{url}test/", 400)
    witness("delete", url, 200)


def test_the_answers_about_users_are_as_described(app, witness, member, source, document):
    witness("get", "auth/me/", 200)
    made = witness("post", "auth/tokens/", 201, {"name": "script"}).json["data"]
    witness("get", "auth/tokens/", 200)
    witness("delete", f"auth/tokens/{made['id']}/", 200)
    witness("delete", f"auth/tokens/{made['id']}/", 404)
    witness("post", "auth/tokens/", 403, {"name": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
    limited = Witness(app, member.http, document)
    limited("get", f"datasources/{source}/", 200)
    limited("post", f"datasources/{source}/test/", 200)
    limited("delete", f"datasources/{source}/", 403)
    nobody = Witness(app, app.test_client(), document)
    nobody("get", "auth/me/", 401)
    statuses = [
        nobody.http.post(API + "auth/login/", json={"username": "x", "password": "x"}).status_code
        for _ in range(9)
    ]
    assert {*statuses} == {401, 429}
    nobody("post", "auth/login/", 429, {"username": "x", "password": "x"})
    witness("post", "auth/logout/", 200)


def test_the_answers_about_the_service_are_as_described(witness, services):
    witness("get", "/healthz", 200)
    witness("get", "/readyz", 200)
    witness("get", "/metrics", 200)
    witness("get", "openapi.json", 200)
    witness("get", PAGE, 200)
    services.engine.close_door()
    witness("get", "/readyz", 503)
    witness("post", "exports/", 503, {})


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("get", f"exports/?page={10**18}", 400, None),
        ("get", f"export-templates/?page={10**30}", 400, None),
        ("get", "exports/?search=%00", 400, None),
        ("get", "exports/%00/", 404, None),
        ("post", "auth/tokens/", 400, {"name": "a\0b"}),
        ("post", "exports/", 400, {"datasource": "\0", "template": "\0", "name": "\0"}),
    ],
)
def test_what_a_database_cannot_take_is_refused_before(witness, method, path, status, body):
    witness(method, path, status, body)


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_request_gets_an_answer_that_is_not_described(name, app, admin, document, things):
    schema = schemathesis.openapi.from_dict(closed(document))
    schema.app = app
    operation = schema.find_operation_by_id(name)
    headers = {"Authorization": f"Bearer {things['token']}"}
    known = {name: value for name, value in things.items() if f"{{{name}}}" in operation.path} or None

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        if isinstance(case.body, dict) and "datasource" in case.body:
            case.body["datasource"] = things["datasource_id"]
            if case.body.get("format") in {"csv", "excel"}:  # let some through to the end
                case.body["filters"] = {"table": "orders"}
        answer = case.call(headers=headers)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, checks=SHAPE_CHECKS)

    takes_anything = operation.body or operation.query or operation.headers or operation.path_parameters
    kinds = [(GenerationMode.POSITIVE, known)]
    kinds += [(GenerationMode.NEGATIVE, known)] if takes_anything else []
    kinds += [(GenerationMode.POSITIVE, None)] if known else []
    for mode, ids in kinds:
        given(case=operation.as_strategy(generation_mode=mode, path_parameters=ids))(ask)()


@pytest.fixture
def things(admin, source):
    """What there is to find: ids by the names of path parameters, and a token to sign in with."""
    token = admin.post("auth/tokens/", {"name": "script"}).json["data"]
    configuration = {"format": "csv", "filters": {"table": "orders"}}
    template = admin.post("export-templates/", {"name": "t", "configuration": configuration}).json["data"]
    job = admin.export({"datasource": source, **configuration})
    hook = admin.post("webhooks/", {"name": "hook", "url": HOOK}).json["data"]
    other = admin.post("auth/tokens/", {"name": "other"}).json["data"]
    return {
        "token": token["token"],
        "token_id": other["id"],
        "datasource_id": source,
        "template_id": template["id"],
        "webhook_id": hook["id"],
        "delivery_id": admin.post(f"webhooks/{hook['id']}/test/").json["data"]["id"],
        "job_id": job["id"],
    }
