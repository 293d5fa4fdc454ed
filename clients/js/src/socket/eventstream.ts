/** StreamedEvent is one event of a `text/event-stream`. */
export interface StreamedEvent {
  readonly event: string;
  readonly data: string;
  /** The last id that was named, with this event or before it. */
  readonly id: string;
}

/** readEvents reads the events of a `text/event-stream`, as the HTML standard has it; touched is called for whatever comes, also for comments. */
export async function* readEvents(body: ReadableStream<Uint8Array>, touched: () => void): AsyncGenerator<StreamedEvent> {
  const lines = new Lines();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let event = "";
  let data: string[] = [];
  let id = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return; // an event that is cut short does not count
      touched();
      for (const line of lines.take(decoder.decode(value, { stream: true }))) {
        const colon = line.indexOf(":");
        const name = colon < 0 ? line : line.slice(0, colon);
        const rest = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
        if (name === "event") event = rest;
        else if (name === "data") data.push(rest);
        else if (name === "id") id = rest;
        if (line !== "") continue;
        if (data.length > 0) yield { event: event || "message", data: data.join("\n"), id };
        event = "";
        data = [];
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it is over, one way or the other
  }
}

/** Lines takes text apart that comes in pieces; a line ends with LF, CR, or both. */
class Lines {
  private rest = "";

  take(text: string): string[] {
    const all = this.rest + text;
    const cut = all.endsWith("\r") ? all.length - 1 : all.length; // LF may follow
    const lines = all.slice(0, cut).split(/\r\n|\n|\r/);
    this.rest = (lines.pop() as string) + all.slice(cut);
    return lines;
  }
}
