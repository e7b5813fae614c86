// What the host page may listen to.
import type { Phase } from './chat/phase.ts';

/** A line, as the host page sees it. */
export interface MessageEvent {
  id: string;
  from: 'user' | 'bot' | 'agent';
  name: string;
  text: string;
  /** Each with a page where it can be downloaded. */
  files: { name: string; bytes: number; url: string }[];
  at: number;
}

export interface Events {
  ready: Record<string, never>;
  open: Record<string, never>;
  close: Record<string, never>;
  message: MessageEvent;
  phase: Phase;
  unread: { count: number };
  error: { code: 'login' | 'network' | 'refused' | 'setup'; message: string };
}

export type EventName = keyof Events;
type Listener<K extends EventName> = (detail: Events[K]) => void;

/** Tells the listeners of `on`, and whoever listens for `interline:NAME` in the document. */
export class Emitter {
  readonly #listeners = new Map<EventName, Set<(detail: never) => void>>();

  on<K extends EventName>(name: K, listener: Listener<K>): () => void {
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all.add(listener as (detail: never) => void));
    return () => this.off(name, listener);
  }

  off<K extends EventName>(name: K, listener: Listener<K>): void {
    this.#listeners.get(name)?.delete(listener as (detail: never) => void);
  }

  emit<K extends EventName>(name: K, detail: Events[K]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as Listener<K>)(detail);
      } catch (error) {
        // The page's own mistake must not stop the chat; it belongs on the page's console.
        setTimeout(() => {
          throw error;
        });
      }
    }
    document.dispatchEvent(new CustomEvent(`interline:${name}`, { detail }));
  }
}
