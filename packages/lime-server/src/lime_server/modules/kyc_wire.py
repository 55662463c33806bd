"""A case as it travels, to its owner and to operators."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from lime_server.foundation.kyc import Case, CaseState, Document
from lime_server.modules import http


class KycDocument(BaseModel):
    """A document that is still kept, without what it holds."""

    number: int
    name: str
    content_type: str
    size: Annotated[int, Field(description="In bytes.")]

    @classmethod
    def of(cls, document: Document) -> Self:
        """What there is to say about `document`."""
        return cls(
            number=document.number,
            name=document.name,
            content_type=document.content_type,
            size=document.size,
        )


class KycCase(BaseModel):
    """An owner's wish to be known better, as they see it."""

    case_id: http.Id
    provider: str
    state: CaseState
    target_level: int
    level: Annotated[int | None, Field(description="What was granted.")]
    reason: str | None
    created_at: http.Timestamp
    expires_at: http.Timestamp
    decided_at: http.Timestamp | None
    documents: list[KycDocument]

    @classmethod
    def of(cls, case: Case) -> Self:
        """`case` as it stands."""
        return cls(
            case_id=case.case_id,
            provider=case.provider,
            state=case.state,
            target_level=case.target_level,
            level=case.level,
            reason=case.reason,
            created_at=case.created_at,
            expires_at=case.expires_at,
            decided_at=case.decided_at,
            documents=[KycDocument.of(document) for document in case.documents],
        )
