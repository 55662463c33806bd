"""A stream gives nothing to who lost the right to it, and nobody takes all streams for themselves."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.attacks.household import Household
from tests.support.deployment import Deployment
from tests.support.events import EventStream
from tests.support.server import ServeServer
from tests.support.wire import data, refusal


@pytest.fixture(scope="module")
def narrow(deployment: Deployment) -> Iterator[ServeServer]:
    """A server on which a site has two streams, and standings are read ten times a second."""
    settings = {"LIME_STREAMS_PER_SITE": "2", "LIME_POLL_INTERVAL": "0.1"}
    with deployment.server("narrow", **settings) as server:
        yield server


@pytest.fixture
def owner(deployment: Deployment, narrow: ServeServer) -> Iterator[Household]:
    made = Household(deployment, narrow)
    yield made
    made.close()


def stream(owner: Household, token: str) -> EventStream:
    return EventStream(owner.api_base, {"X-Site-Token": token})


def rotated(owner: Household, overlap: int) -> str:
    path = f"/foundation/sites/{owner.ids['site_id']}/tokens"
    return str(data(owner.post(path, {"overlap_seconds": overlap}), 201)["site_token"])


def test_a_stream_that_a_leaked_token_opened_ends_with_the_token(owner: Household) -> None:
    with stream(owner, owner.site["site_token"]) as thief:
        new = rotated(owner, 0)
        said = [frame.body for frame in thief.until_end() if frame.type != "keepalive"]
        assert [(one["type"], one["code"]) for one in said] == [("error", "SITE_TOKEN_INVALID")]
    with stream(owner, new):
        pass


def test_during_the_overlap_both_streams_live_and_then_one_ends(owner: Household) -> None:
    with stream(owner, owner.site["site_token"]) as old, stream(owner, rotated(owner, 1)) as new:
        data(owner.post(f"/foundation/sites/{owner.ids['site_id']}/delivery/test", {}), 202)
        assert old.event().type == new.event().type == "test"
        assert [frame.body["code"] for frame in old.until_end() if frame.type == "error"] == [
            "SITE_TOKEN_INVALID"
        ]
        data(owner.post(f"/foundation/sites/{owner.ids['site_id']}/delivery/test", {}), 202)
        assert new.event().type == "test"


def test_a_deleted_sites_stream_ends(owner: Household) -> None:
    with stream(owner, owner.site["site_token"]) as left:
        data(owner.http.delete(f"/foundation/sites/{owner.ids['site_id']}"))
        assert left.until_end()[-1].type == "error"


def test_a_site_does_not_take_all_streams(deployment: Deployment, owner: Household) -> None:
    token = owner.site["site_token"]
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(stream(owner, token))
        url = f"{owner.api_base}/modules/agent-login/events"
        refused = httpx.get(url, headers={"X-Site-Token": token}, trust_env=False, timeout=20)
        assert refusal(refused) == (429, "RATE_LIMIT_EXCEEDED")
        assert int(refused.headers["retry-after"]) >= 1
        # Others are not hurt.
        with EventStream(owner.api_base, deployment.site().headers):
            pass
    with stream(owner, token):
        pass
