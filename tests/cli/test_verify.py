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


CASES = [
    *[("csv", f".csv{suffix}", packing) for suffix, packing in (("", "none"), (".gz", "gzip"), (".zst", "zstd"), (".zip", "zip"))],
    *[("json", f".json{suffix}", packing) for suffix, packing in (("", "none"), (".gz", "gzip"), (".zst", "zstd"), (".zip", "zip"))],
    ("parquet", ".parquet", "zstd"), ("parquet", ".parquet", "none"), ("excel", ".xlsx", None),
]  # fmt: skip


@pytest.mark.parametrize(("format_name", "suffix", "packing"), CASES)
def test_each_harm_to_a_file_is_told_as_what_it_is(run, export, tmp_path, format_name, suffix, packing):
    options = ("--format", format_name, *(("--option", f"compression={packing}") if packing else ()))
    whole, receipt_path = export(f"whole{suffix}", *options, "--order-by", "id")
    receipt = tmp_path / "whole.receipt"
    receipt_path.rename(receipt)
    content, target = whole.read_bytes(), tmp_path / f"harmed{suffix}"

    def told(changed, receipt=receipt):
        target.write_bytes(changed)
        return run("verify", str(target), "--receipt", str(receipt), code=1).stderr

    for place in {0, len(content) // 3, len(content) // 2, len(content) - 1}:
        flipped = bytes([*content[:place], content[place] ^ 1, *content[place + 1 :]])
        assert "the contents were changed, though its size is the same" in told(flipped), place
    assert f"the receipt says {len(content):,}: 7 missing" in told(content[:-7])
    assert f"the receipt says {len(content):,}: 1 too many" in told(content + b"\n")

    fewer, fewer_receipt = export(f"fewer{suffix}", *options, "--order-by", "id", "--limit", "3")
    assert "has 3 rows, the receipt says 4: 1 row missing" in told(fewer.read_bytes())
    assert "has 4 rows, the receipt says 3: 1 row too many" in told(content, fewer_receipt)

    _, other = export(f"other{suffix}", *options, "--columns", "id,note")
    assert "its columns are 'id', 'city', 'amount', 'age', 'note', … and the receipt's 'id', 'note'" in told(
        content, other
    )
    _, foreign = export("foreign", "--format", "parquet" if format_name != "parquet" else "csv")
    assert "the contents were changed" in told(content, foreign)
    assert "its sha256 is not" not in run("verify", str(whole), "--receipt", str(receipt)).output


@pytest.mark.parametrize("format_name", ["excel", "parquet"])
def test_a_receipt_of_another_format_is_told_by_the_files_first_bytes(run, export, format_name):
    path, _ = export("it", "--format", format_name)
    _, receipt = export("other", "--format", "csv")
    stderr = run("verify", str(path), "--receipt", str(receipt), code=1).stderr
    assert "and the receipt speaks of csv (text): this looks like the receipt of another export" in stderr


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("file_size", 1, "the receipt says 1: "),
        ("row_count", 5, "1 row missing"),
        ("rows_in_file", 3, "its receipt contradicts itself"),
        ("checksum", {"algorithm": "sha256", "value": "0" * 64}, "its sha256 is not the receipt's"),
    ],
)
def test_an_altered_receipt_does_not_fit_its_file(run, export, key, value, words):
    path, receipt = export("orders.csv")
    told = json.loads(receipt.read_text())
    assert told[key] != value
    receipt.write_text(json.dumps(told | {key: value}))
    assert words in run("verify", str(path), "--receipt", str(receipt), code=1).stderr


def test_without_a_receipt_it_is_said_what_that_leaves_open(run, export):
    path, _ = export("orders.csv")
    path.write_bytes(path.read_bytes().replace(b"30", b"31"))
    assert "only a receipt shows whether a value or a row was changed" in run("verify", str(path)).output
