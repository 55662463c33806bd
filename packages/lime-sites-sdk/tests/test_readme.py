"""The examples of the README do what it says."""

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from lime_sites import BindingCodeError, LimeSite
from lime_sites.testing import FakeLime

_BLOCKS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL
)


def _block(containing: str) -> str:
    (found,) = [block for block in _BLOCKS if containing in block]
    return found


async def test_the_first_example_logs_an_agent_in(
    fake_lime_for_sites: FakeLime, capsys: pytest.CaptureFixture[str]
) -> None:
    # In a thread: it brings its own event loop.
    running = asyncio.create_task(asyncio.to_thread(exec, _block("asyncio.run(main())"), {}))
    while not fake_lime_for_sites.logins:  # noqa: ASYNC110 - it happens in the program
        await asyncio.sleep(0.001)
    (request_id,) = fake_lime_for_sites.logins
    fake_lime_for_sites.approve(request_id, agent_id="agent-7")
    await running
    assert capsys.readouterr().out.splitlines() == [
        f"agent, please log in to {request_id}",
        "welcome agent-7",
    ]


async def test_the_handler_example_handles(fake_lime_for_sites: FakeLime) -> None:
    done: list[Any] = []
    names = {
        "forget": lambda request_id: done.append(request_id),
        "open_session": lambda request_id, agent_id: done.append((request_id, agent_id)),
        "alert": done.append,
    }
    exec("from lime_sites import LimeSite\n" + _block("@site.on_error"), names)
    site: Any = names["site"]
    async with site:
        first, second = [await site.create_login_request() for _ in range(2)]
        await fake_lime_for_sites.approve(first.request_id, agent_id="agent-7").handled()
        await fake_lime_for_sites.deny(second.request_id).handled()
    assert done == [(first.request_id, "agent-7"), second.request_id]


def test_the_fastapi_example_can_be_run(fake_lime_for_sites: FakeLime) -> None:
    names: dict[str, Any] = {"SESSION_SECRET": "x" * 32}
    exec(_block("login_router"), names)
    assert {"/me", "/login/start"} <= set(names["app"].openapi()["paths"])


async def test_the_binding_example_binds(fake_lime_for_sites: FakeLime) -> None:
    linked: list[dict[str, str]] = []
    names: dict[str, Any] = {"link": lambda **facts: linked.append(facts)}
    exec("from lime_sites import LimeSite\n" + _block("exchange_binding_code"), names)
    async with LimeSite() as site:
        names["site"] = site
        session: dict[str, Any] = {"account": "ada"}
        assert (await names["start"](session)).startswith(fake_lime_for_sites.issuer)
        binding_id, _ = session["binding"]
        back = fake_lime_for_sites.bind(binding_id, agent_id="agent-7")
        query = dict(parse_qsl(urlsplit(back).query))
        assert await names["callback"](session, query) == "Done."
        assert linked == [{"account": "ada", "agent": "agent-7", "binding": binding_id}]
        # A second time, and in a browser that has begun another one, the same code binds nothing.
        with pytest.raises(KeyError):
            await names["callback"](session, query)
        await names["start"](session)
        with pytest.raises(BindingCodeError):
            await names["callback"](session, query)
        await names["start"](session)
        back = fake_lime_for_sites.refuse_binding(session["binding"][0])
        query = dict(parse_qsl(urlsplit(back).query))
        assert await names["callback"](session, query) == "You said no."
    assert len(linked) == 1


@pytest.mark.usefixtures("fake_lime_for_sites")
def test_the_mcp_example_can_be_run() -> None:
    names: dict[str, Any] = {}
    exec(_block("LimeTokenVerifier"), names)
    assert names["server"].name == "Reports"
