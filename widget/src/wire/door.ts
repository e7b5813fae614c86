import type { Session } from './api.ts';

/** The way to the files, and who goes it. */
export interface Door {
  /** Where they are. */
  readonly files: string;
  session(): Session | undefined;
  /** This one is too old: another. */
  renew(old: Session | undefined): Promise<Session>;
}
