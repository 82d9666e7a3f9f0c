/**
 * Keeps what sent-keys.ts notes beside the append-only file, as a source that was killed in the
 * middle of a move does not know of the copies it has left otherwise. One line per event:
 *
 *   + db key ...    before the first byte of the keys leaves
 *   = db key ...    the target has all of them; the keys are removed here after that
 *   - db key ...    the target has deleted its copies
 *
 * Keys are written as hex. After a start a key of `+` is noted whether it is here or not. One of
 * `=` is noted if it is still here; if not it has moved, and belongs to the target: that is why the
 * line stands before the DEL in the append-only file, and leaves only after it. A last line without
 * its end was being written, so what it tells of had not happened.
 *
 * Lines survive the end of the process at any instant; the end of the machine only with
 * `appendfsync always`, as the changes of the last second do otherwise.
 */

import { CodisError, errorText } from "../../base/errors.ts";
import type { Databases } from "../databases.ts";
import { type DataFiles, replaceFile } from "../files.ts";
import { lineOf, type NoteMark, type SentKeys, type SentKeysLog } from "../sent-keys.ts";
import type { ServerState } from "../state.ts";

export const SENT_LOG_NAME = "sent-keys";
/** A file that has become larger is written anew, with what is noted still. */
export const SENT_LOG_BYTES_MAX = 8 * 1024 * 1024;

const LINE = /^([+=-]) (\d{1,9})((?: (?:[0-9a-f]{2})*)+)$/;

/**
 * Takes up what an earlier process has noted, and keeps what this one does. The data is loaded.
 * @throws CodisError "unavailable" when the file is damaged or cannot be read or written
 */
export function openSentLog(state: ServerState, files: DataFiles): void {
  const text = readLog(files);
  replay(state.databases, state.sentKeys, text, `${files.directory}/${SENT_LOG_NAME}`);
  if (state.sentKeys.size > 0) {
    const keys = state.sentKeys.size;
    const text =
      "keys of unfinished moves may have copies at their targets; nobody sees these, and the next " +
      "move of the slots deletes them";
    state.log.warn(text, { keys });
  }
  const log = new SentLog(state, files);
  state.sentKeys.keepIn(log);
  // A key of `=` that is noted again must stay so at the next start, when it may have gone here.
  if (text !== "") log.beginAnew();
}

function readLog(files: DataFiles): string {
  try {
    return files.readText(SENT_LOG_NAME) ?? "";
  } catch (error) {
    throw new CodisError("unavailable", `Cannot read ${files.directory}/${SENT_LOG_NAME}`, error);
  }
}

function replay(databases: Databases, sent: SentKeys, text: string, path: string): void {
  const moved = new Map<string, { readonly dbIndex: number; readonly key: Buffer }>();
  const lines = text.split("\n");
  // What follows the last end of a line.
  lines.pop();
  for (const [i, line] of lines.entries()) {
    const [, mark, database, hex] = LINE.exec(line) ?? [];
    const db = databases.all[Number(database)];
    if (mark === undefined || db === undefined) {
      throw new CodisError(
        "unavailable",
        `Cannot read ${path}: line ${i + 1} is none of "+", "=" or "-", a database below ` +
          `${databases.all.length} and keys as hex. It names keys that unfinished moves may have ` +
          "left at their targets: repair the line, or remove the file once no slot is on the move",
      );
    }
    const keys = hex!
      .slice(1)
      .split(" ")
      .map((key) => Buffer.from(key, "hex"));
    if (mark === "+") sent.note(db, keys);
    else sent.end(db, keys, []);
    for (const key of keys) {
      const name = `${db.index} ${key.toString("latin1")}`;
      if (mark === "=") moved.set(name, { dbIndex: db.index, key });
      else moved.delete(name);
    }
  }
  for (const { dbIndex, key } of moved.values()) {
    const db = databases.all[dbIndex]!;
    if (db.peek(key, 0, key.length) !== 0) sent.note(db, [key]);
  }
}

class SentLog implements SentKeysLog {
  readonly #state: ServerState;
  readonly #files: DataFiles;
  /** Undefined until the first event, and after a failure: then the file is written anew. */
  #fd: number | undefined;
  #bytes = 0;

  constructor(state: ServerState, files: DataFiles) {
    this.#state = state;
    this.#files = files;
  }

  write(mark: NoteMark, dbIndex: number, keys: readonly Buffer[]): string | undefined {
    try {
      if (this.#fd === undefined || this.#bytes > SENT_LOG_BYTES_MAX) this.beginAnew();
      this.#append(this.#fd!, Buffer.from(lineOf(mark, dbIndex, keys), "latin1"));
      return undefined;
    } catch (error) {
      this.#closeFile();
      return `ERR ${errorText(error)}`;
    }
  }

  /** Writes the file with what is noted, and no more. @throws CodisError "unavailable" */
  beginAnew(): void {
    const { journal, sentKeys } = this.#state;
    this.#closeFile();
    try {
      // Lines of `=` leave: what was moved must be gone in the append-only file.
      if (journal?.commit() === false) throw new Error(journal.refusal);
      replaceFile(this.#files, SENT_LOG_NAME, sentKeys.lines());
      this.#fd = this.#files.open(SENT_LOG_NAME, "a");
      this.#bytes = 0;
    } catch (error) {
      throw new CodisError("unavailable", this.#failure, error);
    }
  }

  #append(fd: number, bytes: Buffer): void {
    const files = this.#files;
    try {
      for (let at = 0; at < bytes.length; ) at += files.write(fd, bytes, at, bytes.length);
      if (this.#state.config.appendfsync === "always") files.sync(fd);
      this.#bytes += bytes.length;
    } catch (error) {
      throw new CodisError("unavailable", this.#failure, error);
    }
  }

  get #failure(): string {
    return `Cannot write ${this.#files.directory}/${SENT_LOG_NAME}`;
  }

  /** Leaves only what is noted: a key that moved and has come back since has no copy there. */
  close(): void {
    try {
      if (this.#bytes > 0) this.beginAnew();
    } catch (error) {
      this.#state.log.warn("the notes of moves are left as they are", { error: errorText(error) });
    }
    this.#closeFile();
  }

  #closeFile(): void {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    this.#files.close(fd);
  }
}
