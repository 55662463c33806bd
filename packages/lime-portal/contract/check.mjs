/**
 * Checks that `src/api/types.ts` says what the server's OpenAPI document says.
 *
 *     npm run contract -- path/to/openapi.json
 *
 * The document becomes types, and `agrees.ts` asks the compiler whether each is what the pages think it is.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import openapi, { astToString } from "openapi-typescript";

const [, , path] = process.argv;
if (path === undefined) {
  console.error("usage: npm run contract -- path/to/openapi.json");
  process.exit(2);
}
const here = new URL("./", import.meta.url);
mkdirSync(new URL("generated/", here), { recursive: true });
writeFileSync(new URL("generated/openapi.ts", here), astToString(await openapi(JSON.parse(readFileSync(path, "utf8")))));
const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", here));
const project = fileURLToPath(new URL("tsconfig.json", here));
process.exit(spawnSync(process.execPath, [tsc, "--project", project], { stdio: "inherit" }).status ?? 1);
