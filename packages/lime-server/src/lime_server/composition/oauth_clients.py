"""Wiring of what OAuth clients and owners meet: registration, authorization, consent, grants."""

from datetime import timedelta
from typing import TYPE_CHECKING

from lime_server.composition.mcp_oauth import private_too
from lime_server.infrastructure.client_documents import ClientDocuments
from lime_server.infrastructure.dns import Dns, resolvers
from lime_server.infrastructure.fetcher import Fetcher
from lime_server.infrastructure.oauth_crypto import PyJwtKeys
from lime_server.modules.mcp_oauth.authorization import Authorization, AuthorizationRules
from lime_server.modules.mcp_oauth.client_routes import ClientParts
from lime_server.modules.mcp_oauth.clients import ClientRules, Clients
from lime_server.modules.mcp_oauth.consent import Consent
from lime_server.modules.mcp_oauth.grants import Grants
from lime_server.modules.mcp_oauth.metadata import issuer_of
from lime_server.modules.mcp_oauth.registration import Registration, RegistrationRules
from lime_server.settings import Settings

if TYPE_CHECKING:
    from lime_server.composition.parts import Parts


def open_documents(settings: Settings) -> ClientDocuments:
    """Documents from the public internet, and from this machine if the operator says so."""
    dns = Dns(resolvers(settings.dns_servers))
    return ClientDocuments(Fetcher(dns, loopback_too=settings.mcp_loopback_documents))


def client_finder(parts: "Parts") -> Clients:
    """Finds clients that are not agents."""
    settings = parts.settings
    return Clients(
        store=parts.oauth.clients,
        documents=parts.documents,
        keys=PyJwtKeys(),
        limiter=parts.registry.limiter,
        clock=parts.clock,
        rules=ClientRules(
            private_schemes=settings.mcp_private_schemes,
            loopback_documents=settings.mcp_loopback_documents,
        ),
    )


def client_parts(parts: "Parts", clients: Clients) -> ClientParts:
    """What the routes of registration, authorization, consent and grants call."""
    settings, stores = parts.settings, parts.oauth
    authorization = Authorization(
        clients,
        AuthorizationRules(
            issuer=issuer_of(settings.public_url),
            scopes=settings.mcp_scopes,
            private_too=private_too(parts),
            private_schemes=settings.mcp_private_schemes,
        ),
    )
    return ClientParts(
        registration=Registration(
            store=stores.clients,
            keys=PyJwtKeys(),
            tokens=parts.tokens,
            limiter=parts.registry.limiter,
            clock=parts.clock,
            rules=RegistrationRules(
                limit=settings.mcp_registration_rate,
                private_schemes=settings.mcp_private_schemes,
            ),
        ),
        authorization=authorization,
        consent=Consent(
            authorization=authorization,
            agents=parts.agents,
            clients=stores.clients,
            grants=stores.grants,
            codes=stores.codes,
            tokens=parts.tokens,
            audit=parts.audit,
            transactions=parts.transactions,
            clock=parts.clock,
        ),
        grants=Grants(
            store=stores.grants,
            agents=parts.agents,
            audit=parts.audit,
            transactions=parts.transactions,
            clock=parts.clock,
        ),
        sessions=parts.sessions,
        scopes=settings.mcp_scopes,
        public_url=str(settings.public_url),
        consent_lifetime=timedelta(seconds=settings.mcp_refresh_lifetime),
    )
