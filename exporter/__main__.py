"""The console script `exporter`, also `python -m exporter`."""

from flask.cli import ScriptInfo

from exporter import create_app
from exporter.cli.main import cli


def main() -> None:
    """Run one command; the app is built only if the command needs it."""
    cli(obj=ScriptInfo(create_app=create_app), prog_name="exporter")


if __name__ == "__main__":
    main()
