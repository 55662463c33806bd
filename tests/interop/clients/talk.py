"""How a client program and the test that runs it talk: one JSON object on each line."""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread


def say(**facts: Any) -> None:
    """Tell the test something."""
    sys.stdout.write(f"{json.dumps(facts)}\n")
    sys.stdout.flush()


async def hear() -> dict[str, Any]:
    """What the test says next; nothing but `do=end` when it is gone."""
    line = await anyio.to_thread.run_sync(sys.stdin.readline)
    return json.loads(line or '{"do": "end"}')


class Storage:
    """Keeps what the SDK gives it to keep, for as long as the program runs."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client_info: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client_info

    async def set_client_info(self, client_info: Any) -> None:
        self.client_info = client_info


async def open_browser(url: str) -> None:
    """Have the test send its browser there."""
    say(open=url)


async def come_back() -> str:
    """The URL at which the browser came back to us."""
    back = (await hear())["back"]
    assert isinstance(back, str)
    return back


def client_metadata(**more: Any) -> dict[str, Any]:
    """How a client introduces itself that acts for a human."""
    return {
        "client_name": os.environ["CLIENT_NAME"],
        "redirect_uris": [os.environ["REDIRECT_URI"]],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": os.environ.get("METHOD", "none"),
        **more,
    }


async def obey(
    call: Callable[[], Awaitable[Any]], age: Callable[[], None], tokens: Callable[[], Any]
) -> None:
    """Do what the test says: `call` a tool, let the access token `age`, or `end`."""
    while (wanted := (await hear())["do"]) != "end":
        if wanted == "age":
            age()
            say(aged=True)
            continue
        try:
            who = await call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to know
            say(error=repr(flat(error)))
            continue
        kept = tokens()
        say(who=who, tokens=None if kept is None else json.loads(kept.model_dump_json()))


def flat(error: BaseException) -> BaseException:
    """The first of a group of errors, which is what task groups make of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
