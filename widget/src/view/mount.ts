// The element around the widget, with a tree and style sheets of its own: the page's styles stay out, ours stay in.
// Constructable style sheets need no `unsafe-inline` in the page's Content-Security-Policy.
import base from '../style/base.css';
import files from '../style/files.css';
import lines from '../style/lines.css';
import panel from '../style/panel.css';

export function mount(root: HTMLElement): HTMLElement {
  const host = document.createElement('interline-chat');
  const shadow = host.attachShadow({ mode: 'open' });
  shadow.adoptedStyleSheets = [base, panel, lines, files].map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
  shadow.append(root);
  document.body.append(host);
  return host;
}
