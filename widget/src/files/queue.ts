// The files that go with the next message: judged, sent a few at a time, and given over when they are there.
import type { Attachment } from '../wire/attachment.ts';
import type { Door } from '../wire/door.ts';
import { Refusal, UNREADABLE, Upload } from './upload.ts';
import type { Told } from './upload.ts';

export interface Picked {
  readonly key: number;
  readonly name: string;
  readonly bytes: number;
  readonly file?: File;
  state: 'waits' | 'runs' | 'stands' | 'there' | 'refused';
  /** So many bytes are there. */
  done: number;
  /** Why it was refused, and whether it may be taken later. */
  reason?: string;
  again?: boolean;
  upload?: Pick<Upload, 'run' | 'wake' | 'cancel'>;
  attachment?: Attachment;
}

export interface Watching {
  /** One is new, goes, or has another state. */
  changed(): void;
  /** One moved on. */
  moved(one: Picked): void;
  /** For people: what the server did not put into words. */
  words(code: string): string;
  /** The app takes no files any more. */
  off(): void;
}

type Start = (file: File, door: Door, told: Told) => NonNullable<Picked['upload']>;

/** So many at a time. */
const AT_ONCE = 3;

export class Queue {
  #items: Picked[] = [];
  #key = 0;
  readonly #door: Door;
  readonly #watching: Watching;
  readonly #start: Start;

  constructor(door: Door, watching: Watching, start: Start = (file, door, told) => new Upload(file, door, told)) {
    this.#door = door;
    this.#watching = watching;
    this.#start = start;
  }

  get items(): readonly Picked[] {
    return this.#items;
  }

  /** Those that go along, or are to. */
  get going(): number {
    return this.#items.filter(({ state }) => state !== 'refused').length;
  }

  get isBusy(): boolean {
    return this.#items.some(({ state }) => state !== 'refused' && state !== 'there');
  }

  /** Takes a file; or shows why not. */
  add(file: File, reason?: string): void {
    const state = reason === undefined ? 'waits' : 'refused';
    this.#items.push({ key: (this.#key += 1), name: file.name, bytes: file.size, file, state, done: 0, ...(reason === undefined ? {} : { reason }) });
    this.#watching.changed();
    this.#pump();
  }

  /** Files of a message that comes back to be changed. */
  put(files: readonly Attachment[]): void {
    for (const attachment of files) {
      const { name, bytes } = attachment;
      this.#items.push({ key: (this.#key += 1), name, bytes, state: 'there', done: bytes, attachment });
    }
    this.#watching.changed();
  }

  /** The user wants a file sent again that was refused. */
  again(key: number): void {
    const one = this.#items.find((one) => one.key === key);
    if (!one?.again) return;
    delete one.reason;
    delete one.again;
    one.state = 'waits';
    one.done = 0;
    this.#watching.changed();
    this.#pump();
  }

  remove(key: number): void {
    const at = this.#items.findIndex((one) => one.key === key);
    if (at < 0) return;
    const [one] = this.#items.splice(at, 1);
    one?.upload?.cancel();
    this.#watching.changed();
    this.#pump();
  }

  /** Those that are there: they go now. What cannot be taken goes with them; what may be taken later stays. */
  take(): Attachment[] {
    const taken = this.#items.flatMap(({ attachment }) => attachment ?? []);
    this.#items = this.#items.filter(({ state, again }) => state !== 'there' && (state !== 'refused' || again));
    this.#watching.changed();
    return taken;
  }

  /** The network, or the server, is there again. */
  wake(): void {
    for (const { upload, state } of this.#items) if (state === 'runs' || state === 'stands') upload?.wake();
  }

  clear(): void {
    for (const { upload } of this.#items.splice(0)) upload?.cancel();
    this.#watching.changed();
  }

  #pump(): void {
    const running = () => this.#items.filter(({ state }) => state === 'runs' || state === 'stands').length;
    for (const one of this.#items) {
      if (running() >= AT_ONCE) return;
      if (one.state === 'waits' && one.file) void this.#run(one, one.file);
    }
  }

  async #run(one: Picked, file: File): Promise<void> {
    one.state = 'runs';
    one.upload = this.#start(file, this.#door, {
      progress: (bytes) => {
        one.done = bytes;
        this.#watching.moved(one);
      },
      stands: (still) => {
        if (one.state !== 'runs' && one.state !== 'stands') return;
        const state = still ? 'stands' : 'runs';
        if (state === one.state) return;
        one.state = state;
        this.#watching.moved(one);
      },
    });
    this.#watching.changed();
    try {
      one.attachment = await one.upload.run();
      one.state = 'there';
      one.done = one.bytes;
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal('', true);
      one.state = 'refused';
      one.reason = (refusal.code === UNREADABLE ? '' : refusal.message) || this.#watching.words(refusal.code);
      one.again = refusal.again;
      if (refusal.code === 'files_off') this.#watching.off();
    }
    // The upload of a file that is there is kept: it may still be taken back.
    if (this.#items.includes(one)) this.#watching.changed();
    this.#pump();
  }
}
