/** What the user does, for the one who knows what it means. */
export interface Actions {
  open(): void;
  close(): void;
  say(text: string): void;
  typed(): void;
  end(): void;
  restart(): void;
  retry(): void;
  earlier(): void;
  /** Sends a line again that was not accepted. */
  again(clientId: string): void;
  /** Takes such a line back; its words. */
  edit(clientId: string): string | undefined;
}
