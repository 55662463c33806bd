"""A worker that logs in wherever it is asked to, if it knows the place.

Reads login request ids from standard input, one per line, as a queue would bring them, and writes
one JSON line for each. `LIME_API_BASE` and `LIME_AGENT_TOKEN` say who it is.

    echo 550e8400-e29b-41d4-a716-446655440000 | python worker.py --domain shop.example
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

from lime_agents import (
    AuthenticationError,
    LimeAgent,
    LimeError,
    LoginRefusedError,
    LoginSite,
    RateLimitError,
)

Report = Callable[[dict[str, object]], None]


async def work(
    requests: AsyncIterator[str],
    *,
    agent: LimeAgent,
    domains: frozenset[str],
    report: Report,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    at_once: int = 8,
) -> None:
    """Log in to every request of `requests`, at most `at_once` at a time.

    An empty `domains` lets every site in. Ends when `requests` does, or with `AuthenticationError`:
    an agent that LIME does not accept has nothing to do here.
    """

    def known(site: LoginSite) -> bool:
        return not domains or (site.domain_verified and site.domain in domains)

    async def one(request_id: str) -> None:
        async with slots:
            report(await log_in(agent, request_id, known, pause))

    slots = asyncio.Semaphore(at_once)
    try:
        async with asyncio.TaskGroup() as tasks:
            async for request_id in requests:
                tasks.create_task(one(request_id))
    except* AuthenticationError as group:
        raise group.exceptions[0] from None


async def log_in(
    agent: LimeAgent,
    request_id: str,
    allow: Callable[[LoginSite], bool],
    pause: Callable[[float], Awaitable[None]],
) -> dict[str, object]:
    """Log in once, and once more if LIME asked for patience; return what to report."""
    try:
        try:
            result = await agent.login(request_id, allow=allow)
        except RateLimitError as busy:
            await pause(busy.retry_after or 1.0)
            result = await agent.login(request_id, allow=allow)
    except AuthenticationError:
        raise
    except LoginRefusedError as refused:
        return {"outcome": "refused", "site": refused.site.display_name if refused.site else None}
    except LimeError as error:
        return {"outcome": "failed", "code": error.code, "message": error.message}
    return {"outcome": "approved", "request_id": result.request_id, "site_id": result.site_id}


async def lines() -> AsyncIterator[str]:
    """Yield the lines of standard input that are not empty, without holding up the event loop."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            yield line.strip()


def write(outcome: dict[str, object]) -> None:
    """Write one JSON line."""
    print(json.dumps(outcome), flush=True)


async def main(domains: frozenset[str]) -> int:
    """Work until standard input ends; 0, or 1 if LIME does not accept this agent."""
    try:
        async with LimeAgent() as agent:
            await work(lines(), agent=agent, domains=domains, report=write)
    except LimeError as error:
        print(f"worker: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Log in wherever asked, if the place is known.")
    parser.add_argument("--domain", action="append", default=[], help="a site to log in to")
    sys.exit(asyncio.run(main(frozenset(parser.parse_args().domain))))
