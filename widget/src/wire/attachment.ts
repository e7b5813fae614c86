// A file of a message, as the wire has it. Pure.
import { words } from './template.ts';
import { safeUrl } from './words.ts';

export interface Attachment {
  id: string;
  name: string;
  bytes: number;
  kind: 'image' | 'audio' | 'video' | 'attachment';
  /** A page with the file behind a button; it wears out. */
  url?: string;
  /** What a virus scanner found in it. */
  warning?: string;
}

const MOST = 100;
const KINDS = ['image', 'audio', 'video'] as const;

/** Reads one; nothing if it names no file. */
export function attachment(given: any): Attachment | undefined {
  const id = words(given?.fileId);
  if (!id) return undefined;
  const read: Attachment = {
    id,
    name: words(given.fileName) || '?',
    bytes: Number(given.bytes) || 0,
    kind: KINDS.find((kind) => kind === given.fileType) ?? 'attachment',
  };
  const url = safeUrl(given.fileUrl);
  if (url?.startsWith('http')) read.url = url;
  if (words(given.warning)) read.warning = words(given.warning);
  return read;
}

/** Reads a list; nothing if there are none. */
export function attachments(given: unknown): { files?: Attachment[] } {
  const files = (Array.isArray(given) ? given.slice(0, MOST) : []).map(attachment).filter((file) => file !== undefined);
  return files.length ? { files } : {};
}
