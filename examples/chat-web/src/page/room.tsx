import { ActorError } from "@stagedoor/react";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { useActor } from "./actors.ts";
import { merge, type Line } from "./lines.ts";

interface RoomProps {
  readonly room: string;
  readonly name: string;
  readonly onLeave: () => void;
}

export function Room({ room, name, onLeave }: RoomProps) {
  const [lines, setLines] = useState<readonly Line[]>([]);
  const chat = useActor({ name: "chatRoom", key: [room] });
  const { connection, isConnected } = chat;

  chat.useEvent("newMessage", (message) => setLines((lines) => merge(lines, [message])));

  // Events come from the moment on when the connection is open; what was said before is asked for.
  useEffect(() => {
    if (connection === null || !isConnected) return;
    connection.getHistory().then(
      (history) => setLines((lines) => merge(lines, history)),
      () => {}, // the connection is closed; the page shows why
    );
  }, [connection, isConnected]);

  function say(text: string) {
    const line: Line = { id: crypto.randomUUID(), sender: name, text };
    setLines((lines) => merge(lines, [line]));
    void deliver(line);
  }

  // The room keeps a message once, however often it comes: so what may have got lost is sent again.
  async function deliver(line: Line, attempts = 5): Promise<void> {
    try {
      const message = await connection!.sendMessage(line.id, line.sender, line.text);
      setLines((lines) => merge(lines, [message]));
    } catch (error) {
      if (attempts > 1 && mayHelpToRepeat(error)) return deliver(line, attempts - 1);
      setLines((lines) => merge(lines, [{ ...line, failure: error instanceof Error ? error.message : String(error) }]));
    }
  }

  return (
    <main className="room card">
      <header>
        <h1>{room}</h1>
        <span className="status" data-status={chat.connStatus} data-transport={chat.transport} title={chat.transport}>
          {chat.connStatus}
        </span>
        <button className="plain" onClick={onLeave}>
          Leave
        </button>
      </header>
      {chat.error && (
        <p className="error" role="alert">
          {chat.error.message}
        </p>
      )}
      <Lines lines={lines} name={name} />
      <Composer disabled={connection === null} onSay={say} />
    </main>
  );
}

const mayHelpToRepeat = (error: unknown) => ActorError.is(error) && (error.retryable || error.ran === "maybe");

function Lines({ lines, name }: { lines: readonly Line[]; name: string }) {
  const end = useRef<HTMLLIElement>(null);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "end" });
  }, [lines.length]);
  return (
    <ol className="lines">
      {lines.length === 0 && <li className="hint">Nobody has said anything yet.</li>}
      {lines.map((line) => (
        <li key={line.id} className={lineClass(line, name)} title={line.failure}>
          <span className="sender">{line.sender}</span>
          <span className="text">{line.text}</span>
          <time>{timeOf(line)}</time>
        </li>
      ))}
      <li ref={end} aria-hidden="true" />
    </ol>
  );
}

function lineClass(line: Line, name: string): string {
  const place = line.sender === name ? "line own" : "line";
  return line.sentAt === undefined ? `${place} pending` : place;
}

function timeOf(line: Line): string {
  if (line.failure !== undefined) return "not sent";
  if (line.sentAt === undefined) return "sending…";
  return new Date(line.sentAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function Composer({ disabled, onSay }: { disabled: boolean; onSay: (text: string) => void }) {
  const [text, setText] = useState("");
  function submit(event: FormEvent) {
    event.preventDefault();
    if (disabled || text.trim() === "") return;
    onSay(text.trim());
    setText("");
  }
  return (
    <form className="composer" onSubmit={submit}>
      <input
        aria-label="Message"
        placeholder="Say something"
        value={text}
        maxLength={2000}
        autoFocus
        onChange={(event) => setText(event.target.value)}
      />
      <button disabled={disabled || text.trim() === ""}>Send</button>
    </form>
  );
}
