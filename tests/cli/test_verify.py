"""exporter verify, with and without a receipt."""

import gzip
import json

import pytest


@pytest.fixture
def export(run, shop, tmp_path):
    """Export the orders to a file of the given name, with its receipt beside it."""
    run("users", "create", "ada", "--admin", stdin="pw\n")
    run("datasources", "add", "shop", f"sqlite:///{shop}")

    def make(name, *arguments):
        path, receipt = tmp_path / name, tmp_path / "receipt.json"
        wanted = ("--table", "orders", *arguments, "--output", str(path), "--json")
        job = json.loads(run("exports", "create", "shop", *wanted).output)
        run("exports", "receipt", job["id"], "--output", str(receipt))
        return path, receipt

    return make


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("orders.csv", ()),
        ("orders.2024.csv", ("--option", "encoding=utf-8-sig")),
        ("orders.CSV.GZ", ("--option", "compression=gzip")),
        ("orders.csv.zip", ("--option", "compression=zip")),
        ("orders.json", ("--format", "json")),
        ("orders.json.zst", ("--format", "json", "--option", "compression=zstd")),
        ("orders.jsonl", ("--format", "json", "--option", "layout=lines")),
        ("orders.jsonl.gz", ("--format", "json", "--option", "layout=lines", "--option", "compression=gzip")),
        ("orders.parquet", ("--format", "parquet")),
        ("orders.xlsx", ("--format", "excel")),
    ],
)
def test_a_file_is_counted_by_its_name_and_by_its_receipt(run, export, name, arguments):
    path, receipt = export(name, *arguments)
    assert "4 rows, readable to its end" in run("verify", str(path)).output
    assert "whole, 4 rows" in run("verify", str(path), "--receipt", str(receipt)).output


def test_a_file_without_headers_is_counted_by_its_receipt(run, export, tmp_path):
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps({"format": "csv", "filters": {"include_headers": False}}))
    run("templates", "create", "bare", "--file", str(bare))
    path, receipt = export("bare.csv", "--template", "bare")
    assert path.read_bytes().count(b"\n") == 5  # one text holds a line break
    assert "whole, 4 rows" in run("verify", str(path), "--receipt", str(receipt)).output


def test_a_receipt_of_before_headers_were_told_means_headers(run, export):
    path, receipt = export("orders.csv")
    told = json.loads(receipt.read_text())
    told.pop("include_headers", None)
    receipt.write_text(json.dumps({"success": True, "message": "", "data": told}))
    assert "whole, 4 rows" in run("verify", str(path), "--receipt", str(receipt)).output


def test_json_tells_what_was_found(run, export):
    path, receipt = export("orders.csv")
    whole = json.loads(run("verify", str(path), "--receipt", str(receipt), "--json").output)
    assert whole == {"file": str(path), "whole": True, "rows_in_file": 4, "receipt": True, "faults": []}
    path.write_bytes(path.read_bytes()[:-3])
    answer = run("verify", str(path), "--receipt", str(receipt), "--json", code=1)
    document = json.loads(answer.stdout)
    assert not document["whole"]
    assert len(document["faults"]) >= 2


def test_a_cut_file_is_found_without_a_receipt(run, tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b'"a"\n1\n2\n')[:-6])
    assert "not whole" in run("verify", str(path), code=1).stderr


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "null", '{"format": "csv"}', '{"data": 1}', '{"data": {"format": 1, "options": 2}}'],
)
def test_what_is_no_receipt_is_told_in_one_line(run, tmp_path, content):
    path, receipt = tmp_path / "x.csv", tmp_path / "r.json"
    path.write_text('"a"\n1\n')
    receipt.write_text(content)
    stderr = run("verify", str(path), "--receipt", str(receipt), code=1).stderr
    assert "is no receipt" in stderr
    assert len(stderr.strip().splitlines()) == 1


def test_a_name_that_tells_no_format_asks_for_the_receipt(run, tmp_path):
    path = tmp_path / "data"
    path.write_text("x")
    assert "give the receipt" in run("verify", str(path), code=1).stderr
