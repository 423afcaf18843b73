"""`python -m bench`: our exports beside the peers', and what else the server promises in figures."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import cluster, cost, data, latency, memory, ours, parallel, report, scaling, startup
from bench.case import Pair, pairs
from bench.compare import Compared, Comparison, unequal
from bench.peers.registry import PEERS, Peer

QUICK_SCALE, QUICK_ROUNDS = 0.05, 1
QUICK_PEERS = frozenset({"sqlite3", "psql", "duckdb", "connectorx"})
ROUNDS = 3
TABLES = ("lineitem", "texts", "wide")


def main() -> None:
    asked = _parser().parse_args()
    if asked.quick:
        asked.scale, asked.rounds = asked.scale or QUICK_SCALE, asked.rounds or QUICK_ROUNDS
    asked.scale, asked.rounds = asked.scale or data.FULL_SCALE, asked.rounds or ROUNDS
    sys.exit(MODES[asked.mode](asked))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("mode", nargs="?", default="compare", choices=sorted(MODES))
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "exporter-bench")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="where JSON and Markdown go")
    parser.add_argument("--scale", type=float, help=f"of TPC-H's lineitem; {data.FULL_SCALE} if left out")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} if left out")
    parser.add_argument("--only", default="", help="pairs, as in sqlite-csv,postgresql-json-texts")
    parser.add_argument("--peers", default="", help="peers, as in duckdb,psql")
    parser.add_argument("--tables", default="lineitem", help=f"of {', '.join(TABLES)}")
    parser.add_argument(
        "--quick", action="store_true", help="a few minutes: small, one round, the main peers"
    )
    return parser


def compare(asked: argparse.Namespace) -> int:
    """Print the table; 1 if a peer that loses nothing holds other rows than we do."""
    chosen, peers = _pairs(asked), _peers(asked)
    found: list[Compared] = []
    with_postgres = any(pair.source == "postgresql" for pair in chosen)
    with (
        data.opened(asked.data, with_postgres=with_postgres) as place,
        ours.installation(asked.data) as installation,
    ):
        comparison = Comparison(place, installation, scale=asked.scale, rounds=asked.rounds)
        for pair in chosen:
            print(f"{pair.name} …", file=sys.stderr, flush=True)
            found.append(comparison.compare(pair, peers))
    report.write(asked.out, "compare", report.comparison(found), report.as_documents(found))
    wrong = list(unequal(found))
    for line in wrong:
        print(f"NOT EQUAL: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _pairs(asked: argparse.Namespace) -> list[Pair]:
    every = {pair.name: pair for table in TABLES for pair in pairs(table)}
    names = [name for name in asked.only.split(",") if name]
    if unknown := [name for name in names if name not in every]:
        raise SystemExit(f"no such pair: {', '.join(unknown)}; there are {', '.join(every)}")
    tables = asked.tables.split(",")
    return [every[name] for name in names] or [pair for table in tables for pair in pairs(table)]


def _peers(asked: argparse.Namespace) -> Sequence[Peer]:
    names = {name for name in asked.peers.split(",") if name} or (QUICK_PEERS if asked.quick else None)
    if names and (unknown := names - {peer.name for peer in PEERS}):
        raise SystemExit(f"no such peer: {', '.join(unknown)}")
    return [peer for peer in PEERS if names is None or peer.name in names]


MODES: dict[str, Callable[[argparse.Namespace], int]] = {
    "cluster": cluster.measure,
    "compare": compare,
    "cost": cost.measure,
    "memory": memory.measure,
    "latency": latency.measure,
    "parallel": parallel.measure,
    "scaling": scaling.measure,
    "startup": startup.measure,
}


if __name__ == "__main__":
    main()
