import type { Definition } from "../actor/definition.ts";
import type { ActorTypeInfo } from "../wire/messages.ts";

/** ActorType is a definition under its name. */
export class ActorType {
  readonly name: string;
  readonly def: Definition;
  /** One turn at a time. */
  readonly serial: boolean;

  constructor(name: string, def: Definition) {
    this.name = name;
    this.def = def;
    this.serial = def.options.concurrency === "serial";
  }

  /** What Hello says of it. */
  get info(): ActorTypeInfo {
    const { options, events } = this.def;
    return {
      name: this.name,
      durability: options.durability,
      concurrency: options.concurrency,
      sleepAfterMs: options.sleepTimeout,
      stayAwake: options.noSleep,
      maxCalls: options.maxCalls,
      events: events && [...events.keys()],
    };
  }
}
