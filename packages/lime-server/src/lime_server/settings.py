"""What an operator can choose, each with its unit, range and reason.

Read from environment variables that start with `LIME_`. An unknown one is refused: a misspelt
setting that is silently ignored is worse than a server that does not start.
`docs/reference/settings.md` is generated from this file (`settings_reference`).
"""

import os
import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lime_server.core.ports import Limit
from lime_server.core.urls import PublicUrl

PREFIX = "LIME_"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^:@/?#\[\],]*)(?::[0-9]{1,5})?"
# As PostgreSQL writes it, several hosts included; what would end a part early stands as %XX.
_POSTGRES_URL = re.compile(
    rf"postgres(?:ql)?://(?:[^@/?#]*@)?{_HOST}(?:,{_HOST})*(?:/[^@?#]*)?(?:\?[^#]*)?"
)
TOLERATED = frozenset(
    {"LIME_AGENT_TOKEN", "LIME_SITE_TOKEN", "LIME_API_BASE", "LIME_JWKS_CACHE_TTL_SECONDS"}
)
"""Variables of the SDKs, which may share an environment with the server and mean nothing to it."""
TOLERATED_PREFIX = "LIME_TEST_"
"""Variables of the test suite."""

Network = IPv4Network | IPv6Network


class NameServer(NamedTuple):
    """Where a name server listens."""

    address: str
    port: int = 53


PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    map(
        ip_network,
        (
            "127.0.0.0/8",
            "::1/128",
            # RFC 1918
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            # RFC 6598, which clusters of containers use
            "100.64.0.0/10",
            # RFC 3927 and RFC 4291: the same link
            "169.254.0.0/16",
            "fe80::/10",
            # RFC 4193
            "fc00::/7",
        ),
    )
)
"""Addresses that nobody on the Internet has."""


class SettingsError(ValueError):
    """The configuration cannot be used; the message says what to change, and holds no value."""


def _limit(value: object) -> object:
    """Read `rate:burst`, for example `20:60`, or `off`."""
    if not isinstance(value, str):
        return value
    if value == "off":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+)", value)
    if match is None or float(match[1]) <= 0 or int(match[2]) < 1:
        raise ValueError("write RATE:BURST, for example 20:60 (per second, at once), or off")
    return Limit(rate=float(match[1]), burst=int(match[2]))


def _networks(value: object) -> object:
    """Read networks or addresses separated by commas."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError:
        raise ValueError("write networks such as 10.0.0.0/8, separated by commas") from None


def _name_servers(value: object) -> object:
    """Read `address`, `address:port` or `[address]:port`, separated by commas."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(_name_server(part.strip()) for part in value.split(",") if part.strip())
    except ValueError:
        raise ValueError("write addresses such as 10.0.0.2 or [fd00::2]:5353") from None


def _name_server(text: str) -> NameServer:
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?", text)
    plain = re.fullmatch(r"([0-9.]+):([0-9]{1,5})", text)
    match = bracketed or plain
    host, port = (match[1], int(match[2] or 53)) if match else (text, 53)
    if not 1 <= port <= 65535:
        raise ValueError("not a port")
    return NameServer(str(ip_address(host)), port)


def _scopes(value: object) -> object:
    """Read scopes separated by spaces (RFC 6749, section 3.3)."""
    if not isinstance(value, str):
        return value
    names = tuple(dict.fromkeys(value.split()))
    if not names or not all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", name) for name in names):
        raise ValueError("write scopes such as mcp, separated by spaces")
    return names


def _show_limit(value: Limit | None) -> str:
    return "off" if value is None else f"{value.rate:g}:{value.burst}"


RateSetting = Annotated[
    Limit | None, NoDecode, BeforeValidator(_limit), PlainSerializer(_show_limit, return_type=str)
]
NetworksSetting = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
ScopesSetting = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_scopes),
    PlainSerializer(" ".join, return_type=str),
]
NameServersSetting = Annotated[tuple[NameServer, ...], NoDecode, BeforeValidator(_name_servers)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The configuration of one server process. Frozen; secrets do not show in its repr."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )

    # Where we are
    public_url: Annotated[
        PublicUrl,
        NoDecode,
        BeforeValidator(lambda value: PublicUrl.parse(value) if isinstance(value, str) else value),
        PlainSerializer(str, return_type=str),
    ] = Field(
        description="The address under which agents and sites reach this server: scheme, host "
        "and port, without a trailing slash. Passports carry it as `iss`: changing it voids them."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    trusted_proxies: NetworksSetting = Field(
        (),
        description="Networks, separated by commas, whose `X-Forwarded-For` is believed when a "
        "client's address is counted. Everyone else's is ignored.",
    )
    dns_servers: NameServersSetting = Field(
        (),
        description="Name servers, `10.0.0.2` or `[fd00::2]:5353`, separated by commas, that are "
        "asked when a domain is to be proved; by default those that the machine is configured "
        "with. One that validates DNSSEC is best.",
    )

    # Engines
    database_url: SecretStr = Field(
        description="PostgreSQL (15 or newer), for example `postgresql://lime@/lime?host=/run/postgresql`."
    )
    database_pool_size: int = Field(
        10, ge=2, le=200, description="Most connections to PostgreSQL that this process opens."
    )
    database_pooler: Literal["none", "transaction"] = Field(
        "none",
        description="What stands before PostgreSQL. `transaction`: a pooler that lends a "
        "connection for one transaction, such as PgBouncer with `pool_mode = transaction`; nothing "
        "is then kept between transactions, so that every statement is planned anew.",
    )
    database_timeout: Seconds = Field(
        5,
        le=60,
        description="Seconds after which a statement, or waiting for a connection, is given up.",
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis (7 or newer) or Valkey: one server, `redis://`, `rediss://` or "
        "`unix://`; a primary that Sentinels know, `redis+sentinel://HOST:26379,…/NAME/0`; "
        "or a cluster, `redis+cluster://HOST:6379,HOST:6379`; `rediss+…` for TLS. Carries "
        "wake-ups and rate limits only. Without it a single process works fully; several are "
        "slower to hear of each other and count their limits apart.",
    )
    redis_timeout: Seconds = Field(
        0.25, le=5, description="Seconds after which an answer of Redis is no longer waited for."
    )

    # Secrets
    master_key: SecretStr | None = Field(
        None,
        description="32 random bytes as 64 hexadecimal digits or as base64. The keys that hash "
        "tokens and encrypt signing keys are derived from it: losing it means new tokens and new "
        "keys for everyone.",
    )
    master_key_file: Path | None = Field(
        None,
        description="File that holds the master key instead, mode 0600. The first start makes it "
        "when it does not exist.",
    )

    # The login
    difficulty: int = Field(
        15,
        ge=1,
        le=26,
        description="Leading zero bits of the proof of work; each doubles the agent's work. 26 is "
        "the most that solvers accept.",
    )
    login_lifetime: Seconds = Field(
        300, le=3600, description="Seconds a login request can be approved."
    )
    passport_lifetime: int = Field(
        60,
        ge=5,
        le=120,
        description="Seconds a site-login passport is valid. Verifiers refuse more than 120.",
    )
    delivery_window: Seconds = Field(
        300,
        le=86400,
        description="Seconds after approval in which the event is sent until acknowledged.",
    )
    delivery_lease: Seconds = Field(
        10,
        le=300,
        description="Seconds one consumer has to acknowledge an event before another gets it.",
    )
    retention: Seconds = Field(
        7 * 86400,
        description="Seconds a finished login request is kept before the sweep deletes it.",
    )

    # Agent binding
    binding_lifetime: Seconds = Field(
        600, le=3600, description="Seconds a human has to answer a site's binding request."
    )
    binding_code_lifetime: Seconds = Field(
        60, le=600, description="Seconds a site has to exchange the code of an approved binding."
    )

    # MCP authorization
    mcp_scopes: ScopesSetting = Field(
        ("mcp",),
        description="Scopes of access tokens for MCP servers, separated by spaces. What a client "
        "asks for is narrowed to them.",
    )
    mcp_private_names: bool = Field(
        default=False,
        description="Whether access tokens are issued for MCP servers under names that only a "
        "private network knows, such as `.internal` or `localhost`, and for http on loopback. "
        "Always so where the public URL itself is on loopback.",
    )
    mcp_refresh_idle: Seconds = Field(
        30 * 86400,
        le=365 * 86400,
        description="Seconds after which an OAuth refresh token that was not used stops to work.",
    )
    mcp_refresh_lifetime: Seconds = Field(
        90 * 86400,
        le=365 * 86400,
        description="Seconds after which an owner has to consent again, however often the client "
        "refreshed.",
    )
    mcp_refresh_grace: Seconds = Field(
        10,
        le=60,
        description="Seconds in which a refresh token that was replaced still works, for clients "
        "that refresh twice at once. Later it counts as stolen.",
    )
    mcp_registration_rate: RateSetting = Field(
        Limit(rate=0.003, burst=10),
        description="Registrations of OAuth clients per client address (IPv6: per /64), "
        "`RATE:BURST` or `off`.",
    )
    mcp_private_schemes: bool = Field(
        default=False,
        description="Whether OAuth clients may register redirects to schemes of their own, such as "
        "`com.example.app:/callback`. MCP's specification knows only https and this machine.",
    )
    mcp_loopback_documents: bool = Field(
        default=False,
        description="For development: whether the metadata document of an OAuth client may be "
        "http on this machine. Only where the public URL itself is on loopback.",
    )

    # Owners
    captcha: Literal["none", "pow", "turnstile"] = Field(
        "pow",
        description="What a registration costs, which limits its rate and is not a bot test: "
        "nothing, a proof of work that the page does by itself, or Cloudflare's Turnstile, which "
        "is a third party.",
    )
    captcha_difficulty: int = Field(
        18,
        ge=1,
        le=26,
        description="Leading zero bits of a registration's proof of work, which is no bot test: "
        "18 take a browser about half a second.",
    )
    turnstile_site_key: str | None = Field(None, description="Turnstile's key for the page.")
    turnstile_secret: SecretStr | None = Field(None, description="Turnstile's key for the server.")
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server, `smtps://` or `smtp://[user:password@]host[:port]`. The latter "
        "insists on STARTTLS unless the host is this machine. Without it no mail is sent, so "
        "nobody can register.",
    )
    mail_from: str = Field(
        "LIME <lime@localhost>",
        min_length=3,
        max_length=254,
        pattern=r"^[^\r\n]*@[^\r\n]*$",
        description="Who mails come from.",
    )
    session_idle: Seconds = Field(
        12 * 3600, le=90 * 86400, description="Seconds without use after which a session ends."
    )
    session_lifetime: Seconds = Field(
        7 * 86400, le=90 * 86400, description="Seconds after which a session ends in any case."
    )

    # Streams and background work
    keepalive_interval: Seconds = Field(
        15,
        le=30,
        description="Seconds between keepalives on an event stream. Clients give up after 40 s of "
        "silence.",
    )
    stream_lifetime: Seconds = Field(
        300,
        le=86400,
        description="Seconds after which an event stream is ended; clients reconnect.",
    )
    stream_patience: Seconds = Field(
        30,
        le=300,
        description="Seconds for which the reader of an event stream may take nothing, once what "
        "is buffered for it is full (some hundred KiB); then its connection is dropped. Events it "
        "has not acknowledged go to the next stream.",
    )
    poll_interval: Seconds = Field(
        2,
        le=60,
        description="Seconds between looks into PostgreSQL for events whose wake-up was lost.",
    )
    streams_per_site: int = Field(
        64,
        ge=1,
        le=100_000,
        description="Most event streams that one site has open at this server; more are answered "
        "429. A site needs one per worker process.",
    )
    sweep_interval: Seconds = Field(
        5, le=3600, description="Seconds between sweeps that expire requests and delete old rows."
    )
    shutdown_delay: float = Field(
        0,
        ge=0,
        le=300,
        allow_inf_nan=False,
        description="Seconds between SIGTERM and the end of everything else, in which readiness is "
        "503 and requests are answered as before: as long as a balancer takes to notice.",
    )
    shutdown_timeout: Seconds = Field(
        5,
        le=300,
        description="Seconds that running requests get to finish at shutdown; streams end at once.",
    )

    # Who owners are
    kyc_provider: Literal["manual", "scripted"] = Field(
        "manual",
        description="Who finds out who an owner is: `manual`, operators review documents; "
        "`scripted`, signed webhooks decide, for tests and rehearsals.",
    )
    kyc_webhook_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="What the webhooks of `scripted` are signed with, shared with whoever sends "
        "them. At least 32 characters.",
    )

    # Signing keys (protocol section 10)
    key_bits: Literal[2048, 3072, 4096] = Field(2048, description="Size of new RSA keys, in bits.")
    key_publish_before: Seconds = Field(
        600,
        ge=1,
        le=86400,
        description="Seconds a new key is published before it signs: two cache lifetimes.",
    )
    key_publish_after: Seconds = Field(
        600,
        ge=1,
        le=86400,
        description="Seconds an old key stays published after its last signature.",
    )
    key_refresh_interval: Seconds = Field(
        10, le=60, description="Seconds between looks into PostgreSQL for changed signing keys."
    )

    # Limits
    rate_per_token: RateSetting = Field(
        Limit(rate=500, burst=1500),
        description="Requests per agent or site token, `RATE:BURST` or `off`.",
    )
    rate_per_address: RateSetting = Field(
        Limit(rate=500, burst=1500),
        description="Requests per client address (IPv6: per /64), `RATE:BURST` or `off`.",
    )
    rate_per_request: RateSetting = Field(
        Limit(rate=20, burst=200),
        description="Requests that name one login request id, `RATE:BURST` or `off`.",
    )
    rate_per_session: RateSetting = Field(
        Limit(rate=0.2, burst=300),
        description="Requests of one owner's session that change something, `RATE:BURST` or `off`; "
        "all sessions of an owner together have three times as much.",
    )
    max_body_bytes: int = Field(
        65536, ge=1024, le=16 << 20, description="Largest request body, in bytes."
    )
    body_timeout: Seconds = Field(
        10,
        le=300,
        description="Seconds a client has to send its request body; "
        "an owner's documents get one more for each 64 KiB.",
    )
    max_header_bytes: int = Field(
        16384,
        ge=1024,
        le=1 << 20,
        description="Largest request line and headers together, in bytes.",
    )
    header_timeout: Seconds = Field(
        10, le=300, description="Seconds a client has to send the headers of a request."
    )
    max_connections: int = Field(
        20000,
        ge=10,
        le=1_000_000,
        description="Most client connections at once, for each worker. More are answered 503, "
        "except at `/health` and `/metrics`.",
    )
    idempotency_window: Seconds = Field(
        86400, le=7 * 86400, description="Seconds the answer to an `Idempotency-Key` is remembered."
    )

    # What operators see
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level logged."
    )
    log_format: Literal["json", "console"] = Field("json", description="How log lines look.")
    access_log: bool = Field(
        default=True, description="Whether every request is logged, with status and duration."
    )
    traces: float = Field(
        0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of all traces of which OpenTelemetry records our spans, up to 1 for "
        "each; 0 for none, at no cost. Needs `lime-server[otel]`; where they go is told by "
        "`OTEL_EXPORTER_OTLP_ENDPOINT`.",
    )
    operations_networks: NetworksSetting = Field(
        PRIVATE_NETWORKS,
        description="Networks, separated by commas, from which `/metrics` and `/health/ready` can "
        "be read. To everybody else, and through a proxy that is not in `LIME_TRUSTED_PROXIES`, "
        "there are no such paths. `/health/live` says nothing and is open.",
    )
    docs: bool = Field(default=True, description="Whether `/docs` and `/openapi.json` are served.")

    @model_validator(mode="after")
    def _one_master_key(self) -> "Settings":
        if (self.master_key is None) == (self.master_key_file is None):
            raise ValueError("set one of LIME_MASTER_KEY and LIME_MASTER_KEY_FILE")
        return self

    @model_validator(mode="after")
    def _loopback_stays_on_loopback(self) -> "Settings":
        if self.mcp_loopback_documents and not self.public_url.is_loopback:
            raise ValueError(
                "LIME_MCP_LOOPBACK_DOCUMENTS is for a LIME_PUBLIC_URL on loopback only"
            )
        return self

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> "Settings":
        if (self.kyc_provider == "scripted") != (self.kyc_webhook_secret is not None):
            raise ValueError(
                "LIME_KYC_WEBHOOK_SECRET goes with LIME_KYC_PROVIDER=scripted, and only with it"
            )
        return self

    @model_validator(mode="after")
    def _turnstile_has_keys(self) -> "Settings":
        keys = (self.turnstile_site_key, self.turnstile_secret)
        if self.captcha == "turnstile" and not all(keys):
            raise ValueError("set LIME_TURNSTILE_SITE_KEY and LIME_TURNSTILE_SECRET")
        return self

    @model_validator(mode="after")
    def _database_url_is_one(self) -> "Settings":
        if not _POSTGRES_URL.fullmatch(self.database_url.get_secret_value()):
            # Whoever connects would take a part of a password for a port, and say so aloud.
            raise ValueError(
                "LIME_DATABASE_URL must be postgresql://user:password@host:5432/name, with special "
                "characters of the password as %XX"
            )
        return self

    @model_validator(mode="after")
    def _pooler_finds_the_primary(self) -> "Settings":
        _, _, query = self.database_url.get_secret_value().partition("?")
        wanted = dict(parse_qsl(query)).get("target_session_attrs", "any")
        if self.database_pooler == "transaction" and wanted != "any":
            # PgBouncer goes on saying what its server was when it first connected: after a failover
            # the new primary would be taken for a standby for ever, the old one for the primary.
            raise ValueError(
                "LIME_DATABASE_URL cannot have target_session_attrs with "
                "LIME_DATABASE_POOLER=transaction: let the pooler find the primary"
            )
        return self

    @model_validator(mode="after")
    def _smtp_url_is_one(self) -> "Settings":
        if self.smtp_url is not None:
            parts = urlsplit(self.smtp_url.get_secret_value())
            if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path:
                raise ValueError("LIME_SMTP_URL must be smtps://host or smtp://host")
        return self


def load(environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """The settings of this process; `overrides` (from the command line) win over the environment.

    `environ` is what is searched for unknown variables. Raises SettingsError with one line for each
    thing that is wrong, naming the variable and never its value.
    """
    unknown = unknown_variables(environ)
    if unknown:
        raise SettingsError(
            "\n".join(f"{name} is not a setting of lime-server" for name in unknown)
        )
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(error))) from None


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """Names in `environ` that look like settings and are none, sorted."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | TOLERATED
    return sorted(
        name
        for name in environ
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and not name.upper().startswith(TOLERATED_PREFIX)
    )


def _sentences(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = PREFIX + str(problem["loc"][0]).upper() + ": " if problem["loc"] else ""
        what = "must be set" if problem["type"] == "missing" else problem["msg"]
        yield where + what.removeprefix("Value error, ")


def settings_reference() -> str:
    """`docs/reference/settings.md`: every setting, its default and what it means."""
    lines = [
        "# Settings of `lime-server`",
        "",
        "Generated from `lime_server/settings.py`. Each is an environment variable; an unknown",
        "variable that starts with `LIME_` is refused.",
        "",
        "| variable | default | range | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        cells = (
            f"`{PREFIX}{name.upper()}`",
            _default(field),
            _range(field),
            str(field.description),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return f"`{' '.join(value)}`"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    if isinstance(value, Limit):
        return f"`{_show_limit(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _range(field: FieldInfo) -> str:
    choices = getattr(field.annotation, "__args__", ()) if _is_literal(field) else ()
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    bounds: dict[str, float] = {}
    for rule in field.metadata:
        for sign in _SIGNS:
            if (bound := getattr(rule, sign, None)) is not None:
                bounds[sign] = bound
    if "ge" in bounds:
        bounds.pop("gt", None)
    return ", ".join(f"{_SIGNS[sign]} {bounds[sign]}" for sign in _SIGNS if sign in bounds)


_SIGNS = {"gt": ">", "ge": "≥", "le": "≤"}


def _is_literal(field: FieldInfo) -> bool:
    return getattr(field.annotation, "__origin__", None) is Literal
