/** Each type of the pages is the document's, in both directions. */

import type * as ours from "@/api/types";
import type { components } from "./generated/openapi";

type Schemas = components["schemas"];

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type Agrees<Ours, Theirs extends object> = Same<Required<Ours>, Required<Theirs>>;
type Holds<T extends true> = T;

export type Checked = [
  Holds<Agrees<ours.PortalConfig, Schemas["PortalConfig"]>>,
  Holds<Agrees<ours.Puzzle, Schemas["lime_server__modules__accounts__wire__Puzzle"]>>,
  Holds<Agrees<ours.LoginState, Schemas["LoginState"]>>,
  Holds<Agrees<ours.Passkey, Schemas["KnownPasskey"]>>,
  Holds<Agrees<ours.AddedPasskey, Schemas["AddedPasskey"]>>,
  Holds<Agrees<ours.Me, Schemas["Me"]>>,
  Holds<Agrees<ours.Session, Schemas["OwnSession"]>>,
  Holds<Agrees<ours.TotpSecret, Schemas["TotpSecret"]>>,
  Holds<Agrees<ours.RecoveryCodes, Schemas["RecoveryCodes"]>>,
  Holds<Agrees<ours.Agent, Schemas["OwnedAgent"]>>,
  Holds<Agrees<ours.RegisteredAgent, Schemas["RegisteredAgent"]>>,
  Holds<Agrees<ours.Site, Schemas["OwnedSite"]>>,
  Holds<Agrees<ours.RegisteredSite, Schemas["RegisteredSite"]>>,
  Holds<Agrees<ours.HeldToken, Schemas["OwnedToken"]>>,
  Holds<Agrees<ours.NewAgentToken, Schemas["lime_server__modules__agents__wire__NewToken"]>>,
  Holds<Agrees<ours.NewSiteToken, Schemas["lime_server__modules__sites__wire__NewToken"]>>,
  Holds<Agrees<ours.DomainClaim, Schemas["DomainClaim"]>>,
  Holds<Agrees<ours.DomainCheck, Schemas["DomainCheck"]>>,
  Holds<Agrees<ours.LoginRecord, Schemas["LoginRecord"]>>,
  Holds<Agrees<ours.EventOnItsWay, Schemas["EventOnItsWay"]>>,
  Holds<Agrees<ours.DeliveryState, Schemas["DeliveryState"]>>,
  Holds<Agrees<ours.BindingQuestion, Schemas["BindingQuestion"]>>,
  Holds<Agrees<ours.GoingBack, Schemas["GoingBack"]>>,
  Holds<Agrees<ours.OwnersBinding, Schemas["OwnersBinding"]>>,
  Holds<Agrees<ours.ConsentQuestion, Schemas["ConsentQuestion"]>>,
  Holds<Agrees<ours.GoingBack, Schemas["ConsentAnswered"]>>,
  Holds<Agrees<ours.Grant, Schemas["OwnersGrant"]>>,
  Holds<Agrees<ours.AgentKeys, Schemas["AgentKeyList"]>>,
  Holds<Agrees<ours.KycCase, Schemas["KycCase"]>>,
  Holds<Agrees<ours.KycStatus, Schemas["KycStatus"]>>,
  Holds<Agrees<ours.ReviewedCase, Schemas["ReviewedCase"]>>,
  Holds<Agrees<ours.AuditEntry, Schemas["AuditEntry"]>>,
  Holds<Agrees<ours.KnownOwner, Schemas["KnownOwner"]>>,
  Holds<Agrees<ours.OwnerInFull, Schemas["OwnerInFull"]>>,
  Holds<Agrees<ours.KnownStanding, Schemas["KnownStanding"]>>,
];
