// The files that go with the next message, above the place where it is written.
import { copy } from '../files/pictures.ts';
import type { Picked } from '../files/queue.ts';
import type { Speech } from '../texts/texts.ts';
import type { Actions } from './actions.ts';
import { h, icon } from './dom.ts';

const KINDS: [RegExp, 'image' | 'audio' | 'video'][] = [
  [/\.(jpe?g|png|gif|bmp|tiff?)$/i, 'image'], [/\.(mp3|wav)$/i, 'audio'], [/\.(mp4|avi)$/i, 'video'],
];

export class Chips {
  readonly element: HTMLElement;
  readonly #list = h('ul', { class: 'chips', role: 'list', hidden: true });
  readonly #notice = h('p', { class: 'notice', dir: 'auto', hidden: true });
  /** What happens to files, for a screen reader. */
  readonly #status = h('div', { class: 'spoken', role: 'status', 'aria-live': 'polite' });
  readonly #chips = new Map<number, Chip>();
  readonly #speech: Speech;
  readonly #actions: Actions;
  readonly #lost: () => void;
  #items: readonly Picked[] = [];

  /** `lost`: the focus was on something that is gone. */
  constructor(speech: Speech, actions: Actions, lost: () => void) {
    this.#speech = speech;
    this.#actions = actions;
    this.#lost = lost;
    this.element = h('div', { class: 'files' }, this.#list, this.#notice, this.#status);
    speech.bind(() => {
      this.#list.setAttribute('aria-label', speech.say('files'));
      for (const chip of this.#chips.values()) chip.element.remove();
      this.#chips.clear();
      this.show(this.#items);
    });
  }

  show(items: readonly Picked[]): void {
    this.#items = items;
    const focused = (this.element.getRootNode() as ShadowRoot).activeElement;
    const hadFocus = focused !== null && this.#list.contains(focused);
    for (const [key, chip] of this.#chips) {
      if (items.some((one) => one.key === key)) continue;
      chip.element.remove();
      this.#chips.delete(key);
    }
    for (const one of items) {
      const known = this.#chips.get(one.key);
      const chip = known ?? new Chip(one, this.#speech, this.#actions);
      if (!known) this.#list.append(chip.element);
      this.#chips.set(one.key, chip);
      const news = chip.refresh();
      if (news) this.say(news);
    }
    this.#list.hidden = items.length === 0;
    if (hadFocus && !this.#list.contains((this.element.getRootNode() as ShadowRoot).activeElement)) this.#lost();
  }

  moved(one: Picked): void {
    this.#chips.get(one.key)?.refresh();
  }

  /** Something about the files as a whole. */
  notice(text: string): void {
    this.#notice.textContent = text;
    this.#notice.hidden = !text;
    if (text) this.say(text);
  }

  say(text: string): void {
    const line = h('p', {}, text);
    this.#status.append(line);
    // It is there to be heard, not to be found.
    setTimeout(() => line.remove(), 5_000);
  }
}

class Chip {
  readonly element: HTMLLIElement;
  readonly #state = h('span', { class: 'file-size', dir: 'auto' });
  readonly #bar: HTMLElement;
  readonly #fill = h('i');
  readonly #again: HTMLButtonElement;
  readonly #remove: HTMLButtonElement;
  readonly #one: Picked;
  readonly #speech: Speech;
  #known = '';

  constructor(one: Picked, speech: Speech, actions: Actions) {
    this.#one = one;
    this.#speech = speech;
    const { name, key } = one;
    const kind = KINDS.find(([names]) => names.test(name))?.[1] ?? 'attachment';
    const face = h('span', { class: 'face' }, icon(kind));
    this.#bar = h('div', { class: 'bar', role: 'progressbar', 'aria-label': speech.say('file_sends', { name }), 'aria-valuemin': 0, 'aria-valuemax': 100 }, this.#fill);
    this.#again = h('button', { type: 'button', class: 'small', part: 'file-again', 'aria-label': speech.say('file_again', { name }), click: () => actions.attachAgain(key) }, icon('again'));
    this.#remove = h('button', { type: 'button', class: 'small', part: 'file-remove', click: () => actions.detach(key) }, icon('close'));
    const about = h('div', { class: 'about' }, h('bdi', { class: 'file-name', title: name }, name), this.#state, this.#bar);
    this.element = h('li', { class: 'chip', part: 'chip' }, face, about, this.#again, this.#remove);
    if (kind === 'image' && one.state !== 'refused') void actions.preview(key).then((picture) => picture && face.replaceChildren(copy(picture)));
  }

  /** Draws it. What is new about it, in words. */
  refresh(): string {
    const { state, reason = '', again, name, bytes, done } = this.#one;
    const speech = this.#speech;
    const goes = state !== 'there' && state !== 'refused';
    const share = Math.min(100, Math.floor((done / Math.max(1, bytes)) * 100));
    this.#bar.hidden = !goes;
    this.#bar.setAttribute('aria-valuenow', String(share));
    this.#fill.style.inlineSize = `${share}%`;
    const known = `${state} ${reason}`;
    if (known === this.#known) return '';
    const fresh = this.#known === '' && state === 'there';
    this.#known = known;
    this.element.dataset['state'] = state;
    this.#state.textContent = state === 'refused' ? reason : state === 'stands' ? speech.say('file_stands') : speech.size(bytes);
    this.#again.hidden = !again;
    this.#remove.setAttribute('aria-label', speech.say(goes ? 'file_cancel' : 'file_remove', { name }));
    if (state === 'refused') return speech.say('file_refused', { name, reason });
    return state === 'there' && !fresh ? speech.say('file_there', { name }) : '';
  }
}
