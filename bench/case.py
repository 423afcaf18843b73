"""What is measured: one table, from one database, into one format; and how fast we mean to be."""

from dataclasses import dataclass
from pathlib import Path

SOURCES = ("sqlite", "postgresql")
FORMATS = ("csv", "json", "parquet", "excel")
SUFFIX = {"csv": "csv", "json": "jsonl", "parquet": "parquet", "excel": "xlsx"}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """`sqlite-csv` is lineitem; `sqlite-csv-wide` another table."""

    source: str
    format: str
    table: str

    @property
    def name(self) -> str:
        table = "" if self.table.startswith("lineitem") else f"-{self.table}"
        return f"{self.source}-{self.format}{table}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One export for a peer to do; `url` is a SQLite path or a PostgreSQL URL."""

    pair: Pair
    url: str
    target: Path

    @property
    def arguments(self) -> list[str]:
        return [self.pair.source, self.url, self.pair.table, self.pair.format, str(self.target)]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Our time over a peer's: at most `hold`, and hoped for `aim`."""

    peer: str
    hold: float
    aim: float | None = None


HOLD_MB, AIM_MB = 400, 300
EXCEL_GOALS = (Goal(peer="duckdb", hold=0.30, aim=0.20), Goal(peer="openpyxl", hold=0.06))
GOALS: dict[tuple[str, str], tuple[Goal, ...]] = {
    ("sqlite", "csv"): (Goal(peer="sqlite3", hold=0.80), Goal(peer="connectorx", hold=0.90, aim=0.50)),
    ("sqlite", "json"): (Goal(peer="duckdb", hold=0.70, aim=0.50),),
    ("sqlite", "parquet"): (Goal(peer="duckdb", hold=1.0, aim=0.80),),
    ("sqlite", "excel"): EXCEL_GOALS,
    ("postgresql", "csv"): (Goal(peer="psql", hold=1.05, aim=0.65),),
    ("postgresql", "json"): (Goal(peer="psql", hold=0.50), Goal(peer="duckdb", hold=1.10, aim=0.90)),
    ("postgresql", "parquet"): (Goal(peer="duckdb", hold=1.45, aim=1.0), Goal(peer="connectorx", hold=0.70)),
    ("postgresql", "excel"): EXCEL_GOALS,
}


def goals(pair: Pair) -> tuple[Goal, ...]:
    """Give the goals of a pair; they are about lineitem."""
    return GOALS[pair.source, pair.format] if pair.table.startswith("lineitem") else ()


def pairs(table: str) -> list[Pair]:
    """Give every pair for a table. An Excel sheet takes a part of lineitem."""
    return [
        Pair(
            source=source,
            format=name,
            table=f"{table}_part" if (name, table) == ("excel", "lineitem") else table,
        )
        for source in SOURCES
        for name in FORMATS
    ]


def asked() -> tuple[str, str, str, str, str]:
    """Read what `Case.arguments` handed to a peer's process: source, url, table, format, target."""
    import sys

    source, url, table, format_name, target = sys.argv[1:]
    return source, url, table, format_name, target
