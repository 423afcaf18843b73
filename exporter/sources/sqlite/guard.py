"""What a statement on a SQLite source may do: read. `mode=ro` alone does not stop ATTACH from creating files."""

import apsw

ACTIONS = frozenset({apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE})
FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
WRITES = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})
PRAGMAS = frozenset({"data_version"})  # full-text tables ask for it while they are read
REFLECTION_PRAGMAS = frozenset({"table_list", "table_xinfo"})
SETTINGS = (
    (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
    (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, 0),
)


class Guard:
    """The connection's authorizer. `reflecting` also lets the pragmas of reflection pass.

    R*Tree tables prepare the statements that would write to their shadow tables even if they are only read. Those
    pass here; to run one is refused all the same, by the read-only file, `query_only` and the defensive setting.
    """

    reflecting = False

    def __init__(self, shadows: frozenset[str]) -> None:
        self._shadows = shadows

    def __call__(
        self, action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None
    ) -> int:
        if action == apsw.SQLITE_FUNCTION:
            return _verdict((second or "").lower() not in FORBIDDEN_FUNCTIONS)
        if action == apsw.SQLITE_PRAGMA:
            name = (first or "").lower()
            return _verdict(name in PRAGMAS or (self.reflecting and name in REFLECTION_PRAGMAS))
        return _verdict(action in ACTIONS or (action in WRITES and first in self._shadows))


def install(connection: apsw.Connection) -> Guard:
    for setting, value in SETTINGS:
        connection.config(setting, value)
    tables = connection.execute("PRAGMA main.table_list").fetchall()
    guard = Guard(frozenset(str(name) for _, name, kind, *_ in tables if kind == "shadow"))
    connection.authorizer = guard
    return guard


def _verdict(allowed: bool) -> int:
    return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY
