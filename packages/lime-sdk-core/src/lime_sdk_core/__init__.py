"""What the LIME SDKs share: install `lime-agents-sdk` or `lime-sites-sdk` instead."""

from lime_sdk_core._drive import AsyncDriver, SyncDriver
from lime_sdk_core._mount import mount
from lime_sdk_core._secret import Secret
from lime_sdk_core.call import call, call_document
from lime_sdk_core.config import Config, Credential, check_base_url, user_agent
from lime_sdk_core.envelope import as_model
from lime_sdk_core.errors import (
    ApiError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    ErrorTable,
    LimeError,
    Problem,
    ProtocolError,
    RateLimitError,
    TransportError,
)
from lime_sdk_core.retry import RetryPolicy
from lime_sdk_core.steps import (
    Attempt,
    Callback,
    Flow,
    Now,
    Offload,
    Random,
    Reply,
    Request,
    Sleep,
    Step,
    segment,
)

__version__ = "4.0.0"

__all__ = [
    "ApiError",
    "AsyncDriver",
    "Attempt",
    "AuthenticationError",
    "Callback",
    "ClosedError",
    "Config",
    "ConfigurationError",
    "Credential",
    "ErrorTable",
    "Flow",
    "LimeError",
    "Now",
    "Offload",
    "Problem",
    "ProtocolError",
    "Random",
    "RateLimitError",
    "Reply",
    "Request",
    "RetryPolicy",
    "Secret",
    "Sleep",
    "Step",
    "SyncDriver",
    "TransportError",
    "__version__",
    "as_model",
    "call",
    "call_document",
    "check_base_url",
    "mount",
    "segment",
    "user_agent",
]
