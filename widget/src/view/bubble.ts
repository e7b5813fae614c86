// One line on the screen.
import type { Line } from '../chat/line.ts';
import type { Speech } from '../texts/texts.ts';
import { parts } from '../wire/words.ts';
import type { Choice } from '../wire/template.ts';
import type { Actions } from './actions.ts';
import { card } from './attachment.ts';
import { h, icon, spoken } from './dom.ts';
import { portrait } from './header.ts';

/** What the bot is called, for its lines. */
export interface Cast {
  bot: string;
  icon: string;
}

export class Bubble {
  readonly element: HTMLLIElement;
  /** The buttons of quick replies: they go when the conversation went on. */
  readonly once: HTMLElement | undefined;
  readonly #day = h('div', { class: 'day', hidden: true });
  readonly #meta = h('div', { class: 'meta' });
  readonly #tick = document.createTextNode('');
  readonly #trouble = h('div', { class: 'trouble', hidden: true });
  readonly #line: Line;
  readonly #speech: Speech;
  readonly #actions: Actions;

  constructor(line: Line, speech: Speech, actions: Actions, cast: Cast) {
    this.#line = line;
    this.#speech = speech;
    this.#actions = actions;
    this.element = h('li', { class: `line ${line.from}` }, this.#day);
    if (line.from === 'note') {
      this.element.append(h('p', { class: 'note', dir: 'auto' }, this.#note()));
      return;
    }
    const body = h('div', { class: 'body' }, ...this.#said(cast));
    if (line.from !== 'user') {
      this.element.append(h('span', { class: 'avatar', 'aria-hidden': 'true' }, portrait(line.name, line.from === 'bot' ? cast.icon : '', line.from === 'agent')));
    }
    for (const file of line.files ?? []) body.append(card(file, speech, file.kind === 'image' ? actions.picture(file.id) : undefined));
    this.element.append(body);
    this.once = this.#template(body);
    this.#meta.append(h('time', { datetime: new Date(line.at).toISOString() }, speech.time(line.at)));
    if (line.from === 'user') {
      const marks = (['clock', 'check', 'checks'] as const).map((name) => icon(name));
      this.#meta.append(h('span', { class: 'tick', part: 'tick' }, ...marks, h('span', { class: 'tick-word' }, this.#tick)));
      body.append(this.#trouble);
    }
    body.append(this.#meta);
    this.refresh();
  }

  /** How far it got, and what went wrong. */
  refresh(): void {
    const { tick, trouble, from } = this.#line;
    if (from !== 'user') return;
    this.element.dataset['tick'] = trouble ? 'failed' : (tick ?? 'sent');
    const word = this.#speech.say(tick ?? 'sent');
    if (this.#tick.data !== word) this.#tick.data = word;
    this.#trouble.hidden = !trouble;
    this.#trouble.replaceChildren(...(trouble ? this.#remedies(trouble) : []));
  }

  /** Where it stands among its neighbours: the first and the last of what one side says in one go. */
  stand(before: Line | undefined, after: Line | undefined): void {
    const line = this.#line;
    const first = !before || !together(before, line);
    this.element.classList.toggle('first', first);
    const last = !after || !together(line, after);
    this.element.classList.toggle('last', last || line.tick !== after?.tick || Boolean(line.trouble));
    const day = this.#speech.day(line.at);
    this.#day.hidden = before !== undefined && this.#speech.day(before.at) === day;
    this.#day.textContent = this.#day.hidden ? '' : day;
  }

  #note(): string {
    const { note, name } = this.#line;
    if (note === 'closed') return this.#speech.say('ended');
    return this.#speech.say(note === 'left' ? 'left' : 'joined', { name: name || this.#speech.say('agent') });
  }

  #said(cast: Cast): Node[] {
    const { from, text } = this.#line;
    if (from === 'user') return [spoken(`${this.#speech.say('you')}: `), ...(text ? [this.#words(text)] : [])];
    const name = this.#line.name || (from === 'bot' ? cast.bot : this.#speech.say('agent'));
    const who = h('span', { class: 'name', dir: 'auto' }, name || this.#speech.say('title'));
    return text ? [who, this.#words(text)] : [who];
  }

  #words(text: string): HTMLElement {
    const pieces = parts(text).map(({ text: words, href }) => (href ? this.#link(words, href) : words));
    return h('div', { class: 'bubble', part: 'bubble', dir: 'auto' }, ...pieces);
  }

  #link(words: string, href: string): HTMLElement {
    return h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, words, spoken(` (${this.#speech.say('new_window')})`));
  }

  #template(body: HTMLElement): HTMLElement | undefined {
    const template = this.#line.template;
    if (!template) return undefined;
    for (const card of template.cards) {
      const box = h('div', { class: 'card', dir: 'auto' }, h('strong', {}, card.title));
      if (card.subtitle) box.append(h('p', {}, card.subtitle));
      box.append(...this.#choices(card.choices));
      body.append(box);
    }
    const [row] = this.#choices(template.choices);
    if (row) body.append(row);
    return template.once ? row : undefined;
  }

  #choices(choices: Choice[]): HTMLElement[] {
    const made = choices.map(({ title, say, href }) => {
      if (href) {
        const link = this.#link(title, href);
        link.classList.add('choice');
        link.append(icon('link'));
        return link;
      }
      return h('button', { type: 'button', class: 'choice', part: 'choice', dir: 'auto', click: () => this.#actions.say(say ?? title) }, title);
    });
    return made.length ? [h('div', { class: 'choices' }, ...made)] : [];
  }

  #remedies(trouble: NonNullable<Line['trouble']>): Node[] {
    const id = this.#line.clientId ?? '';
    const again = h('button', { type: 'button', class: 'plain', click: () => this.#actions.again(id) }, this.#speech.say('try_again'));
    const edit = h('button', { type: 'button', class: 'plain', click: () => this.#actions.edit(id) }, this.#speech.say('edit'));
    return [icon('alert'), h('span', { dir: 'auto' }, trouble.text || this.#speech.say('not_sent')), trouble.again ? again : edit];
  }
}

const FAR_MS = 5 * 60_000;

/** Said in one go. */
const together = (one: Line, other: Line): boolean =>
  one.from === other.from && one.name === other.name && one.from !== 'note' && other.at - one.at < FAR_MS && !one.trouble;
