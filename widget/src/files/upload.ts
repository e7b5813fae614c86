// One file on its way up, by tus 1.0 (https://tus.io/protocols/resumable-upload).
//
//   POST ─► PATCH ─► 200: it is there
//    ▲       │ the network is gone, 5xx: after a while HEAD, and PATCH from where it stands
//    └───────┘ 404: the server does not know of it any more; once more from the start
//
// It goes on for as long as only the network is missing; what the server says no to is over.
import { attachment } from '../wire/attachment.ts';
import type { Attachment } from '../wire/attachment.ts';
import { ask as byXhr, wait } from '../wire/ask.ts';
import type { Answer, Ask } from '../wire/ask.ts';
import type { Session } from '../wire/api.ts';
import type { Door } from '../wire/door.ts';

/** It will not be there. `again`: the same may be taken later. */
export class Refusal extends Error {
  constructor(message: string, readonly again: boolean, readonly code = '') {
    super(message);
  }
}

/** Of a file that cannot be read: the widget has words for it. */
export const UNREADABLE = 'file_unreadable';

export interface Told {
  /** So many bytes are there. */
  progress(bytes: number): void;
  /** It stands still, and goes on by itself. */
  stands(still: boolean): void;
}

/** So often in a row the server may say that it cannot now. */
const PATIENCE = 6;
/** It may be another way in a moment; 401 with another login, 409 from another byte. */
const PASSING = [401, 408, 409, 425, 500, 502, 503, 504];
/** An upload that moved since is not dead. */
const ALIVE_MS = 4_000;

export class Upload {
  readonly #file: File;
  readonly #door: Door;
  readonly #told: Told;
  readonly #ask: (ask: Ask) => Promise<Answer>;
  #url: string | undefined;
  /** Where it stands; unknown: to be asked. */
  #offset: number | undefined;
  /** As far as it ever stood. */
  #best = 0;
  #restarted = false;
  /** How often in a row the network failed, and how often the server said that it cannot now. */
  #tries = 0;
  #refusals = 0;
  #session: Session | undefined;
  /** Whose file it is. Nobody else may send it. */
  #user: string | undefined;
  #movedAt = 0;
  #over = false;
  #flight: AbortController | undefined;
  #resume: (() => void) | undefined;

  constructor(file: File, door: Door, told: Told, ask = byXhr) {
    this.#file = file;
    this.#door = door;
    this.#told = told;
    this.#ask = ask;
  }

  /** Resolves when it is there. Fails with a `Refusal`; after `cancel`, never. */
  async run(): Promise<Attachment> {
    for (;;) {
      const session = (this.#session = this.#door.session());
      if (session && session.user !== (this.#user ??= session.user)) throw new Refusal('', false);
      const answer = session && (await this.#step(session.token).catch(() => undefined));
      if (this.#over) return new Promise(() => {});
      if (!answer) {
        this.#offset = undefined;
        // A file that was moved or changed looks like a broken network.
        if (!(await isReadable(this.#file))) throw new Refusal(UNREADABLE, false, UNREADABLE);
        await this.#pause(undefined);
      } else {
        const there = await this.#take(answer);
        if (there) return there;
      }
    }
  }

  /** The network came back: now, not later. */
  wake(): void {
    this.#tries = 0;
    this.#resume?.();
    if (Date.now() - this.#movedAt > ALIVE_MS) this.#flight?.abort();
  }

  /** It is not wanted any more. The server is told; if that fails, it forgets it by itself. */
  cancel(): void {
    this.#over = true;
    this.#flight?.abort();
    this.#resume?.();
    const session = this.#door.session();
    if (!this.#url || !session) return;
    const headers = { 'tus-resumable': '1.0.0', authorization: `bearer ${session.token}` };
    this.#ask({ method: 'DELETE', url: this.#url, headers, signal: new AbortController().signal }).catch(() => {});
  }

  #step(token: string): Promise<Answer> {
    const flight = (this.#flight = new AbortController());
    this.#movedAt = Date.now();
    const headers: Record<string, string> = { 'tus-resumable': '1.0.0', authorization: `bearer ${token}` };
    const { signal } = flight;
    if (!this.#url) {
      headers['upload-length'] = String(this.#file.size);
      headers['upload-metadata'] = `filename ${base64(this.#file.name)}`;
      return this.#ask({ method: 'POST', url: this.#door.files, headers, signal });
    }
    const offset = this.#offset;
    if (offset === undefined) return this.#ask({ method: 'HEAD', url: this.#url, headers, signal });
    headers['upload-offset'] = String(offset);
    headers['content-type'] = 'application/offset+octet-stream';
    const body = this.#file.slice(offset);
    return this.#ask({ method: 'PATCH', url: this.#url, headers, body, signal, sent: (bytes) => this.#moved(offset + bytes) });
  }

  #moved(bytes: number): void {
    if (this.#over) return;
    this.#movedAt = Date.now();
    this.#tries = 0;
    this.#told.progress(bytes);
  }

  /** What an answer means for it. */
  async #take(answer: Answer): Promise<Attachment | undefined> {
    const { status, body } = answer;
    if (status === 201) return this.#begun(answer);
    if (status < 300) {
      const there = attachment(body);
      if (there) return there;
      const offset = Number(answer.header('upload-offset') ?? NaN);
      if (offset > this.#best) this.#refusals = 0;
      // Bytes were sent, and the server has none of them.
      else if (this.#offset !== undefined) this.#refuse(answer);
      this.#offset = offset >= 0 ? offset : undefined;
      this.#best = Math.max(this.#best, this.#offset ?? 0);
      this.#told.stands(false);
      this.#told.progress(this.#best);
      return undefined;
    }
    const gone = this.#url !== undefined && (status === 404 || status === 410);
    this.#offset = undefined;
    if (gone && !this.#restarted) {
      this.#restarted = true;
      this.#url = undefined;
      return undefined;
    }
    const code = body?.errors?.[0]?.code;
    const passes = status === 429 ? answer.header('retry-after') !== null : PASSING.includes(status) || code === 'upload_interrupted';
    this.#refuse(answer, !passes);
    if (status === 401) await this.#door.renew(this.#session).catch(() => this.#pause(undefined));
    else if (status !== 409) await this.#pause(answer);
    return undefined;
  }

  #begun(answer: Answer): undefined {
    const location = answer.header('location');
    if (!location) throw new Refusal('', true);
    // On the server that we talk to, whatever it calls itself.
    const { origin } = new URL(this.#door.files);
    const { pathname, search } = new URL(location, origin);
    this.#url = origin + pathname + search;
    this.#offset = this.#best = 0;
    this.#told.stands(false);
  }

  /** The server said no: for good, or once too often. */
  #refuse({ status, body }: Answer, now = false): void {
    this.#refusals += 1;
    if (!now && this.#refusals <= PATIENCE) return;
    const told = body?.errors?.[0];
    throw new Refusal(String(told?.msg ?? ''), !now || status === 429 || status >= 500, String(told?.code ?? ''));
  }

  /** Stands still for a while, or until somebody wakes it. */
  async #pause(answer: Answer | undefined): Promise<void> {
    if (this.#over) return;
    this.#told.stands(true);
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      timer = setTimeout(resolve, wait(answer, answer ? this.#refusals : this.#tries));
    });
    clearTimeout(timer);
    this.#resume = undefined;
    this.#tries += 1;
  }
}

async function isReadable(file: File): Promise<boolean> {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

/** Of the UTF-8, as the protocol wants it. */
const base64 = (text: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(text.slice(0, 4096))));
