"""What the forms of schedules and webhooks offer to choose from."""

from exporter.blueprints.context import services
from exporter.model import Template, User
from exporter.storage.templates import TemplateQuery

MOST = 1000


def template_offers(user: User) -> list[Template]:
    """Give the templates that the user may use now."""
    query = TemplateQuery(visible_to=None if user.is_admin else user.id, page_size=MOST)
    return [each for each in services().templates.page(query).items if each.is_active]
