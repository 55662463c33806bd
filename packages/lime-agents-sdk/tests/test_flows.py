import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lime_agents import (
    ApprovalResult,
    InvalidRequestIdError,
    LoginRefusedError,
    LoginSite,
    ProtocolError,
)
from lime_agents._flows import deny, login, profile
from lime_agents._pow import PowLimits
from lime_sdk_core import Callback, Now, Offload, Reply, Request

ID = "550e8400-e29b-41d4-a716-446655440000"
SITE = {"site_id": "s1", "display_name": "Shop", "domain": "shop.example", "domain_verified": True}
APPROVAL = {
    "request_id": ID,
    "site_id": "s1",
    "status": "APPROVED",
    "expires_at": "2026-11-23T10:00:00Z",
    "approved_agent_id": "a1",
}


def ok(**data):
    return Reply(200, {}, json.dumps({"ok": True, "data": data}).encode())


def challenge(**changes):
    return ok(**({"pow_challenge": "c" * 43, "pow_difficulty": 15, "site": SITE} | changes))


def begin(request_id=ID, *, allow=None, deny_key=None):
    flow = login(request_id, limits=PowLimits(), allow=allow, deny_key=deny_key)
    return flow, next(flow)


def finish(flow, answer):
    with pytest.raises(StopIteration) as done:
        flow.send(answer)
    return done.value.value


def test_a_login_reads_solves_and_approves():
    flow, step = begin()
    assert step == Request("GET", f"/auth/requests/{ID}", authenticated=False)
    assert flow.send(challenge()) == Now()
    assert isinstance(flow.send(0.0), Offload)
    assert flow.send("123") == Request(
        "POST",
        f"/modules/agent-login/requests/{ID}/approve",
        json={"pow_nonce": "123"},
        idempotent=True,
    )
    result = finish(flow, ok(**APPROVAL))
    assert isinstance(result, ApprovalResult)
    assert (result.status, result.approved_agent_id) == ("APPROVED", "a1")
    assert result.expires_at.isoformat() == "2026-11-23T10:00:00+00:00"


def test_a_site_is_shown_to_allow_before_any_work():
    def allow(site):
        raise AssertionError("the driver calls it")

    flow, _ = begin(allow=allow)
    site = LoginSite("s1", "Shop", "shop.example", domain_verified=True)
    assert flow.send(challenge()) == Callback(allow, (site,))
    assert flow.send(True) == Now()


@pytest.mark.parametrize("answer", [False, None, 0, ""])
def test_whatever_is_not_true_refuses(answer):
    flow, _ = begin(allow=bool)
    flow.send(challenge())
    with pytest.raises(LoginRefusedError) as caught:
        flow.send(answer)
    assert caught.value.site.domain == "shop.example"
    assert not caught.value.denied
    assert "'Shop'" in caught.value.message


@pytest.mark.parametrize("site", [None, "absent"])
def test_a_site_without_a_name_is_refused_without_asking(site):
    flow, _ = begin(allow=lambda site: True)
    answer = challenge(site=None) if site is None else ok(pow_challenge="c", pow_difficulty=1)
    with pytest.raises(LoginRefusedError) as caught:
        flow.send(answer)
    assert caught.value.site is None


@pytest.mark.parametrize(
    ("answer", "denied"),
    [(ok(status="DENIED"), True), (Reply(404), False), (ok(status="NEW"), False)],
)
def test_a_refused_login_can_be_denied_and_stays_refused_if_that_fails(answer, denied):
    flow, _ = begin(allow=bool, deny_key="key-1")
    flow.send(challenge())
    step = flow.send(False)
    assert step.path == f"/modules/agent-login/requests/{ID}/deny"
    assert step.headers == {"idempotency-key": "key-1"}
    with pytest.raises(LoginRefusedError) as caught:
        flow.send(answer)
    assert caught.value.denied is denied


def test_an_error_in_allow_reaches_the_caller():
    flow, _ = begin(allow=bool)
    flow.send(challenge())
    with pytest.raises(ZeroDivisionError):
        flow.throw(ZeroDivisionError())


HOSTILE = [
    "",
    " ",
    ".",
    "..",
    "../../core/agents/me",
    "a/b",
    "a\\b",
    "a%2Fb",
    "a?b",
    "a#b",
    "a;b",
    "a b",
    "a\nb",
    "a\x00",
    "\u2028x",
    "é",
    "\uff11\uff12",
    "\ud800",
    "x" * 129,
    "x" * 10_000,
    "\x1b[2J",
]


@pytest.mark.parametrize("request_id", HOSTILE)
def test_a_hostile_request_id_is_refused_before_anything_is_sent(request_id):
    for flow in (
        login(request_id, limits=PowLimits(), allow=None, deny_key=None),
        deny(request_id, key="k"),
    ):
        with pytest.raises(InvalidRequestIdError) as caught:
            next(flow)
        assert (caught.value.code, caught.value.http_status) == ("INVALID_REQUEST_ID", 400)
        assert not request_id.strip() or request_id not in caught.value.message.split()


@given(st.text())
def test_any_request_id_is_refused_or_stays_one_segment(request_id):
    try:
        _, step = begin(request_id)
    except InvalidRequestIdError:
        return
    assert step.path.removeprefix("/auth/requests/") in request_id
    assert step.path.count("/") == 3


def test_white_space_around_a_request_id_does_not_matter():
    assert begin(f"  {ID}\n")[1].path == f"/auth/requests/{ID}"


@pytest.mark.parametrize(
    "changes",
    [
        {"pow_challenge": ""},
        {"pow_challenge": "x" * 129},
        {"pow_challenge": 5},
        {"pow_difficulty": "15"},
        {"pow_difficulty": True},
        {"pow_difficulty": 1.5},
        {"pow_difficulty": -1},
        {"pow_algorithm": "scrypt"},
        {"site": {"site_id": "s"}},
        {"site": {"site_id": "", "display_name": "x"}},
        {"site": SITE | {"domain_verified": "yes"}},
    ],
)
def test_a_puzzle_of_another_shape_is_refused(changes):
    flow, _ = begin()
    with pytest.raises(ProtocolError):
        flow.send(challenge(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "PENDING"},
        {"status": "DENIED"},
        {"status": "EXPIRED"},
        {"status": "approved"},
        {"status": "SUPER_APPROVED"},
        {"status": None},
        {"expires_at": "2026-11-23T10:00:00"},
        {"expires_at": "soon"},
        {"site_id": ""},
    ],
)
def test_an_unknown_state_is_never_read_as_approval(changes):
    flow, _ = begin()
    flow.send(challenge())
    flow.send(0.0)
    flow.send("1")
    with pytest.raises(ProtocolError):
        flow.send(ok(**(APPROVAL | changes)))


def test_times_are_given_in_utc():
    flow, _ = begin()
    flow.send(challenge())
    flow.send(0.0)
    flow.send("1")
    result = finish(flow, ok(**(APPROVAL | {"expires_at": "2026-11-23T12:00:00+02:00"})))
    assert result.expires_at.isoformat() == "2026-11-23T10:00:00+00:00"


def test_a_denial_carries_its_idempotency_key_and_may_be_repeated():
    flow = deny(ID, key="key-1")
    assert next(flow) == Request(
        "POST",
        f"/modules/agent-login/requests/{ID}/deny",
        json={},
        headers={"idempotency-key": "key-1"},
        idempotent=True,
    )
    assert finish(flow, ok(status="DENIED", request_id=ID)) is None


def test_a_profile_names_the_owner():
    flow = profile()
    assert next(flow) == Request("GET", "/core/agents/me/profile")
    found = finish(flow, ok(agent_id="a1", user_id="u1", display_name="Ann", future=1))
    assert (found.agent_id, found.owner_id, found.display_name) == ("a1", "u1", "Ann")
    assert (found.avatar_url, found.description) == (None, None)
