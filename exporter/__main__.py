"""The console script `exporter`, also `python -m exporter`."""

import shutil
import sys
from pathlib import Path

from exporter import create_app, garbage
from exporter.cli.main import cli


def main() -> None:
    """Run one command; the app is built only if the command needs it."""
    garbage.collect_seldom()
    try:
        cli(obj=create_app, prog_name=_started_as(), complete_var="_EXPORTER_COMPLETE")
    finally:
        garbage.spare_the_last_look()


def _started_as() -> str:
    """Spell the program as it was started: `exporter`, `.venv/bin/exporter` or `python -m exporter`."""
    path = Path(sys.argv[0])
    if path.stem == "__main__":
        return f"{sys.orig_argv[0]} -m exporter"
    found = shutil.which(path.name)
    return path.name if found is not None and Path(found).resolve() == path.resolve() else str(path)


if __name__ == "__main__":
    main()
