"""An agent as its own process: logs in to whatever it is told on standard input, with the SDK.

    agent.py LEDGER AGENT_ID          (LIME_AGENT_TOKEN and LIME_API_BASE in the environment)

Each line of input is one login request id. It ends when its input does.
"""

import asyncio
import sys
from pathlib import Path

from lime_agents import LimeAgent, LimeError
from tests.chaos.ledger import Ledger
from tests.chaos.programs.lines import BARRIER, ENDED, lines_in


async def main(ledger: Ledger, agent_id: str) -> None:
    """Log in, many times at once, until there is no more input."""
    async with LimeAgent() as agent, asyncio.TaskGroup() as calls:
        async for request_id in lines_in(sys.stdin):
            if request_id.startswith(BARRIER):
                ledger.write(request_id, "")
            else:
                calls.create_task(log_in(agent, request_id, ledger, agent_id))


async def log_in(agent: LimeAgent, request_id: str, ledger: Ledger, agent_id: str) -> None:
    """One login, with a line before it and a line after it."""
    ledger.write("asking", request_id, agent=agent_id)
    try:
        result = await agent.login(request_id)
    except LimeError as error:
        said = error.code or type(error).__name__
        # Who comes second is told that there is no such request: that is no failure.
        what = "beaten" if said == "SITE_LOGIN_REQUEST_NOT_FOUND" else "failed"
        ledger.write(what, request_id, agent=agent_id, who="login", error=said)
    else:
        ledger.write("approved", result.request_id, agent=agent_id)
    print(ENDED, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(Ledger(Path(sys.argv[1])), sys.argv[2]))
