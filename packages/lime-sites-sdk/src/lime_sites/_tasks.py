"""Tasks that outlive the call that began them."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Start `work` and hold on to it: the event loop itself keeps only weak references."""
    task = asyncio.create_task(work)
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
