"""The master key, from the settings or from a file that nobody else can read."""

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from lime_server.infrastructure import master_key as subject
from lime_server.infrastructure.master_key import existing, from_file, made, master_key, parse
from lime_server.settings import Settings, SettingsError

KEY = bytes(range(32))


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper() + "\n",
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(bytes(range(224, 256))).decode().rstrip("="),
        base64.b64encode(bytes(range(224, 256))).decode(),
    ],
)
def test_it_may_be_written_in_hexadecimal_or_base64(text):
    assert parse(text, origin="X") in (KEY, bytes(range(224, 256)))


@pytest.mark.parametrize(
    "text", ["", "secret", KEY.hex()[:-2], KEY.hex() + "00", "é" * 43, "A" * 42 + "*"]
)
def test_anything_else_is_refused_and_not_shown(text):
    with pytest.raises(SettingsError, match=r"^X must hold 32 random bytes") as caught:
        parse(text, origin="X")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["00" * 32, "0123" * 16])
def test_a_key_that_somebody_made_up_is_refused(text):
    with pytest.raises(SettingsError, match="not random"):
        parse(text, origin="X")


def kept_in(path):
    return Settings(
        public_url="https://a.example", database_url="postgresql:///x", master_key_file=path
    )


def test_the_first_start_makes_the_file_and_the_next_reads_it(tmp_path):
    path = tmp_path / "master key"
    key = made(kept_in(path))
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made(kept_in(path)) == existing(kept_in(path)) == from_file(path) == key
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_first_starts_one_wins(tmp_path):
    path = tmp_path / "key"
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: made(kept_in(path)), range(8)))
    assert len(found) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_somebody_faster_is_believed(tmp_path, monkeypatch):
    path = tmp_path / "key"
    link = os.link

    def faster(draft, target):
        path.write_text(KEY.hex())
        path.chmod(0o600)
        link(draft, target)

    monkeypatch.setattr(subject.os, "link", faster)
    assert made(kept_in(path)) == KEY
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_can_use_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    path.write_text(KEY.hex())
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        from_file(path)


@pytest.mark.parametrize(
    ("mode", "owner", "us", "is_open"),
    [
        (0o440, 0, 10001, False),
        (0o640, 0, 10001, False),
        (0o660, 0, 10001, True),
        (0o444, 0, 10001, True),
        (0o440, 10001, 10001, True),
        (0o400, 10001, 10001, False),
        # Root's own group is nobody that root has chosen.
        (0o440, 0, 0, True),
    ],
)
def test_what_root_gives_to_a_service_its_group_may_read(mode, owner, us, is_open):
    assert subject._is_open_to_others(mode, owner=owner, us=us) is is_open


def test_a_file_that_cannot_be_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot be used: No such file"):
        made(kept_in(tmp_path / "missing" / "key"))
    with pytest.raises(SettingsError, match=r"cannot be used: Is a directory|not a plain file"):
        from_file(tmp_path)


def test_a_device_is_no_key_file():
    with pytest.raises(SettingsError, match="not a plain file"):
        from_file(subject.Path("/dev/null"))


def test_the_settings_say_which(tmp_path):
    common = {"public_url": "https://a.example", "database_url": "postgresql:///x"}
    assert master_key(Settings(**common, master_key=KEY.hex())) == KEY
    assert made(Settings(**common, master_key=KEY.hex())) == KEY


def test_whoever_only_reads_makes_no_file(tmp_path):
    settings = kept_in(tmp_path / "key")
    assert existing(settings) is None
    with pytest.raises(SettingsError, match=r"cannot be used: No such file"):
        master_key(settings)
    assert list(tmp_path.iterdir()) == []
