"""`lime-server serve`."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from lime_server.cli.speech import CommandError, plain_errors
from lime_server.cli.start import uncollected
from lime_server.infrastructure.workers import MOST, Workers, can_fork, shared_figures

if TYPE_CHECKING:
    import socket

    from lime_server.settings import Settings


def serve(
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST,
            help="Processes that share the work: one for each core that they may fill. Each has "
            "its own pool of database connections.",
        ),
    ] = 1,
) -> None:
    """Serve agents and sites, as the LIME_ variables say, until SIGTERM or SIGINT."""
    with plain_errors(), uncollected() as started, ExitStack() as stack:
        if workers > 1:
            if not can_fork():
                raise CommandError("--workers: this system has no fork(); start several servers.")
            try:
                stack.enter_context(shared_figures())
            except OSError:
                raise CommandError(
                    "--workers: they count together in a folder for temporary files, and there is "
                    "none that can be written to. Let TMPDIR name one."
                ) from None
        from lime_server import logging
        from lime_server.settings import load

        settings = load()
        logging.configure(level=settings.log_level, style=settings.log_format)
        if workers == 1:
            _serve(settings, None, started)
        else:
            raise typer.Exit(_share(workers, settings, started))


def _share(workers: int, settings: "Settings", started: Callable[[], None]) -> int:
    from prometheus_client.multiprocess import mark_process_dead

    from lime_server.infrastructure.serve import bind

    sock = bind(settings.host, settings.port)

    def work(ready: Callable[[], None]) -> int:
        def on_ready() -> None:
            started()
            ready()

        try:
            with plain_errors():
                _serve(settings, sock, on_ready)
        except typer.Exit as failed:
            return failed.exit_code
        return 0

    # What is imported now is imported once, and shared for as long as nobody touches it.
    import lime_server.composition.run  # noqa: F401

    started()
    return Workers(
        workers,
        work,
        # Whoever still comes is to be refused, rather than kept waiting by a socket that nobody
        # accepts from.
        on_ending=sock.close,
        on_gone=mark_process_dead,
    ).run()


def _serve(
    settings: "Settings", sock: "socket.socket | None", on_ready: Callable[[], None]
) -> None:
    import asyncio

    from lime_server.composition.run import run
    from lime_server.infrastructure.serve import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run(settings, sock=sock, on_ready=on_ready))
