/** Who the user talks to. */
export interface Phase {
  phase: 'bot' | 'waiting' | 'agent' | 'closed';
  /** The place in the queue, 1 is next, if it is known. */
  position?: number;
  /** The agent's name, if it is known. */
  agent?: string;
}
