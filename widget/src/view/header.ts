// Who the user talks to, and the way out.
import type { Phase } from '../chat/phase.ts';
import type { Speech, TextName } from '../texts/texts.ts';
import { safeUrl } from '../wire/words.ts';
import { h, icon } from './dom.ts';

/** What the bot is called, and its picture. */
export interface Bot {
  name: string;
  icon: string;
}

const ROLES = { none: 'connecting', bot: 'bot_role', waiting: 'bot_role', agent: 'agent_role', closed: 'closed' } as const;

export class Header {
  readonly element: HTMLElement;
  readonly end: HTMLButtonElement;
  readonly #avatar = h('span', { class: 'avatar', 'aria-hidden': 'true' });
  readonly #name = h('h2', { id: 'title', dir: 'auto' });
  readonly #role = h('p', { class: 'role' });
  readonly #speech: Speech;
  #phase: Phase | undefined;
  #bot: Bot = { name: '', icon: '' };

  constructor(speech: Speech, end: () => void, close: () => void) {
    this.#speech = speech;
    this.end = h('button', { type: 'button', class: 'end', part: 'end', click: end });
    const minimize = h('button', { type: 'button', class: 'round', part: 'minimize', click: close }, icon('down'));
    speech.bind(() => {
      this.end.textContent = speech.say('end');
      minimize.setAttribute('aria-label', speech.say('minimize'));
      this.#draw();
    });
    this.element = h('header', { class: 'head', part: 'header' }, this.#avatar, h('div', { class: 'who' }, this.#name, this.#role), this.end, minimize);
  }

  show(phase: Phase | undefined, bot: Bot): void {
    this.#phase = phase;
    this.#bot = bot;
    this.#draw();
  }

  #draw(): void {
    const say = (name: TextName) => this.#speech.say(name);
    const kind = this.#phase?.phase;
    const agent = kind === 'agent';
    const bot = this.#bot.name || say('title');
    this.#name.textContent = agent ? this.#phase?.agent || say('agent') : bot;
    this.#role.textContent = say(ROLES[kind ?? 'none']);
    this.#avatar.replaceChildren(portrait(agent ? this.#phase?.agent ?? '' : '', agent ? '' : this.#bot.icon, agent));
    this.end.hidden = kind === undefined || kind === 'closed';
  }
}

/** A picture, the initials of a name, or a sign for a bot or a person. */
export function portrait(name: string, picture: string, person: boolean): Node {
  const src = /^https?:/.test(picture) ? safeUrl(picture) : undefined;
  if (src) return h('img', { src, alt: '', referrerpolicy: 'no-referrer' });
  const letters = name.trim().split(/\s+/).slice(0, 2).map((word) => [...word][0] ?? '').join('');
  return letters && person ? document.createTextNode(letters.toLocaleUpperCase()) : icon(person ? 'person' : 'bot');
}
