/** Queue is what came and was not taken; who takes from an empty one waits. */
export interface Queue<T> {
  push(item: T): void;
  shift(): Promise<T>;
  readonly length: number;
}

export function queue<T>(): Queue<T> {
  const items: T[] = [];
  const takers: ((item: T) => void)[] = [];
  return {
    push(item) {
      const taker = takers.shift();
      if (taker) taker(item);
      else items.push(item);
    },
    shift: () => (items.length > 0 ? Promise.resolve(items.shift() as T) : new Promise((resolve) => takers.push(resolve))),
    get length() {
      return items.length;
    },
  };
}
