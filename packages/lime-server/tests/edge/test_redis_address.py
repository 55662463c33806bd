"""Addresses of Redis: read once, into what cannot be wrong, and never shown."""

import pytest

from lime_server.infrastructure.redis.address import (
    ACluster,
    BySentinel,
    OneServer,
    parse,
)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "rediss://u:p@h:6380/3",
        "unix:///run/redis.sock?db=3",
        "redis://[::1]/0",
        "rediss://h?ssl_ca_certs=/ca.pem",
        "redis://h?max_connections=5&timeout=1&client_name=lime",
    ],
)
def test_one_server_is_left_to_the_driver(url):
    assert parse(url) == OneServer(url)


def test_a_primary_by_its_sentinels():
    found = parse("redis+sentinel://lime:s%40cret@a:1,[::1]:2,c/mymaster/3")
    assert isinstance(found, BySentinel)
    assert found.sentinels == (("a", 1), ("::1", 2), ("c", 26379))
    assert found.service == "mymaster"
    assert found.options == {"username": "lime", "password": "s@cret", "db": 3}
    # They have users of their own.
    assert found.sentinel_options == {}


def test_sentinels_have_passwords_of_their_own_and_share_the_rules_of_tls():
    found = parse(
        "rediss+sentinel://:p@a/my%20master?sentinel_username=u&sentinel_password=q"
        "&ssl_ca_certs=/ca.pem"
    )
    assert isinstance(found, BySentinel)
    assert found.service == "my master"
    assert found.options == {
        "password": "p", "db": 0, "ssl": True, "ssl_ca_certs": "/ca.pem",
    }  # fmt: skip
    assert found.sentinel_options == {
        "username": "u", "password": "q", "ssl": True, "ssl_ca_certs": "/ca.pem",
    }  # fmt: skip


def test_a_cluster_by_some_of_its_nodes():
    found = parse("REDIS+CLUSTER://:p@a:1,b")
    assert found == ACluster((("a", 1), ("b", 6379)), {"password": "p", "db": 0})
    assert parse("rediss+cluster://a/0") == ACluster((("a", 6379),), {"ssl": True, "db": 0})


SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@h",
        f"redis:{SECRET}",
        f":{SECRET}@h",
        # Several hosts, without the word that says what they are.
        f"redis://:{SECRET}@a:1,b:2/0",
        # A stray colon or slash in a password.
        f"redis://:x:{SECRET}@h:{SECRET}",
        f"redis://:{SECRET}@h:99999",
        f"redis+sentinel://:{SECRET}@a",
        f"redis+sentinel://:{SECRET}@a/",
        f"redis+sentinel://:{SECRET}@a/mymaster/x",
        f"redis+sentinel://:{SECRET}@a/mymaster/0/1",
        f"redis+sentinel://:{SECRET}@a:0/mymaster",
        f"redis+sentinel://:{SECRET}@a:65536/mymaster",
        f"redis+sentinel://:{SECRET}@a,/mymaster",
        f"redis+sentinel://:{SECRET}@[::1/mymaster",
        f"redis+sentinel://:{SECRET}@::1:5/mymaster",
        f"redis+sentinel://:{SECRET}@a/mymaster?socket_timeout={SECRET}",
        f"redis+cluster://:{SECRET}@",
        f"redis+cluster://:{SECRET}@a/1",
        f"redis+cluster://:{SECRET}@a?db=1",
        f"redis+cluster://:{SECRET}/@a",
        # Options that the driver would complain of in the middle of a request: of TLS without TLS,
        # misspelt, and with a value that is none.
        f"redis://:{SECRET}@h?ssl_ca_certs=/ca.pem",
        f"redis+cluster://:{SECRET}@a?ssl_ca_certs=/ca.pem",
        f"rediss://:{SECRET}@h?ssl_ca_cert=/ca.pem",
        f"redis+sentinel://:{SECRET}@a/m?nothing={SECRET}",
        f"rediss://:{SECRET}@h?ssl_cert_reqs={SECRET}",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(url):
    with pytest.raises(ValueError, match=r"\A[a-z]") as caught:
        parse(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@h",
        f"redis+sentinel://:{SECRET}@h/m?sentinel_password={SECRET}",
        f"redis+cluster://:{SECRET}@h",
    ],
)
def test_secrets_do_not_show_in_a_repr(url):
    assert SECRET not in repr(parse(url))
