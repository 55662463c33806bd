"""Which live PostgreSQL works in a folder."""

import os

import pytest

from lime_server.infrastructure.embedded import holders


@pytest.fixture
def cluster(tmp_path):
    """A data folder."""
    (tmp_path / "my data").mkdir()
    return tmp_path / "my data"


@pytest.fixture
def process(tmp_path):
    """Adds a process to a /proc of our own."""

    def add(pid, name, cwd):
        entry = tmp_path / "proc" / str(pid)
        entry.mkdir(parents=True)
        (entry / "comm").write_text(f"{name}\n")
        (entry / "cwd").symlink_to(cwd)

    return add


def test_a_process_holds_a_folder_if_it_is_a_postgresql_that_works_there(
    cluster, process, tmp_path
):
    process(12, "postgres", cluster)
    process(11, "postmaster", cluster)
    process(13, "postgres", tmp_path)  # another folder's
    process(14, "vim", cluster)  # somebody who looks at the files
    process(15, "postgres", tmp_path / "ended meanwhile")
    (tmp_path / "proc" / "16").mkdir()  # ended even before that
    assert holders.live_postgres(cluster, proc=tmp_path / "proc") == [11, 12]


def test_without_proc_the_list_of_processes_says_who_holds_a_folder(cluster, tmp_path, monkeypatch):
    program = tmp_path / "ps"
    program.write_text(
        "#!/bin/sh\n"
        f"echo '  21 /opt/bin/postgres -D {cluster} -k /tmp'\n"
        f"echo '  22 /opt/bin/postgres -D {cluster}2 -k /tmp'\n"
        f"echo '  23 /usr/bin/vim -D {cluster}'\n"
        f"echo '  24 postgres -c x=y -D {cluster}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert holders.live_postgres(cluster, proc=tmp_path / "none") == [21, 24]
