// The lines on the screen, in the order of the log, and where the screen stands.
import type { Line } from '../chat/line.ts';
import type { Watcher } from '../chat/log.ts';
import type { Speech } from '../texts/texts.ts';
import type { Actions } from './actions.ts';
import { Bubble } from './bubble.ts';
import type { Cast } from './bubble.ts';
import { h, icon } from './dom.ts';

/** So near to the end that new lines are followed. */
const NEAR = 80;
const TYPING_MS = 10_000;

export class Messages implements Watcher {
  readonly element: HTMLElement;
  readonly #scroll: HTMLElement;
  readonly #list = h('ol', { class: 'lines', role: 'list' });
  readonly #typing = h('div', { class: 'typing', part: 'typing', role: 'status', 'aria-live': 'polite' });
  readonly #earlier: HTMLButtonElement;
  readonly #jump: HTMLButtonElement;
  readonly #bubbles = new Map<string, Bubble>();
  readonly #speech: Speech;
  readonly #actions: Actions;
  readonly #lines: () => readonly Line[];
  #cast: Cast = { bot: '', icon: '' };
  #calm = false;
  /** The screen stood at the end. */
  #followed = true;
  #size = '';
  #stopTyping: ReturnType<typeof setTimeout> | undefined;

  constructor(speech: Speech, actions: Actions, lines: () => readonly Line[]) {
    this.#speech = speech;
    this.#actions = actions;
    this.#lines = lines;
    this.#earlier = h('button', { type: 'button', class: 'earlier', part: 'earlier', hidden: true, click: () => actions.earlier() });
    this.#jump = h('button', { type: 'button', class: 'jump', hidden: true, click: () => this.toEnd() });
    this.#scroll = h('div', { class: 'scroll', part: 'messages', role: 'log', 'aria-live': 'polite', 'aria-relevant': 'additions', tabindex: 0, scroll: () => this.#scrolled() }, this.#earlier, this.#list);
    this.element = h('div', { class: 'messages' }, this.#scroll, this.#typing, this.#jump);
    // A window that becomes smaller, or a banner above, must not push the newest line out of sight.
    const observer = new ResizeObserver(() => this.#followed && this.toEnd());
    observer.observe(this.#scroll);
    observer.observe(this.#list);
    speech.bind(() => {
      this.#scroll.setAttribute('aria-label', speech.say('messages'));
      this.#earlier.textContent = speech.say('earlier');
      this.#jump.replaceChildren(icon('down'), speech.say('new_messages'));
      this.#redraw();
    });
  }

  /** The bot's name and picture. */
  cast(cast: Cast): void {
    if (cast.bot === this.#cast.bot && cast.icon === this.#cast.icon) return;
    this.#cast = cast;
    this.#redraw();
  }

  placed(line: Line, next: Line | undefined, moved: boolean): void {
    const follows = this.#isAtEnd || (line.from === 'user' && !next);
    const bubble = (moved && this.#bubbles.get(line.key)) || new Bubble(line, this.#speech, this.#actions, this.#cast);
    this.#bubbles.set(line.key, bubble);
    const anchor = next && this.#bubbles.get(next.key)?.element;
    const kept = this.#scroll.scrollHeight - this.#scroll.scrollTop;
    this.#list.insertBefore(bubble.element, anchor ?? null);
    bubble.refresh();
    this.#arrange(line);
    if (follows) this.toEnd();
    // What is put in above must not push away what is being read.
    else if (this.#calm) this.#scroll.scrollTop = this.#scroll.scrollHeight - kept;
    else if (line.from !== 'user') this.#jump.hidden = false;
  }

  changed(line: Line): void {
    const follows = this.#isAtEnd;
    this.#bubbles.get(line.key)?.refresh();
    this.#arrange(line);
    if (follows) this.toEnd();
  }

  remove(line: Line): void {
    this.#bubbles.get(line.key)?.element.remove();
    this.#bubbles.delete(line.key);
  }

  clear(): void {
    this.#bubbles.clear();
    this.#list.replaceChildren();
  }

  /** Old lines are put in: not news for a screen reader, and the screen stands still. */
  calmly(put: () => void): void {
    this.#calm = true;
    this.#scroll.setAttribute('aria-live', 'off');
    put();
    this.#calm = false;
    setTimeout(() => this.#scroll.setAttribute('aria-live', 'polite'), 500);
  }

  /** Whether there is more above, and whether it is being fetched. */
  earlier(more: boolean, loading: boolean): void {
    this.#earlier.hidden = !more && !loading;
    this.#earlier.disabled = loading;
    this.#earlier.textContent = this.#speech.say(loading ? 'loading' : 'earlier');
  }

  /** Somebody types, or nobody. */
  typing(name: string | undefined): void {
    clearTimeout(this.#stopTyping);
    const follows = this.#isAtEnd;
    const dots = h('span', { class: 'dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i'));
    this.#typing.replaceChildren(...(name === undefined ? [] : [dots, h('span', {}, this.#speech.say('typing', { name }))]));
    if (name !== undefined) this.#stopTyping = setTimeout(() => this.typing(undefined), TYPING_MS);
    if (follows) this.toEnd();
  }

  /** Buttons in a chat that is over do nothing. */
  choosable(can: boolean): void {
    for (const button of this.#list.querySelectorAll<HTMLButtonElement>('button.choice')) button.disabled = !can;
  }

  toEnd(): void {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#followed = true;
    this.#size = this.#measure();
    this.#jump.hidden = true;
  }

  get #isAtEnd(): boolean {
    return this.#scroll.scrollHeight - this.#scroll.scrollTop - this.#scroll.clientHeight < NEAR;
  }

  #measure(): string {
    return `${this.#scroll.scrollHeight} ${this.#scroll.clientHeight}`;
  }

  #scrolled(): void {
    const size = this.#measure();
    // It was not the user who scrolled, but the lines that were wrapped anew.
    if (size !== this.#size && this.#followed) return this.toEnd();
    this.#size = size;
    this.#followed = this.#isAtEnd;
    if (this.#isAtEnd) this.#jump.hidden = true;
    if (this.#scroll.scrollTop < NEAR && !this.#earlier.hidden && !this.#earlier.disabled && !this.#isAtEnd) this.#actions.earlier();
  }

  /** A line and its neighbours: who is first, who is last; and which quick replies still count. */
  #arrange(line: Line): void {
    const lines = this.#lines();
    const at = lines.indexOf(line);
    for (const index of [at - 1, at, at + 1]) {
      const one = lines[index];
      if (one) this.#bubbles.get(one.key)?.stand(lines[index - 1], lines[index + 1]);
    }
    const newest = lines.findLast(({ from }) => from !== 'note');
    for (const [key, { once }] of this.#bubbles) if (once) once.hidden = key !== newest?.key;
  }

  #redraw(): void {
    this.clear();
    const lines = this.#lines();
    this.calmly(() => {
      for (const line of lines) {
        const bubble = new Bubble(line, this.#speech, this.#actions, this.#cast);
        this.#bubbles.set(line.key, bubble);
        this.#list.append(bubble.element);
      }
      for (const line of lines) this.#arrange(line);
    });
    this.toEnd();
  }
}
