/** The actors of the Go examples, as a client sees them. */
export interface Counter {
  readonly "~types": {
    readonly actions: { increment(c: unknown, n: number): Promise<number>; getCount(c: unknown): Promise<number> };
    readonly input: unknown;
    readonly connParams: unknown;
    readonly events: { count: number };
  };
}

export interface ChatMessage {
  from: string;
  text: string;
}

export interface Chat {
  readonly "~types": {
    readonly actions: {
      send(c: unknown, text: string): Promise<void>;
      history(c: unknown): Promise<ChatMessage[]>;
      members(c: unknown): Promise<string[]>;
    };
    readonly input: unknown;
    readonly connParams: { name: string };
    readonly events: { message: ChatMessage; joined: string; left: string };
  };
}

export interface Examples {
  readonly config: { readonly use: { readonly counter: Counter; readonly chat: Chat } };
}
