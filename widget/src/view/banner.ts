// What is going on with the connection and the queue. Said politely to a screen reader.
import type { Phase } from '../chat/phase.ts';
import type { Speech, TextName } from '../texts/texts.ts';
import { h, icon } from './dom.ts';

export type Trouble = 'offline' | 'reconnecting' | 'unavailable' | undefined;

const STAYS_MS = 2_500;

/** The connection is broken, or came back. */
export class ConnectionBanner {
  readonly element: HTMLElement;
  readonly #words = h('span');
  readonly #retry: HTMLButtonElement;
  readonly #speech: Speech;
  #trouble: Trouble;
  #hide: ReturnType<typeof setTimeout> | undefined;

  constructor(speech: Speech, retry: () => void) {
    this.#speech = speech;
    this.#retry = h('button', { type: 'button', class: 'plain', click: retry });
    this.element = h('div', { class: 'banner', part: 'banner', role: 'status', 'aria-live': 'polite' }, this.#words, this.#retry);
    speech.bind(() => this.#draw(this.#trouble));
  }

  show(trouble: Trouble): void {
    if (trouble === this.#trouble) return;
    const before = this.#trouble;
    this.#trouble = trouble;
    clearTimeout(this.#hide);
    if (trouble || !before) return this.#draw(trouble);
    this.#draw('back_online');
    this.#hide = setTimeout(() => this.#draw(undefined), STAYS_MS);
  }

  #draw(what: Trouble | 'back_online'): void {
    this.element.dataset['what'] = what ?? '';
    this.#words.textContent = what ? this.#speech.say(what as TextName) : '';
    this.#retry.hidden = what !== 'unavailable';
    this.#retry.textContent = this.#speech.say('try_again');
  }
}

/** The user waits for a person. */
export class WaitingBanner {
  readonly element: HTMLElement;
  readonly #head = h('strong');
  readonly #hint = h('span');
  readonly #speech: Speech;
  #phase: Phase | undefined;

  constructor(speech: Speech) {
    this.#speech = speech;
    const words = h('div', {}, this.#head, this.#hint);
    this.element = h('div', { class: 'waiting', part: 'waiting', role: 'status', 'aria-live': 'polite' }, icon('clock'), words);
    speech.bind(() => this.#draw());
  }

  show(phase: Phase | undefined): void {
    this.#phase = phase;
    this.#draw();
  }

  #draw(): void {
    const phase = this.#phase;
    const waits = phase?.phase === 'waiting';
    this.element.dataset['waits'] = String(waits);
    const position = phase?.position;
    const place = position === 1 ? this.#speech.say('waiting_next') : position ? this.#speech.say('waiting_position', { position }) : '';
    this.#head.textContent = waits ? place || this.#speech.say('waiting') : '';
    this.#hint.textContent = waits ? this.#speech.say('waiting_hint') : '';
  }
}
