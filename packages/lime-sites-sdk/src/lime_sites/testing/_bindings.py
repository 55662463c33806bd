"""Agent bindings at the fake: what a site asks for, what a human answers, what the site gets."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

BINDING_LIFETIME: Final = 600
"""Seconds of life of a binding request: protocol section 10."""


@dataclass(slots=True, eq=False)
class FakeBinding:
    """A binding at the fake."""

    binding_id: str
    redirect_uri: str
    state: str
    code_challenge: str | None
    expires_at: datetime
    status: str = "PENDING"
    agent_id: str | None = None
    user_id: str | None = None
    code: str | None = field(default=None, repr=False)
    bound_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None

    @classmethod
    def asked(cls, body: Mapping[str, Any], expires_at: datetime) -> "FakeBinding":
        """Return what a site has asked for."""
        return cls(
            binding_id=str(uuid4()),
            redirect_uri=body["redirect_uri"],
            state=body.get("state") or secrets.token_urlsafe(24),
            code_challenge=body.get("code_challenge"),
            expires_at=expires_at,
        )

    def approve(self, agent_id: str, user_id: str) -> str:
        """Return where the browser goes once its human picked an agent."""
        self._leave_pending("APPROVED")
        self.agent_id, self.user_id = agent_id, user_id
        self.code = f"bc_{secrets.token_urlsafe(32)}"
        return self._going_back(binding_code=self.code)

    def refuse(self) -> str:
        """Return where the browser goes once its human said no."""
        self._leave_pending("REFUSED")
        return self._going_back(error="access_denied")

    def accepts(self, claim: Mapping[str, Any]) -> bool:
        """Does what a site shows prove what it must?"""
        verifier = claim.get("code_verifier")
        return (
            self.code is not None
            and claim["binding_code"] == self.code
            and claim.get("binding_id") in {None, self.binding_id}
            and claim.get("state") in {None, self.state}
            and (None if verifier is None else _challenge(verifier)) == self.code_challenge
        )

    def bind(self, now: datetime) -> None:
        """Let the code be spent."""
        self.status, self.code, self.bound_at = "ACTIVE", None, now

    def end(self, by: str, now: datetime) -> None:
        """Let it end, if it has not ended before."""
        if self.status == "ACTIVE":
            self.status, self.ended_by, self.ended_at = "ENDED", by, now

    @property
    def was_made(self) -> bool:
        """Is it a link, or was it one?"""
        return self.bound_at is not None

    def shown(self) -> dict[str, object]:
        """Return it as its site sees it."""
        return {
            "binding_id": self.binding_id,
            "status": self.status,
            "expires_at": self.expires_at.isoformat(),
            "agent_id": self.agent_id if self.was_made else None,
            "user_id": self.user_id if self.was_made else None,
            "bound_at": self.bound_at and self.bound_at.isoformat(),
            "ended_at": self.ended_at and self.ended_at.isoformat(),
            "ended_by": self.ended_by,
        }

    def _leave_pending(self, status: str) -> None:
        if self.status != "PENDING":
            raise ValueError(f"the binding is {self.status}, not PENDING")
        self.status = status

    def _going_back(self, **answer: str) -> str:
        joint = "&" if "?" in self.redirect_uri else "?"
        return self.redirect_uri + joint + urlencode({**answer, "state": self.state})


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
