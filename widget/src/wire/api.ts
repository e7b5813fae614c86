// The HTTP calls, but for those that send files. No cookies: the access token says it all.
import type { Rules } from '../files/judge.ts';
import { past } from './frames.ts';
import type { Heard } from './frames.ts';

/** Where, and for which app. */
export interface Server {
  origin: string;
  app: string;
}

/** The server said no: to this login, page or app. */
export class Denied extends Error {}

/** Somebody who is logged in. */
export interface Session {
  token: string;
  user: string;
}

const PATIENCE_MS = 15_000;

async function call(server: Server, path: string, token?: string, body?: unknown): Promise<any> {
  const headers: Record<string, string> = {};
  if (token) headers['authorization'] = `bearer ${token}`;
  if (body) headers['content-type'] = 'application/json';
  const response = await fetch(`${server.origin}/api/${path}`, {
    method: body ? 'POST' : 'GET',
    headers,
    credentials: 'omit',
    cache: 'no-store',
    signal: AbortSignal.timeout(PATIENCE_MS),
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const message = String(answer?.errors?.[0]?.msg ?? `error ${response.status}`);
  throw response.status >= 400 && response.status < 500 ? new Denied(message) : new Error(message);
}

const botInfo = (server: Server) => ({ chatBot: 'Interline', taskBotId: server.app });

/** Exchanges a signed login, or an anonymous one, for a session. */
export async function grant(server: Server, assertion: string | { issuer: string; subject: string }): Promise<Session> {
  const path = `oAuth/token/jwtgrant${typeof assertion === 'string' ? '' : '/anonymous'}`;
  const answer = await call(server, path, undefined, { assertion, botInfo: botInfo(server), token: {} });
  return { token: String(answer.authorization.accessToken), user: String(answer.userInfo?.userId ?? '') };
}

/** Where the socket is: on the server that we talk to, whatever its public address is. */
export async function socketUrl(server: Server, session: Session, query: Record<string, string>): Promise<string> {
  const answer = await call(server, 'rtm/start', session.token, { botInfo: botInfo(server), token: {}, client: 'interline' });
  const told = new URL(String(answer.url));
  const url = new URL(told.pathname + told.search, server.origin.replace(/^http/, 'ws'));
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

/** Which files are taken; none if they are not. */
export async function fileRules(server: Server, session: Session): Promise<Rules | undefined> {
  const answer = await call(server, 'files', session.token).catch((error: unknown) => {
    if (error instanceof Denied) return undefined;
    throw error;
  });
  const { maxBytes, formats, perMessage } = answer ?? {};
  if (!Array.isArray(formats)) return undefined;
  return { maxBytes: Number(maxBytes), formats: formats.map(String), perMessage: Number(perMessage) };
}

/** The newest lines, or those before one; oldest first. */
export async function history(server: Server, session: Session, limit: number, before?: string): Promise<{ lines: Heard[]; more: boolean }> {
  const query = new URLSearchParams({ botId: server.app, client: 'interline', limit: String(limit), ...(before ? { msgId: before } : {}) });
  const answer = await call(server, `botmessages/rtm?${query}`, session.token);
  const lines = Array.isArray(answer.messages) ? answer.messages.map(past) : [];
  return { lines: lines.filter((line: Heard | undefined) => line !== undefined), more: answer.moreAvailable === true };
}
