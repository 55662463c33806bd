"""`lime-server dev`, in this process, on the test session's engines."""

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from lime_server.cli import dev, files, office, residents, welcome
from lime_server.cli.speech import CommandError
from lime_server.composition import open_parts
from lime_server.infrastructure.embedded import Engines, FolderInUseError


class Engine:
    """An engine that runs until it is told to have fallen."""

    def __init__(self):
        self.code = None

    def exit_code(self):
        return self.code

    def obituary(self):
        return "PostgreSQL was ended by SIGKILL."


@pytest.fixture
def stage(monkeypatch, postgres_url, redis_url):
    """Everything around `dev`: engines that were lent, and a server that only takes notes."""
    set_up = SimpleNamespace(
        engines=Engines(postgres_url, redis_url, Engine(), Engine()), settings=[], then=None
    )

    @contextlib.contextmanager
    def engines(folder, *, meanwhile):
        folder.mkdir(parents=True, exist_ok=True)
        meanwhile()
        yield set_up.engines

    async def serve_parts(parts, sock, *, on_ready, stop):
        with sock:
            set_up.settings.append(parts.settings)
            on_ready()
            if set_up.then is not None:
                await set_up.then(stop)

    monkeypatch.setattr(dev, "engines", engines)
    monkeypatch.setattr(office, "serve_parts", serve_parts)
    monkeypatch.setattr(office, "LOOK", 0.001)
    return set_up


@pytest.fixture
def run_dev(stage, lime_server_command, tmp_path):
    """Runs `lime-server dev` on a folder of the test's own, with no settings at all."""

    def run(*arguments, **env):
        nothing = dict.fromkeys(("PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "MASTER_KEY"))
        command = ("dev", "--data", tmp_path / "data", "--port", "0", *arguments)
        return lime_server_command(*command, **{f"LIME_{k}": v for k, v in nothing.items()}, **env)

    return run


@pytest.fixture
def ready_file(tmp_path):
    """Where a script wants to be told."""
    return tmp_path / "ready.json"


@pytest.fixture
def read_while_ready(stage, ready_file):
    """What the ready file said while it was there, and with which mode."""
    seen = SimpleNamespace(values={}, mode=0)

    async def look(stop):
        seen.values = json.loads(ready_file.read_text())
        seen.mode = stat.S_IMODE(ready_file.stat().st_mode)

    stage.then = look
    return seen


def test_a_newcomer_is_told_everything_needed_to_log_in(run_dev, stage, tmp_path):
    ended = run_dev()
    assert ended.exit_code == 0, ended.output
    made = json.loads((tmp_path / "data" / "credentials.json").read_text())
    api = f"{stage.settings[0].public_url}/api/v1"
    assert f"LIME is ready at {stage.settings[0].public_url}" in ended.stdout
    for value in (*made.values(), api, stage.engines.database_url, stage.engines.redis_url):
        assert value in ended.stdout or value == made["owner_id"]
    assert f"export LIME_API_BASE={api} LIME_AGENT_TOKEN={made['agent_token']}\n" in ended.stdout


def test_with_web_pages_the_first_owner_gets_a_link(run_dev, stage, monkeypatch, tmp_path):
    monkeypatch.setattr(office, "PACKAGED", tmp_path)
    told = run_dev().stdout
    assert f"  {stage.settings[0].public_url}/first#token=tk_" in told
    assert "/foundation/users/first" not in told


def test_without_web_pages_the_first_owner_gets_a_command(run_dev, stage, monkeypatch, tmp_path):
    monkeypatch.setattr(office, "PACKAGED", tmp_path / "missing")
    told = run_dev().stdout
    assert f"{stage.settings[0].public_url}/api/v1/foundation/users/first" in told
    assert '{"token":"tk_' in told


def test_a_script_is_told_in_a_file_and_its_output_holds_no_token(
    run_dev, stage, ready_file, read_while_ready
):
    ended = run_dev("--ready-file", ready_file)
    assert ended.exit_code == 0, ended.output
    told = read_while_ready.values
    assert read_while_ready.mode == 0o600
    assert told["pid"] == os.getpid()
    assert told["api_base"] == f"{stage.settings[0].public_url}/api/v1"
    assert set(told) >= {"agent_id", "agent_token", "site_id", "site_token"}
    assert told["agent_token"] not in ended.output
    assert told["site_token"] not in ended.output
    assert not ready_file.exists()


def test_a_ready_file_of_an_earlier_start_tells_nobody_anything(run_dev, stage, ready_file):
    ready_file.write_text("stale")
    stage.engines = None  # fails before it is ready
    assert run_dev("--ready-file", ready_file).exit_code != 0
    assert not ready_file.exists()


def test_a_ready_file_that_cannot_be_written_is_a_sentence(run_dev, tmp_path):
    ended = run_dev("--ready-file", tmp_path / "missing" / "ready.json")
    assert ended.exit_code == 1
    assert f"Cannot write {tmp_path}/missing/ready.json: No such file" in ended.stderr


def test_the_same_folder_means_the_same_tokens(run_dev, ready_file, read_while_ready, tmp_path):
    run_dev("--ready-file", ready_file)
    first = read_while_ready.values
    run_dev("--ready-file", ready_file)
    changing = ("api_base", "first_owner_token", "mailbox_url")
    again = {name: read_while_ready.values[name] for name in changing}
    assert read_while_ready.values == {**first, **again}
    # The token of an earlier start opens nothing any more.
    assert again["first_owner_token"] != first["first_owner_token"]
    kept = tmp_path / "data" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["", "{}", "[1]", "not json"])
def test_lost_tokens_are_replaced(run_dev, ready_file, read_while_ready, tmp_path, damage):
    run_dev("--ready-file", ready_file)
    first = read_while_ready.values
    (tmp_path / "data" / "credentials.json").write_text(damage)
    run_dev("--ready-file", ready_file)
    second = read_while_ready.values
    assert second["agent_token"] != first["agent_token"]
    assert second["owner_id"] == first["owner_id"]


async def test_tokens_that_the_database_does_not_know_are_replaced(settings, tmp_path, monkeypatch):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    kept = tmp_path / "credentials.json"
    strange = dict.fromkeys(
        ("owner_id", "agent_id", "site_id"), "01a20a4d-3ff1-79a9-b3c8-2a534cb1ac4b"
    )
    strange |= {"agent_token": "at_" + "A" * 43, "site_token": "st_" + "A" * 43}
    kept.write_text(json.dumps(strange))
    async with open_parts(office.load()) as parts:
        made = await residents.settle(parts, kept)
        assert made.agent_token != strange["agent_token"]
        assert await residents.settle(parts, kept) == made
        agent = await parts.agents.authenticate(made.agent_token)
        assert agent.agent_id == made.agent_id
        assert agent.capabilities == {"oauth:mcp"}
    assert made.agent_token not in repr(made)
    assert made.site_token not in repr(made)


def test_where_it_is_and_what_it_stands_on_is_not_for_the_environment_to_say(
    run_dev, stage, tmp_path, logged
):
    ended = run_dev(LIME_PORT="1", LIME_DIFFICULTY="3", LIME_LOG_LEVEL="error")
    assert ended.exit_code == 0, ended.output
    (settings,) = stage.settings
    assert settings.port not in {0, 1}
    assert str(settings.public_url) == f"http://127.0.0.1:{settings.port}"
    assert settings.database_url.get_secret_value() == stage.engines.database_url
    assert settings.master_key_file == tmp_path / "data" / "master.key"
    assert settings.difficulty == 3
    assert logged == [{"level": "error", "style": "console"}]


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")]
)
def test_the_public_url_is_one_that_can_be_opened(run_dev, stage, host, shown):
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    ended = run_dev("--host", host)
    assert ended.exit_code == 0, ended.output
    (settings,) = stage.settings
    assert str(settings.public_url) == f"http://{shown}:{settings.port}"


def _has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_misspelt_setting_is_refused_here_too(run_dev):
    ended = run_dev(LIME_DIFICULTY="3")
    assert ended.exit_code == 1
    assert ended.stderr == "lime-server: LIME_DIFICULTY is not a setting of lime-server\n"


def test_a_folder_in_use_is_a_sentence(run_dev, monkeypatch):
    def refuse(folder, *, meanwhile):
        raise FolderInUseError("Another lime-server (process 7) already uses it.")

    monkeypatch.setattr(dev, "engines", refuse)
    ended = run_dev()
    assert ended.exit_code == 1
    assert ended.stderr == "lime-server: Another lime-server (process 7) already uses it.\n"


def test_an_engine_that_falls_ends_the_server_with_a_sentence(run_dev, stage):
    async def fall(stop):
        stage.engines.postgres.code = -9
        await stop.wait()

    stage.then = fall
    ended = run_dev()
    assert ended.exit_code == 1
    assert ended.stderr == "lime-server: PostgreSQL was ended by SIGKILL.\n"


def test_a_closed_terminal_ends_the_server_in_order(run_dev, stage, ready_file):
    async def hang_up(stop):
        signal.raise_signal(signal.SIGHUP)
        await stop.wait()

    stage.then = hang_up
    assert run_dev("--ready-file", ready_file).exit_code == 0
    assert not ready_file.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_start_unwinds_it(run_dev, monkeypatch, ready_file, number):
    closed = []

    @contextlib.contextmanager
    def engines(folder, *, meanwhile):
        try:
            signal.raise_signal(number)
            yield
        finally:
            closed.append(folder)

    before = signal.getsignal(number)
    monkeypatch.setattr(dev, "engines", engines)
    assert run_dev("--ready-file", ready_file).exit_code == 128 + number
    assert len(closed) == 1
    assert signal.getsignal(number) is before


def test_a_signal_while_the_database_is_prepared_unwinds_it_too(run_dev, monkeypatch):
    async def migrate(url):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr(office, "migrate", migrate)
    assert run_dev().exit_code == 128 + signal.SIGTERM


def test_ctrl_c_while_the_database_is_prepared_unwinds_it_too(run_dev, monkeypatch):
    async def migrate(url):
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr(office, "migrate", migrate)
    assert run_dev().exit_code == 128 + signal.SIGINT


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", "/home/me/.local/share/lime/dev"),
        ({"XDG_DATA_HOME": "/data"}, "linux", "/data/lime/dev"),
        ({"XDG_DATA_HOME": "relative"}, "linux", "/home/me/.local/share/lime/dev"),
        ({"XDG_DATA_HOME": "/data"}, "darwin", "/home/me/Library/Application Support/lime/dev"),
    ],
)
def test_data_goes_where_the_platform_keeps_it(environ, platform, expected):
    assert dev.default_folder(environ, platform, Path("/home/me")) == Path(expected)


def test_without_a_folder_the_data_goes_home(stage, lime_server_command, tmp_path):
    ended = lime_server_command(
        "dev", "--port", "0", HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "share"),
        LIME_MASTER_KEY=None,
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    assert stage.settings[0].master_key_file.is_relative_to(tmp_path)


def test_a_private_file_that_cannot_be_finished_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(CommandError, match="Cannot write"):
        files.write_private(tmp_path / "taken", {})
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_commands_to_copy_are_never_wrapped(tmp_path):
    who = residents.Residents("o" * 36, "a" * 36, "at_" + "x" * 43, "s" * 36, "st_" + "y" * 43)
    told = welcome.Welcome("http://127.0.0.1:1", tmp_path / ("long" * 30), "p" * 90, "r" * 90, who)
    printed = io.StringIO()
    welcome.say(told, Console(width=40, file=printed))
    text = printed.getvalue()
    for whole in (
        f"'X-Site-Token: {who.site_token}'",
        f"LIME_AGENT_TOKEN={who.agent_token}",
        str(told.data),
    ):
        assert whole in text
