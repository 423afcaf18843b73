"""The profile of a preview's columns."""

from exporter.profile import profile


def test_each_kind_of_column_is_told_by_what_it_holds():
    columns = ["n", "mixed", "flag", "document", "empty"]
    rows = [
        [1, "a", True, {"k": [1]}, None],
        [2.5, 1, False, {"k": [1]}, None],
        [None, None, True, [1], None],
    ]
    assert profile(columns, rows) == [
        {"name": "n", "nulls": 1, "distinct": 2, "min": 1, "max": 2.5},
        {"name": "mixed", "nulls": 1, "distinct": 2, "min": None, "max": None},
        {"name": "flag", "nulls": 0, "distinct": 2, "min": None, "max": None},
        {"name": "document", "nulls": 0, "distinct": 2, "min": None, "max": None},
        {"name": "empty", "nulls": 3, "distinct": 0, "min": None, "max": None},
    ]


def test_columns_of_one_name_and_digits_past_a_double_survive():
    big = 2**63 - 1
    assert [column["max"] for column in profile(["a", "a"], [[big, "x"], [1, "y"]])] == [big, "y"]
