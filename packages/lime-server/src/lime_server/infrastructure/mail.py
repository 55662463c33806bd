"""Sending mails: over SMTP, or, while developing, to the terminal and a page."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

import aiosmtplib

from lime_server.foundation.mail import Mail, MailFailed

TIMEOUT = 10.0
"""Seconds for each step of the conversation with a mail server."""
WHOLE_TIMEOUT = 30.0
"""Seconds for all of it: well within `foundation.mail.LEASE`, so that nobody else sends it, too."""
COMMANDS = 4
"""Turns that a letter takes on a connection: MAIL, RCPT, DATA and the letter itself (RFC 5321)."""
KEPT = 50
"""Mails that the mailbox page remembers."""


class SmtpSender:
    """Hands mails to one SMTP server.

    `smtps://` speaks TLS from the start, `smtp://` insists on STARTTLS unless the server is on this
    machine: codes must not cross a network in clear.
    """

    def __init__(self, url: str, sender: str, *, tls: ssl.SSLContext | None = None) -> None:
        """`url` is `smtp[s]://[user:password@]host[:port]`, checked by `settings`."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._implicit = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._implicit else 587)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._near = self._host in {"localhost", "127.0.0.1", "::1"}
        self._sender = sender
        self._tls = tls

    async def send(self, mail: Mail) -> None:
        """Send one mail. Raises MailFailed.

        One to nobody is written, too, and takes the same connection and as many turns on it, but is
        not handed over: a server that is busy sending answers others later, which would say whose
        address is known.
        """
        smtp = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._implicit,
            start_tls=None if self._implicit or self._near else True,
            tls_context=self._tls,
            timeout=TIMEOUT,
        )
        try:
            async with asyncio.timeout(WHOLE_TIMEOUT), smtp:
                letter = self._letter(mail)
                if mail.to is not None:
                    await smtp.send_message(letter)
                else:
                    letter.as_bytes()
                    for _ in range(COMMANDS):
                        await smtp.noop()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # Only the kind: a server's words may hold the address.
            raise MailFailed(type(error).__name__) from error

    def _letter(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to or self._sender
        message["Subject"] = mail.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2].rstrip(">"))
        # Answers of machines (RFC 3834) would only come back to us.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message


class NoSender:
    """Sends nothing, because nobody said how."""

    async def send(self, mail: Mail) -> None:  # noqa: ARG002 - the port's
        """Raises MailFailed."""
        raise MailFailed("LIME_SMTP_URL is not set")


class Mailbox:
    """Keeps mails to be looked at, and says them aloud. For development only."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` prints."""
        self._say = say
        self.mails: deque[Mail] = deque(maxlen=KEPT)

    async def send(self, mail: Mail) -> None:
        """Keep and print it, unless it goes to nobody."""
        if mail.to is None:
            return
        self.mails.appendleft(mail)
        self._say(f"mail to {mail.to}: {mail.subject}")
