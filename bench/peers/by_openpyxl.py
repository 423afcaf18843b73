"""openpyxl in its write_only mode."""

from openpyxl import Workbook

from bench.case import asked
from bench.peers.rows import header_and_rows


def main() -> None:
    source, url, table, _, target = asked()
    names, rows = header_and_rows(source, url, table)
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet()
    sheet.append(names)
    for row in rows:
        sheet.append(row)
    workbook.save(target)


if __name__ == "__main__":
    main()
