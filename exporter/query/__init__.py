"""A request's `filters`, checked against a relation and compiled into one SELECT with bound values.

`parse_filters` reads the shape, `check` holds names and values against a relation, `compile_query` does that too and
writes the statement; `check_filters` does the first two at once and tells all their faults together.

The same filters mean the same on both databases:

- A comparison with NULL keeps no row, negated or not; only `is null` and `is not null` speak of NULL.
- Text is compared character by character and case counts, whatever a column's collation; its order, in `<`, `between`
  and `order_by`, is the database's own: bytes in SQLite, the column's collation in PostgreSQL.
- NULL sorts last ascending and first descending, as in PostgreSQL, unless NULLS FIRST or LAST is said.
- A date or time with no zone is in UTC, in a request and in a column alike; a bare day is a day in UTC.
- In SQLite, dates are ISO text as its own date functions read it; where such a column holds numbers, they are seconds
  since 1970. A range over a column of numbers, on either database, counts those seconds too.
- A number is taken as it is written: 0.1 is a tenth against a decimal column, the nearest double against a double.
- A value of json is the JSON value itself; one of a type that is known only by its spelling is read by PostgreSQL.
"""

from exporter.query.check import check, check_filters
from exporter.query.compile import CompiledQuery, compile_query
from exporter.query.estimate import expected_rows
from exporter.query.schema import FiltersSchema, parse_filters
from exporter.query.spec import QuerySpec
from exporter.query.where_text import parse_where

__all__ = [
    "CompiledQuery",
    "FiltersSchema",
    "QuerySpec",
    "check",
    "check_filters",
    "compile_query",
    "expected_rows",
    "parse_filters",
    "parse_where",
]
