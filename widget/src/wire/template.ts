// The message templates that are drawn: buttons, quick replies, and lists or carousels as cards. Of any other the words.
import { safeUrl } from './words.ts';

/** Something to choose: says something, or leads somewhere. */
export interface Choice {
  title: string;
  say?: string;
  href?: string;
}

export interface Card {
  title: string;
  subtitle: string;
  choices: Choice[];
}

export interface Template {
  text: string;
  choices: Choice[];
  cards: Card[];
  /** Quick replies go when the conversation went on. */
  once: boolean;
}

const MOST = 20;

type Loose = Record<string, unknown>;
const loose = (value: unknown): Loose => (typeof value === 'object' && value !== null ? (value as Loose) : {});
const list = (value: unknown): Loose[] => (Array.isArray(value) ? value.slice(0, MOST).map(loose) : []);
export const words = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';

/** Reads a component's payload; nothing if it is no template. */
export function template(payload: unknown): Template | undefined {
  const given = loose(payload);
  const kind = words(given['template_type']);
  if (!kind || kind === 'live_agent') return undefined;
  return {
    text: words(given['text']),
    choices: [...choices(given['buttons']), ...choices(given['quick_replies'])],
    cards: list(given['elements']).map(card).filter(({ title }) => title),
    once: kind === 'quick_replies',
  };
}

const card = (element: Loose): Card => ({
  title: words(element['title']),
  subtitle: words(element['subtitle']) || words(element['description']),
  choices: choices(element['buttons']),
});

function choices(given: unknown): Choice[] {
  return list(given).flatMap((button): Choice[] => {
    const title = words(button['title']);
    if (!title) return [];
    const url = button['url'] ?? button['link'];
    if (url !== undefined || /url|link/i.test(words(button['type']))) {
      const href = safeUrl(url ?? button['payload']);
      return href ? [{ title, href }] : [];
    }
    return [{ title, say: words(button['payload']) || words(button['value']) || title }];
  });
}
