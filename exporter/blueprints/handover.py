"""Who sends the bytes of a download: this server, the nginx before it, or the bucket."""

from typing import BinaryIO

from flask import Response, request

from exporter.blueprints.context import services
from exporter.blueprints.download import Attachment, file_response, unchanged
from exporter.blueprints.proxy import PROXIED
from exporter.model import Job
from exporter.settings import Handover

ACCEL_PREFIX = "/exporter-files/"  # the location that nginx serves the store's folder at, for us alone


def hand_over(file: BinaryIO, job: Job, what: Attachment) -> Response:
    """Answer with an opened file or with who has it. Raises RangeUnsatisfiable, StoreAway."""
    how = services().settings.downloads
    if how == Handover.ACCEL and PROXIED in request.environ and not unchanged(what):
        file.close()
        return _by_nginx(job, what)
    if how == Handover.PRESIGNED and request.method == "GET" and _any_range_fits(job, what):
        file.close()
        return _by_bucket(job, what)
    return file_response(file, what)


def _by_nginx(job: Job, what: Attachment) -> Response:
    """Name the file to nginx. Who comes past it, to the server itself, is answered by the server itself."""
    headers = {**what.headers, "X-Accel-Redirect": f"{ACCEL_PREFIX}{job.artifact}"}
    return Response(headers=headers, content_type=what.content_type)


def _by_bucket(job: Job, what: Attachment) -> Response:
    signer = services().signer
    assert signer is not None, "DOWNLOADS=presigned comes with a signer"  # noqa: S101 - wiring sees to it
    url = signer.url(job.artifact or "", disposition=what.disposition, content_type=what.content_type)
    headers = {
        "ETag": f'"{what.etag}"',
        "Cache-Control": "private, no-store",
        "Location": url,
        "Referrer-Policy": "no-referrer",
    }
    return Response(status=302, headers=headers)


def _any_range_fits(job: Job, what: Attachment) -> bool:
    """Tell whether the bucket would do as we: it knows nothing of our ETag, and the client may know its own."""
    if unchanged(what):
        return False
    known = {what.etag, (job.artifact_tag or "").strip('"')}
    return "If-Range" not in request.headers or request.if_range.etag in known
