// SPDX-License-Identifier: Apache-2.0
// Tells a signing daemon on this host what was done: frames over a Unix socket, no key, no store.

import { randomUUID } from "node:crypto";
import { createConnection, type Socket } from "node:net";
import { platform } from "node:process";

import { EmitError, EmitTransportError, FrameRefused } from "./errors.ts";
import {
  type Acknowledged,
  defaultSocketPath,
  encodeFrame,
  framed,
  FrameReader,
  type Members,
  readAnswer,
  withDrops,
} from "./framing.ts";
import { EMITTER_ANSWER_MS_MAX, EMITTER_DIAL_MS_MAX, EMITTER_WRITE_MS_MAX } from "./limits.ts";

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

/** The other end is gone, and nothing of this frame can have become a receipt. */
class BrokenLine extends Error {}

/** One connection. Keeps no process alive while nothing is under way. */
class Line {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  #wakes: ((body: Buffer | Error) => void) | undefined;
  #fault: Error | undefined;
  /** The daemon was killed with frames of ours unread; how many, nobody can say. */
  hasLostFrames = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (data) => this.#took(data));
    socket.on("end", () => this.#ended(new Error("the connection ended")));
    socket.on("error", (fault: NodeJS.ErrnoException) => {
      if (fault.code === "ECONNRESET") this.hasLostFrames = true;
      this.#ended(fault);
    });
    socket.on("close", () => this.#ended(new Error("the connection ended")));
    socket.unref();
  }

  get isOpen(): boolean {
    return this.#fault === undefined;
  }

  static dial(path: string, withinMs: number): Promise<Line> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ path });
      const refuse = (reason: string): void => {
        clearTimeout(timer);
        socket.destroy();
        reject(
          new EmitTransportError(`no daemon took the connection at ${JSON.stringify(path)}: ${reason}`),
        );
      };
      const timer = setTimeout(() => refuse("out of time"), withinMs);
      socket.once("error", (fault) => refuse(fault.message));
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.removeAllListeners("error");
        resolve(new Line(socket));
      });
    });
  }

  write(frame: Buffer, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const before = this.#socket.bytesWritten;
      const timer = setTimeout(() => {
        // What is written in part can't be taken back: the next frame needs a line of its own.
        this.close();
        reject(new EmitTransportError("the daemon takes no more for now; the frame is lost"));
      }, withinMs);
      this.#socket.write(frame, (fault) => {
        clearTimeout(timer);
        if (!fault) resolve();
        else {
          this.#ended(fault);
          reject(new BrokenLine(`${fault.message} after ${this.#socket.bytesWritten - before} bytes`));
        }
      });
    });
  }

  read(withinMs: number): Promise<Buffer> {
    const lost = (reason: string): EmitTransportError =>
      new EmitTransportError(
        `the daemon did not answer, so the frame may be stored or not: ${reason}`,
        true,
      );
    return new Promise((resolve, reject) => {
      if (this.#fault !== undefined) {
        reject(lost(this.#fault.message));
        return;
      }
      const timer = setTimeout(() => {
        this.#wakes = undefined;
        this.close(); // a late answer must not be taken for that of another frame
        reject(lost("out of time"));
      }, withinMs);
      this.#wakes = (body) => {
        clearTimeout(timer);
        this.#wakes = undefined;
        if (body instanceof Error) reject(lost(body.message));
        else resolve(body);
      };
    });
  }

  close(): void {
    this.#fault ??= new Error("closed");
    this.#socket.destroy();
  }

  #took(data: Buffer): void {
    let bodies: Buffer[];
    try {
      bodies = this.#reader.take(data);
    } catch (fault) {
      this.#ended(fault as Error);
      this.#socket.destroy();
      return;
    }
    for (const body of bodies) {
      if (this.#wakes !== undefined) this.#wakes(body);
      else this.close(); // an answer that nobody waits for
    }
  }

  #ended(fault: Error): void {
    this.#fault ??= fault;
    this.#wakes?.(fault);
  }
}
