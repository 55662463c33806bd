"""Documents of OAuth clients, without a network."""

import asyncio

from lime_server.modules.mcp_oauth.ports import DocumentUnavailable, Fetched


class MemoryDocuments:
    """Answers from `at`, and remembers in `asked` what it was asked for."""

    def __init__(self) -> None:
        """Nothing is anywhere yet."""
        self.at: dict[str, Fetched] = {}
        self.asked: list[str] = []

    async def fetch(self, url: str) -> Fetched:
        """The document at `url`. Raises DocumentUnavailable."""
        self.asked.append(url)
        await asyncio.sleep(0)  # others get a turn, as with a network
        if url not in self.at:
            raise DocumentUnavailable("nobody is there.")
        return self.at[url]
