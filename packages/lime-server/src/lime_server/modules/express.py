"""A shorter way for the few calls that every login makes: parsed and answered without a framework.

A handler here answers what is plain, and hands back whatever is not, before anything has happened:
then the route at the same path answers, which knows the words for everything that can be wrong. So
each rule has one place, and a caller cannot tell which way a request went
(`tests/login/test_express.py` sends everything both ways).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. Its body is whole, within its limits, and JSON that everyone reads alike."""

    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    unverified_id: str
    """What stands in the place of the path's parameter; empty where there is none."""
    body: bytes

    def header(self, name: bytes) -> str | None:
        """The first header called `name`, or None."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def read(self, model: type[M]) -> M | None:
        """The body as `model`; an empty one is an object without members. None if it is not."""
        if not self.body:
            return _read(model, b"{}")
        # The first of several, as whoever looked at the body before.
        return _read(model, self.body) if self.header(b"content-type") == _JSON else None


def _read(model: type[M], body: bytes) -> M | None:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer in JSON."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class ExpressRoute:
    """Which calls, and who answers them."""

    method: str
    path: str
    """Relative to the API base; with at most one parameter, in braces."""
    answer: Callable[[Call], Awaitable[Reply | None]]
    """Answers, raises a DomainError, or gives None for what the route proper has to answer."""
