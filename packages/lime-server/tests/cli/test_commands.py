"""Commands that do one thing and end."""

import gc
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import urllib.request

import asyncpg
import pytest

from lime_server import __version__
from lime_server import settings as server_settings
from lime_server.cli import keys, migrate
from lime_server.composition import run as composition_run
from lime_server.core.keyring import Rotation
from lime_server.core.tokens import Token, TokenKind
from lime_server.infrastructure import doctor, fitness
from lime_server.infrastructure.postgres import waiting


def test_the_version_is_told(lime_server_command):
    assert lime_server_command("--version").output == f"lime-server {__version__}\n"


def test_without_a_command_the_commands_are_listed(lime_server_command):
    shown = lime_server_command()
    assert shown.exit_code == 2
    for command in ("dev", "serve", "migrate", "check", "keys", "owner", "agent", "site"):
        assert command in shown.output


def test_the_package_runs_as_a_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lime-server", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("lime_server", run_name="__main__")
    assert ended.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["dev", "--help"], ["keys", "list", "--help"]])
def test_help_imports_no_server(environment, words):
    code = f"""
import sys
from lime_server.cli import app
app({words!r}, standalone_mode=False)
print(*sys.modules)
"""
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    dear = {"asyncpg", "fastapi", "httpx", "redis", "starlette", "structlog", "uvicorn", "webauthn"}
    assert not (dear | {"lime_server.composition", "lime_server.settings"}) & set(shown.split())


@pytest.mark.parametrize("how", [["migrate"], ["keys", "list"], ["serve"], ["check"]])
def test_a_misspelt_setting_is_a_sentence_and_not_a_traceback(lime_server_command, how):
    ended = lime_server_command(*how, LIME_DIFICULTY="3")
    assert ended.exit_code == 1
    assert ended.stderr == "lime-server: LIME_DIFICULTY is not a setting of lime-server\n"
    assert ended.stdout == ""


def test_a_secret_that_is_wrong_is_not_repeated(lime_server_command):
    ended = lime_server_command("keys", "list", LIME_MASTER_KEY="hunter2-hunter2")
    assert ended.exit_code == 1
    assert "LIME_MASTER_KEY" in ended.stderr
    assert "hunter2" not in ended.output


def test_an_interrupted_command_ends_as_shells_expect(lime_server_command, monkeypatch):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(server_settings, "load", interrupt)
    assert lime_server_command("migrate").exit_code == 130


def test_an_unexpected_failure_is_not_hidden(lime_server_command, monkeypatch):
    monkeypatch.setattr(server_settings, "load", lambda: 1 / 0)
    assert isinstance(lime_server_command("migrate").exception, ZeroDivisionError)


def test_migrations_are_applied_once(lime_server_command, postgres_url):
    first = lime_server_command("migrate", LIME_DATABASE_URL=postgres_url)
    assert first.exit_code == 0
    assert first.stdout.startswith("applied 0001_")
    second = lime_server_command("migrate", LIME_DATABASE_URL=postgres_url)
    assert second.stdout == "the database is up to date\n"


def test_a_database_that_was_never_migrated_is_refused(lime_server_command, postgres_url):
    ended = lime_server_command("keys", "list", LIME_DATABASE_URL=postgres_url)
    assert ended.exit_code == 1
    assert "run `lime-server migrate`" in ended.stderr


def test_a_database_that_is_away_is_a_sentence(lime_server_command, tmp_path, monkeypatch):
    monkeypatch.setattr(migrate, "PATIENCE", 0.3)
    url = f"postgresql://lime@/lime?host={tmp_path}"
    ended = lime_server_command("migrate", LIME_DATABASE_URL=url)
    assert ended.exit_code == 1
    said = "lime-server: PostgreSQL: it cannot be reached with LIME_DATABASE_URL.\n"
    assert ended.stderr.endswith(said)
    assert "Traceback" not in ended.output


def test_commands_other_than_these_do_not_wait(lime_server_command, tmp_path, monkeypatch):
    async def waited(*_, **__):
        raise AssertionError

    monkeypatch.setattr(waiting, "patiently", waited)
    url = f"postgresql://lime@/lime?host={tmp_path}"
    for command in (["keys", "list"], ["audit", "verify"], ["check"], ["doctor"]):
        ended = lime_server_command(*command, LIME_DATABASE_URL=url)
        assert ended.exit_code in {1, 2}
        assert "Traceback" not in ended.output


@pytest.fixture
def owner(lime_server_command):
    """The id of somebody who answers for agents and sites."""
    made = lime_server_command("owner", "create", "--email", "Ops@Example.com", "--json")
    assert made.exit_code == 0, made.output
    values = json.loads(made.stdout)
    assert values["email"] == "ops@example.com"
    return values["owner_id"]


def test_an_owner_has_an_address_of_their_own(lime_server_command, owner):
    again = lime_server_command("owner", "create", "--email", "ops@example.com")
    assert again.exit_code == 1
    assert again.stderr.startswith("lime-server: ")


@pytest.mark.parametrize("named", ["id", "address"])
def test_an_agent_is_made_for_an_owner_and_its_token_shown(lime_server_command, owner, named):
    answer = lime_server_command(
        "agent", "create", "--owner", owner if named == "id" else "OPS@example.com",
        "--name", "Research agent", "--description", "Reads papers", "--json",
    )  # fmt: skip
    made = json.loads(answer.stdout)
    assert Token.parse(TokenKind.AGENT, made["agent_token"]) is not None
    assert (made["owner_id"], made["display_name"]) == (owner, "Research agent")
    assert "shown only now" in answer.stderr


async def test_a_token_is_kept_as_a_hash_only(lime_server_command, owner, settings):
    # In a thread: the command runs an event loop of its own.
    import asyncio

    made = await asyncio.to_thread(
        lime_server_command, "site", "create", "--owner", owner, "--name", "Shop", "--json"
    )
    token = json.loads(made.stdout)["site_token"]
    connection = await asyncpg.connect(settings["LIME_DATABASE_URL"])
    dump = await connection.fetchval("SELECT string_agg(s::text, '') FROM foundation.sites s")
    await connection.close()
    assert json.loads(made.stdout)["site_id"] in dump
    assert token not in dump


def test_a_site_is_shown_in_lines_that_line_up(lime_server_command, owner):
    answer = lime_server_command("site", "create", "--owner", owner, "--name", "Example shop")
    lines = dict(line.split(maxsplit=1) for line in answer.stdout.splitlines())
    assert Token.parse(TokenKind.SITE, lines["site_token"]) is not None
    assert (lines["display_name"], lines["domain"]) == ("Example shop", "-")
    assert (
        len(
            {
                line.index(value)
                for line, value in zip(answer.stdout.splitlines(), lines.values(), strict=True)
            }
        )
        == 1
    )


def test_the_domain_of_a_site_is_read_as_one(lime_server_command, owner):
    bad = lime_server_command(
        "site", "create", "--owner", owner, "--name", "Shop", "--domain", "https://shop.example"
    )
    assert bad.exit_code == 1
    assert "host name" in bad.stderr


@pytest.mark.parametrize(
    "stranger", ["nobody@example.com", "no id at all", "01a20a4d-3ff1-79a9-b3c8-2a534cb1ac4b"]
)
def test_an_unknown_owner_is_a_sentence_that_says_what_to_do(lime_server_command, stranger):
    ended = lime_server_command("agent", "create", "--owner", stranger, "--name", "Agent")
    assert ended.exit_code == 1
    expected = f"There is no owner {stranger}. Make one with: lime-server owner create"
    assert ended.stderr == f"lime-server: {expected}\n"


def test_a_command_line_that_lacks_something_ends_with_two(lime_server_command):
    assert lime_server_command("agent", "create", "--name", "Agent").exit_code == 2


def test_keys_are_listed(lime_server_command):
    (key,) = json.loads(lime_server_command("keys", "list", "--json").stdout)
    assert key["state"] == "active"
    assert key["retired"] is None
    head, line = lime_server_command("keys", "list").stdout.splitlines()
    assert head.split() == ["kid", "state", "created", "activated", "retired", "gone"]
    assert line.split()[:2] == [key["kid"], "active"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.split()[2])


def test_a_new_key_is_published_before_it_signs(lime_server_command):
    (old,) = json.loads(lime_server_command("keys", "list", "--json").stdout)
    first = json.loads(lime_server_command("keys", "rotate", "--json").stdout)
    assert first["made"] is True
    assert first["promoted"] is False
    assert first["active"] == old["kid"] != first["standby"]
    second = lime_server_command("keys", "rotate").stdout
    expected = f"{first['standby']} is already published and may sign from {first['signs_at']}."
    assert second == f"{expected}\n"


def test_a_rotation_is_told_in_a_sentence(lime_server_command):
    made = lime_server_command("keys", "rotate").stdout
    assert re.fullmatch(r"\S+ is published now and may sign from \S+Z\.\n", made)


def test_a_promotion_is_told_in_a_sentence():
    # Opening a server's parts already promotes what is due, so that only a race leads here.
    done = Rotation(active="new", standby=None, signs_at=None, made=False, promoted=True)
    assert keys._sentence(done) == "new signs from now on."


def test_a_key_is_retired_gently_unless_it_is_compromised(lime_server_command):
    (key,) = json.loads(lime_server_command("keys", "list", "--json").stdout)
    gently = lime_server_command("keys", "retire", key["kid"])
    assert gently.exit_code == 1
    assert gently.stderr.startswith("lime-server: ")
    at_once = lime_server_command("keys", "retire", key["kid"], "--compromised", "--json")
    assert json.loads(at_once.stdout)["state"] == "gone"
    unknown = lime_server_command("keys", "retire", "nonsense")
    assert unknown.exit_code == 1


@pytest.mark.parametrize("kid", ["-nonsense", "--nonsense", "-"])
def test_an_id_may_begin_with_a_hyphen(lime_server_command, kid):
    unknown = lime_server_command("keys", "retire", kid, "--compromised")
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("lime-server: ")


def findings(*levels):
    async def check(settings, clock):
        return [
            fitness.Finding(
                level, "subject", f"it is {level}", None if level == "ok" else f"mend the {level}"
            )
            for level in levels
        ]

    return check


def test_check_ends_with_one_if_anything_is_wrong(lime_server_command, monkeypatch):
    monkeypatch.setattr(fitness, "check", findings("ok", "warning", "error"))
    checked = lime_server_command("check")
    assert checked.exit_code == 1
    said = [line.split()[0] for line in checked.stdout.splitlines()]
    assert said == ["ok", "warning", "mend", "ERROR", "mend"]


def test_check_ends_with_zero_if_there_are_warnings_only(lime_server_command, monkeypatch):
    monkeypatch.setattr(fitness, "check", findings("ok", "warning"))
    checked = lime_server_command("check", "--json")
    assert checked.exit_code == 0
    assert json.loads(checked.stdout)[1] == {
        "level": "warning", "subject": "subject", "message": "it is warning",
        "advice": "mend the warning",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "status"), [(["ok"], 0), (["warning", "ok"], 1), (["error", "warning"], 2)]
)
def test_the_doctor_ends_with_the_worst(lime_server_command, monkeypatch, levels, status):
    monkeypatch.setattr(doctor, "examine", findings(*levels))
    examined = lime_server_command("doctor", "--json")
    assert examined.exit_code == status
    assert [finding["level"] for finding in json.loads(examined.stdout)] == levels


def test_the_doctor_looks_at_the_real_thing(lime_server_command):
    examined = lime_server_command("doctor")
    assert examined.exit_code == 2
    assert "public_url" in examined.stdout
    assert "All " in next(line for line in examined.stdout.splitlines() if "indexes" in line)


def test_settings_that_cannot_be_read_are_an_error_to_the_doctor(lime_server_command):
    assert lime_server_command("doctor", LIME_DIFICULTY="3").exit_code == 2


def test_check_looks_at_the_real_thing(lime_server_command):
    checked = lime_server_command("check")
    assert checked.exit_code == 1
    assert (
        "public_url: http://127.0.0.1:8080 can be reached from this machine only" in checked.stdout
    )


def test_serve_runs_what_the_environment_says(lime_server_command, monkeypatch, logged):
    served = []

    async def run(settings, *, sock, on_ready):
        served.append(settings)
        on_ready()

    monkeypatch.setattr(composition_run, "run", run)
    ended = lime_server_command("serve", LIME_LOG_LEVEL="error", LIME_PORT="9")
    assert ended.exit_code == 0, ended.output
    assert served[0].port == 9
    assert logged == [{"level": "error", "style": "json"}]


def test_garbage_is_collected_once_a_server_is_ready(lime_server_command, monkeypatch):
    seen = []

    async def run(settings, *, sock, on_ready):
        seen.append((gc.isenabled(), gc.get_freeze_count()))
        on_ready()
        seen.append((gc.isenabled(), gc.get_freeze_count() > seen[0][1]))

    monkeypatch.setattr(composition_run, "run", run)
    assert lime_server_command("serve").exit_code == 0
    assert seen == [(False, 0), (True, True)]


def test_garbage_is_collected_after_a_start_that_failed(lime_server_command):
    assert lime_server_command("serve", LIME_PORT="none").exit_code == 1
    assert gc.isenabled()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_a_real_server_answers_until_it_is_told_to_end(spawn, settings):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = str(reserved.getsockname()[1])
    server = spawn("serve", **settings, LIME_PORT=port, LIME_LOG_LEVEL="info")
    for line in server.stdout:
        if "startup complete" in line:
            break
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=30) as answer:
        assert answer.status == 200
    os.kill(server.pid, signal.SIGTERM)
    server.communicate()
    assert server.returncode == 0


def test_a_taken_port_is_a_sentence(lime_server_command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = lime_server_command("serve", LIME_PORT=str(port))
    assert ended.exit_code == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in ended.stderr
