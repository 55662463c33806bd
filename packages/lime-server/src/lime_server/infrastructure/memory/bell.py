"""A bell within one process."""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class MemoryBell:
    """Calls whoever listens, at once."""

    def __init__(self) -> None:
        """Nobody listens yet."""
        self._listeners: dict[object, Callable[[str, str], None]] = {}

    async def ring(self, topic: str, ident: str) -> None:
        """Wake whoever listens in this process."""
        self.tell(topic, ident)

    def tell(self, topic: str, ident: str) -> None:
        """Call every listener, in the order in which they came."""
        for callback in list(self._listeners.values()):
            try:
                callback(topic, ident)
            except Exception:
                # Whoever rings has done its work, and the next listener wants to hear it too.
                log.exception("a listener failed")

    def listen(self, callback: Callable[[str, str], None]) -> Callable[[], None]:
        """Call `callback(topic, ident)` for every ring; returns the function that stops it."""
        handle = object()
        self._listeners[handle] = callback

        def stop() -> None:
            self._listeners.pop(handle, None)

        return stop
