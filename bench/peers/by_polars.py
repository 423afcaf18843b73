"""polars reads through connectorx and writes itself."""

import polars as pl

from bench.case import asked


def main() -> None:
    source, url, table, format_name, target = asked()
    address = f"sqlite://{url}" if source == "sqlite" else url
    frame = pl.read_database_uri(f"SELECT * FROM {table}", address)
    {"csv": frame.write_csv, "json": frame.write_ndjson, "parquet": frame.write_parquet}[format_name](target)


if __name__ == "__main__":
    main()
