import { actor, setup } from "rivetkit";

export const chatRoom = actor({ state: { messages: [] as string[] }, actions: { send: (c, msg: string) => { c.state.messages.push(msg); c.broadcast("message", msg); } } });

export const registry = setup({ use: { chatRoom } });
