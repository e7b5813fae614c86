import type { Picture } from '../files/pictures.ts';

/** What the user does, for the one who knows what it means. */
export interface Actions {
  open(): void;
  close(): void;
  say(text: string): void;
  /** Says what was written, and gives what was attached. */
  send(text: string): void;
  typed(): void;
  attach(files: readonly File[]): void;
  /** Takes a file back, sends one again, by its key. */
  detach(key: number): void;
  attachAgain(key: number): void;
  /** A small picture of a stored file, if there is one. */
  picture(fileId: string): Promise<Picture | undefined>;
  /** That of a file on its way. */
  preview(key: number): Promise<Picture | undefined>;
  end(): void;
  restart(): void;
  retry(): void;
  earlier(): void;
  /** Sends a line again that was not accepted. */
  again(clientId: string): void;
  /** Takes such a line back; its words. */
  edit(clientId: string): string | undefined;
}
