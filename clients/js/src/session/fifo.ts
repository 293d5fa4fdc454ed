/** Fifo is a queue whose ends cost the same however long it is. */
export class Fifo<T> {
  private items: T[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  push(item: T): void {
    this.items.push(item);
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  at(index: number): T | undefined {
    return this.items[this.head + index];
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.head] as T;
    this.items[this.head++] = undefined as T; // it may be large, and is no longer ours
    if (this.head > 64 && this.head * 2 > this.items.length) this.compact();
    return item;
  }

  /** removeAt takes out an item in the middle; it costs the length of the queue. */
  removeAt(index: number): void {
    this.items.splice(this.head + index, 1);
  }

  /** remove takes out an item, if it is there; it costs the way to it from the head. */
  remove(item: T): boolean {
    const index = this.items.indexOf(item, this.head);
    if (index === this.head) this.shift();
    else if (index > this.head) this.items.splice(index, 1);
    return index >= 0;
  }

  /** take is all items; the queue is empty then. */
  take(): T[] {
    const items = this.items.slice(this.head);
    this.items = [];
    this.head = 0;
    return items;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.items.slice(this.head)[Symbol.iterator]();
  }

  private compact(): void {
    this.items = this.items.slice(this.head);
    this.head = 0;
  }
}
