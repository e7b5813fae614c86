// Where the user writes; and, when the chat is over, where a new one begins.
import type { Speech } from '../texts/texts.ts';
import type { Actions } from './actions.ts';
import { h, icon } from './dom.ts';

const TALLEST = 128;

export class Composer {
  readonly element: HTMLElement;
  readonly #form: HTMLFormElement;
  readonly #over: HTMLElement;
  readonly #restart: HTMLButtonElement;
  readonly #box: HTMLTextAreaElement;
  readonly #send: HTMLButtonElement;
  readonly #actions: Actions;

  constructor(speech: Speech, actions: Actions) {
    this.#actions = actions;
    this.#box = h('textarea', { rows: 1, part: 'input', autocomplete: 'off', enterkeyhint: 'send', input: () => this.#typed(), keydown: (key: KeyboardEvent) => this.#key(key) });
    this.#send = h('button', { type: 'submit', class: 'send', part: 'send', disabled: true }, icon('send'));
    this.#form = h('form', { class: 'composer', part: 'composer', submit: (event: Event) => this.#submit(event) }, this.#box, this.#send);
    const hint = h('p');
    this.#restart = h('button', { type: 'button', class: 'primary', part: 'restart', click: () => actions.restart() });
    this.#over = h('div', { class: 'over', hidden: true }, hint, this.#restart);
    this.element = h('div', { class: 'foot' }, this.#form, this.#over);
    speech.bind(() => {
      this.#box.setAttribute('aria-label', speech.say('composer'));
      this.#box.setAttribute('placeholder', speech.say('composer_hint'));
      this.#send.setAttribute('aria-label', speech.say('send'));
      hint.textContent = speech.say('closed_hint');
      this.#restart.textContent = speech.say('start_again');
    });
  }

  /** The chat is over, or goes on. The focus does not get lost with what is hidden. */
  show(over: boolean, hasFocus: boolean): void {
    if (this.#over.hidden === !over) return;
    this.#over.hidden = !over;
    this.#form.hidden = over;
    if (hasFocus) this.focus();
  }

  focus(): void {
    (this.#form.hidden ? this.#restart : this.#box).focus({ preventScroll: true });
  }

  /** Words that were not sent, to be changed. */
  put(text: string): void {
    this.#box.value = this.#box.value.trim() ? `${text}\n${this.#box.value}` : text;
    this.#grow();
    this.focus();
  }

  #typed(): void {
    this.#grow();
    if (this.#box.value.trim()) this.#actions.typed();
  }

  #grow(): void {
    this.#send.disabled = !this.#box.value.trim();
    // Words in their own direction; the hint in that of the widget.
    this.#box.dir = this.#box.value ? 'auto' : '';
    this.#box.style.height = 'auto';
    this.#box.style.height = `${Math.min(this.#box.scrollHeight + 2, TALLEST)}px`;
  }

  #key(key: KeyboardEvent): void {
    // While an input method composes, Enter takes its proposal.
    if (key.key !== 'Enter' || key.shiftKey || key.isComposing || key.keyCode === 229) return;
    this.#submit(key);
  }

  #submit(event: Event): void {
    event.preventDefault();
    const text = this.#box.value.trim();
    if (!text) return;
    this.#box.value = '';
    this.#grow();
    this.#actions.say(text);
    this.#box.focus({ preventScroll: true });
  }
}
