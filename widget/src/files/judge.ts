// What can be said of a file before it is sent. The server looks again, and closer.
import { isRightToLeft } from '../texts/texts.ts';
import type { Speech } from '../texts/texts.ts';

/** What the app takes. */
export interface Rules {
  maxBytes: number;
  /** By extension, lower case. */
  formats: string[];
  perMessage: number;
}

/** Why a file is not taken; nothing if it may be. */
export function wrongWith(file: { name: string; size: number }, rules: Rules, speech: Speech): string | undefined {
  const extension = /[^.].*\.([^.]+)$/s.exec(file.name)?.[1]?.toLowerCase() ?? '';
  if (!rules.formats.includes(extension)) {
    const formats = rules.formats.map((format) => `.${format}`).join(', ');
    // Dots and commas would go astray in words that are written the other way.
    return speech.say('file_format', { formats: isRightToLeft(speech.locale) ? `\u2066${formats}\u2069` : formats });
  }
  if (file.size === 0) return speech.say('file_empty');
  if (file.size > rules.maxBytes) return speech.say('file_too_large', { size: speech.size(rules.maxBytes) });
  return undefined;
}
