"""`lime-server backup` and `lime-server restore`, as an operator types them."""

import json
import re
import secrets
import stat

import pytest

from lime_server.cli import safe as subject
from lime_server.core.errors import Unavailable
from lime_server.infrastructure import backup as backups

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def other_database(databases):
    with databases.fresh() as url:
        yield url


@pytest.fixture
def made(lime_server_command, passphrase, tmp_path):
    """A backup of a deployment with one owner."""
    lime_server_command("owner", "create", "--email", "ops@example.com")
    path = tmp_path / "lime.backup"
    done = lime_server_command(
        "backup", "--output", path, "--passphrase-file", passphrase, "--json"
    )
    assert done.exit_code == 0, done.output
    return path


def test_a_backup_is_a_private_file_that_says_nothing(made, settings):
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    data = made.read_bytes()
    for secret in (b"ops@example.com", settings["LIME_MASTER_KEY"].encode(), b"foundation"):
        assert secret not in data
    assert [path for path in made.parent.iterdir() if path.name.startswith(".lime")] == []


def test_in_a_folder_it_is_named_after_its_moment(lime_server_command, passphrase, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    done = lime_server_command(
        "backup", "--output", folder, "--passphrase-file", passphrase, "--json"
    )
    assert done.exit_code == 0, done.output
    [path] = folder.iterdir()
    assert re.fullmatch(r"lime-[0-9]{8}T[0-9]{6}Z\.backup", path.name)
    assert json.loads(done.stdout)["file"] == str(path)


def test_it_can_be_checked_without_any_settings(made, passphrase, monkeypatch):
    from typer.testing import CliRunner

    import lime_server.cli

    told = CliRunner().invoke(
        lime_server.cli.app,
        ["restore", str(made), "--passphrase-file", str(passphrase), "--check", "--json"],
    )
    assert told.exit_code == 0, told.output
    values = json.loads(told.stdout)
    assert values["public_url"] == "http://127.0.0.1:8080"
    assert values["rows"] >= 1


def test_it_is_restored_where_the_key_is_already(
    lime_server_command, made, passphrase, other_database
):
    done = lime_server_command(
        "restore", made, "--passphrase-file", passphrase, LIME_DATABASE_URL=other_database
    )
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "rows" in done.stdout
    again = lime_server_command(
        "owner", "create", "--email", "ops@example.com", LIME_DATABASE_URL=other_database
    )
    assert "There is an owner with this address" in again.stderr


def test_the_master_key_is_put_where_the_settings_want_it(
    lime_server_command, made, passphrase, other_database, settings, tmp_path
):
    key = tmp_path / "master.key"
    where = {
        "LIME_DATABASE_URL": other_database,
        "LIME_MASTER_KEY": None,
        "LIME_MASTER_KEY_FILE": str(key),
    }
    done = lime_server_command("restore", made, "--passphrase-file", passphrase, **where)
    assert done.exit_code == 0, done.output
    assert key.read_text() == settings["LIME_MASTER_KEY"] + "\n"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert lime_server_command("keys", "list", **where).exit_code == 0


def test_a_restore_that_fails_leaves_no_key_behind(
    lime_server_command, made, passphrase, settings, tmp_path
):
    key = tmp_path / "master.key"
    done = lime_server_command(
        "restore", made, "--passphrase-file", passphrase,
        LIME_MASTER_KEY=None, LIME_MASTER_KEY_FILE=str(key),
    )  # fmt: skip
    assert done.exit_code == 1
    assert "is not empty" in done.stderr
    assert not key.exists()


@pytest.mark.parametrize("error", [Unavailable(retry_after=1), KeyboardInterrupt()])
def test_a_key_stays_where_nobody_knows_what_became_of_the_restore(
    lime_server_command, made, passphrase, settings, other_database, tmp_path, monkeypatch, error
):
    key = tmp_path / "master.key"
    load = backups.load

    async def load_and_lose_the_answer(*arguments):
        await load(*arguments)
        raise error

    where = {
        "LIME_DATABASE_URL": other_database,
        "LIME_MASTER_KEY": None,
        "LIME_MASTER_KEY_FILE": str(key),
    }
    with monkeypatch.context() as patched:
        patched.setattr(backups, "load", load_and_lose_the_answer)
        done = lime_server_command("restore", made, "--passphrase-file", passphrase, **where)
    assert done.exit_code in {1, 130}
    assert "holds the backup's master key. It stays" in done.stderr
    assert key.read_text() == settings["LIME_MASTER_KEY"] + "\n"
    again = lime_server_command("restore", made, "--passphrase-file", passphrase, **where)
    assert "is not empty" in again.stderr
    assert key.exists()


def test_another_master_key_is_not_replaced(lime_server_command, made, passphrase, other_database):
    done = lime_server_command(
        "restore", made, "--passphrase-file", passphrase,
        LIME_DATABASE_URL=other_database, LIME_MASTER_KEY=secrets.token_hex(32),
    )  # fmt: skip
    assert done.exit_code == 1
    assert "another master key than the backup" in done.stderr


def test_a_master_key_that_cannot_be_written_is_a_sentence(
    lime_server_command, made, passphrase, other_database, tmp_path
):
    done = lime_server_command(
        "restore", made, "--passphrase-file", passphrase, LIME_DATABASE_URL=other_database,
        LIME_MASTER_KEY=None, LIME_MASTER_KEY_FILE=str(tmp_path / "no such folder" / "key"),
    )  # fmt: skip
    assert done.exit_code == 1
    assert "Cannot write the master key" in done.stderr


def test_another_public_url_is_mentioned(lime_server_command, made, passphrase, other_database):
    done = lime_server_command(
        "restore", made, "--passphrase-file", passphrase,
        LIME_DATABASE_URL=other_database, LIME_PUBLIC_URL="https://new.example",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "passports were issued by http://127.0.0.1:8080" in done.stderr


def test_a_wrong_passphrase_is_a_sentence_and_is_not_repeated(
    lime_server_command, made, passphrase, other_database
):
    passphrase.write_text("another passphrase altogether")
    done = lime_server_command(
        "restore", made, "--passphrase-file", passphrase, LIME_DATABASE_URL=other_database
    )
    assert done.exit_code == 1
    assert done.stderr == "lime-server: The passphrase is another one, or the backup was changed.\n"


def test_line_ends_are_no_part_of_the_passphrase(lime_server_command, made, passphrase):
    for end in ("", "\r\n", "\nand a note for whoever finds this"):
        passphrase.write_bytes((PASSPHRASE + end).encode())
        done = lime_server_command("restore", made, "--passphrase-file", passphrase, "--check")
        assert done.exit_code == 0, done.output


def test_a_passphrase_that_can_be_guessed_is_refused(lime_server_command, passphrase, tmp_path):
    passphrase.write_text("x" * 14)
    done = lime_server_command(
        "backup", "--output", tmp_path / "new", "--passphrase-file", passphrase
    )
    assert done.exit_code == 1
    assert "less than 15 bytes" in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("lack", ["missing", "open to others", "too long"])
def test_a_passphrase_file_that_is_none_is_refused(lime_server_command, passphrase, tmp_path, lack):
    if lack == "missing":
        passphrase.unlink()
    elif lack == "open to others":
        passphrase.chmod(0o640)
    else:
        passphrase.write_text("x" * 4097)
    done = lime_server_command(
        "backup", "--output", tmp_path / "new", "--passphrase-file", passphrase
    )
    assert done.exit_code == 1
    assert "the passphrase file" in done.stderr


def test_a_file_that_is_there_is_never_replaced(lime_server_command, made, passphrase):
    before = made.read_bytes()
    done = lime_server_command("backup", "--output", made, "--passphrase-file", passphrase)
    assert done.exit_code == 1
    assert "There is a file" in done.stderr
    assert made.read_bytes() == before


def test_a_file_that_somebody_made_meanwhile_is_not_replaced_either(
    lime_server_command, passphrase, tmp_path, monkeypatch
):
    path = tmp_path / "lime.backup"
    real = backups.dump

    async def slow(*arguments, **named):
        path.write_text("somebody else's")
        return await real(*arguments, **named)

    monkeypatch.setattr(subject.backups, "dump", slow)
    done = lime_server_command("backup", "--output", path, "--passphrase-file", passphrase)
    assert done.exit_code == 1
    assert "File exists" in done.stderr
    assert path.read_text() == "somebody else's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lime.backup", "passphrase"]


def test_a_folder_that_is_not_there_is_a_sentence(lime_server_command, passphrase, tmp_path):
    for command in (
        ["backup", "--output", tmp_path / "no" / "new"],
        ["restore", tmp_path / "no" / "file"],
    ):
        done = lime_server_command(*command, "--passphrase-file", passphrase)
        assert done.exit_code == 1
        assert "No such file or directory" in done.stderr


def test_a_backup_without_a_master_key_makes_none(lime_server_command, passphrase, tmp_path):
    key = tmp_path / "master.key"
    done = lime_server_command(
        "backup", "--output", tmp_path / "new", "--passphrase-file", passphrase,
        LIME_MASTER_KEY=None, LIME_MASTER_KEY_FILE=str(key),
    )  # fmt: skip
    assert done.exit_code == 1
    assert "There is no master key" in done.stderr
    assert not key.exists()


def test_a_backup_that_fails_leaves_no_file(lime_server_command, passphrase, tmp_path):
    done = lime_server_command(
        "backup", "--output", tmp_path / "new", "--passphrase-file", passphrase,
        LIME_DATABASE_URL=f"postgresql://lime@/lime?host={tmp_path}",
    )  # fmt: skip
    assert done.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["passphrase"]
