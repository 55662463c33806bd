"""What comes off the wire, as pydantic models.

Fields we do not know are ignored and may be added at any time (protocol section 1).
"""

import logging
from datetime import UTC
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lime_sites._types import Binding, BindingPage, BindingRequestResult, LoginRequestResult

logger = logging.getLogger("lime_sites")

_Text = Annotated[str, Field(min_length=1)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class LoginRequest(_Wire):
    """A login request: protocol section 3, step 1 and the site's view."""

    login_request_id: _Text
    status: _Text
    expires_at: AwareDatetime
    site_id: str | None = None
    agent_passport_jwt: str | None = None

    def result(self) -> LoginRequestResult:
        """Return it as the application knows it."""
        return LoginRequestResult(
            request_id=self.login_request_id,
            status=self.status,
            expires_at=self.expires_at.astimezone(UTC),
            site_id=self.site_id,
            agent_passport_jwt=self.agent_passport_jwt,
        )


class Site(_Wire):
    """This site, as far as its SDK has to know it: protocol section 7."""

    site_id: _Text


class LoginClaims(_Wire):
    """The claims of a proven login passport that we hand out under a name: protocol section 6."""

    model_config = ConfigDict(strict=True)

    sub: _Text
    jti: _Text
    exp: int
    request_id: _Text
    user_id: str | None = None
    site_id: str | None = None
    kyc_level: int | None = None


class BindingRequest(_Wire):
    """A binding request that was made: protocol section 9."""

    binding_id: _Text
    connect_url: _Text
    status: _Text
    expires_at: AwareDatetime
    state: str | None = None

    def result(self) -> BindingRequestResult:
        """Return it as the application knows it."""
        return BindingRequestResult(
            binding_id=self.binding_id,
            connect_url=self.connect_url,
            status=self.status,
            expires_at=self.expires_at.astimezone(UTC),
            state=self.state,
        )


class ExchangedBinding(_Wire):
    """What a code was exchanged for: protocol section 9."""

    passport: Annotated[str, Field(min_length=1, repr=False)]


class SiteBinding(_Wire):
    """One of the site's bindings: protocol section 9."""

    binding_id: _Text
    status: _Text
    expires_at: AwareDatetime
    agent_id: str | None = None
    user_id: str | None = None
    bound_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    ended_by: str | None = None

    def result(self) -> Binding:
        """Return it as the application knows it."""
        return Binding(
            binding_id=self.binding_id,
            status=self.status,
            expires_at=self.expires_at.astimezone(UTC),
            agent_id=self.agent_id,
            user_id=self.user_id,
            bound_at=self.bound_at and self.bound_at.astimezone(UTC),
            ended_at=self.ended_at and self.ended_at.astimezone(UTC),
            ended_by=self.ended_by,
        )


class SiteBindings(_Wire):
    """A page of the site's bindings: protocol section 9."""

    items: list[SiteBinding]
    next_cursor: str | None

    def result(self) -> BindingPage:
        """Return it as the application knows it."""
        return BindingPage(tuple(item.result() for item in self.items), self.next_cursor)


class BindingClaims(_Wire):
    """The claims of a proven binding passport that we hand out under a name: protocol section 6."""

    model_config = ConfigDict(strict=True)

    sub: _Text
    jti: _Text
    exp: int
    binding_id: _Text
    user_id: _Text
    site_id: _Text


class AccessClaims(_Wire):
    """The claims of a proven access token that we hand out under a name: protocol section 6."""

    model_config = ConfigDict(strict=True)

    sub: _Text
    jti: _Text
    exp: int
    aud: _Text | list[_Text]
    domain: _Text
    client_id: _Text | None = None
    scope: str = ""


class Approved(_Wire):
    """An agent is in."""

    type: Literal["approved"]
    login_request_id: _Text
    agent_passport_jwt: Annotated[str, Field(min_length=1, repr=False)]
    redirect_url: str | None = None


class Ended(_Wire):
    """Nobody will come."""

    type: Literal["expired", "denied"]
    login_request_id: _Text


class Keepalive(_Wire):
    """The stream lives."""

    type: Literal["keepalive"]


class GoAway(_Wire):
    """The server shuts down; another one takes over."""

    type: Literal["goaway"]


class StreamError(_Wire):
    """The stream is about to end, and why."""

    type: Literal["error"]
    code: str = "UNKNOWN_ERROR"
    message: str = ""


Frame = Approved | Ended | Keepalive | GoAway | StreamError

_FRAME: TypeAdapter[Frame] = TypeAdapter(Annotated[Frame, Field(discriminator="type")])
_UNKNOWN_TYPE = "union_tag_invalid"


def read_frame(data: str) -> Frame | None:
    """Return the frame in one event's `data` (protocol section 5), or None if it means nothing.

    A frame of an unknown type is ignored in silence, because newer servers may send more. One that
    is malformed is ignored with a warning: it is not acknowledged, so nothing is lost by that.
    """
    try:
        return _FRAME.validate_json(data)
    except ValidationError as error:
        kinds = {detail["type"] for detail in error.errors(include_input=False)}
    if kinds != {_UNKNOWN_TYPE}:
        logger.warning("ignored a malformed event: %s", ", ".join(sorted(kinds)))
    return None
