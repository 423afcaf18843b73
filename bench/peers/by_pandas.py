"""pandas: read_sql_table's frame, whole in memory, and its writers."""

import sqlite3

import pandas as pd
import sqlalchemy

from bench.case import asked


def main() -> None:
    source, url, table, format_name, target = asked()
    frame = pd.read_sql_query(f"SELECT * FROM {table}", _connection(source, url))
    if format_name == "csv":
        frame.to_csv(target, index=False)
    elif format_name == "json":
        frame.to_json(target, orient="records", lines=True, date_format="iso", double_precision=15)
    elif format_name == "parquet":
        frame.to_parquet(target, index=False)
    else:
        frame.to_excel(target, index=False)


def _connection(source: str, url: str) -> "sqlite3.Connection | sqlalchemy.Engine":
    if source == "sqlite":
        return sqlite3.connect(url)
    return sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


if __name__ == "__main__":
    main()
