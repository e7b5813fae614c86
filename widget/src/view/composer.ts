// Where the user writes and attaches files; and, when the chat is over, where a new one begins.
import type { Picked } from '../files/queue.ts';
import type { Speech } from '../texts/texts.ts';
import type { Actions } from './actions.ts';
import { Chips } from './chips.ts';
import { h, icon } from './dom.ts';

const TALLEST = 128;

export class Composer {
  readonly element: HTMLElement;
  readonly #form: HTMLFormElement;
  readonly #over: HTMLElement;
  readonly #restart: HTMLButtonElement;
  readonly #box: HTMLTextAreaElement;
  readonly #send: HTMLButtonElement;
  readonly #pick = h('input', { type: 'file', multiple: true, hidden: true, change: () => this.#picked() });
  readonly #attach: HTMLButtonElement;
  readonly #chips: Chips;
  readonly #speech: Speech;
  readonly #actions: Actions;
  /** Of what is attached: some of it is there, some on its way. */
  #files = { there: false, busy: false, refused: 0 };
  /** The user sent it; its files are on their way. */
  #waits = false;

  constructor(speech: Speech, actions: Actions) {
    this.#speech = speech;
    this.#actions = actions;
    this.#chips = new Chips(speech, actions, () => this.focus());
    this.#attach = h('button', { type: 'button', class: 'attach', part: 'attach', hidden: true, click: () => this.#pick.click() }, icon('clip'));
    this.#box = h('textarea', { rows: 1, part: 'input', autocomplete: 'off', enterkeyhint: 'send', input: () => this.#typed(), keydown: (key: KeyboardEvent) => this.#key(key) });
    this.#send = h('button', { type: 'submit', class: 'send', part: 'send', disabled: true }, icon('send'));
    this.#form = h('form', { class: 'composer', part: 'composer', submit: (event: Event) => this.#submit(event) }, this.#attach, this.#pick, this.#box, this.#send);
    const hint = h('p');
    this.#restart = h('button', { type: 'button', class: 'primary', part: 'restart', click: () => actions.restart() });
    this.#over = h('div', { class: 'over', hidden: true }, hint, this.#restart);
    this.element = h('div', { class: 'foot' }, this.#chips.element, this.#form, this.#over);
    speech.bind(() => {
      this.#box.setAttribute('aria-label', speech.say('composer'));
      this.#box.setAttribute('placeholder', speech.say('composer_hint'));
      this.#attach.setAttribute('aria-label', speech.say('attach'));
      this.#pick.setAttribute('aria-label', speech.say('attach'));
      this.#draw();
      hint.textContent = speech.say('closed_hint');
      this.#restart.textContent = speech.say('start_again');
    });
  }

  /** The chat is over, or goes on. The focus does not get lost with what is hidden. */
  show(over: boolean, hasFocus: boolean): void {
    if (this.#over.hidden === !over) return;
    this.#over.hidden = !over;
    this.#form.hidden = over;
    this.#chips.element.hidden = over;
    if (hasFocus) this.focus();
  }

  focus(): void {
    (this.#form.hidden ? this.#restart : this.#box).focus({ preventScroll: true });
  }

  /** What may be attached; nothing: no files. */
  takes(formats: readonly string[] | undefined): void {
    this.#attach.hidden = !formats;
    if (formats) this.#pick.accept = formats.map((format) => `.${format}`).join(',');
  }

  get takesFiles(): boolean {
    return !this.#attach.hidden && !this.#form.hidden;
  }

  /** What is attached. What was sent before its files were there goes when they are. */
  files(items: readonly Picked[]): void {
    this.#chips.show(items);
    const of = (...states: Picked['state'][]) => items.filter(({ state }) => states.includes(state)).length;
    const refused = of('refused');
    // A message that lacks a file may not be what the user wants to send.
    if (refused > this.#files.refused) this.#waits = false;
    this.#files = { there: of('there') > 0, busy: of('waits', 'runs', 'stands') > 0, refused };
    if (this.#waits && !this.#files.busy) this.#go();
    this.#draw();
  }

  moved(one: Picked): void {
    this.#chips.moved(one);
  }

  /** Something about the files as a whole. */
  notice(text: string): void {
    this.#chips.notice(text);
  }

  /** Words that were not sent, to be changed. */
  put(text: string): void {
    this.#box.value = this.#box.value.trim() ? `${text}\n${this.#box.value}` : text;
    this.#grow();
    this.focus();
  }

  #typed(): void {
    // Who writes on is not done.
    this.#waits = false;
    this.#grow();
    if (this.#box.value.trim()) this.#actions.typed();
  }

  #grow(): void {
    this.#draw();
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
    if (!this.#canSend) return;
    if (this.#files.busy) {
      if (!this.#waits) this.#chips.say(this.#speech.say('file_waits'));
      this.#waits = true;
      this.#draw();
    } else {
      this.#go();
    }
    this.#box.focus({ preventScroll: true });
  }

  #go(): void {
    this.#waits = false;
    if (!this.#canSend) return;
    const text = this.#box.value.trim();
    this.#box.value = '';
    this.#actions.send(text);
    this.#grow();
  }

  get #canSend(): boolean {
    return Boolean(this.#box.value.trim()) || this.#files.there || this.#files.busy;
  }

  #draw(): void {
    this.#send.disabled = !this.#canSend;
    this.#send.dataset['waits'] = String(this.#waits);
    this.#send.setAttribute('aria-label', this.#speech.say(this.#waits ? 'file_waits' : 'send'));
  }

  #picked(): void {
    this.#actions.attach([...(this.#pick.files ?? [])]);
    // The same file may be picked again.
    this.#pick.value = '';
    this.focus();
  }
}
