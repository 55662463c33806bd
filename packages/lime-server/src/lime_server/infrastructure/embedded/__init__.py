"""PostgreSQL and Valkey without installing either, for `lime-server dev` and for tests.

The programs come from wheels; starting, watching and ending them is done here, because what the
wheels bring for that leaves servers behind. However the process that opened the engines ends, they
end with it.
"""

from lime_server.infrastructure.embedded.engines import Engines, engines
from lime_server.infrastructure.embedded.errors import (
    EngineError,
    EnginesMissingError,
    FolderInUseError,
    FolderUnusableError,
    StartFailedError,
)

__all__ = [
    "EngineError",
    "Engines",
    "EnginesMissingError",
    "FolderInUseError",
    "FolderUnusableError",
    "StartFailedError",
    "engines",
]
