// The user types: told at most every three seconds, and that it stopped, after one and a half.

const AGAIN_MS = 3_000;
const STOPPED_MS = 1_500;

export class Typing {
  readonly #tell: (on: boolean) => void;
  #toldAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: (on: boolean) => void) {
    this.#tell = tell;
  }

  key(now = Date.now()): void {
    if (now - this.#toldAt >= AGAIN_MS) {
      this.#toldAt = now;
      this.#tell(true);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.stop(), STOPPED_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    if (this.#toldAt) this.#tell(false);
    this.#toldAt = 0;
  }
}
