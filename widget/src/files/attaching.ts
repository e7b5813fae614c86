// What the user attaches: whether it may be, where it stands, and what it looks like.
import type { Speech } from '../texts/texts.ts';
import { fileRules } from '../wire/api.ts';
import type { Server, Session } from '../wire/api.ts';
import type { Attachment } from '../wire/attachment.ts';
import type { Door } from '../wire/door.ts';
import { wrongWith } from './judge.ts';
import type { Rules } from './judge.ts';
import { Pictures } from './pictures.ts';
import type { Picture } from './pictures.ts';
import { Queue } from './queue.ts';
import type { Picked } from './queue.ts';

/** Where it is shown. */
export interface Shelf {
  /** What may be attached; nothing: no files. */
  takes(formats: readonly string[] | undefined): void;
  files(items: readonly Picked[]): void;
  moved(one: Picked): void;
  notice(text: string): void;
}

const AGAIN_MS = 15_000;

export class Attaching {
  readonly #server: Server;
  readonly #door: Door;
  readonly #speech: Speech;
  readonly #shelf: Shelf;
  readonly #queue: Queue;
  readonly #pictures: Pictures;
  readonly #previews = new Map<number, Promise<Picture | undefined>>();
  /** Unknown, or none may be sent. */
  #rules: Rules | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #online = () => this.#queue.wake();

  constructor(server: Server, door: Door, speech: Speech, shelf: Shelf) {
    this.#server = server;
    this.#door = door;
    this.#speech = speech;
    this.#shelf = shelf;
    this.#pictures = new Pictures(door);
    this.#queue = new Queue(door, {
      changed: () => this.#changed(),
      moved: (one) => shelf.moved(one),
      words: (code) => speech.say(code === 'file_unreadable' ? code : 'file_failed'),
      off: () => this.#take(undefined),
    });
    addEventListener('online', this.#online);
  }

  /** The server is there (again). */
  opened(session: Session): void {
    if (!this.#rules) void this.#ask(session);
    this.#queue.wake();
  }

  add(files: readonly File[]): void {
    const rules = this.#rules;
    if (!rules) return;
    this.#shelf.notice('');
    for (const file of files) {
      const wrong = wrongWith(file, rules, this.#speech);
      if (wrong === undefined && this.#queue.going >= rules.perMessage) return this.#tooMany(rules);
      // Whoever drops a folder of them sees why, not all of them.
      if (wrong === undefined || this.#queue.items.length - this.#queue.going < rules.perMessage) this.#queue.add(file, wrong);
    }
  }

  remove(key: number): void {
    this.#shelf.notice('');
    this.#queue.remove(key);
  }

  again(key: number): void {
    if (!this.#rules) return;
    if (this.#queue.going >= this.#rules.perMessage) return this.#tooMany(this.#rules);
    this.#queue.again(key);
  }

  /** Those that are there: they go now. */
  take(): Attachment[] {
    this.#shelf.notice('');
    return this.#queue.take();
  }

  /** Files of a message that comes back to be changed. */
  put(files: readonly Attachment[]): void {
    this.#queue.put(files);
  }

  /** A small picture of a stored file, if there is one. */
  picture(id: string): Promise<Picture | undefined> {
    return this.#pictures.of(id);
  }

  /** That of a file on its way. */
  preview(key: number): Promise<Picture | undefined> {
    const one = this.#queue.items.find((one) => one.key === key);
    if (one?.attachment) return this.#pictures.of(one.attachment.id);
    const known = this.#previews.get(key) ?? (one?.file ? this.#pictures.local(one.file) : Promise.resolve(undefined));
    this.#previews.set(key, known);
    return known;
  }

  /** Somebody else is logged in. */
  clear(): void {
    this.#queue.clear();
    this.#pictures.clear();
    this.#take(undefined);
  }

  destroy(): void {
    removeEventListener('online', this.#online);
    clearTimeout(this.#timer);
    this.#queue.clear();
  }

  async #ask(session: Session): Promise<void> {
    try {
      const rules = await fileRules(this.#server, session);
      if (session.user === this.#door.session()?.user) this.#take(rules);
    } catch {
      this.#timer = setTimeout(() => {
        // Else the next connection asks.
        if (!this.#rules && this.#door.session() === session) void this.#ask(session);
      }, AGAIN_MS);
    }
  }

  #take(rules: Rules | undefined): void {
    this.#rules = rules;
    this.#shelf.takes(rules?.formats);
  }

  #tooMany({ perMessage }: Rules): void {
    this.#shelf.notice(this.#speech.say('file_too_many', { count: perMessage }));
  }

  #changed(): void {
    const { items } = this.#queue;
    for (const [key, preview] of this.#previews) {
      const one = items.find((one) => one.key === key);
      // A picture that was read here need not be fetched.
      if (one?.attachment) this.#pictures.keep(one.attachment.id, preview);
      if (!one) this.#previews.delete(key);
    }
    this.#shelf.files(items);
  }
}
