"""Wiring of the authorization server for MCP."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from lime_server.infrastructure.oauth_crypto import (
    PyJwtAssertions,
    PyJwtKeys,
    RingAccessTokens,
)
from lime_server.infrastructure.postgres.oauth_clients import (
    PostgresAgentKeys,
    PostgresClients,
    PostgresGrants,
)
from lime_server.infrastructure.postgres.oauth_tokens import (
    PostgresCodes,
    PostgresRefreshTokens,
    PostgresRevokedTokens,
    PostgresSpentAssertions,
)
from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.mcp_oauth.access_tokens import AccessTokens
from lime_server.modules.mcp_oauth.agent_keys import AgentKeyBook
from lime_server.modules.mcp_oauth.client_authentication import ClientAuthentication
from lime_server.modules.mcp_oauth.introspection import Introspection
from lime_server.modules.mcp_oauth.metadata import issuer_of, token_endpoint_of
from lime_server.modules.mcp_oauth.ports import (
    AgentKeys,
    ClientFinder,
    ClientStore,
    CodeStore,
    GrantStore,
    RefreshStore,
    RevokedTokens,
    SpentAssertions,
)
from lime_server.modules.mcp_oauth.pruning import Pruning
from lime_server.modules.mcp_oauth.revocation import Revocation
from lime_server.modules.mcp_oauth.token import TokenEndpoint, TokenRules
from lime_server.modules.mcp_oauth.token_routes import TokenParts

if TYPE_CHECKING:
    from lime_server.composition.parts import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthStores:
    """Where the authorization server keeps what it keeps."""

    clients: ClientStore
    grants: GrantStore
    codes: CodeStore
    refresh_tokens: RefreshStore
    revoked: RevokedTokens
    spent: SpentAssertions
    agent_keys: AgentKeys


def open_oauth(database: Database) -> OAuthStores:
    """All of it in PostgreSQL."""
    return OAuthStores(
        clients=PostgresClients(database),
        grants=PostgresGrants(database),
        codes=PostgresCodes(database),
        refresh_tokens=PostgresRefreshTokens(database),
        revoked=PostgresRevokedTokens(database),
        spent=PostgresSpentAssertions(database),
        agent_keys=PostgresAgentKeys(database),
    )


def token_parts(parts: "Parts", clients: ClientFinder) -> TokenParts:
    """What the routes of tokens and of agents' keys call; `clients` finds those of others."""
    settings, stores = parts.settings, parts.oauth
    issuer = issuer_of(settings.public_url)
    reader = RingAccessTokens(parts.ring, issuer)
    authentication = ClientAuthentication(
        clients=clients,
        agents=parts.agents,
        keys=stores.agent_keys,
        assertions=PyJwtAssertions(),
        spent=stores.spent,
        tokens=parts.tokens,
        limiter=parts.registry.limiter,
        limit=settings.rate_per_token,
        clock=parts.clock,
        audiences=(issuer, token_endpoint_of(settings.public_url)),
    )
    return TokenParts(
        clients=authentication,
        tokens=TokenEndpoint(
            agents=parts.agents,
            grants=stores.grants,
            codes=stores.codes,
            refresh_tokens=stores.refresh_tokens,
            access_tokens=AccessTokens(signer=parts.signer, clock=parts.clock, issuer=issuer),
            tokens=parts.tokens,
            audit=parts.audit,
            tally=parts.metrics,
            transactions=parts.transactions,
            clock=parts.clock,
            rules=TokenRules(
                scopes=settings.mcp_scopes,
                refresh_idle=timedelta(seconds=settings.mcp_refresh_idle),
                refresh_lifetime=timedelta(seconds=settings.mcp_refresh_lifetime),
                grace=timedelta(seconds=settings.mcp_refresh_grace),
                private_too=private_too(parts),
            ),
        ),
        revocation=Revocation(
            refresh_tokens=stores.refresh_tokens,
            revoked=stores.revoked,
            reader=reader,
            tokens=parts.tokens,
            transactions=parts.transactions,
            clock=parts.clock,
        ),
        introspection=Introspection(
            clients=authentication,
            sites=parts.sites,
            agents=parts.agents,
            refresh_tokens=stores.refresh_tokens,
            revoked=stores.revoked,
            reader=reader,
            clock=parts.clock,
        ),
        key_book=AgentKeyBook(
            agents=parts.agents,
            keys=stores.agent_keys,
            public_keys=PyJwtKeys(),
            audit=parts.audit,
            transactions=parts.transactions,
        ),
        sessions=parts.sessions,
    )


def private_too(parts: "Parts") -> bool:
    """Whether servers that only a private network, or this machine, knows are served."""
    return parts.settings.mcp_private_names or parts.settings.public_url.is_loopback


def oauth_pruning(parts: "Parts") -> Pruning:
    """Deletes what expired."""
    stores = parts.oauth
    return Pruning((stores.codes, stores.refresh_tokens, stores.revoked, stores.spent), parts.clock)
