// A line of the chat as it is shown, and the order of lines.
import type { Attachment } from '../wire/attachment.ts';
import type { Template } from '../wire/template.ts';
import { placeOf } from '../wire/ids.ts';
import type { Place } from '../wire/ids.ts';

export type Tick = 'sending' | 'sent' | 'delivered' | 'read';

export interface Line {
  /** Its identity on the screen, for good. */
  readonly key: string;
  /** Its name in the log; none: it is on its way there. */
  id?: string;
  place?: Place;
  at: number;
  from: 'user' | 'bot' | 'agent' | 'note';
  name: string;
  text: string;
  template?: Template;
  files?: Attachment[];
  note?: 'joined' | 'left' | 'closed';
  /** Of the user's own lines. */
  clientId?: string;
  tick?: Tick;
  /** Why it was not accepted. */
  trouble?: { text: string; again: boolean };
}

const TICKS: Tick[] = ['sending', 'sent', 'delivered', 'read'];

/** How far a line got never goes back. */
export const further = (one: Tick | undefined, other: Tick): Tick =>
  TICKS.indexOf(other) > TICKS.indexOf(one ?? 'sending') ? other : (one ?? 'sending');

/**
 * The order of the log: by place within a conversation, by time between conversations, which never overlap. What is not in
 * the log yet comes last, in the order in which it was said.
 */
export function before(one: Line, other: Line): boolean {
  if (!one.id || !other.id) return Boolean(one.id) || (!other.id && Number(one.clientId) < Number(other.clientId));
  // A note's id is that of its entry and a word; its place is known, too.
  const [a, b] = [one.place, other.place];
  if (a && b && a.conversation === b.conversation) return a.seq < b.seq;
  return one.at < other.at;
}

/** The place that an id names; of a note's id, that of its entry. */
export const place = (id: string): Place | undefined => placeOf(id.replace(/-[a-z]+$/, ''));
