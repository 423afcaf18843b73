"""The WSGI entry point, and what `flask --app wsgi` reads."""

from exporter import create_app

app = create_app()
