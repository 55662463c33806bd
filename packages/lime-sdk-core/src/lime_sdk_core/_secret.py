"""A credential that is hard to print by accident."""

import hmac
from typing import final

from lime_sdk_core.errors import AuthenticationError


@final
class Secret:
    """Text that shows itself only when asked by name.

    `repr`, `str`, `format` and pickling give nothing away, so a secret may sit in a dataclass, a
    frame or a log record. The value is one printable ASCII word: anything else would be refused by
    the HTTP client with an error message that quotes it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Keep `value`.

        Raises:
            AuthenticationError: `value` is not one word of printable ASCII (RFC 9110, section 5.5).
        """
        if not value or not all("!" <= char <= "~" for char in value):
            raise AuthenticationError(
                "The token must be one word of printable ASCII: no space, no line break."
            )
        self._value = value

    def reveal(self) -> str:
        """Return the value, to be written into the one header it is meant for."""
        return self._value

    def redact(self, text: str) -> str:
        """Return `text` with every copy of the value replaced."""
        return text.replace(self._value, "[secret]")

    def redact_bytes(self, body: bytes) -> bytes:
        """Return `body` with every copy of the value replaced, and nothing else changed."""
        return body.replace(self._value.encode(), b"[secret]")

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))
