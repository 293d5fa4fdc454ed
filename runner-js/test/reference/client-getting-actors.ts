import { actor, setup } from "rivetkit";
import { createClient } from "rivetkit/client";

const chatRoom = actor({ state: { messages: [] as string[] }, actions: {} });

// The document gives state and createState, which contradict each other (semantics.md 0.2); state is left out.
const game = actor({ createState: (c, input: { mode: string }) => ({ mode: input.mode }), actions: {} });

const registry = setup({ use: { chatRoom, game } });
const client = createClient<typeof registry>();

// Get or create by key
const room = client.chatRoom.getOrCreate(["room-42"]);

// Get existing. The document's comment says that it returns null if not found: it is always a handle, and its first use fails
// with actor.not_found (semantics.md 0.1).
const existing = client.chatRoom.get(["room-42"]);

// Create with input
const gameHandle = client.game.create(["game-1"], { input: { mode: "ranked" } });
