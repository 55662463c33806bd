import { describe, expect, it } from "vitest";

import { shortUserAgent } from "./user-agent";

const SAFARI_LIKE = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
const CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0";

describe("shortUserAgent", () => {
  it.each([
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140 on Linux"],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36`, "Chrome 140 on Windows"],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36 Edg/139.0.0.0`, "Edge 139 on Windows"],
    [`Mozilla/5.0 (Linux; Android 10; K) ${CHROME} Mobile Safari/537.36`, "Chrome 140 on Android"],
    [`Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 SamsungBrowser/27.0 Chrome/125.0.0.0`, "Samsung Internet 27 on Android"],
    [`Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${SAFARI_LIKE} Version/18.5 Safari/605.1.15`, "Safari 18 on macOS"],
    [`Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) ${SAFARI_LIKE} Version/18.5 Mobile/15E148 Safari/604.1`, "Safari 18 on iPhone"],
    [`Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) ${SAFARI_LIKE} CriOS/140.0 Mobile/15E148 Safari/604.1`, "Chrome 140 on iPad"],
    [`Mozilla/5.0 (X11; CrOS x86_64) ${CHROME} Safari/537.36 OPR/120.0`, "Opera 120 on ChromeOS"],
    ["Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/156.0.0.0 Safari/537.36", "Chrome 156 on Linux"],
    ["Firefox/1", "Firefox 1"],
    ["python-httpx/0.28.1", "python-httpx/0.28.1"],
    ["  ", "Unknown browser"],
    ["<script>".repeat(20), `${"<script>".repeat(20).slice(0, 59)}…`],
  ])("%s", (header, short) => {
    expect(shortUserAgent(header)).toBe(short);
  });
});
