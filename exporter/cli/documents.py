"""Datasources and templates of this installation as the API shows them; jobs have `exporter.jobs.documents`."""

from exporter.cli.backend import Document
from exporter.datasources import public_fields
from exporter.jobs.receipt import instant
from exporter.model import Datasource, Template
from exporter.sources.base import Column, RelationSummary
from exporter.sources.types import exported_type


def datasource_document(datasource: Datasource) -> Document:
    """Give what an admin sees; never the URL."""
    return {
        **public_fields(datasource),
        "created_at": instant(datasource.created_at),
        "query": datasource.query,
        "warnings": list(datasource.warnings),
    }


def table_document(table: RelationSummary) -> Document:
    return {"name": table.label, "schema": table.schema, "kind": table.kind, "estimated_rows": table.rows}


def column_document(column: Column) -> Document:
    return {
        "name": column.name,
        "database_type": column.database_type,
        "nullable": column.nullable,
        "exported_type": exported_type(column),
    }


def template_document(template: Template) -> Document:
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description,
        "template_type": template.template_type.value,
        "format": template.configuration["format"],
        "usage_count": template.usage_count,
        "has_filters": bool(template.configuration.get("filters")),
        "is_active": template.is_active,
        "owner": template.owner,
        "created_at": instant(template.created_at),
        "updated_at": instant(template.updated_at),
    }


def template_detail(template: Template) -> Document:
    return {**template_document(template), "configuration": dict(template.configuration)}
