"""Both engines, as one thing that is open or closed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lime_server.infrastructure.embedded import postgres, valkey
from lime_server.infrastructure.embedded.folder import data_folder, run_folder
from lime_server.infrastructure.embedded.identity import engine_identity
from lime_server.infrastructure.embedded.locate import find_postgres, find_valkey
from lime_server.infrastructure.embedded.process import Process


@dataclass(frozen=True, slots=True)
class Engines:
    """A running PostgreSQL and a running Valkey."""

    database_url: str
    redis_url: str
    postgres: Process
    valkey: Process

    def fallen(self) -> str | None:
        """A sentence about an engine that ended without being asked to; None while both run."""
        for process in (self.postgres, self.valkey):
            if process.exit_code() is not None:
                return process.obituary()
        return None


@contextlib.contextmanager
def engines(
    path: Path, *, durable: bool = True, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[Engines]:
    """Run both engines on the data in `path` until the block ends, or this process does.

    Missing data is made. Blocks for about half a second the first time, and a tenth later. Call it
    from the main thread.

    With `durable=False` a crash of the machine may cost the data, and tests are faster. `meanwhile`
    is called while the engines start: something to do instead of waiting.

    Raises:
        EngineError: they cannot run; the message is for a person. Nothing is left running.
    """
    with contextlib.ExitStack() as stack:
        # 1. Be alone in the folder.
        folder = stack.enter_context(data_folder(path))
        # 2. Decide what runs, and as whom.
        identity = engine_identity(folder.cluster, euid=os.geteuid())
        run = stack.enter_context(run_folder(folder, identity))
        found = find_postgres(made_by=folder.cluster_version)
        cache = find_valkey()
        # 3. Start both, then wait for both. Whatever was started is stopped, last first.
        valkey_process = valkey.start_valkey(
            run.programs(cache.binaries) / cache.program, folder, run
        )
        stack.callback(valkey_process.stop)
        plan = postgres.PostgresPlan(
            folder, run, run.programs(found.binaries), found.major, durable
        )
        postgres_process = postgres.start_postgres(plan)
        stack.callback(postgres_process.stop)
        meanwhile()
        postgres_process.wait_until(lambda: postgres.is_ready(folder.cluster))
        valkey_process.wait_until(lambda: valkey.is_ready(run))
        yield Engines(plan.url(), valkey.url(run), postgres_process, valkey_process)
