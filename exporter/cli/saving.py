"""Putting a finished file where it is wanted: whole or not at all."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

import click

from exporter.cli.backend import Backend, Document
from exporter.errors import FileDamaged


def _target(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Find out before the export, not after it, that a path cannot take a file."""
    del ctx, param
    if value is not None and not value.is_dir():
        if not value.parent.is_dir():
            raise click.BadParameter(f"there is no folder {value.parent}")
        if value.exists() and not value.is_file():
            raise click.BadParameter(f"{value} is no plain file")
    return value


def as_output(text: str) -> "click.decorators._AnyCallable":
    return click.option(
        "--output", type=click.Path(path_type=Path), callback=_target, metavar="FILE", help=text
    )


def save(backend: Backend, job: Document, target: Path) -> Path:
    """Put the job's file at `target`, or into it where that is a folder. Raises FileDamaged, ClickException.

    It grows under a hidden name and gets its own once size and sha256 are those of the job.
    """
    if target.is_dir():
        target /= own_name(job)
    partial = target.with_name(f".{uuid4().hex}.partial")
    try:
        _copy(backend, job, partial)
        partial.replace(target)
    except OSError as exc:
        raise click.ClickException(f"{target} cannot be written: {exc.strerror}") from exc
    finally:
        partial.unlink(missing_ok=True)
    return target


def own_name(job: Document) -> str:
    """Give the name that the export goes by, without anything that leads elsewhere or hides it."""
    return Path(job["file_name"] or "").name.lstrip(".") or str(job["id"])


def _copy(backend: Backend, job: Document, partial: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with partial.open("xb") as copy:
        for block in backend.blocks(job["id"]):
            copy.write(block)
            digest.update(block)
            size += len(block)
            if size > job["file_size"]:
                raise FileDamaged(reason=f"more than its {job['file_size']:,} bytes arrived")
        if size != job["file_size"]:
            raise FileDamaged(reason=f"{size:,} of its {job['file_size']:,} bytes arrived")
        if digest.hexdigest() != job["checksum"]["value"]:
            raise FileDamaged(reason="what arrived has another sha256 than the export")
        copy.flush()
        os.fsync(copy.fileno())
