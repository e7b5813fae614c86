// One HTTP request whose body can be watched on its way: `fetch` does not tell of it.
import { backoff } from './backoff.ts';

export interface Ask {
  method: 'POST' | 'HEAD' | 'PATCH' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  body?: Blob;
  /** So many bytes of the body are out. */
  sent?: (bytes: number) => void;
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  header: (name: string) => string | null;
  /** What it says, if it is JSON. */
  body: any;
}

/** There was no answer. */
export class Lost extends Error {}

/** No byte moved for so long: the connection is dead. */
const STALLED_MS = 30_000;
/** All bytes are out; now the server reads, and has it scanned. */
const JUDGED_MS = 180_000;

export function ask({ method, url, headers, body, sent, signal }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const lost = () => reject(new Lost());
    const abort = () => request.abort();
    let timer: ReturnType<typeof setTimeout>;
    const patience = (time: number) => {
      clearTimeout(timer);
      timer = setTimeout(abort, time);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.onload = () => resolve({ status: request.status, header: (name) => request.getResponseHeader(name), body: parsed(request.responseText) });
    request.onerror = request.onabort = lost;
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    if (sent) {
      request.upload.onprogress = ({ loaded }) => {
        patience(STALLED_MS);
        sent(loaded);
      };
      request.upload.onload = () => patience(JUDGED_MS);
    }
    signal.addEventListener('abort', abort);
    if (signal.aborted) return lost();
    patience(STALLED_MS);
    request.send(body ?? null);
  });
}

/** How long the server wants to be left alone; where it does not say, as long as for any broken connection. */
export function wait(answer: Answer | undefined, tries: number): number {
  const seconds = Number(answer?.header('retry-after') ?? NaN);
  return seconds >= 0 ? Math.min(seconds, 300) * 1000 : backoff(tries);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
