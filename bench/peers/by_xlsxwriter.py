"""xlsxwriter in its constant_memory mode."""

import xlsxwriter

from bench.case import asked
from bench.peers.rows import header_and_rows


def main() -> None:
    source, url, table, _, target = asked()
    names, rows = header_and_rows(source, url, table)
    options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd", "strings_to_urls": False}
    workbook = xlsxwriter.Workbook(target, options)
    sheet = workbook.add_worksheet()
    sheet.write_row(0, 0, names)
    for number, row in enumerate(rows, start=1):
        sheet.write_row(number, 0, row)
    workbook.close()


if __name__ == "__main__":
    main()
