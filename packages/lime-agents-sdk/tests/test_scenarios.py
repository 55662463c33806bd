"""One table of what can happen to an agent, played by both clients."""

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from lime_agents import (
    AgentInactiveError,
    AgentUserSuspendedError,
    ApiError,
    AuthenticationError,
    AuthUnavailableError,
    InvalidRequestIdError,
    LimeError,
    LoginNotFoundError,
    LoginRefusedError,
    PowDifficultyError,
    PowTimeoutError,
    RateLimitError,
    TransportError,
)
from lime_agents.testing import FakeLime, FakeLogin

#: A challenge without a solution among the first nonces: a deadline always comes first.
HARD = {"difficulty": 32}


def nothing(fake: FakeLime, login: FakeLogin) -> None:
    pass


def refuse(site):
    return False


@dataclass
class Scenario:
    name: str
    expect: type[LimeError] | str
    arrange: Callable[[FakeLime, FakeLogin], Any] = nothing
    method: str = "login"
    request_id: str | None = None
    login: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    final: str = "PENDING"


def lost(times):
    return lambda fake, login: fake.lose_answers(times=times)


def failing(status, code, times=9):
    return lambda fake, login: fake.fail(status, code, times=times)


SCENARIOS = [
    Scenario("approved", "DELIVERED", final="DELIVERED"),
    Scenario("known site", "DELIVERED", call={"allow": lambda site: True}, final="DELIVERED"),
    Scenario("other site", LoginRefusedError, call={"allow": refuse}),
    Scenario(
        "other site, denied",
        LoginRefusedError,
        call={"allow": refuse, "deny_refused": True},
        final="DENIED",
    ),
    Scenario("unknown", LoginNotFoundError, request_id="550e8400-e29b-41d4-a716-446655440000"),
    Scenario("expired", LoginNotFoundError, lambda fake, login: login.expire(), final="EXPIRED"),
    Scenario("denied", LoginNotFoundError, lambda fake, login: login.deny(), final="DENIED"),
    Scenario("hostile id", InvalidRequestIdError, request_id="../../core/agents/me"),
    Scenario("agent off", AgentInactiveError, lambda fake, login: fake.switch_agent_off()),
    Scenario("owner off", AgentUserSuspendedError, lambda fake, login: fake.suspend_owner()),
    Scenario("token unknown", AuthenticationError, lambda fake, login: fake.forget_agent()),
    Scenario("store away", AuthUnavailableError, failing(503, "AUTH_UNAVAILABLE")),
    Scenario(
        "store away a moment", "DELIVERED", failing(503, "AUTH_UNAVAILABLE", 2), final="DELIVERED"
    ),
    Scenario("bad proof", ApiError, lambda fake, login: fake.fail(400, "INVALID_POW")),
    Scenario("rate limit", RateLimitError, lambda fake, login: fake.rate_limit(times=9)),
    Scenario(
        "rate limit, long",
        RateLimitError,
        lambda fake, login: fake.rate_limit(retry_after=3600),
    ),
    Scenario(
        "rate limit, once", "DELIVERED", lambda fake, login: fake.rate_limit(), final="DELIVERED"
    ),
    Scenario("answer lost", "DELIVERED", lost(2), final="DELIVERED"),
    Scenario("answers lost", TransportError, lost(9)),
    Scenario("too hard", PowDifficultyError, login={"difficulty": 27}),
    Scenario(
        "no time",
        PowTimeoutError,
        lambda fake, login: setattr(login, "challenge", "A" * 43),
        login=HARD,
        client={"pow_timeout": 1e-9, "max_difficulty": 32},
    ),
    Scenario("deny", "None", method="deny", final="DENIED"),
    Scenario("deny, answer lost", "None", lost(1), method="deny", final="DENIED"),
    Scenario("deny, unknown", LoginNotFoundError, method="deny", request_id="nothing"),
    Scenario("profile", "Test agent", method="get_profile"),
    Scenario(
        "profile, token unknown",
        AuthenticationError,
        lambda fake, login: fake.forget_agent(),
        method="get_profile",
    ),
]


@dataclass
class Outcome:
    """What a scenario came to, with the fake's random ids replaced."""

    result: Any
    error: LimeError | None
    calls: list[tuple[str, str]]
    status: str
    token: str

    def comparable(self):
        if self.error is None:
            return (self.result, self.calls, self.status)
        error = self.error
        told = (type(error), error.message, error.code, error.http_status, error.retry_after)
        return (told, bool(error.request_id), self.calls, self.status)


def play(kind, scenario) -> Outcome:
    fake = FakeLime()
    login = fake.new_login(**scenario.login)
    scenario.arrange(fake, login)
    client = kind(fake, **scenario.client)
    request_id = scenario.request_id or login.request_id
    args = [] if scenario.method == "get_profile" else [request_id]
    result = error = None
    try:
        result = client.do(scenario.method, *args, **scenario.call)
    except LimeError as caught:
        error = caught
    names = {login.request_id: "LOGIN", login.site.site_id: "SITE"} | {
        fake.profile.agent_id: "AGENT",
        fake.profile.owner_id: "OWNER",
    }
    calls = [(method, path.replace(login.request_id, "LOGIN")) for method, path in fake.calls]
    if result is not None:
        result = {key: names.get(value, value) for key, value in asdict(result).items()}
        result.pop("expires_at", None)
    return Outcome(result, error, calls, login.status, fake.agent_token)


by_name = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@by_name
def test_each_scenario_ends_as_the_table_says(scenario, clients):
    outcome = play(clients["blocking"], scenario)
    assert outcome.status == scenario.final
    if isinstance(scenario.expect, str):
        assert outcome.error is None
        result = outcome.result or {}
        found = result.get("status") or result.get("display_name") or str(outcome.result)
        assert found == scenario.expect
    else:
        assert type(outcome.error) is scenario.expect


@by_name
def test_both_clients_end_alike(scenario, clients):
    played = [play(kind, scenario).comparable() for kind in clients.values()]
    assert played[0] == played[1]


@by_name
def test_the_token_is_shown_nowhere(scenario, clients, caplog):
    caplog.set_level("DEBUG")
    for kind in clients.values():
        outcome = play(kind, scenario)
        shown = [caplog.text, repr(outcome.result)]
        error: BaseException | None = outcome.error
        while error is not None:
            shown += [repr(error), repr(vars(error)), *traceback.format_exception(error)]
            error = error.__cause__ or error.__context__
        assert not [text for text in shown if outcome.token in text]


def test_every_answer_of_lime_that_is_an_error_has_its_request_id(clients):
    for scenario in SCENARIOS:
        error = play(clients["blocking"], scenario).error
        if error is not None and error.http_status and type(error) is not InvalidRequestIdError:
            assert error.request_id, scenario.name
