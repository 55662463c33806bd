"""PgBouncer on loopback."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tools.debian_engines import free_port, stopped_afterwards, wait_for


@contextmanager
def pgbouncer(program: Path, folder: Path, database_url: str, *, most: int) -> Iterator[str]:
    """One in transaction mode before `database_url`, with `most` connections to it; its URL."""
    folder.mkdir()
    port, database = free_port(), urlsplit(database_url).path.removeprefix("/")
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        "[databases]\n"
        f"{database} = {_connection(database_url)}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        # Whoever comes is the user of the line above.
        "auth_type = any\n"
        f"pool_mode = transaction\ndefault_pool_size = {most}\n"
    )
    server = subprocess.Popen(
        [str(program), "--quiet", str(settings)], user=_unprivileged(folder, settings)
    )
    with stopped_afterwards(server):
        wait_for(port, server)
        yield f"postgresql://anybody@127.0.0.1:{port}/{database}"


def _connection(database_url: str) -> str:
    url = urlsplit(database_url)
    host = parse_qs(url.query).get("host", [url.hostname or "127.0.0.1"])[0]
    return f"host={host} port={url.port or 5432} user={url.username}"


def _unprivileged(*paths: Path) -> int | None:
    """PgBouncer refuses to run as root, as PostgreSQL does: whose user it runs as then."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("postgres")
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)
    # pytest's folders are closed to others.
    for parent in paths[0].parents:
        if parent.stat().st_uid == 0 and parent.is_relative_to("/tmp") and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return user.pw_uid
