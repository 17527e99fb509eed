/**
 * What a command works with. `Io` is everything it may touch of the process, so that tests run the whole command
 * line in process; `Call` is one command under way. Standard output holds the result only: text for people, or with
 * `--json` one JSON value. Progress and complaints go to standard error.
 */
import type { styleText } from 'node:util';
import type { Connection } from './connection.ts';

export type Format = Parameters<typeof styleText>[0];

export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** Text in a style where the stream shows colours, otherwise as it is. */
  styleOut(format: Format, text: string): string;
  styleErr(format: Format, text: string): string;
  /** Width of standard output in characters; null when it is no terminal. */
  columns: number | null;
  /** Whether somebody is there to answer. */
  interactive: boolean;
  readInput(): Promise<string>;
  env: Record<string, string | undefined>;
  cwd: string;
  /** Calls back at SIGINT or SIGTERM instead of ending the process. @returns how to go back to that. */
  onStop(stop: () => void): () => void;
}

export interface Call {
  io: Io;
  json: boolean;
  args: string[];
  /** Flags of where the server is. */
  server: string | undefined;
  key: string | undefined;
  /** Prints the result: the value as JSON, or the text. */
  print(value: unknown, text: () => string): void;
  connect(): Promise<Connection>;
}

/** Makes a function of a call into what commander runs. A number that it returns is the exit code. */
export type Does = <Options>(
  work: (call: Call, options: Options) => Promise<unknown>,
) => (...given: unknown[]) => Promise<void>;
