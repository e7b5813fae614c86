// Elements. Texts become text nodes, always.

type Props = Record<string, string | number | boolean | ((event: never) => void) | undefined>;

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') made.addEventListener(name, value as EventListener);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children);
  return made;
}

const SVG = 'http://www.w3.org/2000/svg';

const ICONS = {
  chat: ['M12 3.5c-4.9 0-8.9 3.3-8.9 7.4 0 2.3 1.3 4.4 3.3 5.7-.1 1-.5 2-1.3 2.9-.2.2 0 .6.3.6 1.9-.2 3.5-.9 4.7-1.9.6.1 1.3.1 1.9.1 4.9 0 8.9-3.3 8.9-7.4S16.9 3.5 12 3.5z'],
  down: ['M6 9.5l6 6 6-6'],
  close: ['M6.5 6.5l11 11', 'M17.5 6.5l-11 11'],
  send: ['M4.5 12h13.5', 'M12.5 6l6 6-6 6'],
  bot: ['M12 4.2v2.6', 'M7 7.5h10a2.5 2.5 0 0 1 2.5 2.5v6a2.5 2.5 0 0 1-2.5 2.5H7A2.5 2.5 0 0 1 4.5 16v-6A2.5 2.5 0 0 1 7 7.5z', 'M9.3 12v1.6', 'M14.7 12v1.6'],
  person: ['M12 12.2a3.9 3.9 0 1 0 0-7.8 3.9 3.9 0 0 0 0 7.8z', 'M4.8 19.8c.8-3.4 3.7-5 7.2-5s6.4 1.6 7.2 5'],
  clock: ['M12 5.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z', 'M12 8.8v3.4l2.2 1.4'],
  check: ['M5.5 12.5l4 4 9-9.5'],
  checks: ['M2.5 12.5l4 4 9-9.5', 'M11.5 15.7l1 .8 9-9.5'],
  alert: ['M12 4.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15z', 'M12 8.5v4.5', 'M12 15.8v.2'],
  clip: ['M19 11.5l-7.4 7.4a4.6 4.6 0 0 1-6.5-6.5l7.7-7.7a3.1 3.1 0 0 1 4.4 4.4l-7.6 7.6a1.6 1.6 0 0 1-2.2-2.2l6.8-6.8'],
  again: ['M18.5 12a6.5 6.5 0 1 1-2-4.7', 'M18.8 4.5v3.8H15'],
  attachment: ['M13.5 4H7.5A1.5 1.5 0 0 0 6 5.5v13A1.5 1.5 0 0 0 7.5 20h9a1.5 1.5 0 0 0 1.5-1.5v-10z', 'M13.5 4v4.5H18'],
  image: ['M5.5 5h13A1.5 1.5 0 0 1 20 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5v-11A1.5 1.5 0 0 1 5.5 5z', 'M4.5 17l4.5-4.5 3 3 3.5-3.5 4 4', 'M9 9.3v.1'],
  audio: ['M9.5 17V6.5l8-1.5v10.5', 'M9.5 17a2 2 0 1 1-4 0 2 2 0 0 1 4 0z', 'M17.5 15.5a2 2 0 1 1-4 0 2 2 0 0 1 4 0z'],
  video: ['M5.5 5.5h13A1.5 1.5 0 0 1 20 7v10a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17V7a1.5 1.5 0 0 1 1.5-1.5z', 'M10.5 9.5v5l4-2.5z'],
  link: ['M13.5 5.5h5v5', 'M18.5 5.5l-7.5 7.5', 'M16.5 13.5v4.5h-11v-11H10'],
};

export type IconName = keyof typeof ICONS;

/** A picture that says nothing: what it means is said in words beside it. */
export function icon(name: IconName, filled = false): SVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  const set = (to: Element, given: Record<string, string>) => Object.entries(given).forEach(([key, value]) => to.setAttribute(key, value));
  set(svg, { viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false', class: `icon icon-${name}${filled ? ' filled' : ''}` });
  for (const d of ICONS[name]) {
    const path = document.createElementNS(SVG, 'path');
    set(path, { d });
    svg.append(path);
  }
  return svg;
}

/** Words that only a screen reader says. */
export const spoken = (text: string): HTMLElement => h('span', { class: 'spoken' }, text);
