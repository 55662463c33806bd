"""Whom the engines run as."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from lime_server.infrastructure.embedded import FolderUnusableError
from lime_server.infrastructure.embedded.identity import Identity, engine_identity, hand_over


def accounts(**uids):
    """A password database that knows these accounts only."""

    def find(name):
        return pwd.struct_passwd((name, "x", uids[name], uids[name] + 1, "", "/", ""))

    return find


class Owned:
    """A folder that belongs to somebody."""

    def __init__(self, uid):
        self.uid = uid

    def exists(self):
        return True

    def stat(self):
        return os.stat_result((stat.S_IFDIR | 0o700, 0, 0, 0, self.uid, self.uid, 0, 0, 0, 0))


@pytest.fixture
def cluster(tmp_path):
    """Data of ours."""
    (tmp_path / "postgres").mkdir()
    return tmp_path / "postgres"


def test_an_ordinary_user_runs_the_engines_as_themselves(tmp_path):
    assert engine_identity(tmp_path / "none", euid=1000) is None


def test_an_ordinary_user_may_use_their_own_data():
    assert engine_identity(Owned(1000), euid=1000) is None


def test_an_ordinary_user_is_refused_the_data_of_another(cluster):
    owner = pwd.getpwuid(os.getuid()).pw_name
    with pytest.raises(FolderUnusableError, match=f"belongs to the user {owner}: run as that user"):
        engine_identity(cluster, euid=os.getuid() + 1)


def test_root_prefers_the_account_made_for_postgresql(tmp_path):
    found = engine_identity(tmp_path / "none", euid=0, find=accounts(postgres=70, nobody=99))
    assert found == Identity(70, 71, "postgres")


def test_root_falls_back_to_nobody(tmp_path):
    found = engine_identity(tmp_path / "none", euid=0, find=accounts(nobody=99))
    assert found == Identity(99, 100, "nobody")


def test_root_without_such_an_account_is_told_to_be_someone_else(tmp_path):
    with pytest.raises(FolderUnusableError, match="as an ordinary user"):
        engine_identity(tmp_path / "none", euid=0, find=accounts())


def test_root_goes_on_as_whoever_made_the_data():
    found = engine_identity(Owned(4_000_000), euid=0, find=accounts(postgres=70))
    assert found == Identity(4_000_000, 4_000_000, "4000000")


def test_data_that_belongs_to_root_says_nothing_about_the_account():
    found = engine_identity(Owned(0), euid=0, find=accounts(postgres=70))
    assert found.name == "postgres"


def test_data_is_handed_over_to_the_account(tmp_path):
    hand_over(tmp_path, Identity(os.getuid(), os.getgid(), "ourselves"))
    hand_over(tmp_path, None)
    assert tmp_path.stat().st_uid == os.getuid()


@pytest.mark.parametrize(
    ("mode", "owner", "group", "others"),
    [(0o700, True, False, False), (0o010, False, True, False), (0o601, False, False, True)],
)
def test_an_account_enters_by_the_bit_that_counts_for_it(tmp_path, mode, owner, group, others):
    tmp_path.chmod(mode)
    try:
        us = tmp_path.stat()
        whom = [(us.st_uid, us.st_gid), (us.st_uid + 1, us.st_gid), (us.st_uid + 1, us.st_gid + 1)]
        entered = [Identity(uid, gid, "")._may_search(tmp_path.stat()) for uid, gid in whom]
    finally:
        tmp_path.chmod(0o700)
    assert entered == [owner, group, others]


def test_one_closed_folder_on_the_way_is_enough(tmp_path):
    (tmp_path / "closed" / "open").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    stranger = Identity(54321, 54321, "stranger")
    assert not stranger.can_enter(tmp_path / "closed" / "open")
    assert stranger.can_enter(Path("/"))
