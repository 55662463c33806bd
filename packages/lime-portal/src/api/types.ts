/**
 * What the server sends, as its OpenAPI document has it.
 *
 * Written by hand, so that it can be read; `npm run contract` fails when the document says something else.
 */

/** RFC 3339 in UTC. */
export type Timestamp = string;

export type ListOf<T> = { items: T[]; next_cursor: string | null };

export type PortalConfig = {
  captcha: { kind: "none" | "turnstile" | "pow"; site_key: string | null };
  first_owner: boolean;
};
export type Puzzle = { challenge: string; difficulty: number; expires_at: Timestamp };
export type LoginState = { status: "SIGNED_IN" | "SECOND_FACTOR_REQUIRED"; methods: ("totp" | "passkey" | "recovery_code")[] };

export type Passkey = { id: string; name: string; created_at: Timestamp; last_used_at: Timestamp | null };
export type AddedPasskey = Passkey & { recovery_codes: string[] | null };
export type Me = {
  user_id: string;
  email: string;
  kyc_level: number;
  operator: boolean;
  suspended: boolean;
  second_factor: { totp: boolean; recovery_codes_left: number; passkeys: Passkey[] };
};
export type Session = {
  session_id: string;
  current: boolean;
  created_at: Timestamp;
  last_seen_at: Timestamp;
  address: string;
  user_agent: string;
};
export type TotpSecret = { secret: string; otpauth_uri: string };
export type RecoveryCodes = { recovery_codes: string[] };

export type Agent = {
  agent_id: string;
  display_name: string;
  description: string | null;
  avatar_url: string | null;
  active: boolean;
  suspended: boolean;
  capabilities: string[];
  created_at: Timestamp;
  last_used_at: Timestamp | null;
};
export type RegisteredAgent = Agent & { agent_token: string };
export type Site = {
  site_id: string;
  display_name: string;
  domain: string | null;
  domain_verified: boolean;
  redirect_uris: string[];
  active: boolean;
  created_at: Timestamp;
  last_used_at: Timestamp | null;
};
export type RegisteredSite = Site & { site_token: string };
export type HeldToken = {
  token_id: string;
  created_at: Timestamp;
  last_used_at: Timestamp | null;
  expires_at: Timestamp | null;
};
export type NewAgentToken = { token_id: string; created_at: Timestamp; agent_token: string };
export type NewSiteToken = { token_id: string; created_at: Timestamp; site_token: string };

export type DomainClaim = {
  domain: string;
  dns: { name: string; value: string };
  file: { url: string; content: string };
};
export type DomainCheck = { domain_verified: boolean; problem: string | null };

export type LoginRecord = {
  login_request_id: string;
  status: "PENDING" | "APPROVED" | "DELIVERED" | "DENIED" | "EXPIRED";
  created_at: Timestamp;
  expires_at: Timestamp;
  decided_at: Timestamp | null;
  site: { site_id: string; display_name: string; domain: string | null; domain_verified: boolean };
  agent: { agent_id: string; display_name: string | null } | null;
};

export type EventOnItsWay = {
  event_id: string;
  type: "approved" | "denied" | "expired";
  agent_id: string | null;
  created_at: Timestamp;
  deliver_until: Timestamp;
  leased_to: string | null;
  leased_until: Timestamp | null;
  acknowledged_at: Timestamp | null;
};
export type DeliveryState = {
  streams: { consumer: string | null; since: Timestamp }[];
  undelivered: EventOnItsWay[];
  delivered: EventOnItsWay[];
};

export type BindingSite = { site_id: string; display_name: string; domain: string | null; domain_verified: boolean };
export type BindingQuestion = {
  binding_id: string;
  site: BindingSite;
  redirect_host: string;
  expires_at: Timestamp;
  learns: { claim: string; meaning: string }[];
};
export type GoingBack = { redirect_to: string };
export type OwnersBinding = {
  binding_id: string;
  status: "PENDING" | "APPROVED" | "ACTIVE" | "ENDED" | "REFUSED" | "EXPIRED";
  site: BindingSite;
  agent: { agent_id: string; display_name: string };
  bound_at: Timestamp | null;
  ended_at: Timestamp | null;
  ended_by: "owner" | "site" | null;
};

/** Who asks for access to MCP servers. */
export type Client = {
  client_id: string;
  name: string;
  kind: "registered" | "document" | "agent";
  host: string | null;
};
export type ConsentQuestion = {
  client: Client & { document_url: string | null };
  redirect_host: string;
  loopback: boolean;
  resource: string | null;
  resource_host: string | null;
  scopes: { scope: string; meaning: string }[];
  remembered_agent_id: string | null;
  expires_in: number;
};
export type Grant = {
  grant_id: string;
  client: Client;
  agent: { agent_id: string; display_name: string | null };
  redirect_host: string;
  resource: string | null;
  scopes: string[];
  created_at: Timestamp;
  last_used_at: Timestamp | null;
};

/** A public key (RFC 7517); what else it has depends on its kind. */
export type Jwk = Record<string, unknown>;
export type AgentKeys = { keys: Jwk[] };

export type KycDocument = { number: number; name: string; content_type: string; size: number };
export type KycCase = {
  case_id: string;
  provider: string;
  state: "OPEN" | "SUBMITTED" | "APPROVED" | "REJECTED" | "EXPIRED";
  target_level: number;
  level: number | null;
  reason: string | null;
  created_at: Timestamp;
  expires_at: Timestamp;
  decided_at: Timestamp | null;
  documents: KycDocument[];
};
export type KycStatus = { level: number; takes_documents: boolean; case: KycCase | null };
export type ReviewedCase = KycCase & { user_id: string; decided_by: string | null };

export type Party = { kind: string; id: string };
export type AuditEntry = {
  entry_id: string;
  sequence: number;
  at: Timestamp;
  actor: Party;
  action: string;
  target: Party | null;
  request_id: string | null;
  address: string | null;
  detail: Record<string, unknown>;
  hash: string;
};

export type KnownOwner = {
  user_id: string;
  email: string;
  email_verified: boolean;
  kyc_level: number;
  operator: boolean;
  suspended: boolean;
  created_at: Timestamp;
};
export type HeldThing = { id: string; display_name: string; active: boolean; suspended: boolean };
export type OwnerInFull = KnownOwner & { agents: HeldThing[]; sites: HeldThing[] };
export type KnownStanding = { kind: "owner" | "agent" | "site"; id: string; user_id: string; suspended: boolean };
