"""A server that is told to end, as Kubernetes tells it, while sites and agents are at work."""

import httpx

from tests.support.deployment import Deployment, eventually
from tests.support.wire import Wire


def test_a_server_that_leaves_finishes_what_it_has_begun(deployment: Deployment) -> None:
    agent, site = deployment.agent(), deployment.site()
    # Much longer than the test: a second signal ends it.
    server = deployment.server("leaving", LIME_SHUTDOWN_DELAY="300")
    with server, Wire(server.api_base) as wire, wire.events(site) as stream:

        def status(of: str) -> tuple[int, str]:
            answer = httpx.get(f"{server.public_url}/health/{of}", timeout=20, trust_env=False)
            return answer.status_code, answer.json()["status"]

        assert status("ready") == (200, "ok")
        # 1. Readiness fails first, and nothing else: it must not be restarted for that.
        server.terminate()
        eventually(lambda: status("ready") == (503, "leaving"))
        assert status("live") == (200, "ok")
        # 2. Whoever has not heard of it yet is served to the end, on new connections and old ones.
        with Wire(server.api_base) as late:
            request_id = late.login(agent, site)
        assert stream.of(request_id).type == "approved"
        # 3. Then streams are told to go elsewhere, and it ends as it should.
        server.terminate()
        assert [frame.type for frame in stream.until_end()][-1] == "goaway"
        assert server.wait() == 0
