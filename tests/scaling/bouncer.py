"""PgBouncer on loopback, as careful as one between machines: with TLS, and passwords by SCRAM."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from tests.support.certificates import certificate_in
from tools.debian_engines import free_port, stopped_afterwards, wait_for

HOST = "127.0.0.1"
USER = "lime"
# What does not go into an address as it is.
PASSWORD = "p:a/s@s?w#o%r d"


@contextmanager
def pgbouncer(program: Path, folder: Path, database_url: str, *, most: int) -> Iterator[str]:
    """One in transaction mode before `database_url`, with `most` connections to it; its URL."""
    folder.mkdir()
    port, database = free_port(), urlsplit(database_url).path.removeprefix("/")
    settings, users = folder / "pgbouncer.ini", folder / "users.txt"
    certificate = certificate_in(folder, HOST)
    users.write_text(f'"{USER}" "{PASSWORD}"\n')
    settings.write_text(
        "[databases]\n"
        f"{database} = {_connection(database_url)}\n"
        "[pgbouncer]\n"
        f"listen_addr = {HOST}\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {users}\n"
        "client_tls_sslmode = require\n"
        f"client_tls_key_file = {certificate}\nclient_tls_cert_file = {certificate}\n"
        f"pool_mode = transaction\ndefault_pool_size = {most}\n"
    )
    server = subprocess.Popen(
        [str(program), "--quiet", str(settings)],
        user=_unprivileged(folder, settings, users, certificate),
    )
    with stopped_afterwards(server):
        wait_for(port, server)
        yield (
            f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{HOST}:{port}/{database}"
            f"?sslmode=verify-full&sslrootcert={quote(str(certificate))}"
        )


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
