/**
 * Reads in the append-only file as a client that no gate stops would send it, then goes on writing
 * to it.
 */

import { EMPTY_BYTES } from "../../base/bytes.ts";
import { CodisError } from "../../base/errors.ts";
import { ReplyWriter } from "../../resp/encoder.ts";
import { Client, type ClientPort } from "../client.ts";
import { createCall, execute } from "../execute.ts";
import type { DataFiles } from "../files.ts";
import { loadRdb } from "../rdb/load.ts";
import type { ServerState } from "../state.ts";
import { AppendOnly } from "./aof.ts";
import { type Loaded, loadAppendOnly, type Replay } from "./load.ts";
import { openSentLog } from "./sent-log.ts";

const MINUS = 0x2d;
const EMPTY_ARGS: Int32Array = new Int32Array(0);

/** The replayed log has no connection. */
const NO_PORT: ClientPort = {
  close() {},
  abort() {},
  backlogBytes: () => 0,
  pendingBytes: () => 0,
  authenticated() {},
  answer() {},
  executeAgain() {},
};

/**
 * Loads the append-only directory of the configuration into `state` and begins to write to it: sets
 * `state.journal`.
 * @throws CodisError "unavailable" when another server uses the directory, or the files are damaged
 * or cannot be opened
 */
export async function openAppendOnly(state: ServerState, files: DataFiles): Promise<AppendOnly> {
  const unlock = takeDirectory(files);
  try {
    return await loadInto(state, files, unlock);
  } catch (error) {
    unlock();
    const isOfDisk = (error as NodeJS.ErrnoException).syscall !== undefined;
    if (!isOfDisk) throw error;
    throw new CodisError("unavailable", `Cannot read the files in ${files.directory}`, error);
  }
}

/** Of a directory that cannot be made, read or written to. */
export function unusable({ directory }: DataFiles, cause: unknown): CodisError {
  const step = "dir must be a directory that exists and can be written to";
  return new CodisError("unavailable", `Cannot use ${directory}: ${step}`, cause);
}

/** Makes the directory, and keeps other servers out. @returns what lets them in again */
export function takeDirectory(files: DataFiles): () => void {
  let unlock: (() => void) | undefined;
  try {
    files.prepare();
    unlock = files.lock();
  } catch (error) {
    throw unusable(files, error);
  }
  if (unlock !== undefined) return unlock;
  throw new CodisError(
    "unavailable",
    `Cannot use ${files.directory}: another server keeps its data there. Stop that one, or name ` +
      "another directory with --dir",
  );
}

async function loadInto(
  state: ServerState,
  files: DataFiles,
  unlock: () => void,
): Promise<AppendOnly> {
  const { config, databases, log, clock } = state;
  const startedMs = clock.monotonic();
  state.isLoading = true;
  // A key whose time is over lives on until all is read: what comes later in the log may need it.
  databases.keepsExpired = true;
  try {
    const loaded = await loadAppendOnly(files, config.appendfilename, replayInto(state, files), {
      cutsTail: config["aof-load-truncated"],
      say: (message) => log.warn(message),
    });
    const seconds = ((clock.monotonic() - startedMs) / 1000).toFixed(3);
    // What was replayed is no client's work.
    state.resetStats();
    state.slowlog.reset();
    log.info("AOF loaded", { records: loaded.records, bytes: loaded.totalBytes, seconds });
    return beginAppendOnly(state, files, loaded, unlock);
  } finally {
    databases.keepsExpired = false;
    state.isLoading = false;
  }
}

/**
 * Begins to write behind what was loaded.
 * @param unlock of `takeDirectory`; called when the files are closed
 * @throws CodisError "unavailable" when the files cannot be opened
 */
export function beginAppendOnly(
  state: ServerState,
  files: DataFiles,
  loaded: Loaded,
  unlock: () => void,
): AppendOnly {
  let journal: AppendOnly;
  try {
    journal = new AppendOnly(state, files, loaded, unlock);
  } catch (error) {
    throw new CodisError("unavailable", `Cannot write to ${files.directory}`, error);
  }
  state.journal = journal;
  openSentLog(state, files);
  return journal;
}

/** Executes records as a client that no gate stops. */
function replayInto(state: ServerState, files: DataFiles): Replay {
  const call = createCall(state);
  const addresses = { address: "", localAddress: "" };
  const client = new Client(0, NO_PORT, addresses, true, state.startedMs);
  client.skipsGates = true;
  const out = new ReplyWriter();
  const request = { buf: EMPTY_BYTES, args: EMPTY_ARGS, argc: 0, start: 0, end: 0 };
  return {
    nextFile() {
      client.dbIndex = 0;
    },
    loadRdb(fd, path) {
      const { databases, clock, log, config } = state;
      const options = { databases, clock, log, path, checksSum: config.rdbchecksum };
      return loadRdb(files, fd, { ...options, isPreamble: true });
    },
    apply(buf, args, argc) {
      request.buf = buf;
      request.args = args;
      request.argc = argc;
      state.databases.nowMs = state.clock.now();
      execute(call, client, request, out);
      const isError = out.buf[out.head] === MINUS;
      const text = isError ? out.buf.toString("latin1", out.head + 1, out.length - 2) : undefined;
      out.clear();
      return text;
    },
  };
}
