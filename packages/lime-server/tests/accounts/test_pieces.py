"""The pieces that accounts are made of: passwords, codes, what a registration costs, mails."""

import asyncio
import json
import ssl
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from fastapi import FastAPI
from pydantic import SecretStr

import lime_pow
from lime_server.composition.accounts import mail_sender, open_captcha
from lime_server.core.errors import CaptchaFailed, NotFound, Unavailable, WeakPassword
from lime_server.foundation.captcha import NoCaptcha, PowCaptcha, Proof
from lime_server.foundation.mail import Mail, MailFailed, Post
from lime_server.foundation.passwords import new_password
from lime_server.infrastructure.crypto import Puzzles, Secrets
from lime_server.infrastructure.mail import Mailbox, NoSender, SmtpSender
from lime_server.infrastructure.memory.accounts import MemoryOutbox, MemoryTickets
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.totp import Authenticators
from lime_server.infrastructure.turnstile import Turnstile
from lime_server.infrastructure.web.mailbox import mailbox_route
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.settings import Settings, SettingsError, load

TOKENS = Secrets.derived_from(bytes(32)).tokens
MAIL = Mail("ada@example.com", "Hällo", "Text ✨\n")


# Passwords


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "Tr0ub4dor & 3 more",
        "zwölf Boxkämpfer jagen",
        "x9$kQ2!mZp7&",
        "lime tastes better with salt",
        "o n e two three four five",
    ],
)
def test_good_passwords(password):
    assert new_password(password, email="ada@example.com")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenbytes",
        "x9$kQ" * 300,
        "aaaabbbbccccdddd",
        "password1234",
        "P@ssw0rd2026!",
        "my secret password",
        "ada@example.com",
        "ada-example-2026",
        "abcdefghijklmnop",
        "qwertyuiopasdf",
        "9876543210987654",
        "839201748261",
        "abcdeabcdeab"[:4] * 5,
        "lovelovelove",
        "password" * 9,
        "\ud800" * 12,
    ],
)
def test_passwords_that_are_tried_first_are_refused(password):
    with pytest.raises(WeakPassword):
        new_password(password, email="ada@example.com")


def test_what_looks_alike_is_one_password():
    composed, decomposed = "z\u00fcrich is a town", "zu\u0308rich is a town"
    assert new_password(composed, email="a@b.c") == new_password(decomposed, email="a@b.c")


# Authenticators


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238_appendix_b(seconds, code):
    secret = b32encode(b"12345678901234567890").decode()
    now = datetime.fromtimestamp(seconds, UTC)
    codes = Authenticators()
    assert codes.step_of(secret, f"{code[:3]} {code[3:]}", now) == seconds // 30
    assert codes.step_of(secret, code, now + timedelta(seconds=30)) == seconds // 30
    assert codes.step_of(secret, code, now + timedelta(seconds=90)) is None
    for odd in ("", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666"):
        assert codes.step_of(secret, odd, now) is None


# What a registration costs


@pytest.fixture
def pow_captcha():
    clock = ManualClock()
    captcha = PowCaptcha(
        Puzzles(), tokens=TOKENS, tickets=MemoryTickets(), clock=clock, difficulty=1
    )
    return captcha, clock


def solution(challenge):
    return next(str(n) for n in range(1000) if _solves(challenge, str(n)))


def solved(puzzle):
    return Proof(None, puzzle.challenge, solution(puzzle.challenge))


async def test_a_puzzle_is_ours_solved_in_time_and_spent_once(pow_captcha):
    captcha, clock = pow_captcha
    proof = solved(captcha.puzzle())
    await captcha.check(proof)
    with pytest.raises(CaptchaFailed):
        await captcha.check(proof)
    late = solved(captcha.puzzle())
    clock.advance(600)
    with pytest.raises(CaptchaFailed):
        await captcha.check(late)


async def test_a_puzzle_that_is_not_ours_or_not_solved_is_refused(pow_captcha):
    captcha, _ = pow_captcha
    puzzle = captcha.puzzle()
    raw = bytearray(urlsafe_b64decode(puzzle.challenge + "="))
    raw[0] ^= 1
    forged = urlsafe_b64encode(raw).decode().rstrip("=")
    twin = puzzle.challenge[:-1] + chr(ord(puzzle.challenge[-1]) + 1)
    for challenge in (
        None,
        "",
        "ü" * 43,
        "A" * 44,
        forged,
        twin,
        lime_pow.new_challenge(bytes(32)),
    ):
        proof = Proof(None, challenge, "0")
        with pytest.raises(CaptchaFailed):
            await captcha.check(proof)
    wrong = next(str(n) for n in range(100) if not _solves(puzzle.challenge, str(n)))
    for nonce in (None, wrong):
        with pytest.raises(CaptchaFailed):
            await captcha.check(Proof(None, puzzle.challenge, nonce))


def _solves(challenge, nonce):
    try:
        lime_pow.check(challenge, nonce, 1)
    except lime_pow.InvalidNonceError:
        return False
    return True


async def test_without_a_check_everybody_passes():
    await NoCaptcha().check(Proof())
    with pytest.raises(NotFound):
        NoCaptcha().puzzle()


async def test_a_page_gets_its_puzzle_and_registers_with_it(make_server, pow_captcha, say, refusal):
    browser = make_server(captcha=pow_captcha[0]).browser()
    assert say(await browser.get("portal-config"))["captcha"]["kind"] == "pow"
    body = {"email": "ada@example.com", "password": "correct horse battery"}
    assert refusal(await browser.post("users/register", body)) == (400, "CAPTCHA_FAILED")
    puzzle = say(await browser.get("users/captcha"))
    challenge = puzzle["challenge"]
    body["pow"] = {"challenge": challenge, "nonce": solution(challenge)}
    say(await browser.post("users/register", body), 201)


class Siteverify:
    """Cloudflare's documented endpoint, small: a token is good once, and only with the secret."""

    def __init__(self):
        self.good = {"good-token": "lime.example", "elsewhere": "evil.example"}
        self.answer = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.answer is not None:
            return self.answer(request)
        form = dict(httpx.QueryParams(request.content.decode()))
        hostname = self.good.pop(form["response"], None)
        if form["secret"] != "s3cret":
            verdict = {"success": False, "error-codes": ["invalid-input-secret"]}
        elif hostname is None:
            verdict = {"success": False, "error-codes": ["timeout-or-duplicate"]}
        else:
            verdict = {"success": True, "error-codes": [], "hostname": hostname}
        return httpx.Response(200, json=verdict)


@pytest.fixture
async def turnstile():
    cloudflare = Siteverify()
    async with httpx.AsyncClient(transport=httpx.MockTransport(cloudflare)) as client:
        made = Turnstile(
            client, site_key="key", secret=SecretStr("s3cret"), hostname="lime.example"
        )
        yield made, cloudflare


async def test_turnstiles_token_is_good_once_and_for_our_host(turnstile):
    captcha, _ = turnstile
    assert (captcha.kind, captcha.site_key) == ("turnstile", "key")
    with pytest.raises(NotFound):
        captcha.puzzle()
    await captcha.check(Proof("good-token"))
    for token in (None, "", "x" * 3000, "good-token", "elsewhere"):
        with pytest.raises(CaptchaFailed):
            await captcha.check(Proof(token))


def _down(request):
    raise httpx.ConnectTimeout("secret words", request=request)


@pytest.mark.parametrize(
    "answer",
    [
        _down,
        lambda _: httpx.Response(502, text="<html>"),
        lambda _: httpx.Response(200, json=["success"]),
        lambda _: httpx.Response(200, json={"success": "true", "hostname": "lime.example"}),
        lambda _: httpx.Response(200, content=b'{"success": true}' + b" " * 20000),
    ],
)
async def test_when_turnstile_says_no_clear_yes_nobody_passes(turnstile, answer, caplog):
    captcha, cloudflare = turnstile
    cloudflare.answer = answer
    with pytest.raises(CaptchaFailed):
        await captcha.check(Proof("good-token"))
    assert "secret words" not in caplog.text


# Settings


def settings(**changes):
    return Settings(
        public_url="https://lime.example",
        database_url="postgresql://unused",
        master_key="00" * 32,
        **changes,
    )


async def test_the_check_is_the_one_that_settings_ask_for():
    keys = {"turnstile_site_key": "key", "turnstile_secret": "s3cret"}
    for kind, more in (("none", {}), ("pow", {}), ("turnstile", keys)):
        opened = open_captcha(
            settings(captcha=kind, **more),
            Puzzles(),
            tokens=TOKENS,
            tickets=MemoryTickets(),
            clock=ManualClock(),
        )
        async with opened as captcha:
            assert captcha.kind == kind


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"captcha": "turnstile"}, "LIME_TURNSTILE_SITE_KEY"),
        ({"smtp_url": "http://mail.example"}, "smtps://host"),
        ({"smtp_url": "smtp://"}, "smtps://host"),
        ({"smtp_url": "smtp://u:secret@mail.example/path"}, "smtps://host"),
        ({"mail_from": "nobody"}, "LIME_MAIL_FROM"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, said, monkeypatch):
    base = {
        "public_url": "https://lime.example",
        "database_url": "postgresql:///x",
        "master_key": "00" * 32,
    }
    with pytest.raises(SettingsError, match=said) as caught:
        load({}, **base, **changes)
    assert "secret" not in str(caught.value)


def test_mails_leave_as_settings_say():
    assert isinstance(mail_sender(settings()), NoSender)
    assert isinstance(mail_sender(settings(smtp_url="smtps://mail.example")), SmtpSender)


# Mails


class Received:
    """What a mail server took."""

    def __init__(self):
        self.envelopes = []
        self.noops = 0

    async def handle_NOOP(self, server, session, envelope, argument):  # noqa: N802 - aiosmtpd's name
        self.noops += 1
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
async def mail_server():
    received = Received()

    def conversation():
        return SMTP(
            received,
            auth_require_tls=False,
            authenticator=lambda *args: AuthResult(
                success=args[4].password == b"p@ss", handled=False
            ),
            loop=asyncio.get_running_loop(),
        )

    listening = await asyncio.get_running_loop().create_server(conversation, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], received


async def test_a_mail_arrives_as_it_was_written(mail_server):
    port, received = mail_server
    url = f"smtp://user:p%40ss@127.0.0.1:{port}"
    await SmtpSender(url, "LIME <lime@lime.example>").send(MAIL)
    [envelope] = received.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("lime@lime.example", ["ada@example.com"])
    text = envelope.content.decode()
    assert "Auto-Submitted: auto-generated" in text
    assert "@lime.example>" in text


async def test_a_mail_to_nobody_takes_as_long_and_brings_nothing(mail_server):
    port, received = mail_server
    nobodys = Mail(None, MAIL.subject, MAIL.text)
    await SmtpSender(f"smtp://user:p%40ss@127.0.0.1:{port}", "lime@lime.example").send(nobodys)
    assert received.envelopes == []
    # In place of MAIL, RCPT, DATA and the text.
    assert received.noops == 4
    # Nor does a server that does not take mails tell them apart.
    with pytest.raises(MailFailed, match="SMTPAuthenticationError"):
        await SmtpSender(f"smtp://user:wrong@127.0.0.1:{port}", "a@b.c").send(nobodys)


async def test_a_server_that_refuses_or_is_away_is_a_failure_without_words(mail_server):
    port, _ = mail_server
    sender = SmtpSender(f"smtp://user:wrong@127.0.0.1:{port}", "lime@lime.example")
    with pytest.raises(MailFailed) as caught:
        await sender.send(MAIL)
    assert str(caught.value) == "SMTPAuthenticationError"
    assert "secret" not in repr(sender)
    with pytest.raises(MailFailed, match="LIME_SMTP_URL is not set"):
        await NoSender().send(MAIL)


def test_elsewhere_than_on_this_machine_tls_is_a_must():
    plain = SmtpSender("smtp://mail.example", "a@b.c")
    assert (plain._port, plain._near, plain._implicit) == (587, False, False)
    tls = SmtpSender("smtps://mail.example", "a@b.c", tls=ssl.create_default_context())
    assert (tls._port, tls._implicit) == (465, True)


class Flaky:
    """Fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.sent: list[Mail] = []
        self.arrived = asyncio.Event()

    async def send(self, mail: Mail) -> None:
        if self.failures:
            self.failures -= 1
            raise MailFailed("SMTPConnectError")
        self.sent.append(mail)
        self.arrived.set()


@pytest.fixture
def make_post():
    def make(sender, outbox=None, **more):
        made = Post(
            outbox or MemoryOutbox(), sender, bell=MemoryBell(), clock=ManualClock(), **more
        )
        return made, made._clock

    return make


async def test_a_mail_that_cannot_be_sent_is_tried_again_more_and_more_rarely(make_post, caplog):
    sender = Flaky(3)
    post, clock = make_post(sender)
    await post.write(MAIL, life=timedelta(days=1))
    for pause in (30, 60, 120):
        assert await post.send_due() == 1
        clock.advance(pause - 1)
        assert await post.send_due() == 0
        clock.advance(1)
    assert await post.send_due() == 1
    assert await post.send_due() == 0
    assert sender.sent == [MAIL]
    assert "ada@" not in caplog.text


async def test_what_becomes_of_mails_is_counted(make_post):
    metrics, sender = Metrics(), Flaky(2)
    post, clock = make_post(sender, interval=0.001, count=metrics.mail)
    await post.write(MAIL, life=timedelta(seconds=60))
    await post.write(MAIL, life=timedelta(seconds=10))
    assert await post.send_due() == 2
    clock.advance(30)
    task = asyncio.create_task(post.run())
    await sender.arrived.wait()
    while b'lime_mails_total{outcome="expired"} 1.0' not in metrics.render():
        sender.arrived.clear()
        await post.write(MAIL, life=timedelta(minutes=1))
        await sender.arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    text = metrics.render().decode()
    assert 'lime_mails_total{outcome="failed"} 2.0' in text
    assert f'lime_mails_total{{outcome="sent"}} {len(sender.sent)}.0' in text


async def test_a_mail_that_nobody_can_send_is_not_in_the_way_of_others(make_post, caplog):
    class Picky(Flaky):
        async def send(self, mail: Mail) -> None:
            if mail.to == "bad@example.com":
                raise AttributeError(mail.to)
            await super().send(mail)

    sender = Picky(0)
    post, _ = make_post(sender)
    await post.write(Mail("bad@example.com", "s", "t"), life=timedelta(days=1))
    await post.write(MAIL, life=timedelta(days=1))
    assert await post.send_due() == 2
    assert sender.sent == [MAIL]
    assert "AttributeError" in caplog.text
    assert "bad@" not in caplog.text


async def test_what_a_slow_server_leaves_over_is_sent_by_whoever_comes_next(make_post):
    class Slow(Flaky):
        async def send(self, mail: Mail) -> None:
            clock.advance(61)
            await super().send(mail)

    sender = Slow(0)
    post, clock = make_post(sender)
    for _ in range(2):
        await post.write(MAIL, life=timedelta(days=1))
    assert await post.send_due() == 2
    assert sender.sent == [MAIL]
    assert await post.send_due() == 0
    clock.advance(60)
    assert await post.send_due() == 1
    assert sender.sent == [MAIL, MAIL]


async def test_a_mail_is_sent_as_soon_as_the_bell_rings(make_post):
    sender = Flaky(0)
    post, _ = make_post(sender, interval=60.0)
    task = asyncio.create_task(post.run())
    await asyncio.sleep(0)
    await post._bell.ring("other", "")
    await post.write(MAIL, life=timedelta(minutes=1))
    await post.hurry()
    await sender.arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sender.sent == [MAIL]


async def test_many_mails_are_sent_in_batches_without_a_pause(make_post):
    sender = Flaky(0)
    post, _ = make_post(sender, interval=0.001, draw=lambda: 0.5)
    for _ in range(41):
        await post.write(MAIL, life=timedelta(minutes=1))
    task = asyncio.create_task(post.run())
    while len(sender.sent) < 41:
        sender.arrived.clear()
        await sender.arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_outbox_that_is_away_is_asked_again(make_post, caplog):
    sender, outbox = Flaky(0), MemoryOutbox()
    real, failed = outbox.due, []

    async def due(*args, **kwargs):
        if not failed:
            failed.append(True)
            raise Unavailable
        return await real(*args, **kwargs)

    outbox.due = due
    post, _ = make_post(sender, outbox, interval=0.001)
    await post.write(MAIL, life=timedelta(minutes=1))
    task = asyncio.create_task(post.run())
    await sender.arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "could not be looked for" in caplog.text


async def test_the_mailbox_page_shows_mails_and_runs_nothing():
    said = []
    mailbox, app = Mailbox(said.append), FastAPI()
    app.include_router(mailbox_route(mailbox))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert "Nothing yet" in (await client.get("/dev/mailbox")).text
        await mailbox.send(Mail("<script>@example.com", "<b>", "Code 123456"))
        page = await client.get("/dev/mailbox")
    assert "<script>" not in page.text
    assert "&lt;script&gt;@example.com" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert said == ["mail to <script>@example.com: <b>"]
    assert json.dumps(app.openapi()["paths"]) == "{}"
