"""Tasks that outlive the call that began them."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any


def detached(work: Coroutine[Any, Any, None], name: str | None = None) -> asyncio.Task[None]:
    """Start `work` with context variables of its own: none is set.

    By default it would inherit those of whoever made the first call: one visitor's request would be
    the parent of every later login's trace, and lend them its tenant, its user, its database
    session. Nor would a copy from the time when the client was made be better, because a client
    may be made in a request. Threads, which `LimeSiteSync` has, begin with nothing as well.
    OpenTelemetry keeps its providers elsewhere; here it finds no span, and begins a trace.
    """
    return asyncio.create_task(work, name=name, context=Context())


def keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Start `work` and hold on to it: the event loop itself keeps only weak references."""
    task = detached(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def end(tasks: set[asyncio.Task[None]], *, grace: float) -> None:
    """Wait up to `grace` seconds for `tasks`, then cancel what is left; never oneself.

    Those of another loop have ended with it.
    """
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    others = {task for task in tasks if task is not me and task.get_loop() is loop}
    if others and grace:
        _, others = await asyncio.wait(others, timeout=grace)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
