import { actor, event, setup, UserError } from "stagedoor";

/** One line of a room. The id is the sender's: a message that is sent twice, since its answer got lost, is kept once. */
export interface Message {
  id: string;
  sender: string;
  text: string;
  /** Milliseconds since 1970, and later than that of the message before: the order of the room. */
  sentAt: number;
}

/** How many messages a room remembers. */
const KEEP = 200;

/** Whoever connects may send anything; the types are a promise of our own page only. */
function check(...parts: unknown[]): void {
  if (parts.every((part) => typeof part === "string" && part !== "" && part.length <= 2000)) return;
  throw new UserError("Id, sender and text are of 1 to 2000 characters.", { code: "invalid_message" });
}

const chatRoom = actor({
  state: { messages: [] as Message[] },
  events: { newMessage: event<Message>() },
  actions: {
    sendMessage: (c, id: string, sender: string, text: string): Message => {
      check(id, sender, text);
      const known = c.state.messages.find((message) => message.id === id);
      if (known !== undefined) return { ...known };
      const sentAt = Math.max(Date.now(), (c.state.messages.at(-1)?.sentAt ?? 0) + 1);
      const message: Message = { id, sender, text, sentAt };
      c.state.messages.push(message);
      if (c.state.messages.length > KEEP) c.state.messages.shift();
      c.broadcast("newMessage", message);
      return message;
    },
    getHistory: (c): Message[] => c.state.messages,
  },
});

export const registry = setup({ use: { chatRoom } });
