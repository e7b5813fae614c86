// Keeps one socket open.
//
//   login ─► rtm/start ─► socket ═► frames
//     ▲          │ 401: the login is too old      closed, silent: again, after a while
//     └──────────┴──────────────────────────────────┘
//
// A socket that breaks is followed by one that goes on right behind the last line that is here, so that nothing is lost or
// doubled. "online" and a page that becomes visible are reasons to try at once.
import { Denied, socketUrl } from './api.ts';
import type { Server, Session } from './api.ts';
import { backoff } from './backoff.ts';
import { down, probe } from './frames.ts';
import type { Down } from './frames.ts';
import { freshId } from './ids.ts';

export type Link = 'idle' | 'connecting' | 'open' | 'broken';

export interface Client {
  login(): Promise<Session>;
  /** The newest line that is here. */
  newest(): string | undefined;
  /** A socket is open; `session` is whose. */
  opened(session: Session): void;
  heard(frame: Down): void;
  linked(link: Link): void;
  failed(code: 'login' | 'network', message: string): void;
}

const PROBE_EVERY_MS = 25_000;
const PATIENCE_MS = 10_000;
const SOON_MS = 4_000;

export class Connection {
  readonly #server: Server;
  readonly #client: Client;
  #session: Session | undefined;
  #renewing: Promise<Session> | undefined;
  #socket: WebSocket | undefined;
  #link: Link = 'idle';
  /** The next socket greets: it opens a conversation if none is open. */
  #greets = false;
  #tries = 0;
  /** Which attempt is the current one; earlier ones have nothing to say any more. */
  #turn = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  readonly #beat: ReturnType<typeof setInterval>;
  readonly #wake = () => this.#lookAgain();

  constructor(server: Server, client: Client) {
    this.#server = server;
    this.#client = client;
    this.#beat = setInterval(() => this.probe(PATIENCE_MS), PROBE_EVERY_MS);
    addEventListener('online', this.#wake);
    addEventListener('offline', this.#wake);
    addEventListener('pageshow', this.#wake);
    document.addEventListener('visibilitychange', this.#wake);
  }

  get link(): Link {
    return this.#link;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Connects. `greet`: opens a conversation if none is open. */
  start(greet: boolean): void {
    this.#greets ||= greet;
    if (this.#link === 'idle' || (greet && this.#link === 'open')) this.#again();
  }

  /** Tries now, not later. */
  now(): void {
    if (this.#link === 'broken') this.#again();
  }

  send(frame: unknown): boolean {
    if (this.#link !== 'open' || !this.#socket) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Asks for a sign of life; without one the socket is taken for broken. */
  probe(patience: number): void {
    if (this.#silence !== undefined || !this.send(probe(freshId()))) return;
    this.#silence = setTimeout(() => this.#lost(), patience);
  }

  /** A login other than `old`, for whoever was told that this one is too old. */
  async renew(old: Session | undefined): Promise<Session> {
    if (this.#session && this.#session.token !== old?.token) return this.#session;
    this.#renewing ??= this.#client.login().finally(() => (this.#renewing = undefined));
    const session = await this.#renewing;
    const other = old !== undefined && session.user !== old.user;
    this.#session = session;
    // Somebody else: what is on the screen is not theirs.
    if (other && this.#link !== 'idle') this.#again();
    return session;
  }

  stop(): void {
    this.#drop();
    this.#set('idle');
    clearInterval(this.#beat);
    removeEventListener('online', this.#wake);
    removeEventListener('offline', this.#wake);
    removeEventListener('pageshow', this.#wake);
    document.removeEventListener('visibilitychange', this.#wake);
  }

  /** The network, or the user, came back: or the network went. */
  #lookAgain(): void {
    if (document.visibilityState === 'hidden') return;
    if (this.#link === 'broken' && navigator.onLine) this.#again();
    else this.probe(SOON_MS);
  }

  #set(link: Link): void {
    if (this.#link === link) return;
    this.#link = link;
    this.#client.linked(link);
  }

  /** Leaves whatever is under way. */
  #drop(): void {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#quiet();
    this.#socket?.close(1000);
    this.#socket = undefined;
  }

  #quiet(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }

  #again(): void {
    this.#drop();
    this.#set('connecting');
    void this.#connect(this.#turn);
  }

  #lost(): void {
    this.#drop();
    this.#set('broken');
    this.#timer = setTimeout(() => this.#again(), backoff(this.#tries));
    this.#tries += 1;
  }

  async #connect(turn: number): Promise<void> {
    const known = this.#session;
    let stage: 'login' | 'network' = 'login';
    try {
      const session = known ?? (await this.#client.login());
      if (turn !== this.#turn) return;
      this.#session = session;
      stage = 'network';
      const after = this.#client.newest();
      const greets = this.#greets;
      const query = { ...(greets ? {} : { isReconnect: 'true' }), ...(after ? { after } : {}) };
      const url = await socketUrl(this.#server, session, query);
      if (turn === this.#turn) this.#open(url, turn, session, greets);
    } catch (error) {
      if (turn !== this.#turn) return;
      const denied = error instanceof Denied;
      if (denied) this.#session = undefined;
      // The login was too old: a new one, at once.
      if (denied && known) return this.#again();
      this.#client.failed(denied ? 'login' : stage, error instanceof Error ? error.message : String(error));
      this.#lost();
    }
  }

  #open(url: string, turn: number, session: Session, greets: boolean): void {
    const socket = new WebSocket(url);
    this.#socket = socket;
    // A handshake that hangs is broken, too.
    this.#silence = setTimeout(() => this.#lost(), PATIENCE_MS);
    socket.onopen = () => {
      if (turn !== this.#turn) return;
      this.#quiet();
      if (greets) this.#greets = false;
      // Asked to greet meanwhile.
      else if (this.#greets) return this.#again();
      this.#set('open');
      this.#client.opened(session);
    };
    socket.onmessage = ({ data }) => {
      if (turn !== this.#turn) return;
      this.#quiet();
      this.#tries = 0;
      const frame = down(String(data));
      if (frame) this.#client.heard(frame);
    };
    socket.onclose = () => {
      if (turn === this.#turn) this.#lost();
    };
  }
}
