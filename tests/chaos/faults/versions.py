"""An old and a new version on one database, before, during and after its migration."""

from __future__ import annotations

from tests.chaos.stage import Stage
from tests.chaos.workers import Server
from tests.support.commands import ServerFailedError

MIGRATION = """-- additive
-- What a next version might bring.
ALTER TABLE modules.site_login_requests ADD COLUMN chaos_note text;
ALTER TABLE modules.site_login_events ADD COLUMN chaos_count integer NOT NULL DEFAULT 0;
CREATE INDEX chaos_index ON modules.site_login_events (chaos_count);
CREATE TABLE modules.chaos (id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
"""
RUNS = 3
"""Migrations that die before they are committed, first."""


def upgrade(stage: Stage) -> None:
    """The database is migrated under two old servers, which one after the other become new ones."""
    path = stage.folder / "9000_chaos.sql"
    path.write_text(MIGRATION)
    new = {"LIME_TEST_MIGRATION": str(path)}
    stage.a_moment()
    for _ in range(RUNS):
        # It holds its locks, and dies with them.
        try:
            stage.command("migrate", **new, LIME_TEST_FAILPOINT="migrate.before_commit:exit")
        except ServerFailedError:
            stage.note("migration killed")
    # It holds its locks for a second, while everybody waits for these tables.
    applied = stage.command("migrate", **new, LIME_TEST_FAILPOINT="migrate.before_commit:sleep")
    assert "applied 9000_chaos" in applied
    stage.note("migrated")
    stage.ready()
    # One of the old version is started anew, as if it were rescheduled, or the upgrade taken back.
    name, server = next(iter(stage.servers.items()))
    _restart(stage, name, server)
    stage.note("old server restarted")
    for name, server in stage.servers.items():
        # The old version runs on.
        stage.let_pass(stage.effort.seconds / (len(stage.servers) + 1))
        server.environment |= new
        _restart(stage, name, server)
        stage.note("server upgraded")
    while stage.goes_on():
        stage.a_moment()


def _restart(stage: Stage, name: str, server: Server) -> None:
    stage.balance(*(other for other in stage.servers if other != name))
    server.stop()
    stage.until_ready(server)
    stage.balance(*stage.servers)
