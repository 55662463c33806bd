"""What Prometheus reads. Labels hold patterns and codes, never what a caller chose."""

import os
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from lime_server.infrastructure.workers import FIGURES

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

TOKEN_EVENTS = (
    "short_form",
    "client_credentials",
    "authorization_code",
    "refresh_token",
    "replay",
)
MAIL_OUTCOMES = ("sent", "failed", "expired")


class Metrics:
    """The figures of one application; each has its own registry, so that tests can make many."""

    def __init__(self) -> None:
        """All zero."""
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "lime_http_request_seconds",
            "Time until the answer began, in seconds.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._by_route: dict[tuple[str, str, int], Histogram] = {}
        self._logins = Counter(
            "lime_logins",
            "Login requests by what became of them: created, approved, denied, delivered, expired.",
            ("outcome",),
            registry=self._registry,
        )
        self._limited = Counter(
            "lime_rate_limited",
            "Requests refused because there were too many.",
            registry=self._registry,
        )
        self._streams = Gauge(
            "lime_event_streams",
            "Event streams open now.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._connections = Gauge(
            "lime_connections",
            "Client connections open now.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._allowed = Gauge(
            "lime_connections_allowed",
            "Most client connections that may be open; LIME_MAX_CONNECTIONS, for each worker.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._refused = Counter(
            "lime_connections_refused",
            "Requests refused because there were too many connections.",
            registry=self._registry,
        )
        self._tokens = Counter(
            "lime_oauth_tokens",
            "What the OAuth token endpoint did: access tokens issued by each grant; replays, of "
            "codes and refresh tokens, that revoked what was issued.",
            ("what",),
            registry=self._registry,
        )
        self._mails = Counter(
            "lime_mails",
            "Mails to owners: tries that the mail server took or that failed, and mails that are "
            "too late to be tried again.",
            ("outcome",),
            registry=self._registry,
        )
        self._engines = Gauge(
            "lime_engine_up",
            "Whether an engine answered within a second when these figures were asked for: 1 or 0.",
            ("engine",),
            registry=self._registry,
            # Of all workers the one that was asked last.
            multiprocess_mode="livemostrecent",
        )
        # A time and not an age: workers that are not asked could not say how theirs grows.
        self._keys_read = Gauge(
            "lime_signing_keys_read_time_seconds",
            "When the signing keys were last read, in Unix time; of the worker that did so first.",
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        for outcome in MAIL_OUTCOMES:
            self._mails.labels(outcome)
        for what in TOKEN_EVENTS:
            self._tokens.labels(what)
        for outcome in ("created", "approved", "denied", "delivered", "expired"):
            # Present from the start, so that a rate over them has no gap.
            self._logins.labels(outcome)

    def served(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is a pattern, `status` 0 if the client left too early."""
        key = (method if method in _METHODS else "OTHER", route, status)
        figures = self._by_route.get(key)
        if figures is None:
            # Looked up once: that costs more than counting does.
            figures = self._by_route[key] = self._requests.labels(*map(str, key))
        figures.observe(seconds)

    def login(self, outcome: str, count: int = 1) -> None:
        """Count login requests that were created, approved, denied, delivered or expired."""
        self._logins.labels(outcome).inc(count)

    def token(self, what: str) -> None:
        """Count an access token by its grant, or a replay; see TOKEN_EVENTS."""
        self._tokens.labels(what).inc()

    def mail(self, outcome: str, count: int = 1) -> None:
        """Count mails; see MAIL_OUTCOMES."""
        self._mails.labels(outcome).inc(count)

    def engine(self, name: str, *, up: bool) -> None:
        """Note whether an engine answers."""
        self._engines.labels(name).set(up)

    def keys_read(self, at: datetime) -> None:
        """Note when the signing keys were read."""
        self._keys_read.set(at.timestamp())

    def limited(self) -> None:
        """Count one request that was refused because there were too many."""
        self._limited.inc()

    def stream_opened(self) -> None:
        """One more event stream is open."""
        self._streams.inc()

    def stream_closed(self) -> None:
        """One event stream less is open."""
        self._streams.dec()

    def connections_allowed(self, most: int) -> None:
        """There may be so many connections in this process."""
        self._allowed.set(most)

    def connection_opened(self) -> None:
        """One more connection is open."""
        self._connections.inc()

    def connection_closed(self) -> None:
        """One connection less is open."""
        self._connections.dec()

    def connection_refused(self) -> None:
        """Count one request that was refused because there were too many connections."""
        self._refused.inc()

    def render(self) -> bytes:
        """All figures in the Prometheus text format; those of all workers, if there are several."""
        if FIGURES not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
