"""Documents that OAuth clients publish about themselves, by the guarded fetcher."""

from lime_server.infrastructure.fetcher import Fetcher, FetchError
from lime_server.modules.mcp_oauth.ports import DocumentUnavailable, Fetched


class ClientDocuments:
    """Fetches them: at most 5 KB, within 5 s (draft, section 8.7)."""

    def __init__(self, fetcher: Fetcher) -> None:
        """Fetch with `fetcher`."""
        self._fetcher = fetcher

    async def fetch(self, url: str) -> Fetched:
        """The document at `url`. Raises DocumentUnavailable."""
        try:
            answer = await self._fetcher.fetch(url)
        except FetchError as error:
            raise DocumentUnavailable(str(error)) from None
        return Fetched(answer.body, answer.content_type, answer.cache_control)
