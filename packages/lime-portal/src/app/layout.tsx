import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";

import "./globals.css";

export const metadata: Metadata = {
  // No title: each page renders its own, and a browser takes the first that it finds.
  description: "Passports for AI agents: look after your agents and sites.",
  referrer: "no-referrer",
  robots: { index: false },
};

export const viewport: Viewport = {
  width: "device-width",
  initialScale: 1,
  colorScheme: "light dark",
};

export default function RootLayout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <a
          href="#content"
          className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:m-2 focus:rounded-lg focus:bg-surface focus:p-3"
        >
          Skip to the content
        </a>
        {children}
      </body>
    </html>
  );
}
