// The window: put together, opened and closed, and operable by keyboard alone.
import type { Phase } from '../chat/phase.ts';
import type { Line } from '../chat/line.ts';
import type { Picked } from '../files/queue.ts';
import type { Speech } from '../texts/texts.ts';
import type { Actions } from './actions.ts';
import { ConnectionBanner, WaitingBanner } from './banner.ts';
import type { Trouble } from './banner.ts';
import { Composer } from './composer.ts';
import { Confirm } from './confirm.ts';
import { h } from './dom.ts';
import { takesFiles } from './drop.ts';
import { Header } from './header.ts';
import type { Bot } from './header.ts';
import { Launcher } from './launcher.ts';
import { Messages } from './messages.ts';

/** Where the window takes the whole screen; the style sheet says the same. */
const SMALL = '(max-width: 480px), (max-height: 420px)';

export class Panel {
  readonly root: HTMLElement;
  readonly messages: Messages;
  readonly #launcher: Launcher;
  readonly #header: Header;
  readonly #banner: ConnectionBanner;
  readonly #waiting: WaitingBanner;
  readonly #composer: Composer;
  readonly #confirm: Confirm;
  readonly #panel: HTMLElement;
  readonly #small = matchMedia(SMALL);
  readonly #actions: Actions;
  #phase: Phase | undefined;
  #open = false;
  #unread = 0;
  readonly #fit = () => this.#toViewport();

  constructor(speech: Speech, actions: Actions, lines: () => readonly Line[]) {
    this.#actions = actions;
    this.#launcher = new Launcher(speech, () => (this.#open ? actions.close() : actions.open()));
    this.#header = new Header(speech, () => this.#askToEnd(), () => actions.close());
    this.#banner = new ConnectionBanner(speech, () => actions.retry());
    this.#waiting = new WaitingBanner(speech);
    this.messages = new Messages(speech, actions, lines);
    this.#composer = new Composer(speech, actions);
    this.#confirm = new Confirm(speech);
    this.#panel = h(
      'section',
      { class: 'panel', part: 'panel', role: 'dialog', 'aria-labelledby': 'title', tabindex: -1, hidden: true },
      this.#header.element, this.#banner.element, this.#waiting.element, this.messages.element, this.#composer.element, this.#confirm.element,
    );
    this.#panel.append(takesFiles(this.#panel, speech, () => this.#composer.takesFiles && !this.#confirm.isOpen, (files) => actions.attach(files)));
    this.#panel.addEventListener('keydown', (key) => this.#key(key));
    this.root = h('div', { class: 'root', 'data-scheme': 'auto' }, this.#launcher.element, this.#panel);
    window.visualViewport?.addEventListener('resize', this.#fit);
    window.visualViewport?.addEventListener('scroll', this.#fit);
    this.#small.addEventListener('change', this.#fit);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Opens or closes. `focus`: the user asked for it, so the focus goes along. */
  show(open: boolean, focus: boolean): void {
    this.#open = open;
    this.#panel.hidden = !open;
    this.root.classList.toggle('open', open);
    this.#launcher.show({ open, unread: this.#unread });
    this.#toViewport();
    if (open) this.messages.toEnd();
    if (!open) this.#confirm.close(false);
    if (!focus) return;
    if (!open) this.#launcher.element.focus();
    // On a touch screen the keyboard would cover what there is to read.
    else if (matchMedia('(pointer: coarse)').matches) this.#panel.focus();
    else this.#composer.focus();
  }

  unread(count: number): void {
    this.#unread = count;
    this.#launcher.show({ open: this.#open, unread: count });
  }

  phase(phase: Phase | undefined, bot: Bot): void {
    if (this.#phase?.phase !== phase?.phase) this.#confirm.close(false);
    this.#phase = phase;
    const focused = this.#hasFocus;
    this.#header.show(phase, bot);
    this.#waiting.show(phase);
    this.#composer.show(phase?.phase === 'closed', focused);
    this.messages.cast({ bot: bot.name, icon: bot.icon });
    this.messages.choosable(phase?.phase !== 'closed');
    this.root.dataset['phase'] = phase?.phase ?? '';
  }

  trouble(trouble: Trouble): void {
    this.#banner.show(trouble);
  }

  /** Words that were not sent, to be changed. */
  edit(text: string): void {
    this.#composer.put(text);
  }

  /** What may be attached; nothing: no files. */
  takes(formats: readonly string[] | undefined): void {
    this.#composer.takes(formats);
  }

  files(items: readonly Picked[]): void {
    this.#composer.files(items);
  }

  moved(one: Picked): void {
    this.#composer.moved(one);
  }

  notice(text: string): void {
    this.#composer.notice(text);
  }

  destroy(): void {
    window.visualViewport?.removeEventListener('resize', this.#fit);
    window.visualViewport?.removeEventListener('scroll', this.#fit);
    this.#small.removeEventListener('change', this.#fit);
  }

  get #hasFocus(): boolean {
    return this.#panel.contains((this.#panel.getRootNode() as ShadowRoot).activeElement);
  }

  #askToEnd(): void {
    const rest = [...this.#panel.children].filter((part) => part !== this.#confirm.element) as HTMLElement[];
    const inert = (on: boolean) => rest.forEach((part) => (part.inert = on));
    // Asked before the rest becomes inert: that takes its focus away.
    this.#confirm.ask(this.#phase?.phase ?? 'bot', (yes) => {
      inert(false);
      if (yes) this.#actions.end();
      if (this.#open) this.#composer.focus();
    });
    inert(true);
  }

  #key(key: KeyboardEvent): void {
    if (key.key === 'Escape' && !key.isComposing) {
      key.stopPropagation();
      this.#actions.close();
    } else if (key.key === 'Tab' && this.#small.matches) {
      this.#wrap(key);
    }
  }

  /** The window covers everything: Tab stays in it. */
  #wrap(key: KeyboardEvent): void {
    const all = [...this.#panel.querySelectorAll<HTMLElement>('button, a[href], textarea, [tabindex="0"]')].filter(
      (element) => !(element as HTMLButtonElement).disabled && element.offsetParent !== null,
    );
    const [first, last] = [all[0], all.at(-1)];
    const now = (this.#panel.getRootNode() as ShadowRoot).activeElement;
    if (key.shiftKey ? now === first || now === this.#panel : now === last) {
      key.preventDefault();
      (key.shiftKey ? last : first)?.focus();
    }
  }

  /** A keyboard on the screen leaves less room than the style sheet knows of. */
  #toViewport(): void {
    const full = this.#open && this.#small.matches;
    this.#panel.setAttribute('aria-modal', String(full));
    const view = window.visualViewport;
    const style = this.#panel.style;
    if (full && view && view.scale <= 1.01) {
      style.setProperty('height', `${view.height}px`);
      style.setProperty('top', `${view.offsetTop}px`);
    } else {
      style.removeProperty('height');
      style.removeProperty('top');
    }
  }
}
