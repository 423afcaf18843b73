"""From PostgreSQL's types to kinds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from exporter.sources.base import Column, Kind

KINDS: Mapping[str, tuple[Kind, int | None]] = {
    "int2": (Kind.INTEGER, 16),
    "int4": (Kind.INTEGER, 32),
    "int8": (Kind.INTEGER, 64),
    "oid": (Kind.INTEGER, 64),  # unsigned, 32 bits
    "float4": (Kind.FLOAT, 32),
    "float8": (Kind.FLOAT, 64),
    "numeric": (Kind.DECIMAL, None),
    "bool": (Kind.BOOLEAN, None),
    "text": (Kind.TEXT, None),
    "varchar": (Kind.TEXT, None),
    "bpchar": (Kind.TEXT, None),
    "char": (Kind.TEXT, None),
    "name": (Kind.TEXT, None),
    "citext": (Kind.TEXT, None),
    "date": (Kind.DATE, None),
    "time": (Kind.TIME, None),
    "timestamp": (Kind.TIMESTAMP, None),
    "timestamptz": (Kind.TIMESTAMPTZ, None),
    "bytea": (Kind.BINARY, None),
    "uuid": (Kind.UUID, None),
    "json": (Kind.JSON, None),
    "jsonb": (Kind.JSON, None),
}
BASE = "b"
DOMAIN = "d"
NO_MODIFIER = -1
HEADER = 4  # is added to every type modifier of numeric


@dataclass(frozen=True, kw_only=True)
class Type:
    """One line of pg_type; `item` is the item's type where this is that type's array, else 0."""

    name: str
    kind: str
    base: int
    base_modifier: int
    item: int


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column as the catalog or a result describes it."""

    name: str
    database_type: str
    type: int
    modifier: int
    nullable: bool = True


def column(field: Field, types: Mapping[int, Type]) -> Column:
    """Describe a column; a domain counts as the type that it is made of."""
    kind, modifier = types[field.type], field.modifier
    while kind.kind == DOMAIN:
        kind, modifier = types[kind.base], kind.base_modifier
    plain = Column(
        name=field.name, database_type=field.database_type, nullable=field.nullable, kind=Kind.OTHER
    )
    if kind.item:
        item = field.database_type.removesuffix("[]")
        element = Field(name=field.name, database_type=item, type=kind.item, modifier=modifier)
        return replace(plain, kind=Kind.ARRAY, element=column(element, types))
    if kind.kind != BASE or kind.name not in KINDS:
        return plain
    known, bits = KINDS[kind.name]
    precision, scale = _numeric(modifier) if known is Kind.DECIMAL else (None, None)
    return replace(plain, kind=known, bits=bits, precision=precision, scale=scale)


def _numeric(modifier: int) -> tuple[int | None, int | None]:
    """Take precision and scale out of a modifier: 16 bits and, signed, 11 bits."""
    if modifier == NO_MODIFIER:
        return None, None
    packed = modifier - HEADER
    return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 0x400) - 0x400
