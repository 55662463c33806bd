"""What a login costs when many have been before it.

    python benchmarks/growth.py [--quick] [--rows N,N] [--rounds N] [--logins N] [--json FILE]

One PostgreSQL, and for each number of rows a database with so many finished logins and a
`lime-server serve` of its own. They take turns within each round, so that whatever else the machine
does meets all of them. Counted is the processor time, of the server and of the engines, for one
complete login; figures are medians over rounds, and ratios are to the least number of rows in the
same round: 1 is a login that costs what it did, and of every ratio more is better.

Then each statement of a login, and of the loops behind it, is shown with the pages that it touches
and the indexes that it uses. Figures are for comparing; nothing is asserted.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

# A script's own folder comes first, and in this one are a `jwt.py` and an `mcp.py`, which are not
# the libraries of those names. The helper that starts servers belongs to the tests.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import driver
from lime_server.core.ids import lowest_id, new_id
from lime_server.infrastructure.postgres.events import _ACKNOWLEDGE, _LEASE, _NAMED
from lime_server.infrastructure.postgres.logins import (
    _ADD,
    _DECIDE,
    _EXPIRE,
    _FIND,
    _PRUNE_EVENTS,
    _PRUNE_REQUESTS,
)
from lime_server.infrastructure.postgres.pool import open_database
from tests.support.commands import run_command
from tests.support.server import DevServer, ServeServer

DAYS = timedelta(days=7)
"""Over how long the logins are spread: what a server keeps by default."""
BATCH = 500_000
"""Rows of one transaction: few enough that the log of one does not fill a disk."""

# Ids as `lime_server.core.ids.new_id` makes them: the time, then random bits. In the order of time,
# as they come, and of a thousand sites, of which one is the site that logs in now.
FILL = """
    INSERT INTO modules.site_login_requests (request_id, site_id, state, challenge, difficulty,
        created_at, expires_at, agent_id, decided_at)
    SELECT
        (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(r, 1, 3)
            || substr('89ab', 1 + (n % 4)::int, 1) || substr(r, 4, 15))::uuid,
        CASE WHEN n % 1000 = 0 THEN $1::uuid ELSE md5('site' || n % 1000)::uuid END,
        'DELIVERED', substr(r || md5(r), 1, 43), 15,
        at, at + interval '5 minutes',
        CASE WHEN n % 1000 = 0 THEN $2::uuid ELSE md5('agent' || n % 5000)::uuid END,
        at + interval '1 second'
    FROM (
        SELECT n, md5('login' || n) AS r, $3::timestamptz + $4::interval * (n::float8 / $5) AS at
        FROM generate_series($6::bigint, $7::bigint) AS n
    ) AS logins
"""


@dataclass
class Turns:
    """What logins cost with so many rows, by round; milliseconds of processor time for each."""

    per_second: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    engines: list[float] = field(default_factory=list)

    @property
    def whole(self) -> list[float]:
        """Server and engines together."""
        return [own + theirs for own, theirs in zip(self.server, self.engines, strict=True)]


@dataclass(frozen=True)
class Plan:
    """How PostgreSQL went about one statement."""

    pages: int
    """Pages that it looked at or wrote, in memory or not."""
    ways: tuple[str, ...]
    """How it came to its rows: indexes, and tables that it read from end to end."""


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = Console()
    turns: dict[int, Turns] = {rows: Turns() for rows in options.rows}
    plans: dict[int, dict[str, Plan]] = {}
    with driver.dev_server() as server, ExitStack() as stack:
        people = {}
        for rows in options.rows:
            people[rows] = stack.enter_context(filled(server, rows))
        for _ in range(options.rounds):
            for rows, who in people.items():
                turn(server, who, turns[rows], options)
        for rows in options.rows:
            plans[rows] = uvloop.run(explained(database(server, rows), people[rows]))
    console.print(cost_table(turns))
    console.print(plan_table(plans))
    if options.json:
        text = json.dumps(figures(turns, plans), indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few rows: shows that it runs")
    parser.add_argument("--rows", type=counts, default=[10_000, 1_000_000], metavar="N,N")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="turns of each")
    parser.add_argument("--logins", type=int, default=600, metavar="N", help="in each turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.rounds, options.logins = [1_000, 10_000], 2, 40
    return options


def counts(text: str) -> list[int]:
    """Numbers of rows, least first."""
    return sorted({int(float(part)) for part in text.split(",")})


# The databases


def database(server: DevServer, rows: int) -> str:
    """Where that many logins are."""
    return driver.other_database(str(server.ready["database_url"]), f"rows_{rows}")


@contextmanager
def filled(server: DevServer, rows: int) -> Iterator[driver.Who]:
    """A server on a database with so many finished logins."""
    url = database(server, rows)
    key_file = server.data / "master.key"
    settings = driver.SETTINGS | {
        "LIME_DATABASE_URL": url,
        "LIME_MASTER_KEY_FILE": str(key_file),
        # The oldest stay for the whole run: to delete a login is paid for once, whenever that is.
        "LIME_RETENTION": str(2 * DAYS.total_seconds()),
    }
    asyncio.run(driver.made_database(str(server.ready["database_url"]), f"rows_{rows}"))
    with tempfile.TemporaryDirectory(prefix="lime-bench-") as folder:
        known = {"LIME_PUBLIC_URL": "http://127.0.0.1", **settings}
        run_command("migrate", settings=known, folder=Path(folder))
        residents = asyncio.run(driver.settled(url, key_file))
        asyncio.run(fill(url, residents, rows))
        with ServeServer(Path(folder), name=f"rows_{rows}", settings=settings) as serve:
            yield driver.Who.told({**residents, "api_base": serve.api_base, "pid": serve.pid})


async def fill(url: str, residents: Mapping[str, str], rows: int) -> None:
    """Put so many finished logins into the database, and let it know what it has."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        # None of the last hour, in which logins have still to do with events.
        begin = datetime.now(UTC) - DAYS
        for first in range(0, rows, BATCH):
            last = min(first + BATCH, rows) - 1
            who = residents["site_id"], residents["agent_id"]
            span = DAYS - timedelta(hours=1)
            await connection.execute(FILL, *who, begin, span, float(rows), first, last)
        await connection.execute("VACUUM (ANALYZE) modules.site_login_requests")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


# What logins cost


def turn(server: DevServer, who: driver.Who, into: Turns, options: argparse.Namespace) -> None:
    """So many logins, a few at once."""
    before = driver.cpu_seconds(who.pid), driver.engines_cpu(server)
    took, _ = uvloop.run(driver.measured(who, options.logins, 16))
    after = driver.cpu_seconds(who.pid), driver.engines_cpu(server)
    own, theirs = (
        # A quick run may end within one tick of that clock.
        1000 * max(now - then, 0.01) / options.logins
        for now, then in zip(after, before, strict=True)
    )
    into.per_second.append(options.logins / took)
    into.server.append(own)
    into.engines.append(theirs)


def cost_table(turns: dict[int, Turns]) -> Table:
    """A row for each number of rows."""
    shown = Table(title="Complete logins, with so many finished ones in the table")
    headings = ("finished", "logins/s", "server, ms", "engines, ms", "both, ms", "times as cheap")
    for heading in headings:
        shown.add_column(heading, justify="right")
    least = turns[min(turns)]
    for rows, found in turns.items():
        shown.add_row(
            f"{rows:,}",
            f"{statistics.median(found.per_second):,.0f}",
            *(f"{statistics.median(x):.3f}" for x in (found.server, found.engines, found.whole)),
            f"{cheaper(found, least):.3f}",
        )
    return shown


def cheaper(found: Turns, least: Turns) -> float:
    """How many times what a login costs it costs with the least rows; the median over rounds."""
    return statistics.median(a / b for a, b in zip(least.whole, found.whole, strict=True))


# How its statements are carried out


async def explained(url: str, who: driver.Who) -> dict[str, Plan]:
    """Every statement of one login, in its order, and of the loops behind it."""
    async with open_database(url, size=2, patience=60) as base, base.acquire() as connection:
        site = await connection.fetchrow("SELECT site_id, owner_id FROM foundation.sites")
        agent = await connection.fetchval("SELECT agent_id FROM core.agents")
        if site is None:
            raise RuntimeError(f"nobody lives in the database behind {who.api_base}")
        plans = {}
        # Twice: the first time, a session also reads what it has to know about the tables.
        who_logs_in = str(site["site_id"]), str(agent)
        for name, statement, arguments in chain(statements(*who_logs_in), statements(*who_logs_in)):
            await connection.execute(f"PREPARE it AS {statement}")
            given = ", ".join(map(literal, arguments))
            (row,) = await connection.fetch(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE it ({given})"
            )
            await connection.execute("DEALLOCATE it")
            root = json.loads(row[0])[0]["Plan"]
            pages = root["Shared Hit Blocks"] + root["Shared Read Blocks"]
            plans[name] = Plan(pages, tuple(dict.fromkeys(ways(root))))
        return plans


def statements(site: str, agent: str) -> Iterator[tuple[str, str, Sequence[object]]]:
    """Names, statements and their arguments."""
    now = datetime.now(UTC)
    later, login = now + timedelta(minutes=5), new_id(now)
    yield (
        "create",
        _ADD,
        ([login], [site], ["PENDING"], ["x" * 43], [15], [None], [now], [later]),
    )
    yield "look, approve: read", _FIND, ([login],)
    decision = ([login], ["PENDING"], ["APPROVED"], [agent], [now])
    event = ([site], ["approved"], [None], [now], [later], ["consumer"], [now])
    yield "approve: decide", _DECIDE, (*decision, *event)
    yield "event: read again", _NAMED, ([login], now)
    yield "poll: lease", _LEASE, ([site], ["consumer"], [False], now, later, 8)
    yield "acknowledge", _ACKNOWLEDGE, ([site], [login], now)
    yield "sweep: expire", _EXPIRE, (now, later, 500)
    old = lowest_id(now - 2 * DAYS)
    yield "sweep: delete requests", _PRUNE_REQUESTS, (old, now, 500)
    yield "sweep: delete events", _PRUNE_EVENTS, (old, now, 500)


def literal(value: object) -> str:
    """As SQL reads it; PostgreSQL knows the type from the statement."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        inner = ",".join("NULL" if each is None else f'"{each}"' for each in value)
        return f"'{{{inner}}}'"
    return f"'{value}'"


def ways(node: Mapping[str, Any]) -> Iterator[str]:
    """How this part of a plan, and all below it, come to their rows."""
    if "Index Name" in node:
        yield node["Index Name"]
    elif node["Node Type"] == "Seq Scan":
        yield f"all of {node['Relation Name']}"
    for part in node.get("Plans", ()):
        yield from ways(part)


def plan_table(plans: dict[int, dict[str, Plan]]) -> Table:
    """A row for each statement: its pages by number of rows, and its indexes with the most."""
    shown = Table("statement", title="Pages that a statement touches, with so many finished logins")
    for rows in plans:
        shown.add_column(f"{rows:,}", justify="right")
    shown.add_column("by way of, with the most")
    most = plans[max(plans)]
    for name, plan in most.items():
        pages = (str(found[name].pages) for found in plans.values())
        shown.add_row(name, *pages, ", ".join(plan.ways))
    return shown


def figures(turns: dict[int, Turns], plans: dict[int, dict[str, Plan]]) -> dict[str, Any]:
    """What the tables say, for programs; of every ratio more is better."""
    least = min(turns)
    pages = {rows: sum(plan.pages for plan in found.values()) for rows, found in plans.items()}
    found = {}
    for rows, costs in turns.items():
        if rows != least:
            ratio = cheaper(costs, turns[least])
            found[f"growth.ratio_{short(rows)}"] = {
                "value": round(ratio, 3),
                "unit": "times",
                "ratio": round(ratio, 3),
                "peer": f"{statistics.median(turns[least].whole):.2f} ms with {least:,}",
            }
            found[f"growth.pages_{short(rows)}"] = {
                "value": pages[rows],
                "unit": "pages",
                "ratio": round(pages[least] / pages[rows], 3),
                "peer": f"{pages[least]} with {least:,}",
            }
    return found


def short(rows: int) -> str:
    """10000000 as 10m."""
    for unit, size in (("m", 1_000_000), ("k", 1_000)):
        if rows >= size:
            return f"{rows / size:g}{unit}"
    return str(rows)


if __name__ == "__main__":
    main()
