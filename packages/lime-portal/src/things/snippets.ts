/** Code to paste. `tests/docs/test_snippets.py` runs it. */

import { BASE } from "@/api/client";

/** The API's address, as a program outside of this browser has to know it. */
export function apiBase(origin: string = window.location.origin): string {
  return origin + BASE;
}

/** Who issues access tokens for MCP servers (RFC 8414). */
export function oauthIssuer(origin: string = window.location.origin): string {
  return `${apiBase(origin)}/modules/oauth`;
}

/** Shell commands that set up a program; without the token, its place. */
export function settings(variable: string, base: string, token: string): string {
  return `export LIME_API_BASE=${base}\nexport ${variable}=${token}`;
}

export const AGENT_INSTALL = "pip install lime-agents-sdk";
export const AGENT_TRY = "lime-agent whoami";
export const AGENT_CODE = `import sys

from lime_agents import LimeAgentSync

with LimeAgentSync() as agent:
    print("I am", agent.get_profile().display_name)
    approval = agent.login(sys.argv[1])  # the id that the site handed over
    print(approval.status, "at site", approval.site_id)
`;

export const AGENT_MCP = `pip install "lime-agents-sdk[mcp]"
lime-agent tools https://tools.example/mcp
lime-agent call https://tools.example/mcp NAME --arg text=hello
`;

export const SITE_INSTALL = 'pip install "lime-sites-sdk[fastapi]"';
export const SITE_SECRET = "export SESSION_SECRET=$(openssl rand -hex 32)";
export const SITE_CODE = `import os
from typing import Annotated

from fastapi import Depends, FastAPI

from lime_sites import LimeSite
from lime_sites.fastapi import SignedInAgent, login_router

site = LimeSite()
login = login_router(site, secret=os.environ["SESSION_SECRET"])
app = FastAPI()
app.include_router(login)  # /login/waiting?next=/me is the page to link to


@app.get("/me")
async def me(agent: Annotated[SignedInAgent, Depends(login.current_agent)]) -> str:
    return agent.agent_id
`;
