/**
 * What a server does at its start: reads in what was kept, then goes on keeping.
 *
 *   appendonly off                     dbfilename, if there is one
 *   appendonly on, a log               the log; dbfilename is not looked at
 *   appendonly on, no log, dbfilename  dbfilename, which becomes the first base of the log: Redis
 *                                      ignores it and begins empty, which costs whoever turns the
 *                                      log on all data
 *
 * Source: Redis 7.0 src/server.c (`loadDataFromDisk`).
 */

import { join } from "node:path";
import { CodisError, errorText } from "../base/errors.ts";
import { hasLog, manifestName } from "./aof/load.ts";
import { formatManifest, type Manifest } from "./aof/manifest.ts";
import { beginAppendOnly, openAppendOnly, takeDirectory, unusable } from "./aof/open.ts";
import { type DataFiles, diskFiles, replaceFile } from "./files.ts";
import { loadRdb, type RdbLoaded } from "./rdb/load.ts";
import { temporaryName } from "./rdb/rdb-file.ts";
import { RdbSaves } from "./rdb/saves.ts";
import type { ServerState } from "./state.ts";

const COPY_BYTES = 1024 * 1024;

/**
 * Loads the data of the configuration into `state`, sets `state.saves` and, with `appendonly`,
 * `state.journal`.
 * @throws CodisError "unavailable" when files are damaged, cannot be opened or not be written
 */
export async function openData(
  state: ServerState,
  files: DataFiles = diskFiles(state.config.dir),
  logFiles: DataFiles = diskFiles(join(state.config.dir, state.config.appenddirname)),
): Promise<void> {
  const { config } = state;
  if (config.save !== "") checkWritable(files);
  const { identity, isLogged } = lookAround(state, files, logFiles);
  let loaded: RdbLoaded | undefined;
  if (config.appendonly && isLogged) {
    loaded = (await openAppendOnly(state, logFiles)).loadedRdb;
  } else {
    if (isLogged) warnOfLog(state, logFiles, identity !== undefined);
    if (identity !== undefined) loaded = await loadSnapshot(state, files);
    if (config.appendonly) await beginLog(state, files, logFiles, loaded);
  }
  state.saves = new RdbSaves(state, files, { identity, loaded });
}

/**
 * Says of the directories what a start would say, and reads nothing.
 * @throws CodisError "unavailable"
 */
export function checkDirectories(state: Pick<ServerState, "config">): void {
  const { config } = state;
  const files = diskFiles(config.dir);
  const logFiles = diskFiles(join(config.dir, config.appenddirname));
  if (config.save !== "") checkWritable(files);
  lookAround(state, files, logFiles);
  if (!config.appendonly || logFiles.exists("")) return;
  try {
    tryWriting(files);
  } catch (error) {
    throw unusable(logFiles, error);
  }
}

/** What is there, before any of it is read: a file that takes a name later is another one. */
function lookAround(
  { config }: Pick<ServerState, "config">,
  files: DataFiles,
  logFiles: DataFiles,
): { identity: string | undefined; isLogged: boolean } {
  try {
    const identity = files.identity(config.dbfilename);
    return { identity, isLogged: hasLog(logFiles, config.appendfilename) };
  } catch (error) {
    throw unusable(files, error);
  }
}

/**
 * With `appendonly` off Redis serves what the snapshot has, or nothing, without a word of the log:
 * whoever forgot the option takes that for lost data, and writes on beside it.
 */
function warnOfLog({ config, log }: ServerState, logFiles: DataFiles, hasSnapshot: boolean): void {
  const served = hasSnapshot ? `${config.dbfilename} is served instead` : "the server begins empty";
  log.warn(
    `There is an append-only file, which is not read, as appendonly is off: ${served}. To serve ` +
      "what is in it, stop this server before clients change data and start it with --appendonly " +
      "yes (appendonly = true in its file); otherwise move the directory away",
    { directory: logFiles.directory },
  );
}

/** Says at the start what else the first save would say, when changes are refused for it. */
function checkWritable(files: DataFiles): void {
  try {
    tryWriting(files);
  } catch (error) {
    throw new CodisError(
      "unavailable",
      `Cannot write to ${files.directory}, where snapshots are to be saved (${errorText(error)}). ` +
        'Set dir to a directory that exists and can be written to, or save = "" for no snapshots',
    );
  }
}

function tryWriting(files: DataFiles): void {
  const name = temporaryName(process.pid);
  files.close(files.open(name, "w"));
  files.remove(name);
}

async function loadSnapshot(state: ServerState, files: DataFiles): Promise<RdbLoaded> {
  const { config, databases, clock, log } = state;
  const path = `${files.directory}/${config.dbfilename}`;
  const startedMs = clock.monotonic();
  state.isLoading = true;
  const fd = openFile(files, config.dbfilename);
  try {
    const options = { databases, clock, log, path, checksSum: config.rdbchecksum };
    const loaded = await loadRdb(files, fd, { ...options, isPreamble: false });
    const seconds = ((clock.monotonic() - startedMs) / 1000).toFixed(3);
    log.info("RDB loaded", { ...loaded, seconds });
    return loaded;
  } finally {
    files.close(fd);
    state.isLoading = false;
  }
}

function openFile(files: DataFiles, name: string): number {
  try {
    return files.open(name, "r");
  } catch (error) {
    throw new CodisError("unavailable", `Cannot open ${files.directory}/${name}`, error);
  }
}

/** @param loaded the snapshot, when there is one: the log begins with a copy of it */
async function beginLog(
  state: ServerState,
  files: DataFiles,
  logFiles: DataFiles,
  loaded: RdbLoaded | undefined,
): Promise<void> {
  const { appendfilename, dbfilename } = state.config;
  if (loaded === undefined) {
    await openAppendOnly(state, logFiles);
    return;
  }
  const name = `${appendfilename}.1.base.rdb`;
  const manifest: Manifest = { base: { name, seq: 1, type: "b" }, history: [], increments: [] };
  const unlock = takeDirectory(logFiles);
  try {
    await copyFile(files, dbfilename, logFiles, name);
    replaceFile(logFiles, manifestName(appendfilename), formatManifest(manifest));
    const all = { manifest, records: 0, totalBytes: loaded.bytes, rdb: loaded };
    beginAppendOnly(state, logFiles, all, unlock);
  } catch (error) {
    unlock();
    throw new CodisError("unavailable", `Cannot write to ${logFiles.directory}`, error);
  }
  state.log.info("RDB file is now the base of a new append-only file", { file: dbfilename, name });
}

/** A copy that is on the disk when it has its name. */
async function copyFile(
  from: DataFiles,
  fromName: string,
  to: DataFiles,
  toName: string,
): Promise<void> {
  const temporary = `temp-${toName}`;
  const source = from.open(fromName, "r");
  const target = to.open(temporary, "w");
  try {
    const piece = Buffer.allocUnsafeSlow(COPY_BYTES);
    for (let position = 0; ; ) {
      const count = from.read(source, piece, 0, piece.length, position);
      if (count === 0) break;
      for (let at = 0; at < count; ) at += to.write(target, piece, at, count);
      position += count;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await to.syncLater(target);
  } finally {
    from.close(source);
    to.close(target);
  }
  to.rename(temporary, toName);
  to.syncDirectory();
}
