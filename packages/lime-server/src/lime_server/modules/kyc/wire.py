"""What travels between owners and us about who they are."""

import base64
import binascii
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from lime_server.core import patterns
from lime_server.core.errors import InvalidInput
from lime_server.core.names import MAX_NAME
from lime_server.foundation.kyc import (
    HIGHEST_LEVEL,
    LARGEST_CASE,
    LARGEST_DOCUMENT,
    MOST_DOCUMENTS,
    CaseState,
    Upload,
)
from lime_server.modules import http
from lime_server.modules.kyc_wire import KycCase


def _in_base64(size: int) -> int:
    return (size + 2) // 3 * 4


LARGEST_BODY = _in_base64(LARGEST_CASE) + 16384
"""Bytes of a request that opens a case: all documents, and the JSON around them."""


class DocumentBody(BaseModel):
    """A document that is handed in. Its content does not show in its repr."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    content_type: Annotated[
        str,
        Field(
            max_length=64,
            description="What the content begins like.",
            json_schema_extra={"enum": ["application/pdf", "image/jpeg", "image/png"]},
        ),
    ]
    content_base64: Annotated[
        str,
        Field(
            repr=False,
            max_length=_in_base64(LARGEST_DOCUMENT),
            json_schema_extra={"pattern": patterns.BASE64, "contentEncoding": "base64"},
        ),
    ]

    def upload(self) -> Upload:
        """The document itself. Raises InvalidInput if it is not base64."""
        try:
            content = base64.b64decode(self.content_base64, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput(
                "A document's content is not base64.", detail={"field": "content_base64"}
            ) from None
        return Upload(self.name, self.content_type, content)


class OpenCaseBody(BaseModel):
    """What opens a case."""

    model_config = ConfigDict(extra="forbid")

    target_level: Annotated[int, Field(strict=True, ge=1, le=HIGHEST_LEVEL)]
    documents: Annotated[
        list[DocumentBody],
        Field(
            default_factory=list,
            max_length=MOST_DOCUMENTS,
            description="As many as the provider takes; none if it takes none.",
        ),
    ]


class KycStatus(BaseModel):
    """How well an owner is known."""

    level: int
    takes_documents: Annotated[bool, Field(description="Whether a new case needs documents.")]
    case: Annotated[KycCase | None, Field(description="The newest case.")]


class CallbackTaken(BaseModel):
    """What became of a callback."""

    case_id: http.Id
    state: CaseState
