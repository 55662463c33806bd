"""Settings: everything documented, nothing silently ignored, no value in an error."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from lime_server import settings
from lime_server.core.ports import Limit
from lime_server.settings import NameServer, Settings, SettingsError, load, settings_reference

REFERENCE = Path(__file__).parents[4] / "docs" / "reference" / "settings.md"
NEEDED = {
    "LIME_PUBLIC_URL": "https://lime.example",
    "LIME_DATABASE_URL": "postgresql://lime:hunter2@db/lime",
    "LIME_MASTER_KEY": "c0ffee",
}


@pytest.fixture
def environ(monkeypatch):
    """An environment that holds what is needed and nothing else of ours."""
    import os

    for name in list(os.environ):
        if name.startswith("LIME_"):
            monkeypatch.delenv(name)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_environment_is_enough(environ):
    environ.setenv("LIME_PORT", "0")
    environ.setenv("LIME_TRUSTED_PROXIES", "10.0.0.0/8, ::1,")
    environ.setenv("LIME_RATE_PER_TOKEN", "2.5:7")
    environ.setenv("LIME_RATE_PER_ADDRESS", "off")
    found = load()
    assert str(found.public_url) == "https://lime.example"
    assert found.port == 0
    assert found.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert found.rate_per_token == Limit(2.5, 7)
    assert found.rate_per_address is None


def test_who_may_watch_can_be_chosen(environ):
    inside = [ip_address(one) for one in ("127.0.0.1", "10.9.9.9", "fd00::1", "100.64.0.1")]
    outside = [ip_address(one) for one in ("192.0.2.1", "8.8.8.8", "2001:db8::1", "172.32.0.1")]
    networks = load().operations_networks
    assert all(any(one in network for network in networks) for one in inside)
    assert not any(one in network for one in outside for network in networks)
    environ.setenv("LIME_OPERATIONS_NETWORKS", "192.0.2.1")
    assert load().operations_networks == (ip_network("192.0.2.1"),)
    environ.setenv("LIME_OPERATIONS_NETWORKS", "")
    assert load().operations_networks == ()


def test_name_servers_can_be_chosen(environ):
    assert load().dns_servers == ()
    environ.setenv("LIME_DNS_SERVERS", "10.0.0.2, 10.0.0.3:5353, fd00::2, [fd00::3]:54,[fd00::4]")
    assert load().dns_servers == (
        ("10.0.0.2", 53), ("10.0.0.3", 5353), ("fd00::2", 53), ("fd00::3", 54), ("fd00::4", 53),
    )  # fmt: skip
    assert load(dns_servers=(NameServer("::1"),)).dns_servers == (("::1", 53),)


def test_scopes_are_separated_by_spaces(environ):
    assert load().mcp_scopes == ("mcp",)
    environ.setenv("LIME_MCP_SCOPES", "mcp:read  mcp:write mcp:read")
    found = load()
    assert found.mcp_scopes == ("mcp:read", "mcp:write")
    assert found.model_dump(mode="json")["mcp_scopes"] == "mcp:read mcp:write"
    assert load(mcp_scopes=("a",)).mcp_scopes == ("a",)


@pytest.mark.parametrize("text", ["", "  ", 'a"b', "a\\b", "é"])
def test_a_scope_is_a_scope_token(environ, text):
    environ.setenv("LIME_MCP_SCOPES", text)
    with pytest.raises(SettingsError, match="LIME_MCP_SCOPES: write scopes"):
        load()


@pytest.mark.parametrize("text", ["resolver.example", "10.0.0.2:0", "10.0.0.2:65536", "[::1", "1"])
def test_a_name_server_is_an_address(environ, text):
    environ.setenv("LIME_DNS_SERVERS", text)
    with pytest.raises(SettingsError, match="LIME_DNS_SERVERS: write addresses"):
        load()


def test_the_command_line_wins_over_the_environment(environ):
    environ.setenv("LIME_PORT", "1")
    given = Limit(1, 1)
    networks = (ip_network("10.0.0.0/8"),)
    found = load(port=2, rate_per_token=given, trusted_proxies=networks)
    assert (found.port, found.rate_per_token, found.trusted_proxies) == (2, given, networks)


def test_no_secret_shows_in_a_repr(environ):
    shown = repr(load())
    assert "hunter2" not in shown
    assert "c0ffee" not in shown


def test_a_misspelt_setting_is_refused_by_name(environ):
    environ.setenv("LIME_DIFICULTY", "20")
    with pytest.raises(SettingsError, match=r"^LIME_DIFICULTY is not a setting"):
        load()


@pytest.mark.parametrize(
    "name",
    [
        "LIME_TEST_DATABASE_URL",
        "LIME_AGENT_TOKEN",
        "LIME_SITE_TOKEN",
        "LIME_API_BASE",
        "LIME_JWKS_CACHE_TTL_SECONDS",
        "OTHER",
    ],
)
def test_variables_of_others_are_tolerated(environ, name):
    environ.setenv(name, "anything")
    assert load().port == 8080


def test_every_mistake_is_named_and_no_value_shown(environ):
    environ.delenv("LIME_PUBLIC_URL")
    environ.setenv("LIME_PORT", "hunter2")
    environ.setenv("LIME_RATE_PER_TOKEN", "hunter2")
    environ.setenv("LIME_TRUSTED_PROXIES", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load()
    lines = str(caught.value).splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == [
        "LIME_PORT",
        "LIME_PUBLIC_URL",
        "LIME_RATE_PER_TOKEN",
        "LIME_TRUSTED_PROXIES",
    ]
    assert "LIME_PUBLIC_URL: must be set" in lines
    assert "LIME_RATE_PER_TOKEN: write RATE:BURST" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://db/lime",
        "postgresql:/db",
        "postgresql://db:port/lime",
        "postgresql://db:123456/lime",
        # Drivers take the first part of such a password for a port, and say so.
        "postgresql://lime:hunter/2@db/lime",
        "postgresql://lime:12/hunter2@db/lime",
        "postgresql://lime:hunter?2@db/lime",
        "postgresql://lime:hunter#2@db/lime",
        "postgresql://lime:hunter@2@db/lime",
    ],
)
def test_a_database_url_is_one_and_is_not_repeated(environ, url):
    environ.setenv("LIME_DATABASE_URL", url)
    with pytest.raises(SettingsError, match="special characters of the password as %XX") as caught:
        load()
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///lime",
        "postgres://db",
        "postgresql://lime:h%2Funter2@db:5432/lime?sslmode=verify-full",
        "postgresql://lime@db-1,db-2:5433/lime?target_session_attrs=read-write",
        "postgresql://lime@[::1]:5432,[2001:db8::1]/lime",
        "postgresql://postgres@/lime?host=%2Frun%2Fpostgresql",
        "postgresql://lime@%2Frun%2Fpostgresql/lime",
    ],
)
def test_every_way_to_name_a_database_is_taken(environ, url):
    environ.setenv("LIME_DATABASE_URL", url)
    assert load().database_url.get_secret_value() == url


@pytest.mark.parametrize("wanted", ["read-write", "primary"])
def test_a_pooler_finds_the_primary_and_is_not_asked_for_it(environ, wanted):
    url = f"postgresql://lime@db-1,db-2/lime?sslmode=require&target_session_attrs={wanted}"
    environ.setenv("LIME_DATABASE_URL", url)
    assert load().database_pooler == "none"
    with pytest.raises(SettingsError, match="let the pooler find the primary"):
        load(database_pooler="transaction")
    environ.setenv("LIME_DATABASE_URL", url.replace(wanted, "any"))
    assert load(database_pooler="transaction").database_pooler == "transaction"


@pytest.mark.parametrize("text", ["", "5", "5:", ":5", "0:5", "5:0", "-1:5", "5:1.5", "a:b"])
def test_a_limit_is_a_rate_and_a_burst(environ, text):
    with pytest.raises(SettingsError, match="RATE:BURST"):
        load(rate_per_token=text)


@pytest.mark.parametrize("keys", [{}, {"master_key": "a", "master_key_file": "b"}])
def test_there_is_exactly_one_master_key(environ, keys):
    environ.delenv("LIME_MASTER_KEY")
    with pytest.raises(SettingsError, match="one of LIME_MASTER_KEY and LIME_MASTER_KEY_FILE"):
        load(**keys)


def test_they_can_be_written_out(environ):
    shown = load(rate_per_address=None).model_dump(mode="json")
    assert shown["public_url"] == "https://lime.example"
    assert shown["rate_per_token"] == "500:1500"
    assert shown["rate_per_address"] == "off"


def test_every_setting_says_what_it_means():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_reference_is_what_the_code_says():
    # To renew it: python -c "from lime_server.settings import settings_reference as r; print(r())"
    assert REFERENCE.read_text() == settings_reference()
    assert settings.PREFIX == "LIME_"
