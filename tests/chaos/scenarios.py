"""The table: every fault that LIME is tried with."""

from __future__ import annotations

from tests.chaos.faults import (
    absence,
    crowds,
    engines,
    failpoints,
    network,
    processes,
    time,
    versions,
)
from tests.chaos.scenario import Scenario
from tests.chaos.stage import Cast

EXPIRING = Cast(settings={"LIME_LOGIN_LIFETIME": "4", "LIME_SWEEP_INTERVAL": "0.5"}, unanswered=0.5)
"""Half of the requests are never shown to an agent."""

TABLE = (
    Scenario("no-fault", processes.nothing),
    # Processes
    Scenario("kill-servers", processes.kill_servers),
    Scenario("kill-site-workers", processes.kill_workers),
    Scenario("kill-agents", processes.kill_agents),
    Scenario("kill-redis", processes.kill_redis),
    Scenario("kill-postgres", processes.kill_postgres),
    Scenario("kill-everything", processes.kill_everything, telling=True),
    Scenario("freeze-servers", processes.freeze_servers),
    Scenario("freeze-site-workers", processes.freeze_workers),
    Scenario("rolling-restart", processes.roll, telling=True, unnoticed=True),
    # Engines
    Scenario("redis-stopped", engines.without_redis, engines.NO_REDIS, telling=True),
    Scenario("redis-flushed", engines.flush_redis, engines.COUNTING),
    Scenario("redis-full", engines.fill_redis, engines.COUNTING),
    Scenario("postgres-restarted", engines.restart_postgres),
    Scenario("postgres-failover", engines.fail_over, engines.STANDBY, telling=True),
    Scenario("postgres-out-of-connections", engines.take_all_connections),
    Scenario("postgres-full-disk", engines.fill_disk, engines.SMALL_DISK),
    # The network
    *(
        Scenario(
            f"{pair}-{fault}",
            network.between(pair, fault),
            about=f"The network between {who} is broken: {fault}.",
        )
        for pair, who in network.PAIRS.items()
        for fault in network.FAULTS
    ),
    Scenario("network-anywhere", network.anywhere, telling=True),
    # The nastiest instants
    *(
        Scenario(f"failpoint-{point}", failpoints.hit(point), about=f"It ends where {what}.")
        for point, what in failpoints.LOGIN_POINTS.items()
    ),
    Scenario("failpoint-expire.after_commit", failpoints.expire, EXPIRING),
    Scenario("failpoints-everywhere", failpoints.everywhere, telling=True),
    Scenario("failpoints-keys", failpoints.rotate_and_die, failpoints.HASTY),
    Scenario("failpoints-migrations", failpoints.migrate_and_die),
    # Time
    Scenario("clock-of-a-server", time.step_a_server, telling=True, alone=True),
    Scenario("clocks-of-parties", time.differ, alone=True),
    Scenario("keys-rotated", time.rotate_keys, time.ROTATING),
    Scenario("keys-hidden", time.hide_keys, alone=True),
    # Absence
    Scenario("site-offline-briefly", absence.less_than_the_window),
    Scenario("site-offline-too-long", absence.more_than_the_window, absence.SHORT_WINDOW),
    # Crowds
    Scenario("thousand-reconnect", crowds.reconnect),
    Scenario("few-descriptors", crowds.few_descriptors, alone=True),
    Scenario("readers-that-do-not-read", crowds.stop_reading, alone=True),
    # Versions
    Scenario("old-and-new", versions.upgrade, alone=True),
)
