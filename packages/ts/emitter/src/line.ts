// SPDX-License-Identifier: Apache-2.0
// One connection to the daemon's socket: dialled, kept, written to within a budget of time.

import { createConnection, type Socket } from "node:net";

import { EmitTransportError } from "./errors.ts";
import { FrameReader } from "./framing.ts";

// Time is spent in so many parts, and between two of them what came meanwhile is looked at.
const PARTS = 5;
// Between two dials of a daemon whose queue of connections is full.
const DIAL_PAUSE_MS = 5;

/** The other end is gone, and nothing of this frame can have become a receipt. */
export class BrokenLine extends Error {}

/** One connection. Keeps no process alive while nothing is under way. */
export class Line {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  #wakes: ((body: Buffer | Error) => void) | undefined;
  #fault: Error | undefined;
  /** The other end was closed with frames of ours unread. */
  hasLostFrames = false;
  /** Frames that were written since the last answer: nobody has said that they were read. */
  unheard = 0;

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
      let socket: Socket;
      let pause: NodeJS.Timeout | undefined;
      const refuse = (reason: string): void => {
        stop();
        clearTimeout(pause);
        socket.destroy();
        reject(
          new EmitTransportError(`no daemon took the connection at ${JSON.stringify(path)}: ${reason}`),
        );
      };
      const begin = (): void => {
        socket = createConnection({ path });
        socket.once("error", (fault: NodeJS.ErrnoException) => {
          // Where the daemon's queue is full, the kernel says so at once instead of waiting.
          if (fault.code === "EAGAIN") pause = setTimeout(begin, DIAL_PAUSE_MS);
          else refuse(fault.message);
        });
        socket.once("connect", () => {
          stop();
          socket.removeAllListeners("error");
          resolve(new Line(socket));
        });
      };
      begin();
      const stop = after(withinMs, () => refuse("out of time"));
    });
  }

  write(frame: Buffer, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const before = this.#socket.bytesWritten;
      const stop = after(withinMs, () => {
        // What is written in part can't be taken back: the next frame needs a line of its own.
        this.close();
        reject(new EmitTransportError("the daemon takes no more for now; the frame is lost"));
      });
      this.#socket.write(frame, (fault) => {
        stop();
        this.unheard += fault ? 0 : 1;
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
      const stop = after(withinMs, () => {
        this.#wakes = undefined;
        this.close(); // a late answer must not be taken for that of another frame
        reject(lost("out of time"));
      });
      this.#wakes = (body) => {
        stop();
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

/**
 * Call `act` when the other side has kept us waiting for so long; return what calls that off. Time
 * in which this process was busy itself is not the other side's: it costs one part, however long.
 */
function after(waitMs: number, act: () => void): () => void {
  let left = PARTS;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    act();
  }, waitMs / PARTS);
  return () => clearInterval(timer);
}
