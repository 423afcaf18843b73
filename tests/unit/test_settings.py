"""Settings: parsed once, wrong ones named."""

import stat
import sys

import pytest

from exporter.errors import SettingInvalid
from exporter.settings import SETTINGS, load_settings


@pytest.fixture
def load(tmp_path):
    def load_with(**values):
        environ = {f"EXPORTER_{name}": value for name, value in values.items()}
        return load_settings({"EXPORTER_INSTANCE_PATH": str(tmp_path / "i"), "PATH": "/bin", **environ})

    return load_with


def test_defaults_make_one_embedded_installation(load, tmp_path):
    settings = load()
    folder = tmp_path / "i"
    assert settings.embedded
    assert settings.database_file == folder / "exporter.sqlite3"
    assert settings.storage_path == folder / "exports"
    assert settings.sqlite_roots == (folder,)
    assert settings.workers >= 2
    assert (settings.max_pending, settings.retention_days, settings.lease_seconds) == (1000, 7, 15)


def test_the_secret_key_is_made_once_and_only_its_owner_reads_it(load, tmp_path):
    assert load().secret_key == load().secret_key
    mode = (tmp_path / "i" / "secret_key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert load(SECRET_KEY="given").secret_key == "given"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("WORKERS", "many"),
        ("MAX_ROWS", "-1"),
        ("MIN_FREE_BYTES", "1.5"),
        ("ESCAPE_FORMULAS", "perhaps"),
        ("DATABASE_URL", "mysql://u:secretpw@h/d"),
        ("DATABASE_URL", "postgresql://u:secretpw@host:port/d"),
        ("DATABASE_URL", "postgresql://u:secretpw@with@host/d"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("AUDIT_DAYS", "-1"),
        ("STORAGE_URL", "ftp://x"),
        ("STORAGE_URL", "s3://"),
        ("STORAGE_URL", "s3://AKIA:secretpw@bucket/prefix"),
        ("STORAGE_URL", "s3://bucket/prefix?secret_key=secretpw"),
        ("STORAGE_URL", "s3://bucket/a//b"),
        ("STORAGE_URL", "s3://bucket/prefix#part"),
        ("STORAGE_URL", "s3://bucket/prefix?region="),
        ("STORAGE_URL", "s3://bucket/prefix?region"),
        ("STORAGE_URL", "s3://bucket/prefix?endpoint_override=http://a:secretpw@host"),
        ("DOWNLOADS", "fast"),
        ("DOWNLOADS", "presigned"),
        ("DOWNLOADS", "x-accel-redirect"),
        ("EXECUTOR", "celery"),
        ("DASK_SCHEDULER", "scheduler.example:8786"),
        ("DASK_SCHEDULER", "tcp://scheduler.example"),
        ("DASK_SCHEDULER", "tcp://scheduler.example:port"),
        ("LOG_FORMAT", "xml"),
        ("SQLITE_ROOTS", "relative/path"),
        ("SECRET_KEY", " "),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(load, name, value):
    with pytest.raises(SettingInvalid) as caught:
        load(**{name: value})
    assert name in caught.value.message
    assert "secretpw" not in caught.value.message


def test_a_misspelt_name_stops_the_start_with_a_hint(load):
    with pytest.raises(SettingInvalid, match="did you mean EXPORTER_WORKERS"):
        load(WORKER="3")


@pytest.mark.parametrize("name", ["SERVER", "TOKEN", "TEST_POSTGRES_URL", "REQUIRE_POSTGRES"])
def test_names_of_the_command_line_and_the_tests_are_known(load, name):
    load(**{name: "x"})


def test_the_file_is_read_and_the_environment_wins(load, tmp_path):
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "config.toml").write_text('WORKERS = 5\nMAX_ROWS = 10\nSQLITE_ROOTS = ["/srv"]\n')
    settings = load(MAX_ROWS="20")
    assert (settings.workers, settings.max_rows) == (5, 20)
    assert [str(root) for root in settings.sqlite_roots] == ["/srv"]


@pytest.mark.parametrize("text", ["COLOUR = 1", "WORKERS = ", "WORKERS = true"])
def test_a_faulty_file_stops_the_start(load, tmp_path, text):
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "config.toml").write_text(text)
    with pytest.raises(SettingInvalid):
        load()


def test_postgres_urls_are_taken_in_all_three_spellings(load):
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert load(DATABASE_URL=f"{scheme}://u@h/d").database_url == "postgresql+psycopg://u@h/d"


def test_every_setting_becomes_a_field(load):
    settings = load()
    assert all(hasattr(settings, name.lower()) for name in SETTINGS)


@pytest.mark.parametrize("folder", ["/proc/nowhere", "{file}"])
def test_an_instance_folder_that_cannot_be_made_is_named(tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(SettingInvalid, match=r"EXPORTER_INSTANCE_PATH=.*a folder that can be made"):
        load_settings({"EXPORTER_INSTANCE_PATH": folder.format(file=tmp_path / "file")})


@pytest.mark.parametrize(
    ("url", "folder", "region", "endpoint"),
    [
        ("s3://b", "b", None, None),
        ("s3://b/", "b", None, None),
        ("s3://b/a/c/", "b/a/c", None, None),
        ("s3://b/a%20b?region=eu-west-1", "b/a b", "eu-west-1", None),
        ("s3://b?endpoint_override=minio:9000", "b", None, "https://minio:9000"),
        ("s3://b?endpoint_override=minio:9000&scheme=http", "b", None, "http://minio:9000"),
        ("s3://b/p?endpoint_override=http%3A%2F%2Fminio:9000/", "b/p", None, "http://minio:9000"),
    ],
)
def test_a_bucket_is_named_with_its_region_and_endpoint(load, tmp_path, url, folder, region, endpoint):
    settings = load(STORAGE_URL=url)
    bucket = settings.bucket
    assert (bucket.folder, bucket.region, bucket.endpoint) == (folder, region, endpoint)
    assert settings.storage_path == tmp_path / "i" / "staged"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"DOWNLOADS": "presigned"}, "an s3:// store"),
        ({"DOWNLOADS": "x-accel-redirect"}, "TRUSTED_PROXIES"),
        (
            {"DOWNLOADS": "x-accel-redirect", "TRUSTED_PROXIES": "127.0.0.1", "STORAGE_URL": "s3://b"},
            "a file:// store",
        ),
    ],
)
def test_downloads_that_cannot_work_stop_the_start(load, values, told):
    with pytest.raises(SettingInvalid, match=told):
        load(**values)


def test_presigned_downloads_say_what_to_install(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(SettingInvalid, match=r"pip install 'exporter\[s3\]'"):
        load(DOWNLOADS="presigned", STORAGE_URL="s3://b")


CLUSTER = {
    "EXECUTOR": "dask",
    "DASK_SCHEDULER": "tcp://127.0.0.1:8786",
    "DATABASE_URL": "postgresql://exporter@db.example/exporter",
}


def test_a_cluster_is_two_settings(load):
    settings = load(**CLUSTER)
    assert (settings.executor, settings.dask_scheduler) == ("dask", "tcp://127.0.0.1:8786")


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        ("DASK_SCHEDULER", "DASK_SCHEDULER must be set to"),
        ("DATABASE_URL", "DATABASE_URL must be set to postgresql://"),
    ],
)
def test_a_cluster_without_what_it_needs_is_refused_with_what_to_set(load, left_out, told):
    given = {name: value for name, value in CLUSTER.items() if name != left_out}
    with pytest.raises(SettingInvalid, match=told) as caught:
        load(**given)
    assert "\n" not in caught.value.line


def test_a_cluster_without_its_package_is_refused_with_what_to_install(load, monkeypatch):
    class Bare:
        """Finds what the real finder finds, but for one package."""

        def __init__(self, finder):
            self.finder = finder

        def find_spec(self, name, path=None, target=None):
            return None if name == "distributed" else self.finder.find_spec(name, path, target)

    monkeypatch.setattr(sys, "meta_path", [Bare(finder) for finder in sys.meta_path])
    monkeypatch.delitem(sys.modules, "distributed", raising=False)
    with pytest.raises(SettingInvalid, match=r"pip install 'exporter\[dask\]'"):
        load(**CLUSTER)
