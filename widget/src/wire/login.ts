// Who the user is: a login that the page's own service signed, or a random name that only this browser knows.
import type { Options } from '../options.ts';
import type { Store } from '../store.ts';
import { Denied, grant } from './api.ts';
import type { Server, Session } from './api.ts';

const PATIENCE_MS = 15_000;

export async function login(server: Server, options: Options, store: Store): Promise<Session> {
  if (options.anonymous) return grant(server, { issuer: options.anonymous, subject: subject(store) });
  const jwt = options.token ? await inTime(Promise.resolve(options.token())) : await fetched(options.tokenUrl ?? '');
  if (typeof jwt !== 'string' || !jwt) throw new Denied('the page gave no login token');
  return grant(server, jwt);
}

/** With the page's own cookies, because that service must know who the user is. */
async function fetched(url: string): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { accept: 'application/json' },
    credentials: 'same-origin',
    cache: 'no-store',
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!response.ok) throw new Error(`the token service answered ${response.status}`);
  return ((await response.json()) as { jwt?: unknown }).jwt;
}

function inTime<T>(given: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the token function gave no answer')), PATIENCE_MS);
    given.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** 128 random bits. They are all that protects this user's chat, so they never leave this browser but for the login. */
function subject(store: Store): string {
  const known = store.get('subject');
  if (known && known.length >= 32) return known;
  const made = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  store.set('subject', made);
  return made;
}
