"use client";

import { useRef } from "react";

import { call } from "@/api/client";
import { useApi, usePages, type Loaded } from "@/api/hooks";
import type { DeliveryState, HeldToken, ListOf, LoginRecord, Site } from "@/api/types";
import { useAwake } from "@/lib/awake";
import { Danger } from "@/things/danger";
import { DeliveryMonitor } from "@/things/delivery";
import { Domain } from "@/things/domain";
import { LoginHistory, READ_EVERY } from "@/things/history";
import { apiOf, SITE } from "@/things/kinds";
import { isOnItsWay, One } from "@/things/one";
import { useOptimistic } from "@/things/optimistic";
import { Profile } from "@/things/profile";
import { RedirectUris } from "@/things/redirects";
import { apiBase, settings, SITE_CODE, SITE_INSTALL, SITE_SECRET } from "@/things/snippets";
import { Standing } from "@/things/standing";
import { Tokens } from "@/things/tokens";
import { useDelivery } from "@/things/use-delivery";
import { Copyable, Snippet } from "@/ui/copy";
import { Switch } from "@/ui/field";
import { LoadingPage } from "@/ui/loading";
import { Problem } from "@/ui/notice";
import { Page, Section } from "@/ui/page";
import { Time } from "@/ui/time";

export default function SitePage() {
  return <One kind={SITE}>{(id) => <OneSite id={id} />}</One>;
}

const NOTHING: DeliveryState = { streams: [], undelivered: [], delivered: [] };

function OneSite({ id }: { id: string }) {
  const path = apiOf(SITE, id);
  const awake = useAwake();
  const site = useApi<Site>(path);
  const tokens = useApi<ListOf<HeldToken>>(`${path}/tokens`);
  const logins = usePages<LoginRecord>(`${path}/logins`, { every: awake ? READ_EVERY : 0 });
  const delivery = useApi<DeliveryState>(`${path}/delivery`);
  const firstFrame = useRef(true);
  const watched = useDelivery(`${path}/delivery`, awake && site.data !== undefined, () => {
    // The first frame is how things stand; every later one says that something happened.
    if (firstFrame.current) {
      firstFrame.current = false;
    } else {
      void logins.reload().catch(() => undefined);
    }
  });
  if (site.data === undefined) {
    return site.error === undefined ? (
      <LoadingPage what="the site" />
    ) : (
      <Page title="Site">
        <Problem error={site.error} onRetry={() => void site.mutate()} />
      </Page>
    );
  }
  // All of it at once: what came later would push away what is being read.
  if (
    isOnItsWay(tokens.data, tokens.error) ||
    isOnItsWay(logins.items, logins.error) ||
    isOnItsWay(delivery.data, delivery.error)
  ) {
    return <LoadingPage what="the site" />;
  }
  const { display_name: name, active, created_at: made, last_used_at: used } = site.data;
  return (
    <Page
      title={name}
      lead={
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <Standing active={active} />
          <span>
            Made <Time at={made} />, last used <Time at={used} />
          </span>
        </span>
      }
    >
      <LoginHistory kind={SITE} pages={logins} />
      <DeliveryMonitor
        path={`${path}/delivery`}
        watched={watched}
        first={delivery.data ?? NOTHING}
        awake={awake}
      />
      <Access site={site.data} mutate={site.mutate} />
      <Domain site={site.data} mutate={site.mutate} />
      <RedirectUris site={site.data} mutate={site.mutate} />
      <Tokens kind={SITE} id={id} tokens={tokens} />
      <Profile kind={SITE} id={id} thing={site.data} mutate={site.mutate} />
      <Use id={id} />
      <Danger kind={SITE} id={id} name={name} />
    </Page>
  );
}

function Access({ site, mutate }: { site: Site; mutate: Loaded<Site>["mutate"] }) {
  const change = useOptimistic<Site>(mutate);
  return (
    <Section title="Service">
      <Switch
        label="Switched on"
        hint="Off, its requests are refused at once, and no agent can log in to it. Its tokens are kept."
        on={site.active}
        onChange={(active) =>
          void change.run({ ...site, active }, () =>
            call<Site>(apiOf(SITE, site.site_id), { method: "PATCH", body: { active } }),
          )
        }
      />
      <Problem error={change.error} />
    </Section>
  );
}

function Use({ id }: { id: string }) {
  return (
    <Section title="Use it" lead="Install the client, tell it which site it is, and let agents in.">
      <Copyable text={SITE_INSTALL} what="the command that installs the client" />
      <Snippet what="settings" code={`${settings(SITE.variable, apiBase(), "st_…")}\n${SITE_SECRET}`} />
      <p className="text-muted">Put the token in the place of st_…; if it is lost, rotate it. The site&apos;s id:</p>
      <Copyable text={id} what="the site's id" />
      <p className="text-muted">This FastAPI application lets agents in, and tells each of them who it is:</p>
      <Snippet what="program of a site" code={SITE_CODE} />
    </Section>
  );
}
