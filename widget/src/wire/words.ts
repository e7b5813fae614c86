// Words on the wire. The server writes `&lt;` and `&amp;` where they would look like markup to the published client.

/** The words as they were said: one pass, so that `&amp;lt;` becomes `&lt;` and no more. */
export const plain = (text: string): string => text.replace(/&(lt|amp);/g, (_, name) => (name === 'lt' ? '<' : '&'));

/** The address if it is one that may be linked to; else nothing. */
export function safeUrl(address: unknown): string | undefined {
  if (typeof address !== 'string') return undefined;
  try {
    const url = new URL(address);
    return ['https:', 'http:', 'mailto:'].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** Words, and where they lead. */
export interface Part {
  text: string;
  href?: string;
}

const LINK = /\bhttps?:\/\/[^\s<>"']+|\bmailto:[^\s<>"']+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+/gi;

/** Finds the links in words. What ends a sentence is no part of a link, nor is a bracket that was opened before it. */
export function parts(text: string): Part[] {
  const found: Part[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    let link = match[0].replace(/[.,;:!?]+$/, '');
    while (/[)\]}]$/.test(link) && !balanced(link)) link = link.slice(0, -1).replace(/[.,;:!?]+$/, '');
    const href = safeUrl(/^(https?|mailto):/i.test(link) ? link : `mailto:${link}`);
    if (!href) continue;
    if (match.index > from) found.push({ text: text.slice(from, match.index) });
    found.push({ text: link, href });
    from = match.index + link.length;
  }
  if (from < text.length) found.push({ text: text.slice(from) });
  return found;
}

const count = (text: string, chars: string) => [...text].filter((char) => chars.includes(char)).length;
const balanced = (text: string) => count(text, '([{') >= count(text, ')]}');
