"""`lime-server serve`."""

from lime_server.cli.speech import plain_errors
from lime_server.cli.start import uncollected


def serve() -> None:
    """Serve agents and sites, as the LIME_ variables say, until SIGTERM or SIGINT."""
    with plain_errors(), uncollected() as started:
        import asyncio

        from lime_server import logging
        from lime_server.composition.run import run
        from lime_server.infrastructure.serve import new_event_loop
        from lime_server.settings import load

        settings = load()
        logging.configure(level=settings.log_level, style=settings.log_format)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(run(settings, on_ready=started))
