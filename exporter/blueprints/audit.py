"""The audit log, for admins."""

from flask import Blueprint, Response

from exporter.blueprints import answers
from exporter.blueprints.body import load, query_arguments
from exporter.blueprints.context import answer, require_admin, services
from exporter.blueprints.described import describes
from exporter.blueprints.paging import pagination
from exporter.blueprints.schemas import AuditListSchema
from exporter.documents import audit_document
from exporter.errors import Forbidden
from exporter.storage.audit import AuditQuery

bp = Blueprint("audit", __name__)


@bp.get("/")
@describes(
    "List who did what",
    details="Admins only. The newest first.",
    query=AuditListSchema,
    answer=answers.AuditLog,
    refuses=(Forbidden,),
)
def index() -> Response:
    require_admin()
    page = services().audit.page(AuditQuery(**load(AuditListSchema, query_arguments())))
    return answer(
        "Audit log retrieved successfully",
        {"entries": [audit_document(entry) for entry in page.items], "pagination": pagination(page)},
    )
