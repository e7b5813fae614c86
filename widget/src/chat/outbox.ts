// What was said here and is not known to be in the log: sent one after the other, and again, with the same id, after a
// reconnect or a reload. The server drops repetitions.
import type { Attachment } from '../wire/attachment.ts';

export interface Item {
  id: number;
  kind: 'say' | 'end_agent' | 'end_conversation';
  text: string;
  /** Stored already; they go with the words. */
  files?: Attachment[];
  at: number;
  /** Not accepted: it waits for the user. */
  trouble?: { text: string; again: boolean };
}

export class Outbox {
  #items: Item[] = [];
  #flying: number | undefined;
  readonly #keep: (items: Item[]) => void;

  /** `keep` stores what is in here. */
  constructor(keep: (items: Item[]) => void) {
    this.#keep = keep;
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  /** What was in here before a reload; ahead of what was said since. */
  restore(items: Item[]): void {
    const known = new Set(this.#items.map(({ id }) => id));
    this.#items = [...items.filter(({ id }) => !known.has(id)), ...this.#items];
    this.#keep(this.#items);
  }

  add(item: Item): void {
    this.#items.push(item);
    this.#keep(this.#items);
  }

  /** The next one to send, unless one is on its way. */
  next(): Item | undefined {
    if (this.#flying !== undefined) return undefined;
    const item = this.#items.find(({ trouble }) => !trouble);
    this.#flying = item?.id;
    return item;
  }

  /** Nothing is on its way any more: the connection is gone, or another one. */
  landed(): void {
    this.#flying = undefined;
  }

  get isFlying(): boolean {
    return this.#flying !== undefined;
  }

  /** It is in the log. */
  done(id: string): Item | undefined {
    return this.#take(id);
  }

  refused(id: string, trouble: NonNullable<Item['trouble']>): Item | undefined {
    const item = this.#find(id);
    if (!item) return undefined;
    if (item.kind === 'say') item.trouble = trouble;
    else this.#items.splice(this.#items.indexOf(item), 1);
    this.#free(item.id);
    this.#keep(this.#items);
    return item;
  }

  /** The user wants it sent again. */
  again(id: string): void {
    const item = this.#find(id);
    if (!item) return;
    delete item.trouble;
    this.#keep(this.#items);
  }

  /** The user takes it back. */
  drop(id: string): Item | undefined {
    return this.#take(id);
  }

  clear(): void {
    this.#items = [];
    this.#flying = undefined;
    this.#keep(this.#items);
  }

  #find(id: string): Item | undefined {
    return this.#items.find((item) => String(item.id) === id);
  }

  #take(id: string): Item | undefined {
    const item = this.#find(id);
    if (!item) return undefined;
    this.#items.splice(this.#items.indexOf(item), 1);
    this.#free(item.id);
    this.#keep(this.#items);
    return item;
  }

  #free(id: number): void {
    if (this.#flying === id) this.#flying = undefined;
  }
}
