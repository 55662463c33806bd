"""`examples/agent_worker` does what its README says."""

import asyncio
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lime_agents import AuthenticationError

WORKER = Path(__file__).parents[3] / "examples" / "agent_worker" / "worker.py"


@pytest.fixture
def worker():
    spec = importlib.util.spec_from_file_location("agent_worker", WORKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def queue(*request_ids):
    for request_id in request_ids:
        yield request_id


async def work(worker, fake, *request_ids, domains=()):
    reports, pauses = [], []

    async def pause(seconds):
        pauses.append(seconds)

    async with fake.agent(max_retries=0) as agent:
        await worker.work(
            queue(*request_ids),
            agent=agent,
            domains=frozenset(domains),
            report=reports.append,
            pause=pause,
        )
    return reports, pauses


async def test_known_sites_are_let_in_and_others_are_not(worker, fake):
    known = fake.new_login(domain="shop.example")
    unproven = fake.new_login(domain="shop.example", domain_verified=False)
    reports, _ = await work(
        worker,
        fake,
        known.request_id,
        unproven.request_id,
        "unknown",
        domains=["shop.example"],
    )
    assert {"approved", "refused", "failed"} == {report["outcome"] for report in reports}
    assert (known.status, unproven.status) == ("DELIVERED", "PENDING")


async def test_without_a_list_every_site_is_let_in(worker, fake):
    logins = [fake.new_login(domain=None) for _ in range(20)]
    reports, _ = await work(worker, fake, *(login.request_id for login in logins))
    assert {report["request_id"] for report in reports} == set(fake.logins)


async def test_the_worker_is_patient_when_lime_asks_for_it(worker, fake):
    login = fake.new_login()
    fake.rate_limit(retry_after=7)
    reports, pauses = await work(worker, fake, login.request_id)
    assert reports[0]["outcome"] == "approved"
    assert pauses == [7.0]


async def test_the_worker_ends_when_lime_does_not_accept_it(worker, fake):
    fake.forget_agent()
    with pytest.raises(AuthenticationError):
        await work(worker, fake, fake.new_login().request_id)


def test_the_program_reads_lines_and_writes_json(worker, fake_lime_for_agents, monkeypatch, capsys):
    login = fake_lime_for_agents.new_login()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\n{login.request_id}\n"))
    assert asyncio.run(worker.main(frozenset())) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "approved"


def test_the_program_says_what_to_set(fake):
    # `fake` has cleared the environment.
    ended = subprocess.run(
        [sys.executable, WORKER], input="", capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("worker: There is no token: pass agent_token= or set LIME_AGENT")
