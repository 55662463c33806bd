/** Each type of the pages is the document's, in both directions. */

import type * as ours from "@/api/types";
import type { components } from "./generated/openapi";

type Schemas = components["schemas"];

/** Fields may have more in the document than a page reads, so equality is asked for both ways on what we name. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type Named<Theirs, Ours> = Theirs extends unknown ? Pick<Theirs, keyof Ours & keyof Theirs> : never;
type Agrees<Ours, Theirs> = Same<keyof Ours, keyof Ours & keyof Theirs> extends true
  ? Same<Ours, Named<Theirs, Ours>>
  : false;

type Holds<T extends true> = T;

export type Checked = [
  Holds<Agrees<ours.PortalConfig, Schemas["PortalConfig"]>>,
  Holds<Agrees<ours.Puzzle, Schemas["Puzzle"]>>,
];
