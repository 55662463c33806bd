"""The routes by which an owner becomes known better."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from lime_server.core.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from lime_server.foundation.kyc import Kyc
from lime_server.foundation.sessions import Session, Sessions
from lime_server.modules import credentials, http
from lime_server.modules.kyc import wire
from lime_server.modules.kyc_wire import KycCase

CASES = "/foundation/kyc/cases"
"""Where cases are opened: the one place that takes a large body."""

_CALLBACK: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "As the provider defines it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


def router(kyc: Kyc, sessions: Sessions) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(tags=["KYC"])
    current = credentials.session_of(sessions)

    @api.get(
        "/foundation/kyc",
        summary="Read how well one is known",
        response_model=http.Envelope[wire.KycStatus],
        responses=http.succeeds_with(200, "The level, and the newest case.")
        | http.fails_with(*credentials.SESSION_FAILURES),
    )
    async def status(session: Annotated[Session, Depends(current)]) -> Response:
        """Passports of the owner's agents carry the level."""
        case = await kyc.latest(session.owner.owner_id)
        return http.success(
            wire.KycStatus(
                level=session.owner.kyc_level,
                takes_documents=kyc.takes_documents,
                case=None if case is None else KycCase.of(case),
            )
        )

    @api.post(
        CASES,
        summary="Ask to be known better",
        status_code=201,
        response_model=http.Envelope[KycCase],
        responses=http.succeeds_with(201, "The case waits for its decision.")
        | http.fails_with(InvalidInput, NotFound, Conflict, *credentials.SESSION_FAILURES),
    )
    async def open_case(
        session: Annotated[Session, Depends(current)], body: wire.OpenCaseBody
    ) -> Response:
        """One case at a time. Documents are kept sealed, and every look at one is logged."""
        uploads = [document.upload() for document in body.documents]
        case = await kyc.open(session.owner.owner_id, body.target_level, uploads)
        return http.success(KycCase.of(case), status=201)

    @api.post(
        "/foundation/kyc/webhooks/{provider}",
        summary="Tell what became of a case",
        response_model=http.Envelope[wire.CallbackTaken],
        responses=http.succeeds_with(200, "Done, and not to be sent again.")
        | http.fails_with(
            InvalidInput, Unauthenticated, NotFound, Conflict, RateLimited, Unavailable
        ),
        openapi_extra=_CALLBACK,
    )
    async def called_back(
        request: Request,
        provider: Annotated[str, Path(description="The provider's name.")],
        unverified_signature: Annotated[
            str,
            Header(alias="X-Kyc-Signature", description="`t=<seconds>,v1=<hex of HMAC-SHA-256>`."),
        ] = "",
    ) -> Response:
        """For the provider that reviews owners; the signature is the credential."""
        case = await kyc.called_back(provider, unverified_signature, await request.body())
        return http.success(wire.CallbackTaken(case_id=case.case_id, state=case.state))

    return api
