// The round button in the corner, with the number of unread lines on it.
import type { Speech } from '../texts/texts.ts';
import { h, icon } from './dom.ts';

export class Launcher {
  readonly element: HTMLButtonElement;
  readonly #badge = h('span', { class: 'badge', 'aria-hidden': 'true', hidden: true });
  readonly #speech: Speech;
  #unread = 0;
  #open = false;

  constructor(speech: Speech, toggle: () => void) {
    this.#speech = speech;
    this.element = h(
      'button',
      { type: 'button', class: 'launcher', part: 'launcher', 'aria-haspopup': 'dialog', 'aria-expanded': 'false', click: toggle },
      icon('chat', true), icon('down'), this.#badge,
    );
    speech.bind(() => this.#draw());
  }

  show(state: { open: boolean; unread: number }): void {
    this.#open = state.open;
    this.#unread = state.unread;
    this.#draw();
  }

  #draw(): void {
    const say = this.#speech;
    const count = this.#unread;
    const unread = count === 1 ? say.say('unread_one') : say.say('unread_other', { count });
    const open = count ? `${say.say('launcher_open')}, ${unread}` : say.say('launcher_open');
    this.element.setAttribute('aria-label', this.#open ? say.say('launcher_close') : open);
    this.element.setAttribute('aria-expanded', String(this.#open));
    this.#badge.hidden = !count || this.#open;
    this.#badge.textContent = count > 99 ? '99+' : String(count);
  }
}
