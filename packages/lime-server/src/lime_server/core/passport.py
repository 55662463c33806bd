"""What a passport may say, gathered in one place (protocol section 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from lime_server.core.agents import Agent


class PassportType(StrEnum):
    """The `typ` header, which keeps one kind of passport from passing as another."""

    LOGIN = "lime-passport+jwt"
    BINDING = "lime-binding+jwt"
    ACCESS = "at+jwt"


_COMMON = frozenset({"iss", "aud", "sub", "iat", "exp", "nbf", "jti"})


@dataclass(frozen=True, slots=True)
class PassportContext:
    """The claims of one passport to be: who, from whom, for whom, and for how long.

    Modules add what is theirs with `adding` and nowhere else, so that everything a passport can say
    is found by looking for that word.
    """

    type: PassportType
    issuer: str
    audience: str | tuple[str, ...]
    """More than one only for access tokens, which also name their resource (RFC 8707)."""
    agent: Agent
    passport_id: str
    """Becomes `jti`; for events, the id of the event, so that a receiver can tell a repeat."""
    issued_at: datetime
    lifetime: int
    """Seconds from `iat` to `exp`."""
    own: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def adding(self, **claims: object) -> Self:
        """This context with `claims` added.

        Raises ValueError if one is already there: a module must not overrule another, nor the core.
        """
        taken = sorted(claims.keys() & (_COMMON | self.own.keys()))
        if taken:
            raise ValueError(f"claims already decided: {', '.join(taken)}")
        return replace(self, own=MappingProxyType({**self.own, **claims}))

    def claims(self) -> dict[str, object]:
        """What is signed. Times are whole seconds since 1970, rounded down."""
        issued_at = int(self.issued_at.timestamp())
        return {
            "iss": self.issuer,
            "aud": list(self.audience) if isinstance(self.audience, tuple) else self.audience,
            "sub": self.agent.agent_id,
            "iat": issued_at,
            "exp": issued_at + self.lifetime,
            "jti": self.passport_id,
            **self.own,
        }
