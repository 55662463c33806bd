"use client";

import "./globals.css";

import { Button } from "@/ui/button";
import { Card } from "@/ui/card";

/** What is left when a page itself fails. */
export default function GlobalError() {
  return (
    <html lang="en">
      <body>
        <Card title="This page failed">
          <p className="text-muted">Nothing of yours was changed by that. Load it again to go on.</p>
          <Button
            onClick={() => {
              window.location.reload();
            }}
          >
            Load it again
          </Button>
        </Card>
      </body>
    </html>
  );
}
