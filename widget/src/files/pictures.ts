// Small pictures. They are drawn on a canvas, so that no page has to allow addresses of pictures in its policy.
import type { Door } from '../wire/door.ts';

/** In pixels; twice what is shown. */
const SIDE = 480;
const PATIENCE_MS = 20_000;

export type Picture = HTMLCanvasElement;

export class Pictures {
  readonly #known = new Map<string, Promise<Picture | undefined>>();
  readonly #door: Door;
  /** One at a time is read: a large one takes much memory. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor(door: Door) {
    this.#door = door;
  }

  /** That of a stored file; nothing if it has none. */
  of(id: string): Promise<Picture | undefined> {
    const known = this.#known.get(id);
    if (known) return known;
    const asked = this.#fetch(id).catch(() => {
      // Asked again when it is drawn again.
      this.#known.delete(id);
      return undefined;
    });
    this.#known.set(id, asked);
    return asked;
  }

  /** That of a file of the user's; nothing if this browser cannot read it. */
  local(file: Blob): Promise<Picture | undefined> {
    const read = this.#reading.then(() => small(file)).catch(() => undefined);
    this.#reading = read;
    return read;
  }

  /** What was a file of the user's is stored now. */
  keep(id: string, picture: Promise<Picture | undefined>): void {
    this.#known.set(id, picture);
  }

  clear(): void {
    this.#known.clear();
  }

  async #fetch(id: string): Promise<Picture | undefined> {
    const token = this.#door.session()?.token;
    const response = await fetch(`${this.#door.files}/${encodeURIComponent(id)}/thumbnail`, {
      headers: { authorization: `bearer ${token}` },
      credentials: 'omit',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (response.ok) return small(await response.blob());
    if (response.status === 404) return undefined;
    throw new Error(`error ${response.status}`);
  }
}

async function small(blob: Blob): Promise<Picture> {
  const read = await createImageBitmap(blob);
  const scale = Math.min(1, SIDE / Math.max(read.width, read.height));
  const picture = document.createElement('canvas');
  picture.width = Math.max(1, Math.round(read.width * scale));
  picture.height = Math.max(1, Math.round(read.height * scale));
  picture.getContext('2d')?.drawImage(read, 0, 0, picture.width, picture.height);
  read.close();
  return picture;
}

/** The same again: an element can be in one place only. */
export function copy(picture: Picture): Picture {
  const made = document.createElement('canvas');
  made.width = picture.width;
  made.height = picture.height;
  made.getContext('2d')?.drawImage(picture, 0, 0);
  return made;
}
