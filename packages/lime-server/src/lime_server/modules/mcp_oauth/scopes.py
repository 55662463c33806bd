"""Scopes: what a client asks for is narrowed to what there is, and never refused for being more.

RFC 6749, section 3.3, lets a server issue less than was asked for, if it says so. Clients in the
wild ask for whatever some metadata listed, `offline_access` included.
"""

import re
from collections.abc import Sequence

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # scope-token of RFC 6749, appendix A.4
MAX_SCOPE = 2048
"""Characters of a `scope` parameter: a hundred scopes with long names."""


def parse_scope(text: str) -> tuple[str, ...] | None:
    """The scopes in `text`, each once, in order; None if it is not a `scope` (RFC 6749, 3.3)."""
    if len(text) > MAX_SCOPE:
        return None
    names = [name for name in text.split(" ") if name]
    if not all(_TOKEN.fullmatch(name) for name in names):
        return None
    return tuple(dict.fromkeys(names))


def narrowed(asked: Sequence[str], supported: Sequence[str]) -> tuple[str, ...]:
    """What of `asked` there is, in the order of `supported`; all of it if that is nothing."""
    found = tuple(name for name in supported if name in asked)
    return found or tuple(supported)


def scope_text(scopes: Sequence[str]) -> str:
    """The `scope` that names them."""
    return " ".join(scopes)
