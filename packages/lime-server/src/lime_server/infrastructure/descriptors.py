"""How many files this process may have open; each connection is one."""

import contextlib
import math
import sys


def raise_limit() -> None:
    """Let this process open as many as it may without being root.

    The soft limit that most systems begin with (1,024) is for programs that use select(), which
    fails with more; nothing here does. Where the system refuses, everything stays as it was.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS has no hard limit, and refuses a soft one that is none.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most() -> float:
    """How many there can be once the limit is raised; infinity where there is no limit."""
    if sys.platform == "win32":
        return math.inf
    import resource  # noqa: PLC0415 - not on Windows

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if hard == resource.RLIM_INFINITY else hard
