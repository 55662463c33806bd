"""Limits spread over three nodes, wake-ups over any of them, and a node that dies."""

from pathlib import Path

import pytest

from tests.scaling.traffic import all_become, arrive, arrives, engines_of, log_in
from tests.support.deployment import ONLY_THE_BELL, Deployment, Engines, eventually
from tests.support.engines import Databases
from tests.support.redis_nodes import cluster, is_served
from tests.support.wire import Wire

# Several servers are started one after the other, and a machine may have other things to do.
pytestmark = pytest.mark.timeout(300)

BELL = "lime:bell:0"


def test_logins_over_a_cluster_that_loses_a_node(
    tmp_path: Path, postgres_url: str, databases: Databases, redis_program: Path
) -> None:
    with cluster(redis_program, tmp_path) as (primaries, replica, url):
        nodes = [*primaries, replica]
        deployment = Deployment(tmp_path, Engines(postgres_url, url), databases)
        agents, site, later = deployment.agents(8), deployment.site(), deployment.site()
        settings = {**ONLY_THE_BELL, "LIME_RATE_PER_TOKEN": "0.1:1000"}
        settings |= {"LIME_RATE_PER_REQUEST": "0.1:1000", "LIME_REDIS_TIMEOUT": "1"}
        with (
            deployment.pair(**settings) as (left, right),
            Wire(left.api_base) as here,
            Wire(right.api_base) as there,
            there.events(site) as stream,
        ):
            # 1. What is published at one node is heard at whichever another server chose, and
            # what is counted lies where its key belongs.
            eventually(lambda: sum(node.listeners(BELL) for node in nodes) == 2)
            for agent in agents:
                arrive(stream, log_in([left], agent, site, 2))
            assert engines_of(right) == ("ok", {"postgres": "up", "redis": "up"})
            assert all(node.ask("DBSIZE") > 0 for node in primaries)
            # 2. A node is gone, and its slots with it. Nobody's login waits for them.
            primaries[0].kill()
            assert here.passport(agents[0], site)
            # 3. Its replica takes over, and is found without a restart. Nodes hear of it one after
            # the other; what is rung while one of them still serves nobody is left to the poll.
            eventually(lambda: is_served(replica) and replica.ask("ROLE")[0] == "master")
            left_over = [*primaries[1:], replica]
            all_become((left, right), "ok")
            eventually(lambda: sum(node.listeners(BELL) for node in left_over) == 2)
            replica.ask("FLUSHDB")
            with there.events(later) as fresh:
                eventually(
                    lambda: all(
                        arrives(fresh, log_in([left], agent, later, 2)) for agent in agents
                    ),
                    within=60,
                )
            assert replica.ask("DBSIZE") > 0
