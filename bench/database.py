"""Makes a database unless it exists, or drops it: `python -m bench.database SERVER NAME [drop]`."""

import sys

import psycopg


def main() -> None:
    server, name, *rest = sys.argv[1:]
    with psycopg.connect(server, autocommit=True) as connection:
        if rest == ["drop"]:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        elif connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {name}")


if __name__ == "__main__":
    main()
