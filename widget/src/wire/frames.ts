// The frames of the socket and the lines of the history. Pure. Unknown frames mean nothing.
import type { Phase } from '../chat/phase.ts';
import { attachments } from './attachment.ts';
import type { Attachment } from './attachment.ts';
import { template, words } from './template.ts';
import type { Template } from './template.ts';
import { plain } from './words.ts';

/** A line as it was heard. */
export interface Heard {
  id: string;
  at: number;
  from: 'user' | 'bot' | 'agent';
  name: string;
  text: string;
  template?: Template;
  files?: Attachment[];
  /** The sender's own id, of the user's lines. */
  clientId?: string;
}

export type Down =
  | { kind: 'line'; line: Heard }
  | { kind: 'note'; id: string; at: number; note: 'joined' | 'left' | 'closed'; name: string }
  | { kind: 'phase'; phase: Phase; bot: string; icon: string }
  | { kind: 'ack'; id: string }
  | { kind: 'refused'; id: string; text: string; again: boolean }
  | { kind: 'typing'; on: boolean }
  | { kind: 'receipt'; id: string; tick: 'delivered' | 'read' };

/** What comes from the wire has no type until it is read here. */
type Any = any;

const fullName = (author: Any): string => [words(author?.firstName), words(author?.lastName)].filter(Boolean).join(' ');

/** Reads a frame. */
export function down(text: string): Down | undefined {
  let frame: Any;
  try {
    frame = JSON.parse(text);
  } catch {
    return undefined;
  }
  switch (frame?.type) {
    case 'bot_response':
      return { kind: 'line', line: response(frame) };
    case 'user_message':
      return {
        kind: 'line',
        line: {
          id: words(frame.traceId),
          at: Number(frame.timestamp) || Date.now(),
          from: 'user',
          name: '',
          text: plain(words(frame.message?.body)),
          clientId: words(frame.id),
          ...attachments(frame.message?.attachments),
        },
      };
    case 'phase':
      return { kind: 'phase', phase: phase(frame), bot: words(frame.botInfo?.chatBot), icon: words(frame.icon) };
    case 'ack':
      return { kind: 'ack', id: words(frame.replyto) };
    case 'refused':
      return { kind: 'refused', id: words(frame.replyto), text: words(frame.message), again: frame.again === true };
    case 'session_end':
      return note(frame, 'closed');
    case 'events':
      return event(frame);
    default:
      return undefined;
  }
}

function phase(frame: Any): Phase {
  const kind = ['bot', 'waiting', 'agent', 'closed'].find((known) => known === frame.phase) ?? 'bot';
  const told: Phase = { phase: kind as Phase['phase'] };
  if (Number.isInteger(frame.position)) told.position = frame.position;
  if (words(frame.agent)) told.agent = words(frame.agent);
  return told;
}

function note(frame: Any, kind: 'joined' | 'left' | 'closed'): Down | undefined {
  const id = words(frame.traceId);
  if (!id) return undefined;
  return { kind: 'note', id: `${id}-${kind}`, at: Number(frame.timestamp) || Date.now(), note: kind, name: fullName(frame.message?.author) };
}

function event(frame: Any): Down | undefined {
  const message = frame.message ?? {};
  switch (message.type) {
    case 'agent_connected':
      return note(frame, 'joined');
    case 'agent_disconnected':
      return note(frame, 'left');
    case 'typing':
    case 'stoptyping':
      return { kind: 'typing', on: message.type === 'typing' };
    case 'message_delivered':
      return { kind: 'receipt', id: words(message.clientMessageId), tick: 'delivered' };
    case 'message_read':
      return { kind: 'receipt', id: words(message.clientMessageId), tick: 'read' };
    default:
      return undefined;
  }
}

function response(frame: Any): Heard {
  const part = frame.message?.[0] ?? {};
  let component = part.component;
  // A template without a `text` of its own comes as a JSON text.
  if (typeof component?.payload === 'string') component = parsed(component.payload) ?? component;
  const line: Heard = {
    id: words(frame.messageId),
    at: Number(frame.timestamp) || Date.now(),
    from: frame.author?.type === 'AGENT' ? 'agent' : 'bot',
    name: fullName(frame.author) || '',
    text: plain(words(part.cInfo?.body)),
    ...attachments(frame.attachments),
  };
  return withTemplate(line, component?.payload);
}

function withTemplate(line: Heard, payload: unknown): Heard {
  const drawn = template(payload);
  return drawn ? { ...line, text: drawn.text || line.text, template: drawn } : line;
}

function parsed(text: string): Any {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A line of the history. Its text is words, or JSON: a template, or words that would otherwise be taken for one. */
export function past(message: Any): Heard | undefined {
  const id = words(message?._id);
  const text = words(message?.components?.[0]?.data?.text);
  if (!id) return undefined;
  const own = message.type === 'incoming';
  const agent = message.author?.type === 'AGENT';
  const line: Heard = {
    id,
    at: Date.parse(words(message.createdOn)) || Date.now(),
    from: own ? 'user' : agent ? 'agent' : 'bot',
    name: agent ? fullName(message.author) : '',
    text: plain(text),
    ...attachments(message.attachments),
  };
  if (own && message.userMsgId !== undefined) line.clientId = words(message.userMsgId);
  const json = /^\s*\{/.test(text) ? parsed(text) : undefined;
  if (json?.payload?.template_type) return withTemplate({ ...line, text: '' }, json.payload);
  const wrapped = typeof json?.text === 'string' ? json.text : undefined;
  return wrapped === undefined ? line : { ...line, text: plain(wrapped) };
}

// --- up ---------------------------------------------------------------------------------------------------------------

const EMPTY = { body: '', type: '' };
const MESSAGE = '/bot.message';

/** A line of the user, perhaps with files, perhaps without words. */
export const say = (id: number, text: string, files: readonly Attachment[] = []) => ({
  clientMessageId: id,
  id,
  resourceid: MESSAGE,
  message: { body: text, ...(files.length ? { attachments: files.map(({ id, name }) => ({ fileId: id, fileName: name })) } : {}) },
});
/** The user ends the human part: the bot takes over. */
export const endAgent = (id: number) => ({ clientMessageId: id, id, resourceid: MESSAGE, event: 'close_agent_chat', message: EMPTY });
/** The user ends the conversation. */
export const endConversation = (id: number) => ({ clientMessageId: id, id, resourceid: '/bot.closeConversationSession' });
export const typing = (on: boolean) => ({ resourceid: MESSAGE, event: on ? 'typing' : 'stop_typing', message: EMPTY });
export const receipt = (id: string, tick: 'delivered' | 'read') => ({ resourceid: MESSAGE, event: `message_${tick}`, message: EMPTY, messageId: id });
/** Asks for a sign of life: an event that nobody knows is acked, and does nothing. */
export const probe = (id: number) => ({ id, resourceid: '/bot.clientEvent', preDefinedEvent: { type: 'PROBE' } });
