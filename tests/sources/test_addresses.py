"""URLs are parsed strictly, and no text made from one holds its password."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.failures import SourceRefused
from exporter.sources.addresses import PostgresqlAddress, SqliteAddress, parse, redact
from exporter.sources.registry import check_url, describe, open_source
from tests.sources.reading import limits

SECRET = "mArKeR-s3cret"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///shop.db", "shop.db"),
        ("sqlite:///data/shop.db", "data/shop.db"),
        ("sqlite:////srv/shop.db", "/srv/shop.db"),
        ("sqlite:///a%20b%3F.db", "a b?.db"),
        ("sqlite:///100%.db", "100%.db"),
        ("sqlite:///../x.db", "../x.db"),
    ],
)
def test_a_sqlite_url_names_a_path(url, path):
    assert parse(url) == SqliteAddress(path=Path(path))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_the_spellings_of_postgresql_are_one(scheme):
    address = parse(f"{scheme}://ann:{SECRET}@db.example:6543/sales?sslmode=require")
    assert address == PostgresqlAddress(
        host="db.example", port=6543, dbname="sales", user="ann", password=SECRET, sslmode="require"
    )
    assert describe(f"{scheme}://h/d") == "postgresql"


def test_the_parts_of_a_url_are_unquoted():
    address = parse("postgresql://a%40b:p%2Fw%3A%25@h/my%20db")
    assert (address.user, address.password, address.dbname, address.port) == ("a@b", "p/w:%", "my db", 5432)


def test_options_may_name_what_the_url_leaves_out():
    address = parse("postgresql:///sales?host=/run/postgresql&port=6543&user=ann&password=x")
    assert (address.host, address.port, address.user, address.password) == (
        "/run/postgresql",
        6543,
        "ann",
        "x",
    )


def test_a_database_without_name_is_that_of_its_user():
    assert parse("postgresql://ann@h").dbname == "ann"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with"),
        ("mysql://h/d", "must begin with"),
        ("shop.db", "must begin with"),
        ("file:///etc/passwd", "must begin with"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a%00b", "names no file"),
        ("sqlite://host/a.db", "three slashes"),
        ("sqlite:///a.db?mode=rwc", "takes no options"),
        ("sqlite:///a.db\n", "control characters"),
        ("postgresql:///d", "names no host"),
        ("postgresql://h", "names no database"),
        ("postgresql://h:x/d", "port is not a number"),
        ("postgresql://h:99999/d", "port is not a number"),
        ("postgresql://h/d?port=0", "port is not a number"),
        ("postgresql://a,b/d", "one host"),
        ("postgresql://h/d?host=a,b", "one host"),
        ("postgresql://h/d?options=-c%20x", "'options' is not allowed"),
        ("postgresql://h/d?service=x", "'service' is not allowed"),
        ("postgresql://h/d?hostaddr=10.0.0.1", "'hostaddr' is not allowed"),
        ("postgresql://h/d#x", "%23"),
        ("postgresql://[::1/d", "cannot be read"),
        ("postgresql://a%00@h/d", "zero byte"),
        ("postgresql://\ud800/d", "control characters"),
        ("sqlite:///\udcff.db", "control characters"),
    ],
)
def test_other_urls_are_refused_with_their_reason(url, reason):
    with pytest.raises(SourceRefused, match=reason):
        parse(url)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{SECRET}@h:x/d",
        f"postgresql://ann:pa/{SECRET}@h/d",
        f"postgresql://ann:{SECRET}/x@h/d",
        f"postgresql://ann:{SECRET}?x@h/d",
        f"postgresql://ann:{SECRET}#x@h/d",
        f"postgresql://ann:x@{SECRET}@h/d",
        f"postgresql://ann:{SECRET}@[h/d",
        f"postgresql://ann:{SECRET}@h/d?bad=1",
        f"postgresql://ann:{SECRET}",
        f"postgresql://h/d?password={SECRET}&x=1",
        f"mysql://ann:{SECRET}@h/d",
        f"postgresql://:{SECRET}@h/d",
    ],
)
def test_no_refusal_and_no_redacted_url_holds_the_password(url, tmp_path):
    assert SECRET not in redact(url)
    with pytest.raises(SourceRefused) as refused:
        open_source(url, limits(tmp_path, postgres_hosts=frozenset()))
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(refused.value.facts)


@given(st.text(min_size=8).map(lambda text: f"Zq{text}Zq"))
def test_any_password_is_redacted(password):
    for spelled in (quote(password, safe=""), password):
        assert spelled not in redact(f"postgresql://ann:{spelled}@host/d")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///shop.db",
        "sqlite:////srv/a:b/shop.db",
        "postgresql://ann@h:5432/d",
        "postgresql://h:5432/d?sslmode=require",
        "postgresql://[::1]:5432/d",
    ],
)
def test_a_url_without_password_stays_as_it_is(url):
    assert redact(url) == url


def test_a_redacted_url_keeps_all_but_the_password():
    assert (
        redact("postgresql://ann:pw@h:5432/d?sslmode=require")
        == "postgresql://ann:***@h:5432/d?sslmode=require"
    )


def test_an_address_does_not_show_its_password():
    assert SECRET not in repr(parse(f"postgresql://ann:{SECRET}@h/d"))


@pytest.mark.parametrize("host", ["db.example", "DB.Example"])
def test_an_allowed_host_passes_whatever_its_case(host, tmp_path):
    check_url(f"postgresql://{host}/d", limits(tmp_path, postgres_hosts=frozenset({"db.EXAMPLE"})))


@pytest.mark.parametrize("url", ["postgresql://other/d", "postgresql://db.example/d?host=other"])
def test_another_host_is_refused(url, tmp_path):
    with pytest.raises(SourceRefused, match="'other' is not among"):
        check_url(url, limits(tmp_path, postgres_hosts=frozenset({"db.example"})))


def test_the_registry_imports_no_driver():
    heavy = "{'apsw', 'psycopg', 'pyarrow', 'numpy', 'sqlite3'}"
    code = f"import sys, exporter.sources.registry; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
