import { useState, type FormEvent } from "react";
import { Room } from "./room.tsx";

interface Visit {
  readonly room: string;
  readonly name: string;
}

/** ?room=…&name=… goes straight in. */
function visitOfAddress(): Visit | undefined {
  const query = new URLSearchParams(location.search);
  const room = query.get("room");
  const name = query.get("name");
  return room && name ? { room, name } : undefined;
}

export function App() {
  const [visit, setVisit] = useState(visitOfAddress);
  if (visit === undefined) return <Door onEnter={setVisit} />;
  return <Room room={visit.room} name={visit.name} onLeave={() => setVisit(undefined)} />;
}

function Door({ onEnter }: { onEnter: (visit: Visit) => void }) {
  const [name, setName] = useState("");
  const [room, setRoom] = useState("lobby");
  function enter(event: FormEvent) {
    event.preventDefault();
    onEnter({ room: room.trim(), name: name.trim() });
  }
  return (
    <form className="door card" onSubmit={enter}>
      <h1>Chat</h1>
      <Field label="Your name" name="name" value={name} onChange={setName} />
      <Field label="Room" name="room" value={room} onChange={setRoom} />
      <button>Enter</button>
    </form>
  );
}

interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function Field({ label, name, value, onChange }: FieldProps) {
  return (
    <label>
      {label}
      <input
        name={name}
        value={value}
        required
        maxLength={32}
        pattern=".*\S.*"
        autoFocus={value === ""}
        autoComplete="off"
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}
