"""Export templates: who may see, use and change which."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exporter.configuration import RawConfiguration, parse_configuration
from exporter.errors import (
    Forbidden,
    Invalid,
    TemplateForbidden,
    TemplateInactive,
    TemplateNotFound,
)
from exporter.model import Page, Template, TemplateType, User
from exporter.naming import check_name
from exporter.storage.templates import SHARED_TYPES, TemplateQuery, TemplateStore


@dataclass(frozen=True, kw_only=True)
class TemplateValues:
    """What a user says of a template. In a change, None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    configuration: Mapping[str, Any] | None = None
    template_type: TemplateType | None = None
    is_active: bool | None = None


class TemplateService:
    def __init__(self, store: TemplateStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def create(self, values: TemplateValues, user: User) -> Template:
        """Raise Invalid, Forbidden or NameTaken."""
        check_name("name", values.name or "")
        template_type = values.template_type or TemplateType.USER
        _check_type(template_type, user)
        row = {
            "owner_id": user.id,
            "name": values.name,
            "description": values.description or "",
            "template_type": template_type,
            "configuration": _checked(values.configuration or {}),
            "is_active": values.is_active is not False,
        }
        return self._store.create(row, now=self._clock())

    def page(self, query: TemplateQuery) -> Page[Template]:
        return self._store.page(query)

    def get(self, template_id: str, user: User) -> Template:
        """Raise TemplateNotFound, also for one that the user may not see."""
        found = self._store.get(template_id)
        if found is None or not _may_see(found, user):
            raise TemplateNotFound
        return found

    def named(self, name: str, user: User) -> Template:
        """Find by name, the user's own first, or by id. Raises TemplateNotFound."""
        found = self._store.named(name, visible_to=None if user.is_admin else user.id)
        own = sorted(found, key=lambda template: template.owner_id != user.id)
        return own[0] if own else self.get(name, user)

    def usable(self, template_id: str, user: User) -> Template:
        """Raise TemplateNotFound or TemplateInactive."""
        found = self.get(template_id, user)
        if not found.is_active:
            raise TemplateInactive
        return found

    def change(self, template: Template, values: TemplateValues, user: User) -> Template:
        """Change the fields that are given. Raises TemplateForbidden, Invalid or NameTaken."""
        _check_change(template, user)
        if values.name is not None:
            check_name("name", values.name)
        if values.template_type is not None and values.template_type is not template.template_type:
            _check_type(values.template_type, user)
        given = {
            "name": values.name,
            "description": values.description,
            "template_type": values.template_type,
            "is_active": values.is_active,
            "configuration": None if values.configuration is None else _checked(values.configuration),
        }
        changes = {"name": template.name, **{key: value for key, value in given.items() if value is not None}}
        return self._store.update(template.id, changes, now=self._clock())

    def delete(self, template: Template, user: User) -> None:
        """Raise TemplateForbidden."""
        _check_change(template, user)
        self._store.delete(template.id)

    def count_use(self, template: Template) -> None:
        self._store.count_use(template.id)


def raw_configuration(configuration: Mapping[str, Any]) -> RawConfiguration:
    return RawConfiguration(
        format=configuration.get("format"),
        filters=configuration.get("filters") or {},
        options=configuration.get("options") or {},
    )


def _checked(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Keep a configuration as it was spelled, once it is known to be good; its names meet real columns in a job."""
    try:
        parse_configuration(raw_configuration(configuration), defaults={})
    except Invalid as exc:
        raise Invalid({"configuration": exc.errors}) from exc
    return dict(configuration)


def _check_type(template_type: TemplateType, user: User) -> None:
    if template_type is TemplateType.SYSTEM and not user.is_admin:
        raise Forbidden("Only an admin can make a system template")


def _may_see(template: Template, user: User) -> bool:
    return user.is_admin or template.owner_id == user.id or template.template_type in SHARED_TYPES


def _check_change(template: Template, user: User) -> None:
    own = template.owner_id == user.id and template.template_type is not TemplateType.SYSTEM
    if not (user.is_admin or own):
        raise TemplateForbidden
