"""Nobody learns who has an account, and nobody guesses their way into one."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pyotp
import pytest

from tests.attacks.conftest import Letterbox, register
from tests.attacks.intruder import PASSWORD, Person
from tests.support.deployment import eventually
from tests.support.server import ServeServer
from tests.support.wire import data, refusal

USERS = "/foundation/users"
WRONG = "000000"


def _told(answer: httpx.Response) -> tuple[int, object, list[str]]:
    """What an answer says, without what is random in every one."""
    names = sorted(line.partition("=")[0] for line in answer.headers.get_list("set-cookie"))
    return answer.status_code, answer.json(), names


def test_answers_are_the_same_for_known_and_unknown_addresses(resident: Person) -> None:
    nobody = "nobody-" + resident.email
    asked = [
        ("register", {"password": PASSWORD}),
        ("password/reset", {}),
        ("password/reset/confirm", {"code": WRONG, "new_password": "a longer new password"}),
        ("login", {"password": "not the right password"}),
        ("register/verify", {"code": WRONG}),
    ]
    for path, body in asked:
        with Person(resident.public_url) as one, Person(resident.public_url) as two:
            known = one.post(f"{USERS}/{path}", email=resident.email, **body)
            unknown = two.post(f"{USERS}/{path}", email=nobody, **body)
        assert _told(known) == _told(unknown), path


def test_only_the_mail_tells_that_an_address_is_known(
    resident: Person, letterbox: Letterbox
) -> None:
    data(resident.post(f"{USERS}/register", email=resident.email, password=PASSWORD), 201)
    eventually(lambda: len(letterbox.to(resident.email)) == 2)
    assert letterbox.to(resident.email)[-1] == "You already have a LIME account"


def test_a_password_is_hashed_also_for_nobody(resident: Person) -> None:
    # Hashing takes tens of milliseconds, and everything else a few: leaving it out would show in
    # the medians, whatever the noise. The two take turns, so that a busy machine slows down both.
    # Fewer tries than are free, so that nobody is slowed down by us.
    emails = (resident.email, "nobody-" + resident.email)
    times: dict[str, list[float]] = {email: [] for email in emails}
    with Person(resident.public_url) as person:
        for email in emails * 7:
            start = time.perf_counter()
            answer = person.post(f"{USERS}/login", email=email, password="not the right one")
            times[email].append(time.perf_counter() - start)
            assert refusal(answer) == (401, "INVALID_CREDENTIALS")
    known, unknown = (statistics.median(times[email]) for email in emails)
    assert 1 / 3 < known / unknown < 3


# What somebody asks one after the other who wants to know of an address, with the time that each answer takes.
CONVERSATIONS = {
    "sign in": [("login", {"password": "not the right one"})],
    "register": [("register", {"password": PASSWORD}), ("register/verify", {"code": WRONG})],
    "lost password": [
        ("password/reset", {}),
        ("password/reset/confirm", {"code": WRONG, "new_password": "a longer new password"}),
    ],
}


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_the_difference_between_known_and_unknown_addresses_is_lost_in_the_noise(
    server: ServeServer, letterbox: Letterbox, conversation: list[tuple[str, dict[str, str]]]
) -> None:
    # Of one address no more can be asked before mails to it become scarce: so there are three.
    known = [_known_address(server, letterbox) for _ in range(3)]
    pairs = [(address, "nobody-" + address) for address in known] * 4
    times: dict[str, tuple[list[float], list[float]]] = {path: ([], []) for path, _ in conversation}
    for number, pair in enumerate(pairs):
        # Each first in every other pair, so that what one leaves behind hits both.
        for which in ((0, 1), (1, 0))[number % 2]:
            with Person(server.public_url) as person:
                person.get(f"{USERS}/me")  # connects
                for path, body in conversation:
                    start = time.perf_counter()
                    answer = person.post(f"{USERS}/{path}", email=pair[which], **body)
                    times[path][which].append(time.perf_counter() - start)
                    assert answer.status_code in {201, 202, 400, 401}, answer.text
    for path, (of_known, of_unknown) in times.items():
        difference = abs(statistics.median(of_known) - statistics.median(of_unknown))
        # Were one kind always slower than the other, the difference would stand out of both spreads.
        assert difference < max(_spread(of_known), _spread(of_unknown)), (path, times[path])


def _known_address(server: ServeServer, letterbox: Letterbox) -> str:
    with Person(server.public_url) as person:
        register(person, letterbox)
        return person.email


def _spread(times: list[float]) -> float:
    """How far times of one kind lie apart, without the fastest and the slowest."""
    inner = sorted(times)[1:-1]
    return inner[-1] - inner[0]


def test_a_code_is_not_guessed_by_fifty_at_once(person: Person, letterbox: Letterbox) -> None:
    data(person.post(f"{USERS}/register", email=person.email, password=PASSWORD), 201)
    code = letterbox.code_for(person.email)
    wrong = [f"{(int(code) + step) % 1_000_000:06}" for step in range(1, 51)]

    def guess(unverified: str) -> tuple[int, str]:
        body = {"email": person.email, "code": unverified}
        return refusal(person.send("POST", f"{USERS}/register/verify", body))

    with ThreadPoolExecutor(10) as crowd:
        answers = set(crowd.map(guess, wrong))
    assert answers <= {(400, "INVALID_CODE"), (429, "RATE_LIMIT_EXCEEDED")}
    # All tries are used up, so that the right one no longer helps.
    late = person.post(f"{USERS}/register/verify", email=person.email, code=code)
    assert refusal(late) in {(400, "INVALID_CODE"), (429, "RATE_LIMIT_EXCEEDED")}
    body = {"email": person.email, "password": PASSWORD}
    assert refusal(person.send("POST", f"{USERS}/login", body)) == (401, "INVALID_CREDENTIALS")


def test_a_code_works_once_and_only_where_it_was_asked_for(
    person: Person, letterbox: Letterbox
) -> None:
    data(person.post(f"{USERS}/register", email=person.email, password=PASSWORD), 201)
    code = letterbox.code_for(person.email)
    with Person(person.public_url) as intruder:
        stolen = intruder.post(f"{USERS}/register/verify", email=person.email, code=code)
        assert refusal(stolen) == (400, "INVALID_CODE")
    data(person.post(f"{USERS}/register/verify", email=person.email, code=code))
    again = person.post(f"{USERS}/register/verify", email=person.email, code=code)
    assert refusal(again) == (400, "INVALID_CODE")


def test_guessing_a_password_is_slowed_and_does_not_lock_the_owner_out(victim: Person) -> None:
    with Person(victim.public_url) as intruder:
        answers = [
            refusal(
                intruder.post(f"{USERS}/login", email=victim.email, password=f"wrong guess {n:03}")
            )
            for n in range(12)
        ]
    assert answers[0] == (401, "INVALID_CREDENTIALS")
    assert answers[-1] == (429, "RATE_LIMIT_EXCEEDED")
    # The owner's own browser is known.
    data(victim.post(f"{USERS}/login", email=victim.email, password=PASSWORD))


def test_guessing_codes_behind_the_password_runs_dry_and_the_owner_hears_of_it(
    victim: Person, letterbox: Letterbox
) -> None:
    secret = data(victim.post(f"{USERS}/totp"))["secret"]
    totp = pyotp.TOTP(secret)
    data(victim.post(f"{USERS}/totp/confirm", code=totp.now()))
    answers = []
    for _ in range(3):
        # Each time from another network, in a browser that is new, and with tries that are fresh.
        with Person(victim.public_url) as intruder:
            body = {"email": victim.email, "password": PASSWORD}
            assert data(intruder.post(f"{USERS}/login", **body))["methods"]
            answers += [
                refusal(intruder.post(f"{USERS}/login/second-factor", code="no code"))
                for _ in range(5)
            ]
    assert answers == [(400, "INVALID_CODE")] * 10 + [(429, "RATE_LIMIT_EXCEEDED")] * 5
    eventually(lambda: "Somebody knows your LIME password" in letterbox.to(victim.email))
    # The owner's own browser is known. A code of the half minute to come is not used yet.
    data(victim.post(f"{USERS}/login", email=victim.email, password=PASSWORD))
    later = totp.at(int(time.time()) + 30)
    data(victim.post(f"{USERS}/login/second-factor", code=later))
