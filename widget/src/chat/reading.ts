// What the user has read: a place in the log, shared by all tabs. And the receipts for it.
import type { Line } from './line.ts';
import { before, place } from './line.ts';

/** The lines that somebody else said. */
const heard = (line: Line) => line.id !== undefined && (line.from === 'bot' || line.from === 'agent');

export class Reading {
  #read: string | undefined;
  #delivered: string | undefined;

  /** `read`: what was read before, in any tab. */
  constructor(read: string | undefined) {
    this.#read = read;
  }

  get read(): string | undefined {
    return this.#read;
  }

  /** Another tab read up to here. */
  adopt(id: string | undefined): void {
    this.#read = id;
  }

  /** The newest line is on the screen; returns it if that is new. */
  shown(lines: readonly Line[]): string | undefined {
    const id = lines.findLast(heard)?.id;
    if (id === undefined || id === this.#delivered) return undefined;
    return (this.#delivered = id);
  }

  /** The user sees the newest line; returns it if that is new. */
  seen(lines: readonly Line[]): string | undefined {
    const id = lines.findLast(heard)?.id;
    if (id === undefined || id === this.#read) return undefined;
    return (this.#read = id);
  }

  /** How many lines came since. Nothing was read yet: none of what was said before counts. */
  unread(lines: readonly Line[]): number {
    if (this.#read === undefined) return 0;
    const mark = lines.find((line) => line.id === this.#read) ?? asLine(this.#read);
    return lines.filter((line) => heard(line) && line !== mark && !before(line, mark)).length;
  }
}

/** A mark whose line is not on the screen: older than all of it, or of somebody else. */
function asLine(id: string): Line {
  const where = place(id);
  return { key: id, id, at: 0, from: 'bot', name: '', text: '', ...(where ? { place: where } : {}) };
}
