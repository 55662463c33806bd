/** Server-sent events, read by hand: the browser's own reader would not say why it was refused. */

/** Takes the text of a stream piece by piece and gives the `data` of each event that is complete. */
export class EventParser {
  #rest = "";
  #data: string[] = [];

  feed(piece: string): string[] {
    const events: string[] = [];
    const text = this.#rest + piece;
    // A carriage return at the very end may be the first half of a line break.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\r|\n/);
    this.#rest = (lines.pop() ?? "") + text.slice(whole.length);
    for (const line of lines) {
      if (line !== "") {
        this.#take(line);
      } else if (this.#data.length > 0) {
        events.push(this.#data.join("\n"));
        this.#data = [];
      }
    }
    return events;
  }

  /** Comments, which keep the stream alive, and fields other than `data` say nothing to us. */
  #take(line: string): void {
    const colon = line.indexOf(":");
    if (colon === -1 ? line === "data" : line.slice(0, colon) === "data") {
      this.#data.push(colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, ""));
    }
  }
}
