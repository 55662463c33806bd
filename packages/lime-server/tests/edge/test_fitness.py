"""What `check` finds."""

import math
from datetime import timedelta

import pytest

from lime_server.core.clock import SystemClock
from lime_server.core.keyring import Keys
from lime_server.core.keys import Rules
from lime_server.infrastructure import fitness
from lime_server.infrastructure.crypto import RsaKeyMaker, Secrets
from lime_server.infrastructure.fitness import check
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.postgres.keys import PostgresKeys
from lime_server.infrastructure.postgres.migrator import Migration, migrate, migrations
from lime_server.infrastructure.postgres.pool import open_database
from lime_server.settings import Settings

MASTER = bytes(range(32))
NOWHERE = "postgresql://nobody@/none?host=/nonexistent"


@pytest.fixture
def look():
    async def look(clock=None, **options):
        common = {
            "public_url": "https://lime.example",
            "database_url": NOWHERE,
            "master_key": MASTER.hex(),
            "host": "192.0.2.1",
            # Fits into whatever limit of open files this machine has.
            "max_connections": 10,
        }
        if "master_key_file" in options:
            del common["master_key"]
        settings = Settings(**{**common, **options})
        findings = await check(settings, clock or SystemClock())
        for finding in findings:
            assert (finding.advice is None) == (finding.level == "ok"), finding
        return {finding.subject: (finding.level, finding.message) for finding in findings}

    return look


async def make_key(url, clock, master=MASTER, rotate=False):
    async with open_database(url, size=2, patience=10) as database:
        store = PostgresKeys(database, Secrets.derived_from(master).keys)
        bell = MemoryBell()
        keys = Keys(store, RsaKeyMaker(), clock=clock, rules=Rules(), bell=bell)
        await (keys.rotate() if rotate else keys.upkeep())


async def test_a_sound_configuration(look, migrated_postgres_url, redis_url):
    await make_key(migrated_postgres_url, SystemClock())
    found = await look(database_url=migrated_postgres_url, redis_url=redis_url)
    assert set(found) == {
        "public_url",
        "master_key",
        "postgres",
        "clock",
        "signing_keys",
        "redis",
    }
    assert {level for level, _ in found.values()} == {"ok"}
    assert " signs. Rotate it until " in found["signing_keys"][1]


@pytest.mark.parametrize(
    ("url", "level", "says"),
    [
        ("http://127.0.0.1:8080", "error", "from this machine only"),
        ("https://localhost", "error", "from this machine only"),
        ("http://lime.example", "error", "not https"),
        ("https://lime.example", "ok", "issued by https://lime.example"),
    ],
)
async def test_the_public_url(look, url, level, says):
    found = await look(public_url=url)
    assert found["public_url"][0] == level
    assert says in found["public_url"][1]


@pytest.mark.parametrize(
    ("host", "proxies", "warned"),
    [
        ("127.0.0.1", "", True),
        ("localhost", "", True),
        ("127.0.0.1", "127.0.0.1", False),
        ("0.0.0.0", "", False),
        ("lime.example", "", False),
    ],
)
async def test_a_proxy_that_nobody_named(look, host, proxies, warned):
    found = await look(host=host, trusted_proxies=proxies)
    assert ("trusted_proxies" in found) is warned


async def test_a_master_key_file_is_looked_at_and_not_made(look, tmp_path):
    path = tmp_path / "key"
    found = await look(master_key_file=path)
    assert found["master_key"] == (
        "warning",
        f"{path} does not exist yet; the first start makes it.",
    )
    assert not path.exists()
    path.write_text(MASTER.hex())
    path.chmod(0o644)
    found = await look(master_key_file=path)
    assert found["master_key"][0] == "error"
    assert "chmod 600" in found["master_key"][1]


async def test_postgres_that_is_away(look):
    assert (await look())["postgres"][0] == "error"


async def test_options_that_the_driver_does_not_know_are_not_repeated(look):
    url = "postgresql://lime@/x?host=/nonexistent&port=hunter2"
    level, message = (await look(database_url=url))["postgres"]
    assert level == "error"
    assert "hunter2" not in message


async def test_a_database_of_another_version(look, postgres_url):
    level, message = (await look(database_url=postgres_url))["postgres"]
    assert level == "error"
    assert "lime-server migrate" in message


async def test_a_database_that_is_newer_by_what_only_adds(look, migrated_postgres_url):
    later = Migration(9000, "9000_later", "-- additive\nSELECT 1")
    await migrate(migrated_postgres_url, [*migrations(), later])
    level, message = (await look(database_url=migrated_postgres_url))["postgres"]
    assert level == "warning"
    assert message.endswith(": 9000_later.")


async def test_a_database_of_another_history(look, migrated_postgres_url):
    async with open_database(migrated_postgres_url, size=1, patience=10) as database:
        await database.execute(
            "UPDATE infrastructure.migrations SET checksum = 'another' "
            "WHERE number = (SELECT min(number) FROM infrastructure.migrations)"
        )
    level, message = (await look(database_url=migrated_postgres_url))["postgres"]
    assert level == "error"
    assert "is not what was applied" in message


@pytest.mark.parametrize("step", [-60, 60])
async def test_a_clock_that_is_off(look, migrated_postgres_url, step):
    clock = ManualClock(SystemClock().now() + timedelta(seconds=step))
    found = await look(clock=clock, database_url=migrated_postgres_url)
    assert found["clock"][0] == "error"
    assert "differ by" in found["clock"][1]


async def test_signing_keys_before_the_first_start(look, migrated_postgres_url, tmp_path):
    found = await look(database_url=migrated_postgres_url)
    assert found["signing_keys"] == ("warning", "None yet; the first start makes one.")
    found = await look(database_url=migrated_postgres_url, master_key_file=tmp_path / "none")
    assert found["signing_keys"] == ("warning", "Not looked at without a master key.")


async def test_signing_keys_of_another_master_key(look, migrated_postgres_url, tmp_path):
    await make_key(migrated_postgres_url, SystemClock(), master=bytes(32))
    found = await look(database_url=migrated_postgres_url)
    assert found["signing_keys"][0] == "error"
    found = await look(database_url=migrated_postgres_url, master_key_file=tmp_path / "none")
    assert found["signing_keys"][0] == "error"
    assert found["signing_keys"][1].startswith("There are some, and no master key")


@pytest.mark.parametrize(
    ("ago", "level", "says"),
    [
        (timedelta(minutes=5), "ok", " is next, from "),
        (timedelta(minutes=30), "ok", " is next, from "),
        (timedelta(hours=2), "warning", "should have been signing since"),
    ],
)
async def test_a_signing_key_that_waits(look, migrated_postgres_url, ago, level, says):
    now = SystemClock().now()
    await make_key(migrated_postgres_url, ManualClock(now - timedelta(days=200)))
    await make_key(migrated_postgres_url, ManualClock(now - ago), rotate=True)
    found = (await look(database_url=migrated_postgres_url))["signing_keys"]
    assert found[0] == level
    assert says in found[1]


async def test_a_signing_key_that_has_served_long(look, migrated_postgres_url):
    await make_key(migrated_postgres_url, ManualClock(SystemClock().now() - timedelta(days=200)))
    level, message = (await look(database_url=migrated_postgres_url))["signing_keys"]
    assert level == "warning"
    assert "200 days" in message


async def test_a_pooler_that_is_not_there_is_told(look, migrated_postgres_url):
    found = await look(database_url=migrated_postgres_url, database_pooler="transaction")
    assert found["database_pooler"][0] == "warning"
    assert "There is no pooler" in found["database_pooler"][1]


def test_a_pooler_that_the_settings_do_not_know_is_told():
    def settings(pooler):
        return Settings(
            public_url="https://lime.example",
            database_url=NOWHERE,
            master_key=MASTER.hex(),
            database_pooler=pooler,
        )

    (found,) = fitness._pooler(settings("none"), pooled=True)
    assert (found.level, found.subject) == ("warning", "database_pooler")
    assert fitness._pooler(settings("transaction"), pooled=True) == []


async def test_redis_that_is_away_absent_or_misspelt(look):
    assert (await look())["redis"][0] == "warning"
    away = await look(redis_url="unix:///nonexistent/redis.sock")
    assert away["redis"][0] == "warning"
    assert "Cannot be reached" in away["redis"][1]
    assert (await look(redis_url="http://x"))["redis"][0] == "error"
    cluster = await look(redis_url="redis+cluster://127.0.0.1:1")
    assert cluster["redis"] == away["redis"]


def settings_for(database_url, **options):
    return Settings(
        public_url="https://lime.example",
        database_url=database_url,
        master_key=MASTER.hex(),
        **options,
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://db/lime", True),
        ("postgresql://lime:p%40w@db-1:5432,127.0.0.1/lime?sslmode=require", True),
        ("postgresql://127.0.0.1/lime?host=db", True),
        ("postgresql://db/lime?sslmode=verify-full", False),
        ("postgresql://lime@127.0.0.1:5432,[::1]:5433,localhost/lime", False),
        ("postgresql://lime@/lime?host=/run/postgresql", False),
        ("postgresql://%2Frun%2Fpostgresql/lime", False),
        ("postgresql:///lime", False),
    ],
)
def test_a_database_that_others_could_stand_for_is_told(monkeypatch, url, told):
    monkeypatch.delenv("PGSSLMODE", raising=False)
    settings = settings_for(url)
    assert [found.subject for found in fitness._wires(settings)] == ["way to postgres"] * told
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert bool(fitness._wires(settings)) is (told and "sslmode" in url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:p@cache/0", True),
        ("redis+sentinel://a,b/m", True),
        ("redis+cluster://127.0.0.1,b", True),
        ("rediss://cache/0", False),
        ("rediss+sentinel://a,b/m", False),
        ("redis+cluster://127.0.0.1,[::1]", False),
        ("redis://127.0.0.1:6380", False),
        ("unix:///run/redis.sock", False),
        # What is wrong with it is told elsewhere.
        ("nonsense", False),
        (None, False),
    ],
)
def test_a_redis_that_others_could_listen_to_is_told(url, told):
    settings = settings_for("postgresql:///lime", redis_url=url)
    assert [found.subject for found in fitness._wires(settings)] == ["way to redis"] * told


async def test_a_script_that_decides_who_owners_are(look):
    found = await look(kyc_provider="scripted", kyc_webhook_secret="s" * 32)
    assert found["kyc_provider"][0] == "error"
    assert "s" * 32 not in found["kyc_provider"][1]


async def test_limits_and_times_that_are_unwise(look):
    found = await look(rate_per_token="off", key_publish_before=60)
    assert found["rate limits"] == ("warning", "Off: rate_per_token.")
    assert found["key rotation"][0] == "warning"


def test_connections_that_do_not_fit_into_open_files():
    settings = Settings(
        public_url="https://lime.example",
        database_url=NOWHERE,
        master_key=MASTER.hex(),
        max_connections=20_000,
        database_pool_size=10,
    )
    (found,) = fitness.open_files(settings, 20_265)
    assert (found.level, found.subject) == ("warning", "open files")
    assert "20265 at most; 20000 client connections and the rest need 20266." in found.message
    assert fitness.open_files(settings, 20_266) == []
    assert fitness.open_files(settings, math.inf) == []


async def test_the_limit_of_open_files_is_looked_at(look, monkeypatch):
    monkeypatch.setattr(fitness.descriptors, "most", lambda: 200)
    assert (await look())["open files"][0] == "warning"


async def test_a_user_who_may_not_read_is_told_so(look, reduced_postgres_url):
    found = await look(database_url=reduced_postgres_url)
    assert found["postgres"] == ("error", "This user may not read the tables of lime-server.")
