"""exporter serve: the web server, and its stopping in order."""

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from exporter import garbage, log
from exporter.cli.base import Verb, check_schema, services, set_up_schema
from exporter.errors import StoreAway, StoreRefused
from exporter.version import __version__

if TYPE_CHECKING:
    from exporter.wiring import Services

logger = logging.getLogger(__name__)

BODY_SLACK = 8  # takes in so many times MAX_CONTENT_LENGTH, so that a modest excess gets an answer
CONNECTIONS = 200
CHANNEL_TIMEOUT_SECONDS = 120
HEADER_BYTES = 64 * 1024  # of all headers together; beyond, the server answers 431


@click.command(cls=Verb)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@click.option(
    "--threads", default=8, show_default=True, type=click.IntRange(1, 64), help="Requests answered at once."
)
def serve(host: str, port: int, threads: int) -> None:
    """Serve the API and run the exports.

    SIGTERM lets running exports finish within the grace; a second one stops at once.

    Example: exporter serve --port 8000
    """
    parts = services()
    log.configure(parts.settings.log_format)
    if parts.settings.embedded:
        set_up_schema()
    check_schema()
    _check_store(parts)
    garbage.spare_what_lives_on()
    signalled = _heard_signals()
    parts.engine.start()
    server = _server(parts, host, port, threads)
    if parts.accounts.needs_admin():
        _invite(server, parts)
    _serve_until_told(signalled, server, parts)


def _invite(server: Any, parts: "Services") -> None:
    """Tell whoever starts a server without users how to become its admin."""
    from exporter.storage.secrets import setup_code

    address = f"http://{server.effective_host}:{server.effective_port}/data-tools/setup/"
    code = setup_code(parts.settings.secret_key)
    logger.warning("There is no user yet. Create the admin at %s with the code %s", address, code)


def _server(parts: "Services", host: str, port: int, threads: int) -> Any:
    from flask import current_app
    from waitress.server import create_server

    from exporter.cli.wire import StrictChannel

    try:
        server = create_server(
            current_app._get_current_object(),  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's documented way
            host=host,
            port=port,
            threads=threads,
            ident="exporter",
            connection_limit=CONNECTIONS,
            channel_timeout=CHANNEL_TIMEOUT_SECONDS,
            clear_untrusted_proxy_headers=False,  # the app itself believes TRUSTED_PROXIES alone
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=parts.settings.max_content_length * BODY_SLACK,
            **_buffering(parts),
        )
    except OSError as exc:
        parts.engine.stop(grace=0)
        raise click.ClickException(f"Cannot listen on {host}:{port}: {exc.strerror}") from exc
    server.channel_class = StrictChannel
    return server


def _buffering(parts: "Services") -> dict[str, int]:
    """Let what comes from a bucket wait in a temporary file for a slow client, who would else hold a thread."""
    return {"outbuf_high_watermark": sys.maxsize} if parts.settings.bucket is not None else {}


def _check_store(parts: "Services") -> None:
    """Stop where no time mends the bucket; one that is only away now will be back."""
    if parts.settings.bucket is None:
        return
    try:
        parts.artifacts.prepare()
    except StoreRefused:
        raise
    except StoreAway as exc:
        logger.warning("%s", exc.message)


def _heard_signals() -> threading.Event:
    """Give what the first signal sets: heard from before the first export begins, so that none is just cut off."""
    signalled = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        del frame
        if signalled.is_set():
            logger.warning("second signal %d: stopping at once", number)
            _leave(1)
        signalled.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return signalled


def _serve_until_told(signalled: threading.Event, server: Any, parts: "Services") -> None:
    """Answer in threads while this one waits for a signal; then stop in order and leave the process.

    It leaves by `os._exit`: a slot that does not let go would otherwise be joined for ever at exit.
    """
    threading.Thread(target=server.run, name="exporter-http", daemon=True).start()
    told = f"http://{server.effective_host}:{server.effective_port}/data-tools/"
    click.echo(f"Exporter serves {told}")
    sys.stdout.flush()
    logger.info("Exporter %s serves %s", __version__, told)
    signalled.wait()
    logger.info("stopping: no new exports; running ones have %d s", parts.settings.shutdown_grace_seconds)
    parts.engine.stop(grace=parts.settings.shutdown_grace_seconds)
    server.close()
    parts.database.engine.dispose()  # SQLite then puts its log into the file, so that the file is the whole database
    logger.info("stopped")
    _leave(0)


def _leave(code: int) -> None:
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)
