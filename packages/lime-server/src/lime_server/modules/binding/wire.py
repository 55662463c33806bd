"""What travels: strict in, complete out (protocol section 9)."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from lime_server.core import patterns
from lime_server.modules.binding.model import Binding, BindingState, EndedBy, KnownBinding
from lime_server.modules.binding.service import MAX_STATE, Claim, Exchanged, Wish
from lime_server.modules.http import Id, Timestamp

MAX_REDIRECT_URI = 2048
"""Characters of a redirect URI: what browsers and proxies agree to carry."""
MAX_TEXT = 512
"""Characters of an id, code or verifier; none of ours comes near it."""


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AskBindingBody(_Input):
    """What a site says about the binding it asks for."""

    redirect_uri: Annotated[
        str,
        Field(
            max_length=MAX_REDIRECT_URI,
            json_schema_extra={"pattern": patterns.REDIRECT_URI},
            description="Where the browser comes back to: one of the site's list, to the letter.",
        ),
    ]
    state: Annotated[
        Annotated[
            str,
            Field(
                max_length=MAX_STATE,
                json_schema_extra={"minLength": 1, "pattern": patterns.VISIBLE},
            ),
        ]
        | None,
        Field(description="Comes back with the browser. Visible ASCII; made if absent."),
    ] = None
    code_challenge: Annotated[
        Annotated[
            str,
            Field(max_length=MAX_TEXT, json_schema_extra={"pattern": "^[A-Za-z0-9_-]{43}$"}),
        ]
        | None,
        Field(
            description="SHA-256 of a secret that stays in the browser's session at the site, in "
            "base64url. The exchange then takes the secret as `code_verifier`.",
        ),
    ] = None
    code_challenge_method: Literal["S256"] | None = None

    def wish(self) -> Wish:
        """The same, for the service."""
        return Wish(
            redirect_uri=self.redirect_uri, state=self.state, code_challenge=self.code_challenge
        )


class PickAgentBody(_Input):
    """Which agent the human picked."""

    agent_id: Annotated[str, Field(max_length=MAX_TEXT)]


class RefuseBindingBody(_Input):
    """Nothing needs to be said to refuse."""


class ExchangeBody(_Input):
    """What a site shows to get a passport."""

    binding_code: Annotated[str, Field(max_length=MAX_TEXT, description="From the redirect.")]
    binding_id: Annotated[
        str | None,
        Field(
            max_length=MAX_TEXT,
            description="What the browser's session at the site waits for; compared if given.",
        ),
    ] = None
    state: Annotated[
        str | None,
        Field(
            max_length=MAX_STATE,
            description="The one that this session was given; compared if given.",
        ),
    ] = None
    code_verifier: Annotated[
        str | None,
        Field(max_length=MAX_TEXT, description="Required if there was a `code_challenge`."),
    ] = None

    def claim(self) -> Claim:
        """The same, for the service."""
        return Claim(
            code=self.binding_code,
            binding_id=self.binding_id,
            state=self.state,
            code_verifier=self.code_verifier,
        )


class CreatedBinding(BaseModel):
    """A binding request, as its site learns of it."""

    binding_id: Id
    connect_url: Annotated[str, Field(description="Send the human's browser there.")]
    status: BindingState
    expires_at: Timestamp
    site_id: Id
    state: Annotated[str, Field(description="Keep it in the browser's session and compare it.")]

    @classmethod
    def of(cls, binding: Binding, public_url: str) -> Self:
        """What the site is told about its new request; the page is our own."""
        return cls(
            binding_id=binding.binding_id,
            connect_url=f"{public_url}/connect?id={binding.binding_id}",
            status=binding.state,
            expires_at=binding.expires_at,
            site_id=binding.site_id,
            state=binding.browser_state,
        )


class BindingSite(BaseModel):
    """Who asks."""

    site_id: Id
    display_name: str
    domain: str | None
    domain_verified: bool

    @classmethod
    def of(cls, known: KnownBinding) -> Self:
        """The site of a binding."""
        site = known.site
        return cls(
            site_id=site.site_id,
            display_name=site.display_name,
            domain=site.domain,
            domain_verified=site.domain_verified,
        )


class Learned(BaseModel):
    """Something a site will know."""

    claim: str
    meaning: str


LEARNS = [
    Learned(claim="sub", meaning="The id of the agent that you pick."),
    Learned(claim="user_id", meaning="Your owner id. It is the same at every site."),
]
"""Every claim of a binding passport that says something about anybody."""


class BindingQuestion(BaseModel):
    """What a human is asked."""

    binding_id: Id
    site: BindingSite
    redirect_host: Annotated[str, Field(description="Where the browser will be sent afterwards.")]
    expires_at: Timestamp
    learns: list[Learned]

    @classmethod
    def of(cls, known: KnownBinding) -> Self:
        """A pending request, as the connect page shows it."""
        return cls(
            binding_id=known.binding.binding_id,
            site=BindingSite.of(known),
            redirect_host=urlsplit(known.binding.redirect_uri).netloc,
            expires_at=known.binding.expires_at,
            learns=LEARNS,
        )


class GoingBack(BaseModel):
    """Where the browser goes now."""

    redirect_to: str


class ExchangedBinding(BaseModel):
    """What a code was exchanged for."""

    passport: Annotated[str, Field(description='A JWT with `aud` "lime-binding", valid for 60 s.')]
    binding_id: Id

    @classmethod
    def of(cls, exchanged: Exchanged) -> Self:
        """What the site receives, once."""
        return cls(passport=exchanged.passport, binding_id=exchanged.binding.binding_id)


class BoundAgent(BaseModel):
    """Who is bound."""

    agent_id: Id
    display_name: str


class OwnersBinding(BaseModel):
    """A binding, as the agent's owner sees it."""

    binding_id: Id
    status: BindingState
    site: BindingSite
    agent: BoundAgent
    bound_at: Timestamp | None
    ended_at: Timestamp | None
    ended_by: EndedBy | None

    @classmethod
    def of(cls, known: KnownBinding) -> Self:
        """A binding that was made."""
        binding = known.binding
        return cls(
            binding_id=binding.binding_id,
            status=binding.state,
            site=BindingSite.of(known),
            agent=BoundAgent(
                agent_id=str(binding.agent_id), display_name=known.agent_name or "Deleted agent"
            ),
            bound_at=binding.bound_at,
            ended_at=binding.ended_at,
            ended_by=binding.ended_by,
        )


class SitesBinding(BaseModel):
    """A binding, as its site sees it: whose agent it is shows once the code was exchanged."""

    binding_id: Id
    site_id: Id
    status: BindingState
    expires_at: Annotated[
        Timestamp, Field(description="When an unanswered request, or else its code, expires.")
    ]
    agent_id: Id | None
    user_id: Id | None
    bound_at: Timestamp | None
    ended_at: Timestamp | None
    ended_by: EndedBy | None

    @classmethod
    def of(cls, binding: Binding) -> Self:
        """A binding as it stands."""
        return cls(
            binding_id=binding.binding_id,
            site_id=binding.site_id,
            status=binding.state,
            expires_at=binding.expires_at,
            agent_id=binding.agent_id if binding.was_made else None,
            user_id=binding.owner_id if binding.was_made else None,
            bound_at=binding.bound_at,
            ended_at=binding.ended_at,
            ended_by=binding.ended_by,
        )
