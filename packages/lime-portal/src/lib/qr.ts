/** QR codes as something an SVG can draw. */

import qrcode from "qrcode-generator";

/** Light modules around the code, which readers need (ISO/IEC 18004, 6.3.8). */
const QUIET = 4;

export type QrCode = {
  /** Width and height in modules, with the quiet zone. */
  size: number;
  /** The dark modules, as the `d` of a path. */
  path: string;
};

/** `text` as a QR code with medium error correction; the smallest version that holds it. */
export function qrCode(text: string): QrCode {
  const made = qrcode(0, "M");
  made.addData(text);
  made.make();
  const count = made.getModuleCount();
  let path = "";
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < count; column++) {
      if (made.isDark(row, column)) {
        path += `M${column + QUIET} ${row + QUIET}h1v1h-1z`;
      }
    }
  }
  return { size: count + 2 * QUIET, path };
}
