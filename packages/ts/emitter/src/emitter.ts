// SPDX-License-Identifier: Apache-2.0
// Tells a signing daemon on this host what was done: frames over a Unix socket, no key, no store.

import { randomUUID } from "node:crypto";
import { platform } from "node:process";

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
      if (countsRefused) this.#drops += 1; // the action was done, and there will be no receipt
      throw fault;
    }
    if (this.#waiting >= QUEUE_FRAMES_MAX || this.#weight + body.length > QUEUE_BYTES_MAX) {
      return this.#failed(new EmitTransportError("too many frames wait for the daemon"));
    }
    this.#waiting += 1;
    this.#weight += body.length;
    const sent = this.#last.then(() => this.#send(body, whole));
    this.#last = sent
      .catch(() => undefined)
      .finally(() => {
        this.#waiting -= 1;
        this.#weight -= body.length;
      });
    return sent;
  }

  /** Wait for what was given, and let go of the connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
    this.#line?.close();
    this.#line = undefined;
  }

  async #send(body: Buffer, members: Members): Promise<Acknowledged | undefined> {
    const untold = Object.hasOwn(members, "drop_count") ? 0 : this.#drops;
    const whole = untold > 0 ? withDrops(body, untold) : body;
    const drops = whole === body ? 0 : untold;
    try {
      await this.#handOver(framed(whole));
      this.#drops -= drops;
    } catch (fault) {
      return this.#failed(fault);
    }
    if (members["ack"] !== true) return undefined;
    try {
      return await this.#answer();
    } catch (fault) {
      this.#drops += drops; // without its receipt, nobody was told
      if (fault instanceof EmitTransportError) return this.#failed(fault);
      throw fault; // the daemon has seen this frame, and counts it itself
    }
  }

  /** Write one frame; once again over a fresh connection where the kept one had died. */
  async #handOver(frame: Buffer): Promise<void> {
    const kept = this.#line;
    if (kept !== undefined && kept.hasLostFrames) this.#drops += 1;
    if (kept !== undefined && kept.isOpen) {
      try {
        await kept.write(frame, EMITTER_WRITE_MS_MAX);
        return;
      } catch (fault) {
        if (!(fault instanceof BrokenLine)) throw fault;
        // Nothing that was cut off becomes a receipt: sending it again is safe.
      }
    }
    kept?.close();
    this.#line = undefined;
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
    const body = await line.read(this.#answerMs);
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

  #failed(fault: unknown): undefined {
    this.#drops = Math.min(this.#drops + 1, Number.MAX_SAFE_INTEGER);
    if (this.#isBestEffort && fault instanceof EmitTransportError) return undefined;
    throw fault;
  }
}
