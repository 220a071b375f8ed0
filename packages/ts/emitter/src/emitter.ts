// SPDX-License-Identifier: Apache-2.0
// Tells a signing daemon on this host what was done: frames over a Unix socket, no key, no store.

import { randomUUID } from "node:crypto";
import { emitWarning, platform } from "node:process";

import { EmitError, EmitTransportError, FrameRefused } from "./errors.ts";
import {
  type Acknowledged,
  defaultSocketPath,
  encodeFrame,
  framed,
  type Members,
  readAnswer,
  withDrops,
} from "./framing.ts";
import { EMITTER_ANSWER_MS_MAX, EMITTER_DIAL_MS_MAX, EMITTER_WRITE_MS_MAX } from "./limits.ts";
import { BrokenLine, Line } from "./line.ts";

export type { Members } from "./framing.ts";

// Frames that wait here for the one under way; more are drops, or a daemon that hangs fills memory.
const QUEUE_FRAMES_MAX = 1024;
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;

export interface EmitterOptions {
  /** Where the daemon listens; else AGENTRECEIPTS_SOCKET, or where daemons are by default. */
  readonly socketPath?: string | undefined;
  /** The host's session; else a random one, for as long as this object lives. */
  readonly sessionId?: string | undefined;
  readonly channel?: string | undefined;
  /** Transport failures reject nothing; they are counted, and the next frame tells the daemon. */
  readonly bestEffort?: boolean | undefined;
  readonly answerMs?: number | undefined;
  readonly environ?: Readonly<Record<string, string | undefined>> | undefined;
  readonly now?: (() => Date) | undefined;
}

/**
 * Sends frames one after the other over one connection, in the order in which they were given.
 * Whatever could not be handed over is counted as a drop, and the next frame that is taken says
 * how many there were.
 */
export class DaemonEmitter {
  readonly socketPath: string;
  readonly sessionId: string;
  readonly channel: string;
  readonly #isBestEffort: boolean;
  readonly #answerMs: number;
  readonly #now: () => Date;
  #line: Line | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #weight = 0;
  #drops = 0;
  #failingMs = 0; // what failed attempts took, all of them
  #hasLooked = false; // in this turn of the event loop: there is nothing new before the next one
  #isClosed = false;

  constructor(options: EmitterOptions = {}) {
    const path = options.socketPath || defaultSocketPath(platform, options.environ ?? process.env);
    if (!path) throw new EmitError("no socket: set AGENTRECEIPTS_SOCKET, or give socketPath");
    this.socketPath = path;
    this.sessionId = options.sessionId?.trim() || randomUUID();
    this.channel = options.channel ?? "sdk";
    this.#isBestEffort = options.bestEffort ?? false;
    this.#answerMs = options.answerMs ?? EMITTER_ANSWER_MS_MAX;
    this.#now = options.now ?? (() => new Date());
  }

  /** How many frames were lost here that no frame has reported yet. */
  get drops(): number {
    return this.#drops;
  }

  /** Hand one frame over. With `ack: true`, wait until its receipt is on stable storage. */
  emit(tool: string, members: Members = {}): Promise<Acknowledged | undefined> {
    return this.send({ tool: { name: tool }, decision: "allowed", ...members });
  }

  /**
   * Hand a frame with these members over; session, time and channel are added. It says what they
   * say now, whatever becomes of them while it waits. Without `countsRefused`, a frame that is
   * refused here is no drop: the caller sends another.
   */
  async send(members: Members, countsRefused = true): Promise<Acknowledged | undefined> {
    if (this.#isClosed) throw new EmitError("this emitter is closed");
    const whole = {
      session_id: this.sessionId,
      ts_emit: this.#now().toISOString(),
      channel: this.channel,
      ...members,
    };
    let body: Buffer;
    try {
      body = encodeFrame(whole);
    } catch (fault) {
      if (countsRefused) this.#count(); // the action was done, and there will be no receipt
      throw fault;
    }
    if (this.#waiting >= QUEUE_FRAMES_MAX || this.#weight + body.length > QUEUE_BYTES_MAX) {
      return this.#failed(new EmitTransportError("too many frames wait for the daemon"));
    }
    this.#waiting += 1;
    this.#weight += body.length;
    const failingMs = this.#failingMs;
    const sent = this.#last.then(() => {
      // A daemon that hangs would have each of them wait for the failures of all before it.
      if (this.#failingMs - failingMs <= this.#answerMs) return this.#send(body, whole);
      return this.#failed(new EmitTransportError("others failed for too long; nothing was sent"));
    });
    this.#last = sent
      .catch(() => undefined)
      .finally(() => {
        this.#waiting -= 1;
        this.#weight -= body.length;
        if (this.#waiting === 0) this.#hasLooked = false;
      });
    return sent;
  }

  /** Wait for what was given, let go of the connection, and warn of drops that nobody was told. */
  async close(): Promise<void> {
    const isFirst = !this.#isClosed;
    this.#isClosed = true;
    await this.#last;
    await this.#look();
    if (this.#line !== undefined) this.#letGo(this.#line);
    if (!isFirst || this.#drops === 0) return;
    const lost = this.#drops === 1 ? "1 frame was" : `${this.#drops} frames were`;
    emitWarning(`${lost} lost, and no later frame told the daemon`, "TallystickWarning");
  }

  async #send(body: Buffer, members: Members): Promise<Acknowledged | undefined> {
    const began = performance.now();
    try {
      return await this.#sent(body, members);
    } catch (fault) {
      const isTransport = fault instanceof EmitTransportError;
      // What the daemon has seen, it counts itself.
      if (!isTransport && (fault instanceof EmitError || fault instanceof FrameRefused)) throw fault;
      this.#failingMs += performance.now() - began;
      return this.#failed(fault);
    }
  }

  async #sent(body: Buffer, members: Members): Promise<Acknowledged | undefined> {
    await this.#look();
    const untold = Object.hasOwn(members, "drop_count") ? 0 : this.#drops;
    const whole = untold > 0 ? withDrops(body, untold) : body;
    const drops = whole === body ? 0 : untold;
    await this.#handOver(framed(whole));
    this.#drops -= drops;
    if (members["ack"] !== true) return undefined;
    try {
      return await this.#answer();
    } catch (fault) {
      this.#drops += drops; // without its receipt, nobody was told
      throw fault;
    }
  }

  /** Hear what became of the kept connection, before a frame says how many were lost. */
  async #look(): Promise<void> {
    const line = this.#line;
    if (!line?.unheard) return;
    if (!this.#hasLooked) {
      // Twice, or a host that was busy has not heard yet: the first may end before anything is read.
      for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      // Frames that wait behind this one go in the same turn: a busy host has more of them than turns.
      this.#hasLooked = true;
      setImmediate(() => (this.#hasLooked = false));
    }
    if (!line.isOpen && this.#line === line) this.#letGo(line);
  }

  #letGo(line: Line, counted = 0): void {
    // The daemon was killed with frames of ours unread; how many, nobody can say.
    if (line.hasLostFrames && line.unheard > counted) this.#count();
    line.close();
    this.#line = undefined;
  }

  /** Write one frame; once again over a fresh connection where the kept one had died. */
  async #handOver(frame: Buffer): Promise<void> {
    const kept = this.#line;
    if (kept?.isOpen) {
      try {
        await kept.write(frame, EMITTER_WRITE_MS_MAX);
        return;
      } catch (fault) {
        if (!(fault instanceof BrokenLine)) throw fault;
        // Nothing that was cut off becomes a receipt: sending it again is safe.
      }
    }
    if (kept !== undefined) this.#letGo(kept);
    const fresh = await Line.dial(this.socketPath, EMITTER_DIAL_MS_MAX);
    this.#line = fresh;
    try {
      await fresh.write(frame, EMITTER_WRITE_MS_MAX);
    } catch (fault) {
      if (!(fault instanceof BrokenLine)) throw fault;
      throw new EmitTransportError(`the daemon closed the connection: ${fault.message}`);
    }
  }

  async #answer(): Promise<Acknowledged> {
    const line = this.#line;
    if (line === undefined) throw new EmitTransportError("the connection is gone", true);
    let body: Buffer;
    try {
      body = await line.read(this.#answerMs);
    } catch (fault) {
      this.#letGo(line, 1); // this one is counted as any that fails
      throw fault;
    }
    line.unheard = 0; // it stores in the order in which frames came
    let answer;
    try {
      answer = readAnswer(body);
    } catch {
      line.close();
      throw new EmitTransportError("this is no answer of a daemon", true);
    }
    if (answer.ok) {
      const { id, chain_id, sequence, hash } = answer;
      return { id, chain_id, sequence, hash };
    }
    if (answer.code.startsWith("FRAME_")) throw new FrameRefused(answer.code, answer.message);
    throw new EmitError(`the daemon did not record it: ${answer.code}: ${answer.message}`, true);
  }

  #count(): void {
    this.#drops = Math.min(this.#drops + 1, Number.MAX_SAFE_INTEGER);
  }

  #failed(fault: unknown): undefined {
    this.#count();
    if (this.#isBestEffort && fault instanceof EmitTransportError) return undefined;
    throw fault;
  }
}
