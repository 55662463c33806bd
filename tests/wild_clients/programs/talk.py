"""How a program in the wild talks to the test that runs it: lines of JSON out, lines of text in."""

import asyncio
import json
import sys


def say(**facts: object) -> None:
    """Tell the test something."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def hear() -> str:
    """Wait for the test's next line."""
    line: str = await asyncio.to_thread(sys.stdin.readline)
    return line.strip()
