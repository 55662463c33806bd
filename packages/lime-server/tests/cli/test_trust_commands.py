"""Operators and the audit log, from the command line."""

import asyncio
import json
import stat

import asyncpg
import pytest

from lime_server.core.errors import Unavailable
from lime_server.foundation.audit import Audit


@pytest.fixture
def operator(lime_server_command):
    """The id of an operator."""
    made = lime_server_command(
        "owner", "create", "--email", "Ops@Example.com", "--operator", "--json"
    )
    assert made.exit_code == 0, made.output
    values = json.loads(made.stdout)
    assert (values["email"], values["operator"]) == ("ops@example.com", True)
    return values["owner_id"]


def verified(run):
    ended = run("audit", "verify", "--json")
    return ended.exit_code, json.loads(ended.stdout)


def test_an_operator_is_made_and_the_log_says_so(lime_server_command, operator):
    line = json.loads(lime_server_command("audit", "export").stdout)
    assert (line["owner_id"], line["action"]) == (operator, "operator.appointed")
    assert line["actor"] == {"kind": "system", "id": "lime-server"}
    assert verified(lime_server_command) == (0, {"chains": 1, "entries": 1, "flaws": []})
    assert lime_server_command("audit", "verify").stdout == "1 entries in 1 chains, 0 flaws\n"


def test_an_owner_can_be_appointed_and_dismissed_but_not_the_last(lime_server_command, operator):
    assert lime_server_command("owner", "create", "--email", "ada@example.com").exit_code == 0
    shown = lime_server_command("owner", "appoint", "--email", "ada@example.com")
    assert "operator  True" in shown.stdout
    gone = lime_server_command("owner", "dismiss", "--email", "ops@example.com", "--json")
    assert json.loads(gone.stdout)["operator"] is False
    last = lime_server_command("owner", "dismiss", "--email", "ada@example.com")
    assert last.exit_code == 1
    assert "last operator" in last.stderr
    nobody = lime_server_command("owner", "appoint", "--email", "bob@example.com")
    assert nobody.stderr == "lime-server: There is no owner bob@example.com.\n"


def test_one_owners_log_is_exported_to_a_private_file(lime_server_command, operator, tmp_path):
    lime_server_command("owner", "create", "--email", "two@example.com", "--operator")
    output = tmp_path / "log.jsonl"
    how = ["audit", "export", "--owner", "OPS@example.com", "--output", output]
    assert lime_server_command(*how).exit_code == 0
    (line,) = output.read_text().splitlines()
    assert json.loads(line)["owner_id"] == operator
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    # Never over a file that is there.
    again = lime_server_command(*how)
    assert again.exit_code == 1
    assert "There is a file" in again.stderr
    stranger = lime_server_command("audit", "export", "--owner", "nobody@example.com")
    assert stranger.stderr == "lime-server: There is no owner nobody@example.com.\n"


def test_an_export_that_breaks_off_leaves_no_file(
    lime_server_command, operator, tmp_path, monkeypatch
):
    lime_server_command("owner", "create", "--email", "two@example.com", "--operator")
    entries = Audit.entries

    async def breaks_off(self, owner_id):
        if owner_id != operator:
            raise Unavailable
        async for entry in entries(self, owner_id):
            yield entry

    monkeypatch.setattr(Audit, "entries", breaks_off)
    output = tmp_path / "log.jsonl"
    ended = lime_server_command("audit", "export", "--output", output)
    assert ended.exit_code == 1
    # Half of it would pass for all there was.
    assert list(tmp_path.iterdir()) == []


def test_a_changed_row_is_named_and_the_command_ends_with_one(
    lime_server_command, operator, settings
):
    asyncio.run(tamper(settings["LIME_DATABASE_URL"]))
    ended = lime_server_command("audit", "verify")
    assert ended.exit_code == 1
    assert ended.stdout.splitlines() == [
        f"owner {operator}, entry 1: changed",
        "0 entries in 1 chains, 1 flaws",
    ]
    code, found = verified(lime_server_command)
    assert (code, found["flaws"]) == (
        1, [{"owner_id": operator, "sequence": 1, "what": "changed"}],
    )  # fmt: skip


def test_an_end_that_was_cut_off_with_its_head_shows_against_an_export(
    lime_server_command, operator, settings, tmp_path
):
    export = tmp_path / "log.jsonl"
    heads = asyncio.run(cut_back(settings["LIME_DATABASE_URL"], None))
    lime_server_command("owner", "create", "--email", "two@example.com", "--operator")
    lime_server_command("owner", "dismiss", "--email", "ops@example.com")
    assert lime_server_command("audit", "export", "--output", export).exit_code == 0
    assert lime_server_command("audit", "verify", "--against", export).exit_code == 0
    asyncio.run(cut_back(settings["LIME_DATABASE_URL"], heads))
    # By itself the chain is whole, up to a head that was the server's own.
    assert lime_server_command("audit", "verify").exit_code == 0
    ended = lime_server_command("audit", "verify", "--against", export)
    assert ended.exit_code == 1
    assert f"owner {operator}, entry 2: missing at the end of the chain, and was exported" in (
        ended.stdout.splitlines()
    )


async def cut_back(url, heads):
    """The heads of the log as they are; or put these back, and cut the chains to them."""
    connection = await asyncpg.connect(url)
    try:
        if heads is None:
            return await connection.fetch("SELECT * FROM foundation.audit_heads")
        for table in ("audit_entries", "audit_heads"):
            await connection.execute(f"ALTER TABLE foundation.{table} DISABLE TRIGGER USER")
        for head in heads:
            await connection.execute(
                "UPDATE foundation.audit_heads SET sequence = $2, hash = $3, seal = $4 "
                "WHERE owner_id = $1",
                head["owner_id"],
                head["sequence"],
                head["hash"],
                head["seal"],
            )
            await connection.execute(
                "DELETE FROM foundation.audit_entries WHERE owner_id = $1 AND sequence > $2",
                head["owner_id"],
                head["sequence"],
            )
        return heads
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "Cannot read"), (b"not json\n", "Line 1 is not as it was exported.")],
)
def test_what_was_not_exported_is_no_measure(lime_server_command, tmp_path, content, said):
    export = tmp_path / "log.jsonl"
    if content is not None:
        export.write_bytes(content)
    ended = lime_server_command("audit", "verify", "--against", export)
    assert ended.exit_code == 1
    assert said in ended.stderr


async def tamper(url):
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER TABLE foundation.audit_entries DISABLE TRIGGER USER")
    await connection.execute("UPDATE foundation.audit_entries SET actor_id = 'nobody'")
    await connection.close()
