// The script: `window.Interline`, and a widget if the tag or `window.interline` says enough to make one.
import { Emitter } from './events.ts';
import type { EventName, Events } from './events.ts';
import { fromScript, wrong } from './options.ts';
import type { Options } from './options.ts';
import type { Texts } from './texts/texts.ts';
import type { Theme } from './view/theme.ts';
import { Widget } from './widget.ts';

declare global {
  interface Window {
    /** Options, set before the script runs. */
    interline?: Partial<Options>;
    Interline?: typeof api;
  }
}

// Only now is it known which tag this is.
const said = fromScript(document.currentScript instanceof HTMLScriptElement ? document.currentScript : null);
const events = new Emitter();
let widget: Widget | undefined;

const api = {
  /** Makes the widget; one that is there already goes. */
  init(options: Partial<Options> = {}): void {
    const all = { ...said, ...window.interline, ...options };
    all.theme = { ...said.theme, ...window.interline?.theme, ...options.theme };
    const why = wrong(all);
    if (why) return events.emit('error', { code: 'setup', message: `interline: ${why}` });
    widget?.destroy();
    widget = new Widget(all as Options, events);
    events.emit('ready', {});
  },
  open: (): void => widget?.open(),
  close: (): void => widget?.close(),
  /** The user says something. */
  send: (text: string): void => widget?.say(String(text)),
  /** Ends the human part, or, with the bot, the conversation. Asks nobody. */
  end: (): void => widget?.end(),
  setTexts: (texts: Partial<Texts>): void => widget?.setTexts(texts),
  setTheme: (theme: Theme): void => widget?.setTheme(theme),
  destroy(): void {
    widget?.destroy();
    widget = undefined;
  },
  get state() {
    return widget?.state;
  },
  /** Listens; the answer ends it. `ready` is told also to those who come late. */
  on<K extends EventName>(name: K, listener: (detail: Events[K]) => void): () => void {
    if (name === 'ready' && widget) queueMicrotask(() => listener({} as Events[K]));
    return events.on(name, listener);
  },
  off: <K extends EventName>(name: K, listener: (detail: Events[K]) => void): void => events.off(name, listener),
};

window.Interline = api;

const start = (): void => {
  if (!widget && (said.app || window.interline?.app)) api.init();
};
if (document.body) start();
else document.addEventListener('DOMContentLoaded', start);
