// Files that are dropped on the window, or pasted into it.
import type { Speech } from '../texts/texts.ts';
import { h, icon } from './dom.ts';

/** `take` is asked only while `may` says yes. Returns what shows where files may be dropped. */
export function takesFiles(panel: HTMLElement, speech: Speech, may: () => boolean, take: (files: readonly File[]) => void): HTMLElement {
  const words = h('span');
  speech.bind(() => (words.textContent = speech.say('files_here')));
  const over = h('div', { class: 'drop', 'aria-hidden': 'true', hidden: true }, icon('clip'), words);
  // Entering a part of the window comes before leaving the former one.
  let inside = 0;
  const show = (count: number) => {
    inside = count;
    over.hidden = count <= 0;
  };
  const carries = (event: DragEvent) => may() && Boolean(event.dataTransfer?.types.includes('Files'));
  const listen = (name: 'dragenter' | 'dragover' | 'dragleave' | 'drop', on: (event: DragEvent) => void) =>
    panel.addEventListener(name, (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      on(event);
    });
  listen('dragenter', () => show(inside + 1));
  listen('dragleave', () => show(inside - 1));
  listen('dragover', ({ dataTransfer }) => dataTransfer && (dataTransfer.dropEffect = 'copy'));
  listen('drop', ({ dataTransfer }) => {
    show(0);
    take([...(dataTransfer?.files ?? [])]);
  });
  panel.addEventListener('paste', (event) => {
    const given = event.clipboardData;
    // Word processors and tables give a picture of what they give as text.
    const isText = given?.types.includes('text/html') && given.types.includes('text/plain');
    if (!given?.files.length || isText || !may()) return;
    event.preventDefault();
    take([...given.files]);
  });
  return over;
}
