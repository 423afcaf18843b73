"""What a command notes in the audit log."""

import getpass
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from exporter.model import Action, Actor, User

if TYPE_CHECKING:
    from exporter.audit import Deed
    from exporter.wiring import Services


def deed(parts: "Services", action: Action, user: User | None = None) -> "AbstractContextManager[Deed]":
    """Note what happens inside in the audit log, for the user whom the command acts for, if any."""
    return parts.audit.deed(action, Actor(user=user, address=f"cli:{_account()}"))


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return str(os.getuid())
