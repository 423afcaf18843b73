"""rustpy-xlsxwriter, fed with the dicts that it asks for."""

import rustpy_xlsxwriter

from bench.case import asked
from bench.peers.rows import header_and_rows


def main() -> None:
    source, url, table, _, target = asked()
    names, rows = header_and_rows(source, url, table)
    records = (dict(zip(names, row, strict=True)) for row in rows)
    rustpy_xlsxwriter.write_worksheet(records, target)


if __name__ == "__main__":
    main()
