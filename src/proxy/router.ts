/**
 * The slot table of one thread, and the one place where a request's way is chosen.
 *
 *   dispatch: name -> row of the command table -> policy -> keys -> slot -> backend
 *   fill:     block the slot -> drain -> take and release connections -> define, unblock
 *
 * `forward` with the key at argument 1 is nearly all traffic and goes straight through `dispatch`;
 * whatever cannot go at once becomes a Passage, on which the session waits.
 * Source: Codis pkg/proxy/{router,session,mapper}.go.
 */

import { equalBytes } from "../base/bytes.ts";
import { CodisError } from "../base/errors.ts";
import { codisClass, codisKeyIndex, codisPolicy } from "../commands/codis-classes.ts";
import { HTTP_DETECTED, isHttp } from "../commands/http.ts";
import { ALL_COMMANDS, type Command, findKeys, lookupCommand } from "../commands/lookup.ts";
import { FORWARD_SEMI_ASYNC, FORWARD_SYNC, type Slot } from "../model/slot.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import { hashTag, SLOT_COUNT, slotOfRange, tagEnd, tagStart } from "../slots/hash.ts";
import type { Backend } from "./backend.ts";
import type { BackendPool, SharedBackend } from "./backend-pool.ts";
import { type Message, Passage, type PassagePort } from "./forward.ts";
import { answerBeforeAuth, answerLocally } from "./local.ts";
import {
  BAD_COMMAND_LENGTH,
  CROSS_SLOT,
  errorLine,
  forEachServer,
  NO_AUTH,
  notAllowed,
  notSupportedYet,
  unknownCommand,
  wrongArguments,
} from "./replies.ts";
import type { Request } from "./request.ts";
import type { Session } from "./session.ts";
import { OFFLINE, OPEN, ProxySlot } from "./slot.ts";
import { Split } from "./split.ts";
import type { Stats } from "./stats.ts";

export interface RouterConfig {
  readonly session_auth: string;
  readonly backend_number_databases: number;
  readonly backend_primary_only: boolean;
  /** `codis` brings back what the original did with commands it did not know. */
  readonly compat: string;
}

/** A command's way, from its policy and the places of its keys. */
const KEY_IS_FIRST = 0; // forward; the key is argument 1
const FORWARD = 1;
const COLOCATED = 2;
const SPLIT = 3;
const LOCAL = 4;
const REFUSE = 5;
const LATER = 6;
const HTTP = 7;
const WAY_MASK = 7;
/** Added to a way: a replica may answer. */
const READS = 8;

/** A command's name is no longer, whether we know it or not. */
const NAME_BYTES_MAX = 64;

export class Router {
  readonly slots: readonly ProxySlot[];
  readonly config: RouterConfig;
  readonly isCompat: boolean;

  readonly #stats: Stats;
  readonly #port: PassagePort;
  readonly #primaries: BackendPool;
  readonly #replicas: BackendPool;
  readonly #ways: Uint8Array;
  /** Keys of the request in hand, as `findKeys` leaves them. */
  #keys = new Int32Array(64);
  /** Fills apply one after another. */
  #filling: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #nextSlot = 0;

  constructor(
    config: RouterConfig,
    primaries: BackendPool,
    replicas: BackendPool,
    stats: Stats,
    port: PassagePort,
  ) {
    this.config = config;
    this.isCompat = config.compat === "codis";
    this.#primaries = primaries;
    this.#replicas = replicas;
    this.#stats = stats;
    this.#port = port;
    this.slots = Array.from({ length: SLOT_COUNT }, (_, id) => new ProxySlot(id));
    this.#ways = Uint8Array.from(ALL_COMMANDS, (command) => wayOf(command, this.isCompat));
  }

  // -- requests ---------------------------------------------------------------------------------

  /**
   * Handles the request that `decoder` is at.
   * @returns false when it waits; then it is the session's pending dispatch
   */
  dispatch(session: Session, decoder: RequestDecoder): boolean {
    const { buf, args } = decoder;
    const command = lookupCommand(buf, args[0]!, args[1]!);
    this.#stats.total++;
    if (command === undefined || !session.isAuthorized) {
      return this.#dispatchGuarded(session, decoder, command);
    }
    if ((this.#ways[command.id]! & WAY_MASK) !== KEY_IS_FIRST) {
      return this.#dispatchBy(session, decoder, command);
    }
    const slotId = decoder.argc > 1 ? slotOfRange(buf, args[2]!, args[3]!) : 0;
    const slot = this.slots[slotId]!;
    if (slot.mode === OPEN) {
      const backend = slot.primary!.lane(session.database, session, 0);
      const isTrusted = session.window.trusts(session.length + 1);
      if (!backend.isFull && (isTrusted || !backend.gate.isShut)) {
        const request = session.begin(command.id);
        slot.underWay++;
        request.slot = slot;
        request.isHeavy = !isTrusted;
        backend.push(request, buf, decoder.start, decoder.end);
        return true;
      }
    }
    const keys = decoder.argc > 1 ? [args[2]!, args[3]!] : [];
    if (this.isCompat && slot.mode !== OPEN) this.#addTagMates(decoder, command, keys);
    return this.#forward(session, decoder, command.id, slotId, keys, this.#isRead(command));
  }

  /** Names that are unknown or malformed, and sessions that owe a password. */
  #dispatchGuarded(
    session: Session,
    decoder: RequestDecoder,
    command: Command | undefined,
  ): boolean {
    const { buf, args } = decoder;
    const nameBytes = args[1]! - args[0]!;
    if (nameBytes === 0 || nameBytes > NAME_BYTES_MAX) {
      session.refuse(this.#stats.unknownId(""), BAD_COMMAND_LENGTH);
      return true;
    }
    if (command !== undefined) {
      const way = this.#ways[command.id]! & WAY_MASK;
      if (way === REFUSE || way === HTTP) return this.#dispatchBy(session, decoder, command);
      if (answerBeforeAuth(session, decoder, command)) return true;
    }
    const name = buf.latin1Slice(args[0]!, args[1]!);
    const commandId = command?.id ?? this.#stats.unknownId(name.toUpperCase());
    if (!session.isAuthorized) {
      session.answer(commandId, errorLine(NO_AUTH));
      return true;
    }
    if (!this.isCompat) {
      const shown = [];
      for (let i = 1; i < decoder.argc && i < 64; i++) shown.push(argText(decoder, i));
      session.answer(commandId, errorLine(unknownCommand(name, shown)));
      return true;
    }
    const keys = decoder.argc > 1 ? [args[2]!, args[3]!] : [];
    return this.#forward(session, decoder, commandId, slotOfKeys(buf, keys), keys, false);
  }

  #dispatchBy(session: Session, decoder: RequestDecoder, command: Command): boolean {
    switch (this.#ways[command.id]! & WAY_MASK) {
      case FORWARD:
      case COLOCATED:
        return this.#dispatchKeyed(session, decoder, command);
      case SPLIT:
        return this.#dispatchSplit(session, decoder, command);
      case LOCAL:
        return (
          answerBeforeAuth(session, decoder, command) ||
          answerLocally(session, decoder, command, this)
        );
      case LATER:
        session.refuse(command.id, notSupportedYet(command.name));
        return true;
      case HTTP:
        this.#stats.countFail(command.id);
        session.destroy(HTTP_DETECTED);
        return true;
      default:
        session.refuse(command.id, refusal(command, this.isCompat));
        return true;
    }
  }

  /** Keys anywhere, or none; several must share a slot. */
  #dispatchKeyed(session: Session, decoder: RequestDecoder, command: Command): boolean {
    const { buf, args } = decoder;
    const keys: number[] = [];
    const count = this.#findKeys(decoder, command);
    for (let i = 0; i < count; i++) {
      const index = this.#keys[i]!;
      keys.push(args[2 * index]!, args[2 * index + 1]!);
    }
    const slotId = slotOfKeys(buf, keys);
    for (let i = 2; i < keys.length; i += 2) {
      if (slotOfRange(buf, keys[i]!, keys[i + 1]!) === slotId) continue;
      session.answer(command.id, errorLine(CROSS_SLOT));
      return true;
    }
    if (this.isCompat && this.slots[slotId]!.mode !== OPEN) {
      this.#addTagMates(decoder, command, keys);
    }
    return this.#forward(session, decoder, command.id, slotId, keys, this.#isRead(command));
  }

  /**
   * Under `compat` one key decides the way, and alone it is pulled, as the original does. What must
   * come with it are the keys that share its tag: not every source moves them with it.
   */
  #addTagMates(decoder: RequestDecoder, command: Command, keys: number[]): void {
    const { buf, args } = decoder;
    if (keys.length === 0 || !hashTag(buf, keys[0]!, keys[1]!)) return;
    const [from, to] = [tagStart, tagEnd];
    const count = this.#findAllKeys(decoder, command);
    for (let i = 0; i < count; i++) {
      const [keyFrom, keyTo] = [args[2 * this.#keys[i]!]!, args[2 * this.#keys[i]! + 1]!];
      if (keyFrom === keys[0] || !hashTag(buf, keyFrom, keyTo)) continue;
      if (equalBytes(buf, from, to, buf, tagStart, tagEnd)) keys.push(keyFrom, keyTo);
    }
  }

  /** Leaves the indexes of key arguments in `#keys`. */
  #findKeys(decoder: RequestDecoder, command: Command): number {
    if (this.isCompat) {
      this.#keys[0] = codisKeyIndex(command);
      return this.#keys[0] < decoder.argc ? 1 : 0;
    }
    return this.#findAllKeys(decoder, command);
  }

  #findAllKeys(decoder: RequestDecoder, command: Command): number {
    let count = findKeys(command, decoder, this.#keys);
    if (count > this.#keys.length) {
      this.#keys = new Int32Array(count);
      count = findKeys(command, decoder, this.#keys);
    }
    // Keys that cannot be told: any server says what is wrong with the request.
    return Math.max(0, count);
  }

  #dispatchSplit(session: Session, decoder: RequestDecoder, command: Command): boolean {
    const { argc } = decoder;
    if (argc === 1 || (argc - 1) % command.step !== 0) {
      session.answer(command.id, errorLine(wrongArguments(command.name)));
      return true;
    }
    if (argc === 1 + command.step) return this.#dispatchKeyed(session, decoder, command);
    const parent = session.begin(command.id);
    const split = new Split(
      parent,
      session,
      command,
      decoder,
      this.#isRead(command),
      this.#forwardPart,
    );
    if (split.retry()) return true;
    session.wait(split);
    return false;
  }

  /** The whole request, to the slot's backend. */
  #forward(
    session: Session,
    decoder: RequestDecoder,
    commandId: number,
    slotId: number,
    keys: readonly number[],
    isRead: boolean,
  ): boolean {
    const { buf, start, end, argc } = decoder;
    const message = { prefix: undefined, buf, from: start, to: end, argc, keys, isRead, own: 1 };
    const request = session.begin(commandId);
    const passage = this.#forwardPart(session, request, slotId, message);
    if (passage === undefined) return true;
    session.wait(passage);
    return false;
  }

  readonly #forwardPart = (
    session: Session,
    request: Request,
    slotId: number,
    message: Message,
  ): Passage | undefined => {
    const passage = new Passage(request, session, this.slots[slotId]!, message, this.#port);
    return passage.retry() ? undefined : passage;
  };

  #isRead(command: Command): boolean {
    return (this.#ways[command.id]! & READS) !== 0;
  }

  // -- what local answers ask -------------------------------------------------------------------

  /** Forwards the request in hand to the slot, without regard to keys. */
  forwardToSlot(
    session: Session,
    decoder: RequestDecoder,
    command: Command,
    slotId: number,
  ): boolean {
    return this.#forward(session, decoder, command.id, slotId, [], this.#isRead(command));
  }

  /** A slot for a request that any server can answer: in turn, one that is served if there is one. */
  anySlot(): number {
    for (let i = 0; i < SLOT_COUNT; i++) {
      this.#nextSlot = (this.#nextSlot + 1) % SLOT_COUNT;
      if (this.isCompat || this.slots[this.#nextSlot]!.mode !== OFFLINE) break;
    }
    return this.#nextSlot;
  }

  /** Whether some slot uses a server at exactly this address. */
  knowsBackend(address: string): boolean {
    return this.#findShared(address) !== undefined;
  }

  /** A healthy connection to the server at exactly this address, primaries first. */
  findBackend(address: string, session: Session): Backend | undefined {
    for (const pool of [this.#primaries, this.#replicas]) {
      const backend = pool.find(address)?.healthyLane(session.database, session);
      if (backend !== undefined) return backend;
    }
    return undefined;
  }

  #findShared(address: string): SharedBackend | undefined {
    return this.#primaries.find(address) ?? this.#replicas.find(address);
  }

  // -- the table --------------------------------------------------------------------------------

  /**
   * Puts definitions in force, in order, each when nothing is under way in its slot.
   * @throws CodisError at the first that is wrong, or when closed; those before it stay
   */
  fill(definitions: readonly Slot[]): Promise<void> {
    return this.#inTurn(async () => {
      for (const definition of definitions) await this.#fillOne(definition);
    });
  }

  /** Refuses everything from now on; resolves when what was under way is answered. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#inTurn(async () => {
      for (const slot of this.slots) slot.block();
      for (const slot of this.slots) {
        await slot.drain();
        this.#releaseBackends(slot);
        slot.shut();
      }
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#filling.then(work);
    this.#filling = done.catch(() => undefined);
    return done;
  }

  async #fillOne(definition: Slot): Promise<void> {
    if (this.#isClosed) throw new CodisError("closed", "use of closed proxy");
    const slot = this.slots[definition.id];
    if (slot === undefined) throw new CodisError("usage", "use of invalid slot id");
    const method = definition.forward_method;
    if (method !== FORWARD_SYNC && method !== FORWARD_SEMI_ASYNC) {
      throw new CodisError("usage", "use of invalid forwarder method");
    }
    slot.block();
    if (slot.underWay > 0) await slot.drain();
    const effective = this.#effective(definition);
    const { backend_addr: primary, migrate_from: source, replica_groups: groups } = effective;
    // Taken before the old ones are released: an address in both keeps its connections.
    const backends = {
      primary: primary === "" ? undefined : this.#primaries.retain(primary),
      source: source === "" ? undefined : this.#primaries.retain(source),
      replicas: groups.map((group) => group.map((address) => this.#replicas.retain(address))),
    };
    this.#releaseBackends(slot);
    slot.define(effective, backends);
  }

  /** What is reported and acted on: without what has no meaning. */
  #effective(definition: Slot): Slot {
    const { backend_addr: primary, migrate_from: source } = definition;
    const groups = this.config.backend_primary_only ? [] : definition.replica_groups;
    return {
      ...definition,
      backend_addr_group_id: primary === "" ? 0 : definition.backend_addr_group_id,
      migrate_from_group_id: source === "" ? 0 : definition.migrate_from_group_id,
      replica_groups: groups.filter((group) => group.length > 0),
    };
  }

  #releaseBackends({ primary, source, replicas }: ProxySlot): void {
    if (primary !== undefined) this.#primaries.release(primary);
    if (source !== undefined) this.#primaries.release(source);
    for (const group of replicas) for (const replica of group) this.#replicas.release(replica);
  }
}

/** Argument `index` of the request in hand, one character per byte. */
export function argText({ buf, args }: RequestDecoder, index: number): string {
  return buf.latin1Slice(args[2 * index]!, args[2 * index + 1]!);
}

/** The slot of the first key; without one, slot 0. */
function slotOfKeys(buf: Buffer, keys: readonly number[]): number {
  return keys.length === 0 ? 0 : slotOfRange(buf, keys[0]!, keys[1]!);
}

function refusal({ name, proxy }: Command, isCompat: boolean): string {
  return proxy === "everywhere" && !isCompat ? forEachServer(name) : notAllowed(name);
}

function wayOf(command: Command, isCompat: boolean): number {
  // Also under compat: the original answered an error, and executed what came behind it.
  if (isHttp(command)) return HTTP;
  const policy = isCompat ? codisPolicy(command) : command.proxy;
  const isRead = isCompat ? codisClass(command) === "R" : command.replica;
  const reads = isRead ? READS : 0;
  switch (policy) {
    case "forward": {
      const keyIndex = isCompat ? codisKeyIndex(command) : command.first;
      return (keyIndex === 1 ? KEY_IS_FIRST : FORWARD) | reads;
    }
    case "colocated":
      return COLOCATED | reads;
    case "split":
      return SPLIT | reads;
    case "local":
      return LOCAL | reads;
    case "everywhere":
    case "refuse":
      return REFUSE;
    case "later":
      return LATER;
  }
}
