"""The primary dies, Sentinels make another one, and servers find it."""

from pathlib import Path

import pytest

from tests.scaling.traffic import all_become, arrive, arrives, log_in
from tests.support.deployment import ONLY_THE_BELL, Deployment, Engines, eventually
from tests.support.engines import Databases
from tests.support.redis_nodes import RedisNode, role, watched_pair
from tests.support.wire import Wire

# Several servers are started one after the other, and a machine may have other things to do.
pytestmark = pytest.mark.timeout(300)

BELL = "lime:bell:0"


def counted(node: RedisNode) -> set[str]:
    """What it counts of requests."""
    return set(node.ask("KEYS", "lime:limit:*"))


def test_logins_go_on_while_another_redis_becomes_the_primary(
    tmp_path: Path, postgres_url: str, databases: Databases, redis_program: Path
) -> None:
    with watched_pair(redis_program, tmp_path, sentinels=3) as (old, new, url):
        deployment = Deployment(tmp_path, Engines(postgres_url, url), databases)
        agent, site, later = *deployment.agents(1), deployment.site(), deployment.site()
        settings = {**ONLY_THE_BELL, "LIME_RATE_PER_TOKEN": "0.1:1000", "LIME_REDIS_TIMEOUT": "1"}
        with (
            deployment.pair(**settings) as (left, right),
            Wire(left.api_base) as here,
            Wire(right.api_base) as there,
            there.events(site) as stream,
        ):
            # 1. Both hear of each other by the primary, which counts.
            eventually(lambda: old.listeners(BELL) == 2)
            arrive(stream, log_in([left], agent, site, 8))
            assert counted(old)
            # 2. It is gone. Nobody's login waits for the next one.
            old.kill()
            assert here.passport(agent, site)
            # 3. The next one is found without a restart, by bells and by limits.
            eventually(lambda: role(new) == "master")
            all_become((left, right), "ok")
            eventually(lambda: new.listeners(BELL) == 2)
            with there.events(later) as fresh:
                eventually(lambda: arrives(fresh, log_in([left], agent, later, 8)), within=60)
            assert counted(new)
