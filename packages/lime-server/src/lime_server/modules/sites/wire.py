"""What travels: strict in, complete out."""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from lime_server.core import names, patterns
from lime_server.core.held_tokens import HeldToken
from lime_server.core.tokens import Token
from lime_server.foundation.sites import Site
from lime_server.modules.http import Id, Timestamp
from lime_server.modules.owned import Input, Name
from lime_server.modules.sites.proof import Proof
from lime_server.modules.sites.service import MAX_REDIRECT_URI, MAX_REDIRECT_URIS, ListedSite

_DOMAIN: JsonDict = {"pattern": patterns.DOMAIN}
_CLAIM: JsonDict = {"pattern": f"^$|{patterns.DOMAIN}"}
Domain = Annotated[
    str,
    Field(
        min_length=1,
        max_length=254,
        description="A host name such as shop.example.",
        json_schema_extra=_DOMAIN,
    ),
]


class RegisterBody(Input):
    """A new site."""

    display_name: Name
    domain: Annotated[
        Annotated[str, Field(max_length=254, json_schema_extra=_CLAIM)] | None,
        Field(description="A claim, until it is proven. Null or empty: none."),
    ] = None


class ChangeBody(Input):
    """What is to change; what is absent stays."""

    display_name: Name = ""
    active: Annotated[
        bool, Field(description="Whether it is served. Off, it is refused like a suspended one.")
    ] = True

    def applied_to(self, site: Site) -> Site:
        """`site` with the changes. Raises InvalidInput for a name that is none."""
        changes: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if "display_name" in changes:
            changes["display_name"] = names.display_name(changes["display_name"])
        return replace(site, **changes)


class RedirectUrisBody(Input):
    """The whole list; what is absent is taken away."""

    redirect_uris: Annotated[
        list[
            Annotated[
                str,
                Field(
                    max_length=MAX_REDIRECT_URI,
                    json_schema_extra={"pattern": patterns.REDIRECT_URI},
                ),
            ]
        ],
        Field(max_length=MAX_REDIRECT_URIS, description="Each is matched exactly."),
    ]


class DomainBody(Input):
    """Where a site says it is."""

    domain: Domain


class CheckBody(Input):
    """Where the proof was put."""

    method: Literal["dns", "file"]


class OwnedSite(BaseModel):
    """A site, as its owner sees it."""

    site_id: Id
    display_name: str
    domain: str | None
    domain_verified: bool
    redirect_uris: list[str]
    active: bool
    created_at: Timestamp
    last_used_at: Annotated[Timestamp | None, Field(description="To the minute.")]

    @classmethod
    def of(cls, listed: ListedSite) -> Self:
        """What its owner may know of a site."""
        return cls(**_facts(listed))


class RegisteredSite(OwnedSite):
    """A new site, with its token for the first and last time."""

    site_token: Annotated[str, Field(description="`st_…`; shown only now.")]

    @classmethod
    def made(cls, listed: ListedSite, token: Token) -> Self:
        """The answer to a registration."""
        return cls(**_facts(listed), site_token=token.text)


def _facts(listed: ListedSite) -> dict[str, Any]:
    site = listed.site
    return {
        "site_id": site.site_id,
        "display_name": site.display_name,
        "domain": site.domain,
        "domain_verified": site.domain_verified,
        "redirect_uris": list(listed.redirect_uris),
        "active": site.active,
        "created_at": site.created_at,
        "last_used_at": site.last_used_at,
    }


class NewToken(BaseModel):
    """A new token, for the first and last time."""

    token_id: Id
    created_at: Timestamp
    site_token: Annotated[str, Field(description="`st_…`; shown only now.")]

    @classmethod
    def made(cls, held: HeldToken, token: Token) -> Self:
        """The answer to a rotation."""
        return cls(token_id=held.token_id, created_at=held.created_at, site_token=token.text)


class DnsProof(BaseModel):
    """A TXT record to be made."""

    name: str
    value: str


class FileProof(BaseModel):
    """A file to be put there, as plain text."""

    url: str
    content: str


class DomainClaim(BaseModel):
    """How to prove a domain: either will do."""

    domain: str
    dns: DnsProof
    file: FileProof

    @classmethod
    def of(cls, proof: Proof) -> Self:
        """What has to be where."""
        return cls(
            domain=proof.domain,
            dns=DnsProof(name=proof.dns_name, value=proof.value),
            file=FileProof(url=proof.url, content=proof.value),
        )


class DomainCheck(BaseModel):
    """What a look for the proof found."""

    domain_verified: bool
    problem: Annotated[str | None, Field(description="For a human; null when it was found.")]
