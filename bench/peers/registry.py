"""Which peers there are for a pair, and whether they are installed."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bench import child
from bench.case import Case, Pair


@dataclass(frozen=True, kw_only=True)
class Peer:
    """`needs` are modules to import, or a `program` to run; `loses` says, by format, what it does not keep."""

    name: str
    formats: dict[str, tuple[str, ...]]  # by source
    command: Callable[[Case], list[str]]
    needs: tuple[str, ...] = ()
    program: str | None = None
    prints: bool = False  # its standard output is the file
    loses: Mapping[str, str] = field(default_factory=dict)

    def takes(self, pair: Pair) -> bool:
        return pair.format in self.formats.get(pair.source, ())

    def missing(self, pair: Pair) -> str | None:
        """Name what is not installed; None if nothing is missing."""
        if self.program is not None:
            return None if shutil.which(self.program) else self.program
        needs = [*self.needs, *_extensions(self.name, pair)]
        return next((name for name in needs if find_spec(name) is None), None)

    def run(self, case: Case) -> child.Run:
        """Raise ChildFailed."""
        return child.run(self.command(case), target=case.target if self.prints else None)


def _extensions(name: str, pair: Pair) -> list[str]:
    if name != "duckdb":
        return []
    scanner = "sqlite_scanner" if pair.source == "sqlite" else "postgres_scanner"
    return [f"duckdb_extension_{each}" for each in (scanner, *(["excel"] if pair.format == "excel" else []))]


def _python(module: str) -> Callable[[Case], list[str]]:
    return lambda case: child.module(f"bench.peers.{module}", *case.arguments)


def _sqlite3(case: Case) -> list[str]:
    style = {"csv": ["-csv", "-header"], "json": ["-json"]}[case.pair.format]
    return ["sqlite3", "-readonly", *style, case.url, f"SELECT * FROM {case.pair.table}"]


def _psql(case: Case) -> list[str]:
    """JSON is copied as a CSV that never quotes: COPY's text format would double every backslash."""
    copied, style = f"SELECT * FROM {case.pair.table}", "FORMAT csv, HEADER"
    if case.pair.format == "json":
        copied, style = (
            f"SELECT row_to_json(t) FROM {case.pair.table} t",
            r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02'",
        )
    return ["psql", "-X", "-q", case.url, "-c", rf"\copy ({copied}) TO '{Path(case.target)}' WITH ({style})"]


TEXT = ("csv", "json")
TABLES = (*TEXT, "parquet")
EXCEL = {"sqlite": ("excel",), "postgresql": ("excel",)}

PEERS = (
    Peer(
        name="sqlite3",
        program="sqlite3",
        formats={"sqlite": TEXT},
        command=_sqlite3,
        prints=True,
        loses=dict.fromkeys(TEXT, "the digits of doubles past the 15th"),
    ),
    Peer(name="psql", program="psql", formats={"postgresql": TEXT}, command=_psql),
    Peer(
        name="duckdb",
        needs=("duckdb",),
        formats={"sqlite": (*TABLES, "excel"), "postgresql": (*TABLES, "excel")},
        command=_python("by_duckdb"),
        loses={"excel": "spaces at the ends of texts"},
    ),
    Peer(
        name="connectorx",
        needs=("connectorx", "pyarrow"),
        formats={"sqlite": ("csv", "parquet"), "postgresql": ("csv", "parquet")},
        command=_python("by_connectorx"),
    ),
    Peer(
        name="polars",
        needs=("polars", "connectorx"),
        formats={"sqlite": TABLES, "postgresql": TABLES},
        command=_python("by_polars"),
    ),
    Peer(
        name="pandas",
        needs=("pandas",),
        formats={"sqlite": (*TABLES, "excel"), "postgresql": (*TABLES, "excel")},
        command=_python("by_pandas"),
        loses={"json": "digits of doubles"},
    ),
    Peer(name="openpyxl", needs=("openpyxl",), formats=EXCEL, command=_python("by_openpyxl")),
    Peer(name="xlsxwriter", needs=("xlsxwriter",), formats=EXCEL, command=_python("by_xlsxwriter")),
    Peer(name="rustpy-xlsxwriter", needs=("rustpy_xlsxwriter",), formats=EXCEL, command=_python("by_rustpy")),
)
