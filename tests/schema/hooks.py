"""Loaded by schemathesis itself: each request comes from an address of its own.

Sign-ins are slowed down per client address, which no setting switches off. The server of these tests believes
`X-Forwarded-For`, as behind a proxy, and so meets as many strangers as there are requests.
"""

import itertools
from typing import Any

import schemathesis

_numbers = itertools.count(1)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Say where the next request comes from: a /64 that no other one came from."""
    number = next(_numbers)
    case.headers["X-Forwarded-For"] = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"
