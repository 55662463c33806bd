"""Real parts, opened and closed; two servers on one database."""

import asyncio
import secrets

import httpx
import pytest
from pydantic import SecretStr

from lime_server.composition import build, open_parts
from lime_server.composition.build import _every
from lime_server.core.errors import SiteLoginRequestNotFound, Unavailable
from lime_server.infrastructure.postgres.migrator import (
    DatabaseNewerError,
    DatabaseOlderError,
    Migration,
    migrate,
    migrations,
)
from lime_server.modules.site_login.delivery import Delivery
from lime_server.settings import Settings, SettingsError


@pytest.fixture
def settings(migrated_postgres_url, redis_url):
    return Settings(
        public_url="http://127.0.0.1:8000",
        database_url=migrated_postgres_url,
        redis_url=redis_url,
        master_key=secrets.token_hex(32),
        difficulty=1,
        access_log=False,
    )


def client(app):
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000/api/v1"
    )


async def test_a_login_on_real_engines(settings):
    async with open_parts(settings) as parts:
        owner = await parts.owners.create("ada@example.com")
        _, agent_token = await parts.agents.register(owner.owner_id, "Agent")
        _, site_token = await parts.sites.register(owner.owner_id, "Site")
        app = build(parts)
        async with app.router.lifespan_context(app), client(app) as api:
            site = {"X-Site-Token": site_token.text}
            made = await api.post("/modules/agent-login/requests", headers=site)
            path = f"/modules/agent-login/requests/{made.json()['data']['login_request_id']}"
            waiting = asyncio.create_task(api.get(f"{path}?wait=25", headers=site))
            answer = await api.post(f"{path}/deny", headers={"X-Agent-Token": agent_token.text})
            assert answer.status_code == 200
            assert (await waiting).json()["data"]["status"] == "DENIED"
            ready = await api.get("http://127.0.0.1:8000/health/ready")
            assert ready.json()["engines"] == {"postgres": "up", "redis": "up"}


async def test_without_redis_one_process_is_enough(settings):
    alone = settings.model_copy(update={"redis_url": None})
    async with open_parts(alone) as parts:
        assert parts.helpful == {}
        app = build(parts)
        async with app.router.lifespan_context(app), client(app) as api:
            assert (await api.get("/core/.well-known/jwks.json")).status_code == 200


@pytest.mark.parametrize("url", ["http://:hunter2@h", "redis+sentinel://:hunter2@h"])
async def test_an_address_that_is_none_of_redis_is_refused(settings, url):
    wrong = Settings(**{**settings.model_dump(), "redis_url": url})
    with pytest.raises(SettingsError, match="LIME_REDIS_URL: ") as caught:
        async with open_parts(wrong):
            pass
    assert "hunter2" not in str(caught.value)


async def test_behind_a_pooler_a_server_works_as_before(settings):
    pooled = settings.model_copy(update={"database_pooler": "transaction"})
    async with open_parts(pooled) as parts:
        owner = await parts.owners.create("ada@example.com")
        agent, _ = await parts.agents.register(owner.owner_id, "Agent")
        assert await parts.vital["postgres"].ready()
        assert agent.owner_id == owner.owner_id


async def test_a_database_that_was_not_migrated_is_refused(settings, postgres_url):
    empty = Settings(**{**settings.model_dump(), "database_url": postgres_url})
    with pytest.raises(DatabaseOlderError, match="lime-server migrate"):
        async with open_parts(empty):
            pass


@pytest.fixture
def kept(settings, tmp_path):
    """The same settings, with a master key file that does not exist yet."""
    values = {**settings.model_dump(), "master_key": None, "master_key_file": tmp_path / "key"}
    return Settings(**values)


async def opened(settings, **how):
    async with open_parts(settings, **how) as parts:
        return parts.ring.jwks.body


async def test_a_first_start_makes_the_master_key_and_later_ones_read_it(kept):
    made = await opened(kept, first_start=True)
    assert await opened(kept) == await opened(kept, first_start=True) == made


async def test_of_two_first_starts_one_makes_the_master_key(kept):
    one, two = await asyncio.gather(*(opened(kept, first_start=True) for _ in range(2)))
    assert one == two


async def test_a_first_start_that_fails_leaves_no_master_key(kept, postgres_url):
    away = kept.model_copy(update={"database_url": SecretStr("postgresql:///x?host=/nonexistent")})
    with pytest.raises(Unavailable):
        await opened(away, first_start=True)
    empty = kept.model_copy(update={"database_url": SecretStr(postgres_url)})
    with pytest.raises(DatabaseOlderError):
        await opened(empty, first_start=True)
    assert not kept.master_key_file.exists()


async def test_only_a_first_start_makes_a_master_key(kept):
    with pytest.raises(SettingsError, match="does not exist: the first start of a server makes it"):
        await opened(kept)
    assert not kept.master_key_file.exists()


async def test_no_master_key_is_made_for_a_database_that_has_keys(kept):
    await opened(kept, first_start=True)
    kept.master_key_file.unlink()
    with pytest.raises(SettingsError, match=r"the database has keys, and \S+, which unlocks them"):
        await opened(kept, first_start=True)
    assert not kept.master_key_file.exists()


async def test_a_master_key_of_another_database_is_a_sentence(settings):
    await opened(settings)
    other = settings.model_copy(update={"master_key": SecretStr(secrets.token_hex(32))})
    with pytest.raises(SettingsError, match="not the one that this database's signing keys"):
        await opened(other)


async def newer(url, first_line):
    """The database as a later version leaves it."""
    later = Migration(9000, "9000_later", f"{first_line}\nCREATE TABLE later (n integer)")
    await migrate(url, [*migrations(), later])


async def test_an_upgrade_that_only_adds_can_be_taken_back(settings, migrated_postgres_url, caplog):
    await newer(migrated_postgres_url, "-- additive")
    async with open_parts(settings) as parts:
        assert await parts.owners.create("ada@example.com")
    (said,) = [record for record in caplog.records if "newer than this" in record.getMessage()]
    assert said.levelname == "WARNING"
    assert said.getMessage().endswith(": 9000_later")


async def test_an_upgrade_that_does_more_cannot(settings, migrated_postgres_url):
    await newer(migrated_postgres_url, "-- breaking")
    with pytest.raises(DatabaseNewerError, match="9000_later"):
        async with open_parts(settings):
            pass


async def test_two_servers_share_one_signing_key(settings):
    async with open_parts(settings) as one, open_parts(settings) as two:
        assert one.ring.jwks.body == two.ring.jwks.body


async def settled(parts):
    owner = await parts.owners.create("ada@example.com")
    site, _ = await parts.sites.register(owner.owner_id, "Site")
    agents = [(await parts.agents.register(owner.owner_id, f"Agent {n}"))[0] for n in range(50)]
    return site, agents


def logins_of(parts):
    """The service as `build` makes it."""
    from lime_server.composition.build import _site_login
    from lime_server.modules.site_login.delivery import DeliveryTiming

    delivery = Delivery(
        events=parts.events,
        standing=parts.standing,
        bell=parts.bell,
        tally=parts.metrics,
        clock=parts.clock,
        timing=DeliveryTiming(60, _lease()),
    )
    return _site_login(parts, delivery), delivery


def _lease():
    from datetime import timedelta

    return timedelta(seconds=10)


def solve(challenge):
    import lime_pow

    return lime_pow.Solver(challenge, 1).advance(1_000_000)


async def test_of_fifty_agents_at_two_servers_exactly_one_gets_in(settings):
    async with open_parts(settings) as one, open_parts(settings) as two:
        site, agents = await settled(one)
        services = [logins_of(parts)[0].logins for parts in (one, two)]
        login = await services[0].create(site, None)
        nonce = solve(login.challenge)
        answers = await asyncio.gather(
            *(
                services[n % 2].approve(agent, login.request_id, nonce)
                for n, agent in enumerate(agents)
            ),
            return_exceptions=True,
        )
        losers = [answer for answer in answers if isinstance(answer, SiteLoginRequestNotFound)]
        winners = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert (len(winners), len(losers)) == (1, 49)
        seen = await services[1].status(site, login.request_id)
        assert seen.agent_id == winners[0].agent_id


async def test_a_server_that_dies_after_the_approval_leaves_the_event_for_another(settings):
    async with open_parts(settings) as first:
        site, agents = await settled(first)
        service = logins_of(first)[0].logins
        login = await service.create(site, None)
        # Nobody is connected, and nothing of this server survives but what it wrote.
        await service.approve(agents[0], login.request_id, solve(login.challenge))
    async with open_parts(settings) as second:
        made, delivery = logins_of(second)
        with delivery.seat(site.site_id, "worker") as seat:
            await delivery.serve_rung()
            (due,) = seat.queue
            assert due.event.request_id == login.request_id
            assert await made.passports.mint(due)


async def test_an_approval_at_one_server_rings_at_the_other(settings):
    """No poll is due for a minute: only the ring can tell."""
    async with open_parts(settings) as one, open_parts(settings) as two:
        site, agents = await settled(one)
        app = build(two)
        here, there = logins_of(one)[0].logins, logins_of(two)
        async with app.router.lifespan_context(app):
            running = asyncio.create_task(there[1].run())
            await asyncio.wait_for(two.bell.subscribed.wait(), 30)
            login = await here.create(site, None)
            waiting = asyncio.create_task(there[0].logins.outcome(site, login.request_id, wait=30))
            with there[1].seat(site.site_id, None) as seat:
                await here.approve(agents[0], login.request_id, solve(login.challenge))
                assert (await waiting).is_approved
                await seat.wait(30)
                assert [due.event.request_id for due in seat.queue] == [login.request_id]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_periodic_work_goes_on_after_a_failure():
    done = asyncio.Event()
    failures = [Unavailable()]

    async def work():
        if failures:
            raise failures.pop()
        done.set()

    task = asyncio.create_task(_every(0.001, work))
    await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
