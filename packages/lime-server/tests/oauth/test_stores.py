"""What both kinds of stores promise."""

from dataclasses import replace

from lime_server.core.ids import new_id
from lime_server.modules.mcp_oauth.model import AuthMethod, ClientKind

NOBODY = "0190a2b4-0000-7000-8000-000000000000"


async def test_a_client_is_kept_as_it_is_and_replaced_by_its_id(world, help_):
    clients = world.oauth.clients
    now = world.clock.now()
    client = await world.client(AuthMethod.CLIENT_SECRET_POST, jwks=({"kty": "EC"},))
    assert await clients.find(client.client_id) == client
    document = await world.client(
        client_id="https://app.example/client.json", kind=ClientKind.DOCUMENT, expires_at=now
    )
    assert await clients.find(document.client_id) == document
    renamed = replace(document, name="Renamed", redirect_uris=())
    await clients.add(renamed)
    assert await clients.find(document.client_id) == renamed
    await clients.delete(client.client_id)
    assert await clients.find(client.client_id) is None
    await clients.delete(client.client_id)
    assert await clients.find("never") is None
    assert client.secret_hash is not None
    assert repr(client.secret_hash) not in repr(client)


async def test_clients_that_nobody_uses_or_trusts_leave(world):
    clients = world.oauth.clients
    start = world.clock.now()
    used, granted, idle = [await world.client() for _ in range(3)]
    grant = await world.granted(granted)
    world.clock.advance(100)
    await clients.touch(used.client_id, world.clock.now())
    await clients.touch("never", world.clock.now())
    assert await clients.prune(start, limit=9) == 0
    assert await clients.prune(world.clock.now(), limit=9) == 1
    assert await clients.find(idle.client_id) is None
    await world.oauth.grants.revoke(grant.grant_id, world.clock.now())
    assert await clients.prune(world.clock.now(), limit=9) == 1
    assert await clients.find(granted.client_id) is None
    assert await clients.find(used.client_id) == used


async def test_one_consent_stands_for_each_agent_client_and_resource(world, help_):
    grants, client = world.oauth.grants, await world.client()
    first = await world.granted(client)
    world.clock.advance(1)
    again = await grants.add_or_renew(
        replace(first, grant_id=new_id(world.clock.now()), client_name="New", scopes=("a",))
    )
    # What was issued for the scopes of before still stands, and is shown.
    assert again == replace(first, client_name="New", scopes=("mcp", "a"))
    for order in (("b", "a", "mcp"), ("mcp",)):
        again = await grants.add_or_renew(replace(first, client_name="New", scopes=order))
        assert again.scopes == ("mcp", "a", "b")
    anywhere = await world.granted(client, None)
    world.clock.advance(1)
    assert (await world.granted(client, None)).grant_id == anywhere.grant_id
    assert list(await grants.of_client(world.ada, client.client_id, None)) == [anywhere]
    assert list(await grants.of_client(world.ada, client.client_id, help_.RESOURCE)) == [again]
    assert list(await grants.of_client(world.bob, client.client_id, None)) == []
    both = [anywhere, again]
    assert list(await grants.of_owner(world.ada, before=None, limit=9)) == both
    assert list(await grants.of_owner(world.ada, before=None, limit=1)) == both[:1]
    page = await grants.of_owner(world.ada, before=anywhere.grant_id, limit=9)
    assert list(page) == [again]


async def test_a_grant_is_revoked_once_and_a_new_one_takes_its_place(world):
    grants, client = world.oauth.grants, await world.client()
    first = await world.granted(client)
    now = world.clock.now()
    assert await grants.touch(first.grant_id, now)
    assert await grants.revoke(first.grant_id, now)
    assert not await grants.revoke(first.grant_id, now)
    assert not await grants.touch(first.grant_id, now)
    assert not await grants.revoke(NOBODY, now)
    assert not await grants.touch(NOBODY, now)
    assert (await grants.find(first.grant_id)).revoked_at == now
    assert await grants.find(NOBODY) is None
    world.clock.advance(1)
    assert (await world.granted(client)).grant_id != first.grant_id


async def test_a_code_that_is_not_there_is_not_spent(world):
    assert not await world.oauth.codes.spend(b"nothing", world.clock.now())


async def test_an_assertion_is_spent_by_one(world):
    spent, now = world.oauth.spent, world.clock.now()
    assert await spent.spend(b"one", now)
    world.clock.advance(1)
    assert not await spent.spend(b"one", world.clock.now())
    assert await spent.spend(b"two", now)


async def test_an_assertion_is_spent_by_one_within_the_same_moment(world):
    spent, now = world.oauth.spent, world.clock.now()
    assert [await spent.spend(b"one", now), await spent.spend(b"one", now)] == [True, False]
