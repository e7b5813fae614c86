// What the browser remembers. Storage may be forbidden or full: then it is remembered for as long as the page lives.

/** A few texts under names. */
export class Store {
  readonly #memory = new Map<string, string>();
  readonly #prefix: string;
  readonly #kind: 'localStorage' | 'sessionStorage';

  /** `localStorage`: all tabs; `sessionStorage`: this tab, also across a reload. */
  constructor(kind: 'localStorage' | 'sessionStorage', app: string) {
    this.#kind = kind;
    this.#prefix = `interline.${app}.`;
  }

  get(name: string): string | undefined {
    try {
      const known = window[this.#kind].getItem(this.#prefix + name);
      if (known !== null) return known;
    } catch {
      // Forbidden.
    }
    return this.#memory.get(name);
  }

  set(name: string, value: string | undefined): void {
    if (value === undefined) this.#memory.delete(name);
    else this.#memory.set(name, value);
    try {
      if (value === undefined) window[this.#kind].removeItem(this.#prefix + name);
      else window[this.#kind].setItem(this.#prefix + name, value);
    } catch {
      // Forbidden or full.
    }
  }

  /** The name behind a key of a storage event, if it is one of ours. */
  nameOf(key: string | null): string | undefined {
    return key?.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : undefined;
  }
}
