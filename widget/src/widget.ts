// One widget on a page: what the user does goes to the server, what the server says goes on the screen.
//
//   view ─ actions ─► Outbox ─► Connection ═► server
//   view ◄─ Log ◄──── frames ◄──────┘
import { Log } from './chat/log.ts';
import { Outbox } from './chat/outbox.ts';
import type { Item } from './chat/outbox.ts';
import type { Phase } from './chat/phase.ts';
import { Reading } from './chat/reading.ts';
import { Typing } from './chat/typing.ts';
import type { Emitter } from './events.ts';
import { Attaching } from './files/attaching.ts';
import type { Picture } from './files/pictures.ts';
import type { Options } from './options.ts';
import { Store } from './store.ts';
import { Speech, isRightToLeft } from './texts/texts.ts';
import type { Texts } from './texts/texts.ts';
import type { Actions } from './view/actions.ts';
import { mount } from './view/mount.ts';
import { Panel } from './view/panel.ts';
import { applyTheme } from './view/theme.ts';
import type { Theme } from './view/theme.ts';
import { history } from './wire/api.ts';
import type { Server, Session } from './wire/api.ts';
import type { Attachment } from './wire/attachment.ts';
import { Connection } from './wire/connection.ts';
import type { Client, Link } from './wire/connection.ts';
import * as frames from './wire/frames.ts';
import type { Down, Heard } from './wire/frames.ts';
import { freshId } from './wire/ids.ts';
import { login } from './wire/login.ts';

const PAGE = 30;
const ACK_MS = 10_000;
const RECEIPTS_MS = 100;
const HISTORY_AGAIN_MS = 3_000;

const NOTHING = 'none';

export class Widget implements Client, Actions {
  readonly #options: Options;
  readonly #server: Server;
  readonly #events: Emitter;
  /** Of all tabs, and of this one. */
  readonly #store: Store;
  readonly #tab: Store;
  readonly #speech: Speech;
  readonly #panel: Panel;
  readonly #host: HTMLElement;
  readonly #connection: Connection;
  readonly #log: Log;
  readonly #outbox: Outbox;
  readonly #files: Attaching;
  readonly #typing = new Typing((on) => void this.#connection.send(frames.typing(on)));
  #reading: Reading;
  #phase: Phase | undefined;
  #bot = { name: '', icon: '' };
  #user: string | undefined;
  /** Whether the newest page of the history is here; and whether there is more. */
  #history: 'none' | 'loading' | 'here' = 'none';
  #more = false;
  #unread = 0;
  /** The chat was over before the user looked. */
  #overUnseen = false;
  #connected = false;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  #receiptTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #looks = () => this.#receipts();
  readonly #otherTab = (event: StorageEvent) => this.#heardOtherTab(event);

  constructor(options: Options, events: Emitter) {
    this.#options = options;
    this.#server = { origin: new URL(options.server ?? '', location.href).origin, app: options.app };
    this.#events = events;
    this.#store = new Store('localStorage', options.app);
    this.#tab = new Store('sessionStorage', options.app);
    const locale = options.locale || document.documentElement.lang || navigator.language || 'en';
    this.#speech = new Speech(locale, options.texts ?? {});
    this.#reading = new Reading(this.#store.get('read'));
    this.#log = new Log({
      placed: (line, next, moved) => this.#panel.messages.placed(line, next, moved),
      changed: (line) => this.#panel.messages.changed(line),
    });
    this.#panel = new Panel(this.#speech, this, () => this.#log.lines);
    this.#outbox = new Outbox((items) => this.#keep(items));
    this.#connection = new Connection(this.#server, this);
    const door = {
      files: `${this.#server.origin}/api/files`,
      session: () => this.#connection.session,
      renew: (old: Session | undefined) => this.#connection.renew(old),
    };
    this.#files = new Attaching(this.#server, door, this.#speech, this.#panel);
    this.#host = mount(this.#panel.root);
    const root = this.#panel.root;
    root.lang = locale;
    const pageDir = document.documentElement.dir === 'rtl' ? 'rtl' : 'ltr';
    root.dir = options.dir ?? (options.locale ? (isRightToLeft(options.locale) ? 'rtl' : 'ltr') : isRightToLeft(locale) ? 'rtl' : pageDir);
    root.dataset['position'] = options.position ?? 'end';
    this.setTheme(options.theme ?? {});
    this.#panel.phase(undefined, this.#bot);
    document.addEventListener('visibilitychange', this.#looks);
    addEventListener('pagehide', this.#receiptsNow);
    addEventListener('storage', this.#otherTab);
    // A chat that was going on goes on; a new one begins when the user opens it.
    if (this.#store.get('active')) this.#connection.start(false);
    if (this.#tab.get('open')) this.open(false);
  }

  // --- what the page and the user do -----------------------------------------------------------------------------

  get state(): { open: boolean; unread: number; phase: Phase | undefined } {
    return { open: this.#panel.isOpen, unread: this.#unread, phase: this.#phase };
  }

  open(focus = true): void {
    if (this.#panel.isOpen) return;
    this.#tab.set('open', '1');
    this.#panel.show(true, focus);
    if (this.#connection.link === 'idle') this.#connection.start(!this.#store.get('active'));
    else if (this.#overUnseen) this.#connection.start(true);
    this.#overUnseen = false;
    this.#connection.now();
    this.#events.emit('open', {});
    this.#receipts();
  }

  close(): void {
    if (!this.#panel.isOpen) return;
    this.#tab.set('open', undefined);
    this.#typing.stop();
    this.#receiptsNow();
    this.#panel.show(false, true);
    this.#events.emit('close', {});
  }

  say(text: string): void {
    this.#say(text.trim(), []);
  }

  send(text: string): void {
    this.#say(text.trim(), this.#files.take());
  }

  #say(words: string, files: Attachment[]): void {
    if (!words && !files.length) return;
    this.#typing.stop();
    const item: Item = { id: freshId(), kind: 'say', text: words, at: Date.now(), ...(files.length ? { files } : {}) };
    this.#log.say(String(item.id), words, item.at, files);
    this.#outbox.add(item);
    if (this.#connection.link === 'idle') this.#connection.start(true);
    this.#pump();
  }

  typed(): void {
    if (this.#phase?.phase === 'agent') this.#typing.key();
  }

  attach(files: readonly File[]): void {
    this.#files.add(files);
  }

  detach(key: number): void {
    this.#files.remove(key);
  }

  attachAgain(key: number): void {
    this.#files.again(key);
  }

  picture(fileId: string): Promise<Picture | undefined> {
    return this.#files.picture(fileId);
  }

  preview(key: number): Promise<Picture | undefined> {
    return this.#files.preview(key);
  }

  end(): void {
    const phase = this.#phase?.phase;
    if (phase === undefined || phase === 'closed') return;
    const kind = phase === 'bot' ? 'end_conversation' : 'end_agent';
    this.#outbox.add({ id: freshId(), kind, text: '', at: Date.now() });
    this.#pump();
  }

  restart(): void {
    this.#connection.start(true);
    this.#connection.now();
  }

  retry(): void {
    this.#connection.now();
  }

  again(clientId: string): void {
    this.#log.trouble(clientId, undefined);
    this.#outbox.again(clientId);
    this.#pump();
  }

  edit(clientId: string): string | undefined {
    const item = this.#outbox.drop(clientId);
    const line = this.#log.forget(clientId);
    if (line) this.#panel.messages.remove(line);
    if (item?.files) this.#files.put(item.files);
    if (item) this.#panel.edit(item.text);
    return item?.text;
  }

  earlier(): void {
    if (this.#more && this.#history === 'here') void this.#load(this.#log.oldest());
  }

  setTexts(texts: Partial<Texts>): void {
    this.#speech.change(texts);
  }

  setTheme(theme: Theme): void {
    applyTheme(this.#host, this.#panel.root, theme);
  }

  destroy(): void {
    clearTimeout(this.#ackTimer);
    clearTimeout(this.#receiptTimer);
    this.#files.destroy();
    this.#connection.stop();
    this.#panel.destroy();
    this.#host.remove();
    document.removeEventListener('visibilitychange', this.#looks);
    removeEventListener('pagehide', this.#receiptsNow);
    removeEventListener('storage', this.#otherTab);
  }

  // --- what the connection tells ---------------------------------------------------------------------------------

  login(): Promise<Session> {
    return login(this.#server, this.#options, this.#store);
  }

  newest(): string | undefined {
    return this.#log.newest();
  }

  opened(session: Session): void {
    const { user } = session;
    if (user !== this.#user) this.#become(user);
    this.#connected = true;
    this.#files.opened(session);
    this.#outbox.landed();
    if (this.#history === 'none') void this.#load();
    const { read } = this.#reading;
    if (read && read !== NOTHING) this.#connection.send(frames.receipt(read, 'read'));
    this.#pump();
  }

  linked(link: Link): void {
    if (link === 'open') {
      this.#panel.trouble(undefined);
    } else if (link === 'broken') {
      this.#outbox.landed();
      this.#panel.messages.typing(undefined);
      const lost = navigator.onLine ? 'reconnecting' : 'offline';
      this.#panel.trouble(this.#connected || lost === 'offline' ? lost : 'unavailable');
    }
  }

  failed(code: 'login' | 'network', message: string): void {
    if (code === 'login') {
      this.#connected = false;
      this.#panel.trouble('unavailable');
    }
    this.#events.emit('error', { code, message });
  }

  heard(frame: Down): void {
    switch (frame.kind) {
      case 'line':
        return this.#heardLine(frame.line);
      case 'note': {
        const name = frame.name || (frame.note === 'left' ? (this.#phase?.agent ?? '') : '');
        this.#log.note(frame.id, frame.at, frame.note, name);
        return;
      }
      case 'phase':
        this.#bot = { name: frame.bot, icon: frame.icon };
        return this.#enter(frame.phase);
      case 'ack':
        if (!this.#outbox.done(frame.id)) return;
        this.#log.tick(frame.id, 'sent');
        return this.#pump();
      case 'refused': {
        const item = this.#outbox.refused(frame.id, { text: frame.text, again: frame.again });
        if (!item) return;
        if (item.trouble) this.#log.trouble(frame.id, item.trouble);
        this.#events.emit('error', { code: 'refused', message: frame.text });
        return this.#pump();
      }
      case 'typing':
        return this.#panel.messages.typing(frame.on ? (this.#phase?.agent ?? this.#speech.say('agent')) : undefined);
      case 'receipt':
        this.#log.tick(frame.id, frame.tick);
        return this.#tab.set('marks', JSON.stringify({ user: this.#user, marks: this.#log.marks }));
    }
  }

  #heardLine(line: Heard): void {
    const fresh = this.#log.hear(line);
    // In the log, acked or not.
    if (line.clientId !== undefined && this.#outbox.done(line.clientId)) this.#pump();
    if (!fresh) return;
    if (line.from !== 'user') this.#panel.messages.typing(undefined);
    if (line.from === 'agent' && line.name && this.#phase?.phase === 'agent' && !this.#phase.agent) {
      this.#enter({ ...this.#phase, agent: line.name });
    }
    const { id, from, name, text, at } = line;
    const files = (line.files ?? []).map(({ name, bytes, url = '' }) => ({ name, bytes, url }));
    this.#events.emit('message', { id, from, name: from === 'bot' ? this.#bot.name : name, text, files, at });
    this.#receipts();
  }

  #enter(phase: Phase): void {
    const former = this.#phase;
    // The agent system may not tell names, but lines do.
    if (phase.phase === 'agent' && !phase.agent && former?.phase === 'agent' && former.agent) phase.agent = former.agent;
    this.#phase = phase;
    this.#store.set('active', phase.phase === 'closed' ? undefined : '1');
    this.#overUnseen = phase.phase === 'closed' && !this.#panel.isOpen;
    if (phase.phase !== 'agent') {
      this.#typing.stop();
      this.#panel.messages.typing(undefined);
    }
    this.#panel.phase(phase, this.#bot);
    if (JSON.stringify(phase) !== JSON.stringify(former)) this.#events.emit('phase', { ...phase });
  }

  // --- what is kept ----------------------------------------------------------------------------------------------

  /** Somebody is logged in. What another user of this browser left behind is not theirs. */
  #become(user: string): void {
    if (this.#user !== undefined) {
      this.#log.clear();
      this.#panel.messages.clear();
      this.#outbox.clear();
      this.#files.clear();
      this.#reading = new Reading(undefined);
      this.#history = 'none';
    }
    this.#user = user;
    const kept = parsed<{ user?: string; items?: Item[] }>(this.#tab.get('outbox'));
    const items = kept?.user === user && Array.isArray(kept.items) ? kept.items : [];
    for (const item of items) {
      if (item.kind === 'say') this.#log.say(String(item.id), item.text, item.at, item.files);
      if (item.trouble) this.#log.trouble(String(item.id), item.trouble);
    }
    this.#outbox.restore(items);
    const marks = parsed<{ user?: string; marks?: { delivered?: string; read?: string } }>(this.#tab.get('marks'));
    if (marks?.user !== user) return;
    for (const tick of ['delivered', 'read'] as const) {
      const mark = marks.marks?.[tick];
      if (mark) this.#log.tick(mark, tick);
    }
  }

  #keep(items: Item[]): void {
    // Until somebody is logged in nobody knows whose they are.
    if (this.#user === undefined) return;
    this.#tab.set('outbox', items.length ? JSON.stringify({ user: this.#user, items }) : undefined);
  }

  /** Sends what waits, one after the other: the next when the former is in the log. */
  #pump(): void {
    if (this.#connection.link !== 'open') return;
    const item = this.#outbox.next();
    if (!item) return;
    const frame =
      item.kind === 'say' ? frames.say(item.id, item.text, item.files) : item.kind === 'end_agent' ? frames.endAgent(item.id) : frames.endConversation(item.id);
    if (!this.#connection.send(frame)) return this.#outbox.landed();
    clearTimeout(this.#ackTimer);
    this.#ackTimer = setTimeout(() => {
      if (!this.#outbox.isFlying) return;
      // Again, with the same id; or the connection is broken.
      this.#connection.probe(ACK_MS);
      this.#outbox.landed();
      this.#pump();
    }, ACK_MS);
  }

  /** Fetches the newest page of the history, or the one before a line. */
  async #load(before?: string): Promise<void> {
    const session = this.#connection.session;
    if (!session || this.#history === 'loading') return;
    this.#history = 'loading';
    this.#panel.messages.earlier(this.#more, true);
    try {
      const { lines, more } = await history(this.#server, session, PAGE, before);
      if (session.user !== this.#user) return;
      this.#history = 'here';
      this.#more = more && lines.length > 0;
      this.#panel.messages.calmly(() => {
        for (const line of lines) {
          this.#log.hear(line);
          if (line.clientId !== undefined) this.#outbox.done(line.clientId);
        }
      });
      if (!before && this.#panel.isOpen) this.#panel.messages.toEnd();
      if (this.#reading.read === undefined) this.#reading.adopt(lines.findLast(({ from }) => from !== 'user')?.id ?? NOTHING);
      this.#panel.messages.choosable(this.#phase?.phase !== 'closed');
      this.#receipts();
      this.#pump();
    } catch {
      this.#history = before ? 'here' : 'none';
      if (!before) setTimeout(() => this.#history === 'none' && void this.#load(), HISTORY_AGAIN_MS);
    }
    this.#panel.messages.earlier(this.#more, false);
  }

  /** Tells the server, and the other tabs, what is on the screen and what was read; and the page what was not. */
  #receipts(): void {
    this.#receiptTimer ??= setTimeout(this.#receiptsNow, RECEIPTS_MS);
  }

  readonly #receiptsNow = (): void => {
    clearTimeout(this.#receiptTimer);
    this.#receiptTimer = undefined;
    const lines = this.#log.lines;
    const shown = this.#reading.shown(lines);
    if (shown) this.#connection.send(frames.receipt(shown, 'delivered'));
    const seen = this.#panel.isOpen && document.visibilityState === 'visible' ? this.#reading.seen(lines) : undefined;
    if (seen) {
      this.#connection.send(frames.receipt(seen, 'read'));
      this.#store.set('read', seen);
    }
    this.#count();
  };

  #count(): void {
    const unread = this.#panel.isOpen ? 0 : this.#reading.unread(this.#log.lines);
    if (unread === this.#unread) return;
    this.#unread = unread;
    this.#panel.unread(unread);
    this.#events.emit('unread', { count: unread });
  }

  #heardOtherTab(event: StorageEvent): void {
    if (event.storageArea !== safely(() => localStorage) || this.#store.nameOf(event.key) !== 'read' || event.newValue === null) return;
    this.#reading.adopt(event.newValue);
    this.#count();
  }
}

function parsed<T>(text: string | undefined): T | undefined {
  return text === undefined ? undefined : safely(() => JSON.parse(text) as T);
}

function safely<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}
