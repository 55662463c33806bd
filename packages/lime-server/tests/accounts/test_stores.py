"""What stores of accounts promise, in memory and on PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lime_server.core.errors import Conflict
from lime_server.core.ids import new_id
from lime_server.foundation.accounts import Account
from lime_server.foundation.mail import Mail
from lime_server.foundation.owners import Owner
from lime_server.foundation.second_factor import Passkey
from lime_server.foundation.sessions import Session
from lime_server.foundation.tickets import Ticket
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.postgres.factors import PostgresOutbox
from lime_server.infrastructure.postgres.pool import open_database
from lime_server.modules.accounts.wire import LoginBody, SecondFactorBody, StepUpBody

NOBODY = "0190a2b4-0000-7000-8000-000000000000"
MINUTE = timedelta(minutes=1)


def test_secrets_do_not_show():
    assert "secret" not in repr(Account(None, "secret"))
    assert "secret" not in repr(Mail("a@example.com", "secret", "secret"))
    login = LoginBody(email="a@example.com", password="secret")
    assert "secret" not in repr(login)
    assert "secret" not in repr(StepUpBody(code="secret"))
    assert "secret" not in repr(SecondFactorBody(recovery_code="secret"))
    assert "secret" not in repr(Ticket(key=b"secret", kind="k", expires_at=None))


async def test_an_account_is_found_by_address_and_id(backend, owner):
    accounts = backend.stores.accounts
    assert await accounts.by_email(owner.email) == Account(owner, None)
    assert await accounts.by_id(owner.owner_id) == Account(owner, None)
    assert await accounts.by_email("nobody@example.com") is None
    assert await accounts.by_id(NOBODY) is None
    assert not await accounts.any_password()


async def test_a_password_is_set_rehashed_and_not_set_back(backend, owner):
    accounts = backend.stores.accounts
    await accounts.set_password(owner.owner_id, "one")
    assert await accounts.rehash(owner.owner_id, "one", "two")
    assert not await accounts.rehash(owner.owner_id, "one", "three")
    account = await accounts.by_id(owner.owner_id)
    assert account.password_hash == "two"
    assert account.owner.email_verified
    assert await accounts.any_password()


async def test_a_password_that_is_held_does_not_change_meanwhile(backend, owner):
    accounts, transactions = backend.stores.accounts, backend.transactions
    assert await accounts.hold_password(owner.owner_id, None)
    await accounts.set_password(owner.owner_id, "one")
    assert not await accounts.hold_password(owner.owner_id, None)
    assert not await accounts.hold_password(owner.owner_id, "two")

    async def change() -> None:
        async with transactions.transaction():
            await accounts.set_password(owner.owner_id, "two")

    async with transactions.transaction():
        assert await accounts.hold_password(owner.owner_id, "one")
        changing = asyncio.create_task(change())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(changing), 0.1)
        assert await accounts.hold_password(owner.owner_id, "one")
    await changing
    assert await accounts.hold_password(owner.owner_id, "two")


async def test_an_address_has_one_account(backend, owner):
    now = backend.clock.now()
    eve = Owner(new_id(now), "eve@example.com", 0, suspended=False, created_at=now)
    await backend.stores.accounts.add(Account(eve, "hash"))
    assert (await backend.stores.accounts.by_email(eve.email)).password_hash == "hash"
    twin = Owner(new_id(now), owner.email, 0, suspended=False, created_at=now)
    with pytest.raises(Conflict):
        await backend.stores.accounts.add(Account(twin, None))


async def test_an_account_without_password_can_be_kept(backend):
    now = backend.clock.now()
    eve = Owner(new_id(now), "eve@example.com", 0, suspended=False, created_at=now, operator=True)
    await backend.stores.accounts.add(Account(eve, None))
    assert await backend.stores.accounts.by_id(eve.owner_id) == Account(eve, None)


async def test_the_first_account_is_claimed_once(backend, owner):
    accounts = backend.stores.accounts
    other = await backend.owners.create("bob@example.com")
    with pytest.raises(Conflict):
        await accounts.claim(owner.owner_id, other.email, "hash")
    await accounts.claim(owner.owner_id, "eve@example.com", "hash")
    claimed = (await accounts.by_id(owner.owner_id)).owner
    assert (claimed.email, claimed.operator, claimed.email_verified) == (
        "eve@example.com",
        True,
        True,
    )
    with pytest.raises(Conflict):
        await accounts.claim(other.owner_id, "bob@example.com", "hash")


def session_of(backend, owner):
    now = backend.clock.now()
    return Session(new_id(now), owner, now, now, now, "192.0.2.1", "Browser")


async def test_a_session_is_found_by_its_token_until_it_has_another_or_ends(backend, owner):
    sessions, session = backend.stores.sessions, session_of(backend, owner)
    await sessions.add(session, b"one")
    assert await sessions.by_token(b"one") == session
    backend.clock.advance(100)
    later = backend.clock.now()
    await sessions.seen(session.session_id, later)
    await sessions.seen(NOBODY, later)
    tried = [sessions.renew(session, b"two", proven_at=later) for _ in range(4)]
    # Whoever had the old token is out, and does not come back by a request that was under way.
    assert sorted(await asyncio.gather(*tried)) == [False, False, False, True]
    assert await sessions.by_token(b"one") is None
    found = await sessions.by_token(b"two")
    assert (found.last_seen_at, found.proven_at) == (later, later)
    assert not await sessions.end(NOBODY, session.session_id)
    assert await sessions.end(owner.owner_id, session.session_id)
    assert not await sessions.end(owner.owner_id, session.session_id)
    assert not await sessions.renew(found, b"three", proven_at=later)
    assert await sessions.by_token(b"two") is None


async def test_sessions_are_listed_and_ended_together(backend, owner):
    sessions, made = backend.stores.sessions, []
    for number in range(3):
        made.append(session_of(backend, owner))
        await sessions.add(made[-1], bytes([number]))
        backend.clock.advance(1)
    assert await sessions.of_owner(owner.owner_id) == made[::-1]
    assert await sessions.end_all(owner.owner_id, keep=made[1].session_id) == 2
    assert await sessions.of_owner(owner.owner_id) == [made[1]]
    assert await sessions.end_all(owner.owner_id) == 1
    assert await sessions.of_owner(NOBODY) == []


async def test_old_sessions_are_swept(backend, owner):
    sessions, session = backend.stores.sessions, session_of(backend, owner)
    await sessions.add(session, b"one")
    now = backend.clock.now()
    assert await sessions.sweep(created_before=now - MINUTE, seen_before=now - MINUTE) == 0
    assert await sessions.sweep(created_before=now - MINUTE, seen_before=now) == 1
    await sessions.add(session, b"two")
    assert await sessions.sweep(created_before=now, seen_before=now - MINUTE) == 1


def ticket_of(backend, key=b"key", **more):
    return Ticket(key=key, kind="test", expires_at=backend.clock.now() + MINUTE, **more)


async def test_a_ticket_has_as_many_tries_as_it_has_even_at_once(backend, owner):
    tickets = backend.stores.tickets
    full = ticket_of(
        backend,
        tries_left=3,
        owner_id=owner.owner_id,
        email="a@example.com",
        code_hash=b"c",
        password_hash="p",
    )
    await tickets.put(full)
    now = backend.clock.now()
    tried = await asyncio.gather(*(tickets.attempt(b"key", "test", now) for _ in range(6)))
    assert sorted(one.tries_left for one in tried if one) == [0, 1, 2]
    assert await tickets.attempt(b"key", "other", now) is None
    assert await tickets.attempt(b"none", "test", now) is None


async def test_a_ticket_is_taken_once_even_at_once(backend):
    tickets, now = backend.stores.tickets, backend.clock.now()
    await tickets.put(ticket_of(backend))
    taken = await asyncio.gather(*(tickets.take(b"key", "test", now) for _ in range(6)))
    assert [one for one in taken if one] == [ticket_of(backend)]


async def test_the_newest_ticket_wins_and_a_spent_one_is_remembered(backend):
    tickets, now = backend.stores.tickets, backend.clock.now()
    assert await tickets.put_new(ticket_of(backend, tries_left=1))
    assert not await tickets.put_new(ticket_of(backend, tries_left=1))
    await tickets.put(ticket_of(backend, tries_left=7))
    assert (await tickets.attempt(b"key", "test", now)).tries_left == 6
    backend.clock.advance(60)
    assert await tickets.take(b"key", "test", backend.clock.now()) is None
    assert await tickets.sweep(backend.clock.now()) == 1
    assert await tickets.sweep(backend.clock.now()) == 0


async def test_an_authenticator_counts_once_confirmed_and_no_code_works_twice(backend, owner):
    factors, who = backend.stores.factors, owner.owner_id
    assert await factors.totp(who) is None
    assert await factors.put_totp(who, "FIRST")
    first = await factors.totp(who)
    assert await factors.put_totp(who, "SECOND")
    # Its code proves nothing about the secret that has taken its place.
    assert not await factors.use_step(who, first, 5, confirm=True)
    totp = await factors.totp(who)
    assert not totp.confirmed
    assert not await factors.use_step(who, totp, 5)
    assert await factors.use_step(who, totp, 5, confirm=True)
    assert not await factors.use_step(who, totp, 6, confirm=True)
    totp = await factors.totp(who)
    assert (totp.secret, totp.confirmed, totp.last_step) == ("SECOND", True, 5)
    assert not await factors.put_totp(who, "THIRD")
    assert not await factors.use_step(who, totp, 5)
    assert not await factors.use_step(who, first, 6)
    used = await asyncio.gather(*(factors.use_step(who, totp, 6) for _ in range(4)))
    assert sorted(used) == [False, False, False, True]
    assert await factors.remove_totp(who)
    assert not await factors.remove_totp(who)
    assert not await factors.use_step(who, totp, 7)


async def test_a_recovery_code_works_once(backend, owner):
    factors, who = backend.stores.factors, owner.owner_id
    assert await factors.codes_left(who) == 0
    await factors.replace_codes(who, [b"a", b"b"])
    assert not await factors.use_code(who, b"c")
    assert await factors.use_code(who, b"a")
    assert not await factors.use_code(who, b"a")
    assert await factors.codes_left(who) == 1
    await factors.replace_codes(who, [])
    assert await factors.codes_left(who) == 0


async def test_a_passkey_is_kept_used_and_removed(backend, owner):
    factors, now = backend.stores.factors, backend.clock.now()
    key = Passkey(new_id(now), owner.owner_id, b"id", b"public", 1, "Phone", now, None)
    await factors.add_passkey(key)
    with pytest.raises(Conflict):
        await factors.add_passkey(key)
    assert await factors.passkeys(owner.owner_id) == [key]
    assert await factors.passkey(b"id") == key
    assert await factors.passkey(b"other") is None
    assert await factors.use_passkey(key, 2, now)
    assert not await factors.use_passkey(key, 2, now)
    assert (await factors.passkey(b"id")).last_used_at == now
    assert not await factors.remove_passkey(NOBODY, key.passkey_id)
    assert await factors.remove_passkey(owner.owner_id, key.passkey_id)
    assert not await factors.remove_passkey(owner.owner_id, key.passkey_id)


async def test_a_mail_is_one_senders_until_it_is_due_again(backend):
    outbox, now = backend.stores.outbox, backend.clock.now()
    first, second = new_id(now), new_id(now + MINUTE)
    mail = Mail("a@example.com", "Hello", "Text ✨")
    await outbox.add(first, mail, due_at=now, until=now + 3 * MINUTE)
    await outbox.add(second, Mail(None, "-", "-"), due_at=now + MINUTE, until=now + 3 * MINUTE)
    [queued] = await outbox.due(now, again_at=now + MINUTE, limit=5)
    assert (queued.mail_id, queued.mail, queued.attempts) == (first, mail, 0)
    assert await outbox.due(now, again_at=now + MINUTE, limit=5) == []
    both = await outbox.due(now + MINUTE, again_at=now + 2 * MINUTE, limit=5)
    assert [(one.mail_id, one.attempts) for one in both] == [(first, 1), (second, 0)]
    await outbox.postpone(first, now + 2.5 * MINUTE)
    await outbox.done(second)
    assert await outbox.due(now + 2 * MINUTE, again_at=now, limit=5) == []
    assert await outbox.due(now + 3 * MINUTE, again_at=now, limit=5) == []
    assert await outbox.sweep(now + 3 * MINUTE) == 1


@pytest.mark.parametrize("damage", ["sealed = '\\x00'", "mail_id = gen_random_uuid()"])
async def test_a_mail_that_cannot_be_read_holds_up_no_other(migrated_postgres_url, caplog, damage):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with open_database(migrated_postgres_url, size=2, patience=10) as database:
        outbox = PostgresOutbox(database, Secrets.derived_from(bytes(32)).accounts)
        bad, good = new_id(now), new_id(now + MINUTE)
        mail = Mail("a@example.com", "123456 is your code", "Text")
        await outbox.add(bad, mail, due_at=now, until=now + 3 * MINUTE)
        await database.execute(f"UPDATE foundation.mail_outbox SET {damage}")
        await outbox.add(good, mail, due_at=now, until=now + 3 * MINUTE)
        [queued] = await outbox.due(now, again_at=now + MINUTE, limit=5)
        assert (queued.mail_id, queued.mail) == (good, mail)
        [told] = caplog.messages
        assert "given up" in told
        assert "123456" not in caplog.text
        # It is not tried again, and is swept with what was never sent.
        await outbox.done(good)
        assert await outbox.due(now + MINUTE, again_at=now + 2 * MINUTE, limit=5) == []
        assert len(caplog.messages) == 1
        assert await outbox.sweep(now + 3 * MINUTE) == 1
