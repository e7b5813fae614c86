// A file of a line: what it is, and the way to it.
import { copy } from '../files/pictures.ts';
import type { Picture } from '../files/pictures.ts';
import type { Speech } from '../texts/texts.ts';
import type { Attachment } from '../wire/attachment.ts';
import { h, icon, spoken } from './dom.ts';

export function card(file: Attachment, speech: Speech, picture: Promise<Picture | undefined> | undefined): HTMLElement {
  const { name, bytes, kind, url, warning } = file;
  const face = h('span', { class: 'face' }, icon(kind));
  const about = h('span', { class: 'about' }, h('bdi', { class: 'file-name' }, name), h('span', { class: 'file-size' }, speech.size(bytes)));
  if (warning) about.append(h('span', { class: 'warning' }, icon('alert'), h('span', { dir: 'auto' }, speech.say('file_warning', { found: warning }))));
  const made = url
    ? h('a', { class: 'file', part: 'file', href: url, target: '_blank', rel: 'noopener noreferrer' }, face, about, spoken(` (${speech.say('new_window')})`))
    : h('span', { class: 'file', part: 'file' }, face, about);
  if (picture) void show(made, face, picture);
  return made;
}

/** Room is kept for the picture until it is known that there is none: what is below stands still. */
async function show(made: HTMLElement, face: HTMLElement, picture: Promise<Picture | undefined>): Promise<void> {
  made.classList.add('pictured');
  const found = await picture;
  if (found) face.replaceChildren(copy(found));
  else made.classList.remove('pictured');
}
