"""The bench runs, as small as it can, so that it does not rot. No time is asserted."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench import postgres
from bench.case import Case, Pair
from bench.check import digest
from bench.peers.registry import Peer

ROOT = Path(__file__).parents[2]
COLUMNS = "id,word\n"


@pytest.fixture(scope="module")
def data():
    """A folder that PostgreSQL's own user may enter."""
    try:
        postgres.find_binaries()
    except postgres.NoPostgres as exc:
        if os.environ.get("EXPORTER_REQUIRE_POSTGRES") == "1":
            raise
        pytest.skip(str(exc))
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def bench(data, out, *arguments):
    command = [sys.executable, "-m", "bench", *arguments, "--data", str(data), "--out", str(out)]
    small = ["--scale", "0.0005", "--rounds", "1"]
    ended = subprocess.run([*command, *small], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_our_jobs_and_a_peer_hold_the_same_rows(data, tmp_path):
    pairs = ["sqlite-csv", "sqlite-excel", "postgresql-json", "postgresql-parquet", "sqlite-csv-texts"]
    printed = bench(data, tmp_path, "--only", ",".join(pairs), "--peers", "pandas")
    results = json.loads((tmp_path / "compare.json").read_text())["results"]
    assert [result["pair"] for result in results] == pairs
    for result in results:
        ours, peer = result["contenders"]
        assert (ours["name"], peer["name"], peer["remark"]) == ("exporter", "pandas", "same rows")
        assert ours["digest"]["rows"] == result["rows"] > 0
        assert ours["runs"][0]["seconds"] >= ours["job_seconds"][0] > 0
        assert f"**{result['pair']}**" in printed


@pytest.mark.parametrize("mode", ["startup", "latency", "scaling", "cost", "cluster"])
def test_the_other_modes_measure_something(mode, data, tmp_path):
    bench(data, tmp_path, mode, "--quick")
    assert json.loads((tmp_path / f"{mode}.json").read_text())["results"]
    assert (tmp_path / f"{mode}.md").read_text().startswith("| what |")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('2,"b"\n1,a\n', True),
        ("1,a\n2,c\n", False),
        ("1,a\n", False),
        ("1,b\n2,a\n", False),
        ("1,a\n2,\n", False),
        ("1,a\n2,b\n2,b\n", False),
    ],
)
def test_the_digest_knows_rows_but_not_their_order(text, same, tmp_path):
    files = [tmp_path / "one.csv", tmp_path / "other.csv"]
    files[0].write_text(COLUMNS + "1,a\n2,b\n")
    files[1].write_text(COLUMNS + text)
    one, other = (digest("tiny", "csv", file) for file in files)
    assert (one == other) is same


def test_a_missing_peer_is_named():
    peer = Peer(name="nobody", needs=("no_such_module",), formats={"sqlite": ("csv",)}, command=lambda _: [])
    pair = Pair(source="sqlite", format="csv", table="lineitem")
    assert peer.takes(pair)
    assert peer.missing(pair) == "no_such_module"


def test_the_arguments_of_a_peer_name_all_that_it_needs(tmp_path):
    pair = Pair(source="sqlite", format="csv", table="tiny")
    case = Case(pair=pair, url="some.db", target=tmp_path / "out.csv")
    assert case.arguments == ["sqlite", "some.db", "tiny", "csv", str(tmp_path / "out.csv")]
