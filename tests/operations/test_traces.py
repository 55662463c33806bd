"""One trace, from an application through an SDK to the server and back."""

import asyncio

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import lime_agents
import lime_sites
import lime_sites.otel
from lime_server.composition.run import run
from lime_server.infrastructure import telemetry
from lime_server.infrastructure.serve import bind
from lime_server.settings import Settings
from tests.support.deployment import Deployment


async def test_what_an_application_began_goes_on_in_the_server(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, site = deployment.agent(), deployment.site()
    at_the_server, here = InMemorySpanExporter(), InMemorySpanExporter()
    monkeypatch.setattr(telemetry, "OTLPSpanExporter", lambda: at_the_server)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(here))
    sock = bind("127.0.0.1", 0)
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    settings = Settings(
        public_url=base,
        database_url=deployment.settings["LIME_DATABASE_URL"],
        redis_url=deployment.settings["LIME_REDIS_URL"],
        master_key=deployment.settings["LIME_MASTER_KEY"],
        difficulty=1,
        traces=1,
    )
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(run(settings, sock=sock, on_ready=ready.set, stop=stop))
    await ready.wait()
    lime_sites.otel.instrument(provider)
    try:
        async with (
            lime_sites.LimeSite(site_token=site.token, base_url=f"{base}/api/v1") as shop,
            lime_agents.LimeAgent(agent_token=agent.token, base_url=f"{base}/api/v1") as visitor,
        ):
            with provider.get_tracer("application").start_as_current_span("a visit"):
                request = await shop.create_login_request()
                await visitor.login(request.request_id)
    finally:
        lime_sites.otel.uninstrument()
        stop.set()
        await serving
        provider.shutdown()
    # All in the one trace, and each of the server's spans below the call that caused it.
    calls = {
        span.get_span_context().span_id: span
        for span in here.get_finished_spans()
        if span.kind is SpanKind.CLIENT
    }
    served = at_the_server.get_finished_spans()
    (trace,) = {span.get_span_context().trace_id for span in (*calls.values(), *served)}
    assert {span.parent.span_id for span in served if span.parent} == set(calls)
    assert trace
    assert [span.name for span in served] == [
        "POST /modules/agent-login/requests",
        "GET /auth/requests/{request_id}",
        "POST /modules/agent-login/requests/{request_id}/approve",
    ]
    whole = "".join(span.to_json() for span in (*calls.values(), *served))
    assert request.request_id not in whole
    assert agent.token not in whole
    assert site.token not in whole
