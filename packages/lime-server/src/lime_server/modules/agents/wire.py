"""What travels: strict in, complete out."""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from lime_server.core import names, patterns
from lime_server.core.agents import Agent
from lime_server.core.held_tokens import HeldToken
from lime_server.core.tokens import Token
from lime_server.modules.http import Id, Timestamp
from lime_server.modules.owned import Input, Name

Description = Annotated[
    Annotated[str, Field(max_length=names.MAX_TEXT, json_schema_extra={"pattern": patterns.TEXT})]
    | None,
    Field(description="What it does. Null or empty: nothing said."),
]
AvatarUrl = Annotated[
    Annotated[
        str, Field(max_length=names.MAX_TEXT, json_schema_extra={"pattern": patterns.AVATAR_URL})
    ]
    | None,
    Field(description="An https URL, which this server never fetches. Null or empty: none."),
]
Capability = Literal["oauth:mcp"]


class RegisterBody(Input):
    """A new agent."""

    display_name: Name
    description: Description = None
    avatar_url: AvatarUrl = None


class ChangeBody(Input):
    """What is to change; what is absent stays."""

    display_name: Name = ""
    description: Description = None
    avatar_url: AvatarUrl = None
    active: Annotated[
        bool, Field(description="Whether its tokens let it in. Off, it is refused everywhere.")
    ] = True

    def applied_to(self, agent: Agent) -> Agent:
        """`agent` with the changes. Raises InvalidInput for a text that is none."""
        changes: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        for name, clean in _CLEAN.items():
            if name in changes:
                changes[name] = clean(changes[name])
        return replace(agent, **changes)


_CLEAN: dict[str, Any] = {
    "display_name": names.display_name,
    "description": names.description,
    "avatar_url": names.avatar_url,
}


class CapabilitiesBody(Input):
    """Everything the agent may do beyond logging in to sites; what is absent is taken away."""

    capabilities: Annotated[list[Capability], Field(max_length=16)]


class OwnedAgent(BaseModel):
    """An agent, as its owner sees it."""

    agent_id: Id
    display_name: str
    description: str | None
    avatar_url: str | None
    active: bool
    suspended: Annotated[bool, Field(description="By the operator; the owner cannot lift it.")]
    capabilities: list[str]
    created_at: Timestamp
    last_used_at: Annotated[Timestamp | None, Field(description="To the minute.")]

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """What its owner may know of `agent`."""
        return cls(**_facts(agent))


class RegisteredAgent(OwnedAgent):
    """A new agent, with its token for the first and last time."""

    agent_token: Annotated[str, Field(description="`at_…`; shown only now.")]

    @classmethod
    def made(cls, agent: Agent, token: Token) -> Self:
        """The answer to a registration."""
        return cls(**_facts(agent), agent_token=token.text)


def _facts(agent: Agent) -> dict[str, Any]:
    return {
        "agent_id": agent.agent_id,
        "display_name": agent.display_name,
        "description": agent.description,
        "avatar_url": agent.avatar_url,
        "active": agent.active,
        "suspended": agent.suspended,
        "capabilities": sorted(agent.capabilities),
        "created_at": agent.created_at,
        "last_used_at": agent.last_used_at,
    }


class NewToken(BaseModel):
    """A new token, for the first and last time."""

    token_id: Id
    created_at: Timestamp
    agent_token: Annotated[str, Field(description="`at_…`; shown only now.")]

    @classmethod
    def made(cls, held: HeldToken, token: Token) -> Self:
        """The answer to a rotation."""
        return cls(token_id=held.token_id, created_at=held.created_at, agent_token=token.text)
