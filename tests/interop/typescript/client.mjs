// The official TypeScript client, with the providers that come with it.

import { createInterface } from "node:readline";

import {
  Client,
  ClientCredentialsProvider,
  PrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";

const { env } = process;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Tell the test something: one JSON object on each line. */
function say(facts) {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

/** What the test says next. */
async function hear() {
  const { value, done } = await lines.next();
  return done ? { do: "end" } : JSON.parse(value);
}

/** Acts for a human, and keeps what it is given for as long as the program runs. */
class Human {
  #kept = {};

  constructor() {
    if (env.DOCUMENT_URL !== undefined) {
      // As clientMetadataUrl it would have to be https, which nothing on loopback has.
      this.#kept.client = { client_id: env.DOCUMENT_URL };
    }
  }

  get redirectUrl() {
    return env.REDIRECT_URI;
  }

  get clientMetadata() {
    return {
      client_name: env.CLIENT_NAME,
      redirect_uris: [env.REDIRECT_URI],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: env.METHOD ?? "none",
    };
  }

  state() {
    return "the state of the robot arm";
  }

  clientInformation() {
    return this.#kept.client;
  }

  saveClientInformation(client) {
    this.#kept.client = client;
  }

  tokens() {
    return this.#kept.tokens;
  }

  saveTokens(tokens) {
    this.#kept.tokens = tokens;
  }

  saveCodeVerifier(verifier) {
    this.#kept.verifier = verifier;
  }

  codeVerifier() {
    return this.#kept.verifier;
  }

  redirectToAuthorization(url) {
    say({ open: url.href });
  }

  invalidateCredentials(scope) {
    if (scope === "all" || scope === "tokens") {
      delete this.#kept.tokens;
    }
  }
}

function providerFor(how) {
  const known = { clientId: env.CLIENT_ID, expectedIssuer: env.ISSUER };
  switch (how) {
    case "secret":
      return new ClientCredentialsProvider({ ...known, clientSecret: env.CLIENT_SECRET });
    case "key":
      return new PrivateKeyJwtProvider({ ...known, privateKey: env.KEY, algorithm: "ES256" });
    default:
      return new Human();
  }
}

const authProvider = providerFor(env.HOW);

async function connect() {
  const client = new Client({ name: env.CLIENT_NAME, version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(env.SERVER_URL), { authProvider });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) {
      throw error;
    }
  }
  // The human has been sent to the consent page; the SDK checks what the browser comes back with.
  const query = new URL((await hear()).back).searchParams;
  if (query.get("state") !== authProvider.state()) {
    throw new Error("somebody else's answer");
  }
  await transport.finishAuth(query);
  return connect();
}

async function call() {
  const client = await connect();
  const result = await client.callTool({ name: "whoami", arguments: {} });
  await client.close();
  if (result.isError) {
    throw new Error(JSON.stringify(result));
  }
  return result.structuredContent;
}

for (let wanted = await hear(); wanted.do !== "end"; wanted = await hear()) {
  if (wanted.do === "age") {
    // This client refreshes when a server refuses its token.
    authProvider.saveTokens({ ...authProvider.tokens(), access_token: "expired" });
    say({ aged: true });
    continue;
  }
  try {
    const who = await call();
    say({ who, tokens: authProvider.tokens() });
  } catch (error) {
    say({ error: `${error.name}: ${error.message}` });
  }
}
process.exit(0);
