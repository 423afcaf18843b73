"""connectorx reads into Arrow, pyarrow writes."""

import connectorx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bench.case import asked


def main() -> None:
    source, url, table, format_name, target = asked()
    address = f"sqlite://{url}" if source == "sqlite" else url
    rows = connectorx.read_sql(address, f"SELECT * FROM {table}", return_type="arrow")
    if not isinstance(rows, pa.Table):
        raise TypeError(type(rows))
    write = {"csv": pyarrow.csv.write_csv, "parquet": pyarrow.parquet.write_table}[format_name]
    write(rows, target)


if __name__ == "__main__":
    main()
