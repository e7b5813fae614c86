// The look: a colour scheme and CSS variables. Every variable `--interline-NAME` may be set by the page's own style sheet
// on `interline-chat` or above it, or by `setTheme({NAME: value})`.

export interface Theme {
  /** `auto` follows the user's system. */
  scheme?: 'auto' | 'light' | 'dark';
  /** The colour of buttons and of the user's own lines. */
  accent?: string;
  /** Text on it. Left out: black or white, whatever reads better. */
  'on-accent'?: string;
  surface?: string;
  'surface-2'?: string;
  text?: string;
  muted?: string;
  line?: string;
  danger?: string;
  font?: string;
  radius?: string;
  'z-index'?: string;
  'inset-inline'?: string;
  'inset-block'?: string;
  width?: string;
  height?: string;
}

const VARIABLES: (keyof Theme)[] = [
  'accent', 'on-accent', 'surface', 'surface-2', 'text', 'muted', 'line', 'danger', 'font', 'radius', 'z-index', 'inset-inline',
  'inset-block', 'width', 'height',
];

/** Sets a theme on the element around the widget. */
export function applyTheme(host: HTMLElement, root: HTMLElement, theme: Theme): void {
  if (theme.scheme) root.dataset['scheme'] = ['light', 'dark'].includes(theme.scheme) ? theme.scheme : 'auto';
  for (const name of VARIABLES) {
    const value = theme[name];
    if (typeof value === 'string') host.style.setProperty(`--interline-${name}`, value);
  }
  if (theme.accent && !theme['on-accent']) {
    const on = readable(theme.accent);
    if (on) host.style.setProperty('--interline-on-accent', on);
  }
}

/** Black or white, for a `#rgb` or `#rrggbb` behind it: whichever has the higher contrast (WCAG 2.2, 1.4.3). */
export function readable(colour: string): string | undefined {
  const digits = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(colour.trim())?.[1];
  if (!digits) return undefined;
  const pairs = digits.length === 3 ? [...digits].map((digit) => digit + digit) : digits.match(/../g)!;
  const [r, g, b] = pairs.map((pair) => {
    const part = parseInt(pair, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  return 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 ? '#ffffff' : '#000000';
}
