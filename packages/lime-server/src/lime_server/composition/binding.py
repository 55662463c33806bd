"""Wiring of agent binding."""

from datetime import timedelta

from lime_server.composition.parts import Parts
from lime_server.modules.binding.passports import BindingPassports
from lime_server.modules.binding.routes import BindingParts
from lime_server.modules.binding.service import BindingRules, Bindings


def binding_parts(parts: Parts) -> BindingParts:
    """What the routes of agent binding call."""
    settings = parts.settings
    public_url = str(settings.public_url)
    bindings = Bindings(
        store=parts.bindings,
        agents=parts.agents,
        redirect_uris=parts.sites,
        standing=parts.standing,
        tokens=parts.tokens,
        passports=BindingPassports(signer=parts.signer, clock=parts.clock, issuer=public_url),
        audit=parts.audit,
        transactions=parts.transactions,
        clock=parts.clock,
        rules=BindingRules(
            lifetime=timedelta(seconds=settings.binding_lifetime),
            code_lifetime=timedelta(seconds=settings.binding_code_lifetime),
            retention=timedelta(seconds=settings.retention),
        ),
    )
    return BindingParts(bindings, parts.sessions, parts.sites, public_url)
