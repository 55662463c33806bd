"""The machine is gone, and all that is left is the backup and its passphrase."""

import json
from pathlib import Path

import lime_jwt
from lime_server.infrastructure.embedded import engines
from tests.support.commands import run_command
from tests.support.deployment import Deployment
from tests.support.server import ServeServer
from tests.support.tokens import parts
from tests.support.wire import Wire, data


def test_a_restored_deployment_is_the_old_one_to_everybody(
    deployment: Deployment, tmp_path: Path
) -> None:
    agent, site = deployment.agent(), deployment.site()
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    passphrase.chmod(0o600)
    file = tmp_path / "lime.backup"
    words = ["--passphrase-file", str(passphrase), "--json"]
    # 1. Somebody logs in, and a backup is made while the server runs.
    with deployment.server("old") as old, Wire(old.api_base) as wire:
        url = old.public_url
        old_passport = wire.passport(agent, site)
        made = json.loads(deployment.command("backup", "--output", str(file), *words))
        after = wire.login(agent, site)
        old.kill()
    # 2. Another machine: new engines, no master key.
    with engines(tmp_path / "fresh", durable=False) as fresh:
        settings = {
            "LIME_PUBLIC_URL": url,
            "LIME_DATABASE_URL": fresh.database_url,
            "LIME_REDIS_URL": fresh.redis_url,
            "LIME_MASTER_KEY_FILE": str(tmp_path / "restored.key"),
            "LIME_DIFFICULTY": "8",
        }
        told = run_command("restore", str(file), *words, settings=settings, folder=tmp_path)
        assert json.loads(told)["rows"] == made["rows"] > 0
        new = ServeServer(tmp_path, name="new", settings=settings, public_url=url)
        with new, Wire(new.api_base) as wire:
            # 3. The passport of before verifies with the keys of now.
            header, claims = parts(old_passport)
            keys = lime_jwt.JwkSet.parse(wire.jwks().content, issuer=url)
            expect = lime_jwt.Expectation.login(site_id=site.site_id)
            proven = lime_jwt.verify(old_passport, keys=keys, expect=expect, now=claims["iat"])
            assert proven["sub"] == agent.agent_id
            # 4. The tokens of before open a new login, signed with the key of before.
            new_passport = wire.passport(agent, site)
            new_header, new_claims = parts(new_passport)
            lime_jwt.verify(new_passport, keys=keys, expect=expect, now=new_claims["iat"])
            assert new_header["kid"] == header["kid"]
            # 5. What happened before the backup is known, and what came after it is not.
            before = data(wire.view(site, claims["request_id"]))
            assert before["status"] in {"APPROVED", "DELIVERED"}
            assert wire.view(site, after).status_code == 404
