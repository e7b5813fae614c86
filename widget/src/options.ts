// What the page says about itself: by the script tag, by `window.interline`, or by `Interline.init(…)`.
import type { Texts } from './texts/texts.ts';
import type { Theme } from './view/theme.ts';

export interface Options {
  /** The app's id, `st-…`. */
  app: string;
  /** Where the server is; the script's own origin, if left out. */
  server?: string;
  /** Gives a signed login (JWT) for the user of this page. */
  token?: () => string | Promise<string>;
  /** A service of the page that answers a POST with `{"jwt": "…"}`. */
  tokenUrl?: string;
  /** The client id under which users who are nobody in particular may chat. */
  anonymous?: string;
  /** Such as `de` or `pt-BR`; the page's own, if left out. */
  locale?: string;
  dir?: 'ltr' | 'rtl';
  /** In which corner: where lines end, or where they start. */
  position?: 'end' | 'start';
  theme?: Theme;
  texts?: Partial<Texts>;
}

/** What a script tag says. */
export function fromScript(script: HTMLScriptElement | null): Partial<Options> {
  if (!script) return {};
  const { app, server, tokenUrl, anonymous, locale, dir, position, theme, accent } = script.dataset;
  const said: Partial<Options> = { server: server ?? new URL(script.src, location.href).origin };
  if (app) said.app = app;
  if (tokenUrl) said.tokenUrl = tokenUrl;
  if (anonymous) said.anonymous = anonymous;
  if (locale) said.locale = locale;
  if (dir === 'ltr' || dir === 'rtl') said.dir = dir;
  if (position === 'start' || position === 'end') said.position = position;
  const look: Theme = {};
  if (theme === 'light' || theme === 'dark' || theme === 'auto') look.scheme = theme;
  if (accent) look.accent = accent;
  if (Object.keys(look).length) said.theme = look;
  return said;
}

/** Why these options cannot work; nothing if they can. */
export function wrong(options: Partial<Options>): string | undefined {
  if (!options.app) return 'no app is named (data-app)';
  if (!options.server) return 'no server is named (data-server)';
  if (!options.token && !options.tokenUrl && !options.anonymous) return 'no login: give data-token-url, a token function, or data-anonymous';
  return undefined;
}
