"""Why an export fails, one class per case: `code` and message stand in its job's row."""

from exporter.errors import ExporterError


class ExportFailed(ExporterError):
    """The export failed"""

    code = "export_failed"


class SourceUnavailable(ExportFailed):
    """The database cannot be reached: {reason}"""

    code = "source_unavailable"


class SourceRefused(ExportFailed):
    """The database cannot be opened: {reason}"""

    code = "source_refused"


class SourceBusy(SourceUnavailable):
    """The database stayed locked by another program: {reason}"""

    code = "source_busy"


class NoSuchRelation(ExportFailed):
    """There is no table or view named {name!r} in this database"""

    code = "no_such_relation"


class QueryFailed(ExportFailed):
    """The database refused the query: {reason}"""

    code = "query_failed"


class QueryTimeout(ExportFailed):
    """The query ran longer than the {seconds} s allowed. Narrow it, or ask an admin to raise STATEMENT_TIMEOUT."""

    code = "query_timeout"


class SourceOverwritten(SourceUnavailable):
    """The database file was overwritten while it was read. Replace such a file by renaming a new one over it."""

    code = "source_overwritten"


class SourceCorrupt(ExportFailed):
    """The database file is damaged: {reason}"""

    code = "source_corrupt"


class DiskFull(ExportFailed):
    """The server's disk is full. Free some space, then retry."""

    code = "disk_full"


class StoreFailed(ExportFailed):
    """The server could not write the file: {reason}. Retry it, or ask an admin to look at the store."""

    code = "store_failed"


class FileTooLarge(ExportFailed):
    """The file grew past the {limit} bytes that this server allows. Narrow the export."""

    code = "file_too_large"


class ValueUnwritable(ExportFailed):
    """Row {row}, column {column!r}: {reason}"""

    code = "value_unwritable"


class ReceiptMismatch(ExportFailed):
    """{read} rows were read but {written} rows are in the file; the file was discarded"""

    code = "receipt_mismatch"


class WorkerLost(ExportFailed):
    """What ran this export stopped in the middle of it, {attempts} times. Retry it, or narrow it."""

    code = "worker_lost"


class Internal(ExportFailed):
    """An unexpected fault in the server stopped this export. An admin finds it in the log under the job's id."""

    code = "internal"
