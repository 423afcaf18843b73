"""Sets of options to draw from, one strategy a format."""

from hypothesis import strategies as st

packings = st.sampled_from(["none", "none", "gzip", "zstd", "zip"])
_CSV = st.fixed_dictionaries(
    {},
    optional={
        "compression": packings,
        "delimiter": st.sampled_from([",", ";", "\t", "|", "="]),
        "quoting": st.sampled_from(["text", "minimal", "all"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        "line_terminator": st.sampled_from(["\n", "\r\n"]),
        "null_value": st.sampled_from(["", "NULL", "\\N"]),
        "escape_formulas": st.booleans(),
        "booleans": st.sampled_from(["t/f", "true/false"]),
    },
)
_JSON = st.fixed_dictionaries(
    {"layout": st.sampled_from(["array", "lines", "columns"])}, optional={"compression": packings}
) | st.fixed_dictionaries(
    {"layout": st.sampled_from(["array", "columns"]), "indent": st.sampled_from([1, 2])}
)
_PARQUET = st.fixed_dictionaries(
    {},
    optional={
        "compression": st.sampled_from(["zstd", "snappy", "gzip", "none"]),
        "row_group_size": st.sampled_from([1, 7, 1000, 131_072]),
    },
)
_EXCEL = st.fixed_dictionaries({}, optional={"sheet_name": st.sampled_from(["Data", "Ünï code's", "a" * 31])})


def options_of(format_name: str) -> st.SearchStrategy[dict[str, object]]:
    return {"csv": _CSV, "json": _JSON, "parquet": _PARQUET, "excel": _EXCEL}[format_name]
