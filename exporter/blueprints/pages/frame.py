"""What the form of a new export offers: datasources, the tables of the chosen one, the columns of the chosen table."""

from dataclasses import dataclass, field, replace

from exporter.blueprints.context import services
from exporter.blueprints.pages.choices import Choices, place_of
from exporter.datasources import relation_of
from exporter.errors import DatasourceNotFound, Invalid
from exporter.failures import ExportFailed
from exporter.model import Datasource, User
from exporter.query.families import Family, family, is_dated, may_be_dated
from exporter.sources.base import Column, Relation, RelationSummary

MANY = 60  # columns; beyond, a field with suggestions takes the place of a list to choose from


@dataclass(frozen=True, kw_only=True)
class Frame:
    """`faults` are those of the datasource and the table themselves, by field."""

    datasources: list[Datasource]
    datasource: Datasource | None = None
    tables: list[RelationSummary] = field(default_factory=list)
    relation: Relation | None = None
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def pinned(self) -> bool:
        found = self.datasource
        return found is not None and bool(found.table or found.query)

    @property
    def dialect(self) -> str:
        return self.datasource.kind if self.datasource else ""

    @property
    def columns(self) -> dict[str, Column]:
        return {column.name: column for column in self.relation.columns} if self.relation else {}

    @property
    def many(self) -> bool:
        return len(self.columns) > MANY

    @property
    def dated(self) -> list[str]:
        """Name the columns that a date range may use: those that are dates, and else those that may hold some."""
        surest = [name for name, column in self.columns.items() if is_dated(column, self.dialect)]
        texts = {Family.TEXT, Family.ANY}
        return surest or [
            name
            for name, column in self.columns.items()
            if may_be_dated(column, self.dialect) and family(column, self.dialect) in texts
        ]

    @property
    def default_dated(self) -> str:
        """Name the column that a date range uses when none is chosen, if there is no doubt."""
        own = self.datasource.date_column if self.datasource else None
        dated = self.dated
        return own or (dated[0] if len(dated) == 1 else "")


def frame_of(choices: Choices, user: User) -> tuple[Frame, Choices]:
    """Open the chosen datasource once and look. The only datasource there is, is chosen, and so is its only table."""
    known = services().datasources.all(user)
    if not choices.datasource and len(known) == 1:
        choices = replace(choices, datasource=known[0].id)
    frame = _filled(Frame(datasources=known), choices, user)
    if frame.pinned:
        choices = replace(choices, table="")
    elif frame.relation is not None:
        choices = replace(choices, table=choices.table or frame.relation.label)
    return frame, replace(choices, of=place_of(choices) if frame.relation else "")


def _filled(frame: Frame, choices: Choices, user: User) -> Frame:
    if not choices.datasource:
        return frame
    try:
        datasource = services().datasources.get(choices.datasource, user)
    except DatasourceNotFound as exc:
        return replace(frame, faults={"datasource": exc.message})
    frame = replace(frame, datasource=datasource)
    try:
        return _looked(frame, datasource, choices.table)
    except ExportFailed as exc:
        return replace(frame, faults={"datasource": exc.message})


def _looked(frame: Frame, datasource: Datasource, table: str) -> Frame:
    with services().datasources.open(datasource) as source:
        if frame.pinned:
            return replace(frame, relation=relation_of(source, datasource, None))
        frame = replace(frame, tables=source.relations())
        if not table and len(frame.tables) == 1:
            table = frame.tables[0].label
        if not table:
            return frame
        try:
            return replace(frame, relation=relation_of(source, datasource, table))
        except Invalid as exc:
            return replace(frame, faults={"table": str(exc.errors["table"])})
