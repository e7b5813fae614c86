// Asks inside the panel whether the user means it.
import type { Phase } from '../chat/phase.ts';
import type { Speech } from '../texts/texts.ts';
import { h } from './dom.ts';

export class Confirm {
  readonly element: HTMLElement;
  readonly #question = h('h2', { id: 'question' });
  readonly #hint = h('p', { id: 'question-hint' });
  readonly #no: HTMLButtonElement;
  readonly #yes: HTMLButtonElement;
  readonly #speech: Speech;
  #done: ((yes: boolean) => void) | undefined;

  constructor(speech: Speech) {
    this.#speech = speech;
    this.#no = h('button', { type: 'button', class: 'secondary', part: 'cancel', click: () => this.close(false) });
    this.#yes = h('button', { type: 'button', class: 'danger', part: 'confirm', click: () => this.close(true) });
    const box = h('div', { class: 'box' }, this.#question, this.#hint, h('div', { class: 'row' }, this.#no, this.#yes));
    this.element = h('div', { class: 'confirm', role: 'alertdialog', 'aria-modal': 'true', 'aria-labelledby': 'question', 'aria-describedby': 'question-hint', hidden: true }, box);
    this.element.addEventListener('keydown', (key) => this.#key(key));
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  ask(phase: Phase['phase'], done: (yes: boolean) => void): void {
    const kind = phase === 'agent' ? 'confirm_agent' : phase === 'waiting' ? 'confirm_waiting' : 'confirm_bot';
    this.#done = done;
    this.#question.textContent = this.#speech.say(kind);
    this.#hint.textContent = this.#speech.say(`${kind}_hint`);
    this.#no.textContent = this.#speech.say('cancel');
    this.#yes.textContent = this.#speech.say('end');
    this.element.hidden = false;
    this.#no.focus();
  }

  close(yes: boolean): void {
    if (!this.isOpen) return;
    this.element.hidden = true;
    const done = this.#done;
    this.#done = undefined;
    done?.(yes);
  }

  #key(key: KeyboardEvent): void {
    if (key.key === 'Escape') {
      key.stopPropagation();
      this.close(false);
    } else if (key.key === 'Tab') {
      // Two buttons: the other one.
      key.preventDefault();
      key.stopPropagation();
      ((this.element.getRootNode() as ShadowRoot).activeElement === this.#no ? this.#yes : this.#no).focus();
    }
  }
}
