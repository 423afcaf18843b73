"""duckdb: its scanners read, COPY writes. The extensions come from wheels, so that nothing is fetched."""

from importlib import import_module
from pathlib import Path

import duckdb

from bench.case import asked

OPTIONS = {
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json",
    "parquet": "FORMAT parquet",
    "excel": "FORMAT xlsx, HEADER true",
}


def main() -> None:
    source, url, table, format_name, target = asked()
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    _load(connection, "sqlite_scanner" if source == "sqlite" else "postgres_scanner")
    if format_name == "excel":
        _load(connection, "excel")
    kind = "sqlite" if source == "sqlite" else "postgres"
    connection.execute(f"ATTACH '{url}' AS source (TYPE {kind}, READ_ONLY)")
    connection.execute(f"COPY (SELECT * FROM source.{table}) TO '{target}' ({OPTIONS[format_name]})")


def _load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    package = import_module(f"duckdb_extension_{name}")
    (path,) = Path(str(package.__file__)).parent.rglob(f"v{duckdb.__version__}/{name}.duckdb_extension")
    connection.execute(f"LOAD '{path}'")


if __name__ == "__main__":
    main()
