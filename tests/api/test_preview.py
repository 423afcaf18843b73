"""A look before the export."""


def test_a_preview_shows_the_first_rows_as_json_would_and_the_sql(member, source):
    filters = {
        "table": "orders",
        "columns": ["id", "city", "amount"],
        "where_conditions": [{"column": "amount", "operator": ">", "value": 5}],
        "limit": 2,
    }
    data = member.post(f"datasources/{source}/preview/", filters).json["data"]
    assert [column["name"] for column in data["columns"]] == ["id", "city", "amount"]
    assert data["columns"][2]["type"].startswith("DECIMAL")
    assert data["rows"] == [[1, "Zürich", 10.5], [2, "Köln", 20.25]]
    assert "WHERE" in data["sql"]
    assert "LIMIT" in data["sql"]


def test_a_preview_profiles_its_columns(member, source):
    data = member.post(f"datasources/{source}/preview/", {"table": "orders"}).json["data"]
    profile = {column.pop("name"): column for column in data["profile"]}
    assert profile["id"] == {"nulls": 0, "distinct": 4, "min": 1, "max": 4}
    assert profile["city"] == {"nulls": 1, "distinct": 3, "min": "Köln", "max": "東京"}
    assert profile["amount"] == {"nulls": 0, "distinct": 4, "min": 3, "max": 1000000}


def test_a_preview_of_no_rows_has_a_profile_too(member, source):
    where = [{"column": "id", "operator": "<", "value": 0}]
    data = member.post(
        f"datasources/{source}/preview/", {"table": "orders", "columns": ["id"], "where_conditions": where}
    ).json["data"]
    assert data["rows"] == []
    assert data["profile"] == [{"name": "id", "nulls": 0, "distinct": 0, "min": None, "max": None}]


def test_a_preview_has_at_most_50_rows_of_a_table_that_never_ends(member, source):
    data = member.post(f"datasources/{source}/preview/", {"table": "endless"}).json["data"]
    assert data["rows"] == [[n] for n in range(1, 51)]


def test_a_preview_estimates_the_rows_of_a_whole_table(member, source):
    data = member.post(f"datasources/{source}/preview/", {"table": "numbers"}).json["data"]
    assert (data["rows_total"], data["rows_total_kind"]) == (1000, "estimate")


def test_a_preview_tells_faults_like_a_job(member, source):
    answer = member.post(f"datasources/{source}/preview/", {"table": "orders", "columns": ["nope"]})
    assert answer.status_code == 400
    assert "nope" in str(answer.json["error"]["columns"])
    assert member.post(f"datasources/{source}/preview/").status_code == 400


def test_a_preview_or_estimate_that_takes_too_long_is_a_504_that_says_what_to_do(member, source, monkeypatch):
    monkeypatch.setattr("exporter.preview.TIMEOUT_SECONDS", 0.2)
    filters = {"table": "endless", "group_by": "n"}
    body = {"datasource": source, "format": "csv", "filters": filters}
    for answer in (
        member.post(f"datasources/{source}/preview/", filters),
        member.post("exports/estimate/", body),
    ):
        assert answer.status_code == 504
        assert answer.json["success"] is False
        assert "Narrow the filters" in answer.json["error"]


def test_an_estimate_creates_nothing(member, source):
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    data = member.post("exports/estimate/", body).json["data"]
    job = member.export(body)
    assert (data["rows"], data["rows_kind"]) == (4, "exact")
    assert data["bytes"] == job["file_size"]
    assert data["seconds"] >= 0
    assert member.get("exports/").json["data"]["pagination"]["total_count"] == 1


def test_an_estimate_tells_faults_like_a_job(member, source):
    answer = member.post("exports/estimate/", {"datasource": source, "format": "xml"})
    assert set(answer.json["error"]) == {"format", "filters"}


def test_polling_a_job_that_did_not_change_is_a_304(member, source):
    job = member.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    first = member.get(f"exports/{job['id']}/")
    again = member.get(f"exports/{job['id']}/", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert "Retry-After" not in first.headers


def test_a_running_job_says_when_to_look_again(member, source):
    created = member.post(
        "exports/", {"datasource": source, "format": "csv", "filters": {"table": "endless"}}
    )
    url = f"exports/{created.json['data']['id']}/"
    assert int(member.get(url).headers["Retry-After"]) >= 1
    member.post(f"{url}cancel/")
