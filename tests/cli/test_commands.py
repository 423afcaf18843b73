"""The command line, as somebody at a terminal or a script meets it."""

import csv
import json
import shutil

import pytest


def test_init_creates_an_admin_once(run):
    assert "Admin ada created" in run("init", "--admin", "ada", stdin="pw\n").output
    assert "exists already" in run("init", "--admin", "ada").output


def test_a_command_before_init_says_what_to_run(run, instance):
    (instance / "exporter.sqlite3").unlink()
    assert "Run: exporter init" in run("users", "list", code=1).stderr


def test_a_wrong_setting_is_one_line(run):
    answer = run("users", "list", code=1, WORKERS="none")
    assert answer.stderr.strip() == "Error: WORKERS='none' is not valid: a whole number of at least 1"


def test_users_come_and_go(run):
    run("users", "create", "ada", "--admin", "--password-stdin", stdin="pw\n")
    run("users", "create", "max", stdin="pw\n")
    run("users", "set-password", "max", stdin="other\n")
    run("users", "disable", "max")
    rows = json.loads(run("users", "list", "--json").output)["users"]
    assert [(row["username"], row["role"], row["is_active"]) for row in rows] == [
        ("ada", "admin", True),
        ("max", "member", False),
    ]
    assert "already" in run("users", "create", "ada", stdin="pw\n", code=1).stderr
    assert "no user named 'eve'" in run("users", "disable", "eve", code=1).stderr


def test_a_token_is_printed_alone_and_listed_without_its_secret(run):
    run("users", "create", "ada", "--admin", stdin="pw\n")
    secret = run("tokens", "create", "ada", "--name", "nightly").output.strip()
    assert secret.startswith("exp_")
    assert "\n" not in secret
    listed = run("tokens", "list", "--json").output
    assert secret not in listed
    run("tokens", "revoke", json.loads(listed)["tokens"][0]["id"])
    assert json.loads(run("tokens", "list", "--json").output) == {"tokens": []}


def test_a_datasource_is_added_tested_looked_into_and_removed(run, shop_registered):
    assert "sqlite 3." in run("datasources", "test", "shop").output
    assert "orders" in run("datasources", "tables", "shop").output
    columns = json.loads(run("datasources", "columns", "shop", "--table", "orders", "--json").output)[
        "columns"
    ]
    assert columns[1]["name"] == "city"
    run("datasources", "remove", "shop")
    assert "No datasource yet" in run("datasources", "list").output
    assert "no datasource named 'shop'" in run("datasources", "test", "shop", code=1).stderr


def test_an_export_runs_without_a_server_and_its_file_is_put_where_asked(run, shop_registered, tmp_path):
    target = tmp_path / "out.csv"
    answer = run(
        "exports", "create", "shop", "--table", "orders", "--columns", "id,city", "--where", "amount >= 10",
        "--order-by", "id DESC", "--option", "delimiter=;", "--output", str(target),
    )  # fmt: skip
    assert "3 rows" in answer.output
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=";"))
    assert rows == [["id", "city"], ["4", "東京"], ["2", "Köln"], ["1", "Zürich"]]


def test_jobs_are_listed_shown_downloaded_verified_and_deleted(run, shop_registered, tmp_path):
    job = json.loads(run("exports", "create", "shop", "--table", "orders", "--json").output)
    assert job["status"] == "completed"
    listed = json.loads(run("exports", "list", "--status", "completed", "--json").output)["export_jobs"]
    assert [found["id"] for found in listed] == [job["id"]]
    assert "completed" in run("exports", "show", job["id"]).output
    target = tmp_path / "orders.csv"
    run("exports", "download", job["id"], "--output", str(target))
    assert "4 rows" in run("verify", str(target)).output
    run("exports", "delete", job["id"])
    assert "There are no export jobs yet." in run("exports", "list").output
    assert "Export job not found" in run("exports", "show", job["id"], code=1).stderr


def test_verify_finds_a_flipped_byte_a_missing_row_and_a_cut(run, shop_registered, services, tmp_path):
    job = json.loads(run("exports", "create", "shop", "--table", "orders", "--json").output)
    whole = tmp_path / "orders.csv"
    run("exports", "download", job["id"], "--output", str(whole))
    user = services.accounts.user_named("ada")
    receipt = tmp_path / "receipt.json"
    receipt.write_text(
        json.dumps({"success": True, "data": services.jobs.receipt(services.jobs.get(job["id"], user))})
    )
    assert "whole, 4 rows" in run("verify", str(whole), "--receipt", str(receipt)).output
    content = whole.read_bytes()
    faults = {
        "sha256": content.replace(b"30", b"31", 1),
        "has 3 rows": b"\n".join(content.split(b"\n")[:-2]) + b"\n",
        "bytes, the receipt says": content[:-5],
    }
    for expected, changed in faults.items():
        whole.write_bytes(changed)
        assert expected in run("verify", str(whole), "--receipt", str(receipt), code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--columns", "id,nope"), "nope"),
        (("--where", "id ~ 3"), "--where"),
        (("--option", "delimiter"), "name=value"),
        (("--option", "colour=red"), "options.colour"),
        (("--limit", "0"), "filters.limit"),
        (("--user", "nobody"), "no user named"),
        (("--template", "nope"), "Export template not found"),
    ],
)
def test_a_faulty_export_is_one_line_and_no_job(run, shop_registered, arguments, told):
    answer = run("exports", "create", "shop", "--table", "orders", *arguments, code=1)
    assert told in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "no export jobs" in run("exports", "list").output


def test_wrong_usage_is_exit_code_2(run):
    run("exports", "create", code=2)
    run("nonsense", code=2)


def test_templates_are_made_from_a_file_and_used(run, shop_registered, tmp_path):
    path = tmp_path / "t.json"
    path.write_text(
        json.dumps({"format": "json", "filters": {"table": "orders", "columns": ["id"], "limit": 2}})
    )
    run("templates", "create", "ids", "--file", str(path))
    assert json.loads(run("templates", "show", "ids", "--json").output)["configuration"]["format"] == "json"
    target = tmp_path / "ids.json"
    run("exports", "create", "shop", "--template", "ids", "--output", str(target))
    assert json.loads(target.read_text()) == [{"id": 1}, {"id": 2}]
    listed = json.loads(run("templates", "list", "--json").output)["templates"]
    assert {template["name"]: template["usage_count"] for template in listed}["ids"] == 1
    run("templates", "delete", "ids")
    path.write_text('{"format": "json", "colour": 1}')
    assert "colour" in run("templates", "create", "x", "--file", str(path), code=1).stderr


def test_cleanup_removes_what_no_job_refers_to(run, shop_registered, instance):
    run("exports", "create", "shop", "--table", "orders")
    stray = instance / "exports" / "stray"
    stray.write_bytes(b"x")
    assert "Would remove 0 expired and 1 orphaned" in run("cleanup", "--dry-run").output
    assert stray.exists()
    run("cleanup")
    assert not stray.exists()
    assert len([path for path in (instance / "exports").iterdir() if path.is_file()]) == 1


def test_doctor_says_what_is_wrong(run, shop_registered, shop):
    assert "ok    datasource shop" in run("doctor").output
    shop.unlink()
    answer = run("doctor", code=1)
    assert "WRONG datasource shop" in answer.output
    assert "1 thing to mend" in answer.stderr


def test_doctor_names_the_remedy_for_a_source_that_keeps_its_writers_waiting(run, shop_registered, shop):
    answer = run("doctor").output
    assert "warn  datasource shop: Programs that write to this database wait" in answer
    assert "WAL" in answer
    assert "snapshot_copy" in answer
    run("datasources", "remove", "shop")
    added = run("datasources", "add", "shop", f"sqlite:///{shop}", "--snapshot-copy", "--json")
    assert json.loads(added.stdout)["snapshot_copy"] is True
    assert "warn" not in run("doctor").output


def test_init_makes_a_store_anew_whose_files_are_gone_for_good(run, shop_registered, instance):
    run("exports", "create", "shop", "--table", "orders")
    shutil.rmtree(instance / "exports")
    assert "exporter init makes an empty store" in run("doctor", code=1).output
    run("init")
    assert "WRONG" not in run("doctor").output


def test_the_demo_makes_one_file_per_format(run, instance):
    answer = run("demo")
    assert {path.suffix for path in (instance / "demo").iterdir()} == {".csv", ".json", ".parquet", ".xlsx"}
    assert answer.stdout.count("100,000") == 4
    assert "exporter serve" in answer.output
    assert "with password" in answer.output
    again = run("demo")
    assert "set-password demo" in again.output


@pytest.mark.parametrize("command", ["init", "users list", "serve --port 0"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secretpw@127.0.0.1:1/app",
        "postgresql://ada:secretpw@127.0.0.1:1/app?connect_timeout=soon",
        "sqlite:////nowhere/app.db",
    ],
)
def test_an_app_database_that_is_away_is_told_with_its_setting(run, command, url):
    told = run(*command.split(), code=1, DATABASE_URL=url).output
    assert told.startswith("Error: DATABASE_URL: the app database cannot be used: ")
    assert len(told.splitlines()) == 1
    assert "secretpw" not in told
