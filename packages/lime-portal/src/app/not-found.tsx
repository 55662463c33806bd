import { Card } from "@/ui/card";
import { ButtonLink } from "@/ui/button";

export default function NotFound() {
  return (
    <Card title="There is no such page">
      <p className="text-muted">The address may be mistyped, or the page has moved.</p>
      <ButtonLink href="/">Go to the overview</ButtonLink>
    </Card>
  );
}
