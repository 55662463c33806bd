"""`lime-server owner create`, `agent create`, `site create`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from lime_server.cli.speech import AsJson, CommandError, plain_errors, show, with_parts
from lime_server.core.errors import NotFound

if TYPE_CHECKING:
    from lime_server.composition import Parts
    from lime_server.foundation.owners import Owner as KnownOwner

owners = typer.Typer(help="Owners answer for agents and sites.", no_args_is_help=True)
agents = typer.Typer(help="Agents log in to sites.", no_args_is_help=True)
sites = typer.Typer(help="Sites let agents in.", no_args_is_help=True)

Owner = Annotated[
    str, typer.Option("--owner", help="Who answers for it: an owner's id or e-mail address.")
]
Name = Annotated[str, typer.Option("--name", help="What people will call it.")]

Email = Annotated[str, typer.Option("--email", help="Where the owner can be reached.")]

_ONCE = "The token is shown only now: keep it where only the program that uses it can read it."


@owners.callback()
@agents.callback()
@sites.callback()
def _group() -> None:
    # Without a callback typer would fold a group of one command into that command.
    pass


@owners.command("create")
def create_owner(
    email: Email,
    operator: Annotated[
        bool, typer.Option("--operator", help="One who may suspend others and review them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an owner."""

    async def create(parts: Parts) -> dict[str, object]:
        if operator:
            return _shown(await parts.operators.create(email))
        made = await parts.owners.create(email)
        return {"owner_id": made.owner_id, "email": made.email}

    with plain_errors():
        show(with_parts(create), as_json=as_json)


@owners.command("appoint")
def appoint_operator(email: Email, as_json: AsJson = False) -> None:
    """Make an owner an operator."""

    async def appoint(parts: Parts) -> dict[str, object]:
        return _shown(await parts.operators.appoint(email))

    with plain_errors():
        show(with_parts(appoint), as_json=as_json)


@owners.command("dismiss")
def dismiss_operator(email: Email, as_json: AsJson = False) -> None:
    """Make an operator an owner like others. The last one stays."""

    async def dismiss(parts: Parts) -> dict[str, object]:
        return _shown(await parts.operators.dismiss(email))

    with plain_errors():
        show(with_parts(dismiss), as_json=as_json)


def _shown(owner: KnownOwner) -> dict[str, object]:
    return {"owner_id": owner.owner_id, "email": owner.email, "operator": owner.operator}


@agents.command("create")
def create_agent(
    owner: Owner,
    name: Name,
    description: Annotated[str | None, typer.Option(help="What it does.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an agent, and print its token once."""

    async def create(parts: Parts, owner_id: str) -> dict[str, object]:
        made, token = await parts.agents.register(owner_id, name, description=description)
        return {
            "agent_id": made.agent_id,
            "agent_token": token.text,
            "owner_id": made.owner_id,
            "display_name": made.display_name,
        }

    _create_for(owner, create, as_json=as_json)


@sites.command("create")
def create_site(
    owner: Owner,
    name: Name,
    domain: Annotated[
        str | None, typer.Option(help="Its host name. A claim, until it is proven.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a site, and print its token once."""

    async def create(parts: Parts, owner_id: str) -> dict[str, object]:
        made, token = await parts.sites.register(owner_id, name, domain=domain)
        return {
            "site_id": made.site_id,
            "site_token": token.text,
            "owner_id": made.owner_id,
            "display_name": made.display_name,
            "domain": made.domain,
        }

    _create_for(owner, create, as_json=as_json)


def _create_for(
    owner: str, create: Callable[[Parts, str], Awaitable[dict[str, object]]], *, as_json: bool
) -> None:
    async def work(parts: Parts) -> dict[str, object]:
        try:
            return await create(parts, await owner_id_of(parts, owner))
        except NotFound:
            raise CommandError(
                f"There is no owner {owner}. Make one with: lime-server owner create"
            ) from None

    with plain_errors():
        show(with_parts(work), as_json=as_json)
        typer.echo(_ONCE, err=True)


async def owner_id_of(parts: Parts, named: str) -> str:
    """The id of the owner with this id or e-mail address; an id is not looked up.

    Raises NotFound.
    """
    if "@" in named:
        found = await parts.owners.find(named)
        if found is None:
            raise NotFound
        return found.owner_id
    try:
        return str(UUID(named))
    except ValueError:
        raise NotFound from None
