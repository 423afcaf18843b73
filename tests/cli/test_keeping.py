"""An installation over the years: backup and restore, a new key, another database."""

import json
import shutil

import pytest

from exporter import secretkey
from exporter.jobs.engine import InstanceLock
from exporter.storage.moving import CopyFailed, copy_file
from tests.postgres_server import execute

KEY = "secret_key"


def jobs(run, **environ):
    return json.loads(run("exports", "list", "--json", **environ).output)["export_jobs"]


def deliveries(run, **environ):
    return json.loads(run("webhooks", "deliveries", "hook", "--json", **environ).output)["deliveries"]


def export(run, **environ):
    run("exports", "create", "shop", "--table", "orders", **environ)


def test_a_backup_is_an_installation_again_and_says_that_the_files_are_not_in_it(
    run, shop_registered, instance, tmp_path
):
    export(run)
    folder = tmp_path / "copy"
    run("backup", str(folder))
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert sorted(path.name for path in folder.iterdir()) == ["exporter.sqlite3", KEY]
    roots = str(instance)
    shutil.rmtree(instance / "exports")
    (instance / "shop.db").rename(tmp_path / "shop.db")
    shutil.rmtree(instance)
    shutil.copytree(folder, instance)
    (tmp_path / "shop.db").rename(instance / "shop.db")
    (job,) = jobs(run, SQLITE_ROOTS=roots)
    assert job["status"] == "completed"
    assert "sqlite 3." in run("datasources", "test", "shop", SQLITE_ROOTS=roots).output
    run("exports", "download", job["id"], code=1)


def test_a_backup_goes_into_an_empty_folder_only(run, shop_registered, instance):
    assert "not empty" in run("backup", str(instance), code=1).stderr


def test_a_new_key_reads_the_datasources_and_the_old_one_is_gone(run, shop_registered, instance):
    old = (instance / KEY).read_text()
    assert "1 datasource URLs" in run("rotate-key").output
    assert (instance / KEY).read_text() != old
    assert oct((instance / KEY).stat().st_mode & 0o777) == "0o600"
    assert not (instance / secretkey.PREVIOUS).exists()
    assert "sqlite 3." in run("datasources", "test", "shop").output
    run("datasources", "test", "shop", SECRET_KEY=old, code=1)


@pytest.mark.parametrize("reached", ["key", "rows"])
def test_an_interrupted_change_of_keys_reads_everything_and_is_completed_by_the_next(
    run, shop_registered, instance, monkeypatch, reached
):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        name = "exporter.datasources.DatasourceService.reseal" if reached == "key" else None
        patch.setattr(name or "exporter.secretkey.forget_previous", die)
        with pytest.raises(KeyboardInterrupt):
            run_raw(run)
    assert (instance / secretkey.PREVIOUS).exists()
    assert "sqlite 3." in run("datasources", "test", "shop").output
    key = (instance / KEY).read_text()
    run("rotate-key")
    assert (instance / KEY).read_text() == key
    assert not (instance / secretkey.PREVIOUS).exists()
    assert "sqlite 3." in run("datasources", "test", "shop").output


def run_raw(run):
    try:
        run("rotate-key")
    except AssertionError as exc:  # click turns the interrupt into exit code 1
        raise KeyboardInterrupt from exc


def test_a_key_from_outside_is_changed_with_the_previous_one_beside_it(run, shop):
    run("users", "create", "ada", "--admin", stdin="pw\n", SECRET_KEY="old")
    run("datasources", "add", "shop", f"sqlite:///{shop}", SECRET_KEY="old")
    assert "PREVIOUS_SECRET_KEY" in run("rotate-key", code=1, SECRET_KEY="old").stderr
    both = {"SECRET_KEY": "new", "PREVIOUS_SECRET_KEY": "old"}
    run("datasources", "test", "shop", **both)
    assert "no longer needed" in run("rotate-key", **both).output
    run("datasources", "test", "shop", SECRET_KEY="new")


@pytest.mark.parametrize("command", [["rotate-key"], ["migrate-database", "sqlite:////nowhere.db"]])
def test_nothing_is_moved_under_a_running_server(run, shop_registered, instance, command):
    lock = InstanceLock(instance)
    lock.acquire()
    try:
        assert "already served" in run(*command, code=1).stderr
    finally:
        lock.release()


@pytest.mark.postgres
def test_everything_moves_to_postgresql(run, shop_registered, postgres_database):
    hosts = {"WEBHOOK_HOSTS": "127.0.0.1"}
    run("webhooks", "create", "hook", "http://127.0.0.1:9/", **hosts)
    run("webhooks", "test", "hook", code=1, **hosts)
    export(run)
    run("tokens", "create", "ada")
    before, told_before = jobs(run), deliveries(run)
    assert len(told_before) == 2
    told = run("migrate-database", "-", stdin=f"{postgres_database}\n").output
    assert "1 jobs" in told
    assert jobs(run, DATABASE_URL=postgres_database) == before
    assert deliveries(run, DATABASE_URL=postgres_database) == told_before
    export(run, DATABASE_URL=postgres_database)
    assert len(jobs(run, DATABASE_URL=postgres_database)) == 2
    again = run("migrate-database", postgres_database, code=1).stderr
    assert "must be empty" in again
    assert "pg_dump" in run("backup", "/nowhere", code=1, DATABASE_URL=postgres_database).stderr


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "Connection refused"),
        ("sqlite:////proc/nowhere/x.db", "unable to open database file"),
    ],
)
def test_a_target_that_cannot_be_reached_is_told_as_such(run, shop_registered, url, reason):
    told = run("migrate-database", url, code=1).stderr
    assert told.startswith("Error: The database at that URL cannot be used: ")
    assert reason in told
    assert "secret" not in told
    assert len(told.splitlines()) == 1


def test_a_database_of_somebody_else_is_left_as_it_is(run, shop_registered, shop, instance):
    before = shop.read_bytes()
    assert (
        "holds the table numbers already: it must be empty"
        in run("migrate-database", f"sqlite:///{shop}", code=1).stderr
    )
    assert shop.read_bytes() == before
    assert run("migrate-database", f"sqlite:///{instance}/exporter.sqlite3", code=1).stderr


@pytest.mark.postgres
def test_a_database_of_somebody_else_on_postgresql_is_left_as_it_is(run, shop_registered, postgres_database):
    execute(postgres_database, "CREATE TABLE theirs (a int)")
    assert "the table theirs" in run("migrate-database", postgres_database, code=1).stderr
    execute(postgres_database, "DROP TABLE theirs", "CREATE TABLE jobs (a int)", "DROP TABLE jobs")
    run("migrate-database", postgres_database)


@pytest.mark.parametrize("folder", ["/proc/nowhere", "{file}/inside"])
def test_a_backup_that_cannot_be_written_is_one_line(run, shop_registered, shop, folder):
    told = run("backup", folder.format(file=shop), code=1).stderr
    assert told.startswith("Error: ")
    assert len(told.splitlines()) == 1


def test_an_app_database_that_cannot_be_copied_says_why(services, tmp_path):
    with pytest.raises(CopyFailed, match="unable to open database"):
        copy_file(services.database, tmp_path / "nowhere" / "copy.sqlite3")


def test_doctor_warns_of_a_key_that_others_can_read(run, shop_registered, instance):
    assert "secret_key" not in run("doctor").output
    (instance / KEY).chmod(0o640)
    assert f"warn  {instance / KEY}: others can read it. Run: chmod 600" in run("doctor").output


def test_doctor_says_which_key_is_missing(run, shop_registered):
    assert (
        "not the key that encrypted the stored datasource URLs"
        in run("doctor", code=1, SECRET_KEY="x").stderr
    )
