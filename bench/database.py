"""Makes a database unless it exists: `python -m bench.database SERVER NAME`, run as a child of the bench."""

import sys

import psycopg


def main() -> None:
    server, name = sys.argv[1:]
    with psycopg.connect(server, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {name}")


if __name__ == "__main__":
    main()
