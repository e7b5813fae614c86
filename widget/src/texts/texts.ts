// The texts in the page's language, with the page's own words over them.
import { ar } from './ar.ts';
import { de } from './de.ts';
import { en } from './en.ts';
import type { Texts } from './en.ts';

export type { Texts } from './en.ts';
export type TextName = keyof Texts;

const BUILT_IN: Record<string, Texts> = { en, de, ar };
const RIGHT_TO_LEFT = ['ar', 'dv', 'fa', 'he', 'ku', 'ps', 'sd', 'ug', 'ur', 'yi'];

const language = (locale: string): string => locale.toLowerCase().split(/[-_]/)[0] ?? 'en';

export const isRightToLeft = (locale: string): boolean => RIGHT_TO_LEFT.includes(language(locale));

/** Says things. What is drawn with `bind` is drawn again when the texts change. */
export class Speech {
  #texts: Texts;
  readonly #bound: (() => void)[] = [];
  readonly locale: string;

  constructor(locale: string, own: Partial<Texts>) {
    this.locale = locale;
    this.#texts = { ...(BUILT_IN[language(locale)] ?? en), ...given(own) };
  }

  say(name: TextName, known: Record<string, string | number> = {}): string {
    return this.#texts[name].replace(/\{(\w+)\}/g, (whole, key: string) => String(known[key] ?? whole));
  }

  /** Draws now, and whenever the texts change. */
  bind(draw: () => void): void {
    this.#bound.push(draw);
    draw();
  }

  change(own: Partial<Texts>): void {
    this.#texts = { ...this.#texts, ...given(own) };
    for (const draw of this.#bound) draw();
  }

  /** A size, as people write it here; in powers of 1,024, as the limits are. */
  size(bytes: number): string {
    const power = bytes < 1024 ? 0 : bytes < 1_048_576 ? 1 : 2;
    const unit = ['byte', 'kilobyte', 'megabyte'][power]!;
    const unitDisplay = power ? 'short' : 'long';
    const tenths = Math.floor((bytes * 10) / 1024 ** power) / 10;
    // Nobody counts the tenths of a hundred.
    return new Intl.NumberFormat(this.#known(), { style: 'unit', unit, unitDisplay }).format(tenths < 100 ? tenths : Math.floor(tenths));
  }

  /** A moment of the day, as people write it here. */
  time(at: number): string {
    return new Intl.DateTimeFormat(this.#known(), { hour: '2-digit', minute: '2-digit' }).format(at);
  }

  /** A day, as people write it here. */
  day(at: number, now = Date.now()): string {
    const days = Math.round((midnight(now) - midnight(at)) / 86_400_000);
    if (days === 0) return this.say('today');
    if (days === 1) return this.say('yesterday');
    return new Intl.DateTimeFormat(this.#known(), { day: 'numeric', month: 'long', year: 'numeric' }).format(at);
  }

  /** A page may name a locale that no browser knows. */
  #known(): string | undefined {
    try {
      return Intl.getCanonicalLocales(this.locale)[0];
    } catch {
      return undefined;
    }
  }
}

const midnight = (at: number): number => new Date(at).setHours(0, 0, 0, 0);

/** Only texts, under names that exist. */
function given(own: Partial<Texts>): Partial<Texts> {
  return Object.fromEntries(Object.entries(own ?? {}).filter(([name, text]) => name in en && typeof text === 'string'));
}
