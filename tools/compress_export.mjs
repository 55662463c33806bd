// Puts a brotli and a gzip twin beside every file of the portal's export that is worth it, so that the server compresses nothing.
//
//     node tools/compress_export.mjs packages/lime-portal/out

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { argv } from "node:process";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const TEXT = new Set([".css", ".html", ".js", ".json", ".svg", ".txt"]);
// Below this, headers and packets outweigh what is saved.
const LEAST_BYTES = 512;
const TWINS = {
  ".br": (raw) =>
    brotliCompressSync(raw, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: raw.length,
      },
    }),
  ".gz": (raw) => gzipSync(raw, { level: constants.Z_BEST_COMPRESSION }),
};

const [, , folder] = argv;
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath ?? entry.path, entry.name);
  if (!entry.isFile() || !TEXT.has(extname(path))) continue;
  const raw = readFileSync(path);
  for (const [suffix, pack] of Object.entries(TWINS)) {
    // One that an earlier run left would be of other bytes.
    rmSync(path + suffix, { force: true });
    if (raw.length < LEAST_BYTES) continue;
    const packed = pack(raw);
    if (packed.length < raw.length) writeFileSync(path + suffix, packed);
  }
}
