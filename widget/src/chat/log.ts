// The lines on the screen: what the history says, what the socket says, and what was typed here, each once and in order.
import type { Attachment } from '../wire/attachment.ts';
import type { Heard } from '../wire/frames.ts';
import { before, further, place } from './line.ts';
import type { Line, Tick } from './line.ts';

/** What changed, for the screen. */
export interface Watcher {
  /** A line is new, or has another place: it now stands before `next`. */
  placed(line: Line, next: Line | undefined, moved: boolean): void;
  changed(line: Line): void;
}

export class Log {
  readonly lines: Line[] = [];
  readonly #byId = new Map<string, Line>();
  readonly #byClientId = new Map<string, Line>();
  readonly #watcher: Watcher;
  /** What the buttons of a template are called, by what they say. */
  readonly #titles = new Map<string, string>();
  /** The own lines that everything up to was delivered, read. */
  readonly #marks: Partial<Record<Tick, string>> = {};

  constructor(watcher: Watcher) {
    this.#watcher = watcher;
  }

  /** A line from the wire. True: it was not on the screen. */
  hear(heard: Heard): boolean {
    if (this.#byId.has(heard.id)) return false;
    const own = heard.clientId === undefined ? undefined : this.#byClientId.get(heard.clientId);
    if (own) {
      this.#settle(own, heard);
      return false;
    }
    const { template } = heard;
    for (const { title, say } of [...(template?.choices ?? []), ...(template?.cards ?? []).flatMap((card) => card.choices)]) {
      if (say !== undefined) this.#titles.set(say, title);
    }
    const line: Line = { ...heard, key: heard.id };
    const where = place(heard.id);
    if (where) line.place = where;
    if (line.from === 'user') {
      line.tick = 'sent';
      line.text = this.#titles.get(line.text) ?? line.text;
    }
    this.#insert(line);
    this.#applyMarks();
    return true;
  }

  /** Something happened, at a place in the log. */
  note(id: string, at: number, note: NonNullable<Line['note']>, name: string): boolean {
    if (this.#byId.has(id)) return false;
    const where = place(id);
    this.#insert({ key: id, id, at, from: 'note', note, name, text: '', ...(where ? { place: where } : {}) });
    return true;
  }

  /** The user says something. */
  say(clientId: string, text: string, at: number, files: Attachment[] = []): void {
    if (this.#byClientId.has(clientId)) return;
    const shown = this.#titles.get(text) ?? text;
    this.#insert({ key: `c-${clientId}`, clientId, at, from: 'user', name: '', text: shown, tick: 'sending', ...(files.length ? { files } : {}) });
  }

  /** An own line got so far; all before it too. */
  tick(clientId: string, tick: Tick): void {
    if (tick === 'sending' || tick === 'sent') {
      const line = this.#byClientId.get(clientId);
      if (line) this.#raise(line, tick);
      return;
    }
    this.#marks[tick] = clientId;
    this.#applyMarks();
  }

  /** The marks that were known before a reload. */
  get marks(): Partial<Record<Tick, string>> {
    return { ...this.#marks };
  }

  trouble(clientId: string, trouble: Line['trouble']): void {
    const line = this.#byClientId.get(clientId);
    if (!line) return;
    if (trouble) line.trouble = trouble;
    else delete line.trouble;
    this.#watcher.changed(line);
  }

  /** Takes a line away that was never said. */
  forget(clientId: string): Line | undefined {
    const line = this.#byClientId.get(clientId);
    if (!line) return undefined;
    this.lines.splice(this.lines.indexOf(line), 1);
    this.#byClientId.delete(clientId);
    return line;
  }

  own(clientId: string): Line | undefined {
    return this.#byClientId.get(clientId);
  }

  /** The newest place in the log that is here: everything before it is here, too, or older than what was asked for. */
  newest(): string | undefined {
    const line = this.lines.findLast((line) => line.place);
    return line?.place ? `ms-${line.place.conversation}-${line.place.seq}` : undefined;
  }

  oldest(): string | undefined {
    return this.lines.find((line) => line.id && line.from !== 'note')?.id;
  }

  clear(): void {
    this.lines.length = 0;
    this.#byId.clear();
    this.#byClientId.clear();
    for (const tick of ['delivered', 'read'] as const) delete this.#marks[tick];
  }

  /** An own line is in the log, and now it is known where. */
  #settle(line: Line, heard: Heard): void {
    const at = this.lines.indexOf(line);
    this.lines.splice(at, 1);
    line.id = heard.id;
    line.at = heard.at;
    const where = place(heard.id);
    if (where) line.place = where;
    delete line.trouble;
    line.tick = further(line.tick, 'sent');
    this.#insert(line, at);
    this.#applyMarks();
  }

  #insert(line: Line, formerly?: number): void {
    let at = this.lines.length;
    while (at > 0 && before(line, this.lines[at - 1]!)) at -= 1;
    this.lines.splice(at, 0, line);
    if (line.id) this.#byId.set(line.id, line);
    if (line.clientId) this.#byClientId.set(line.clientId, line);
    if (at === formerly) this.#watcher.changed(line);
    else this.#watcher.placed(line, this.lines[at + 1], formerly !== undefined);
  }

  #raise(line: Line, tick: Tick): void {
    const now = further(line.tick, tick);
    if (now === line.tick) return;
    line.tick = now;
    this.#watcher.changed(line);
  }

  #applyMarks(): void {
    for (const tick of ['delivered', 'read'] as const) {
      const mark = this.#marks[tick];
      const last = mark === 'all' ? this.lines.length - 1 : this.lines.findIndex((line) => mark !== undefined && line.clientId === mark);
      for (const line of this.lines.slice(0, last + 1)) {
        if (line.from === 'user' && !line.trouble) this.#raise(line, tick);
      }
    }
  }
}
