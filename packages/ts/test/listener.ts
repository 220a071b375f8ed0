// SPDX-License-Identifier: Apache-2.0
// A Unix socket that takes frames as the daemon does, for tests of what the emitter does.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { framed, FrameReader } from "@tallystick/emitter";

export type Frame = Record<string, any>;

export class Listener {
  readonly path: string;
  readonly frames: Frame[] = [];
  /** What an answer is made of; undefined for none. */
  answer: (frame: Frame) => unknown = (frame) =>
    frame["ack"] === true
      ? { ok: true, id: "urn:receipt:1", chain_id: "c", sequence: this.frames.length, hash: "sha256:0" }
      : undefined;
  connections = 0;
  readonly #folder = mkdtempSync(join(tmpdir(), "tally-"));
  readonly #open = new Set<Socket>();
  #server: Server | undefined;
  #wakes: (() => void)[] = [];

  constructor() {
    this.path = join(this.#folder, "s");
  }

  async start(): Promise<this> {
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.path, resolve));
    return this;
  }

  async stop(): Promise<void> {
    for (const one of this.#open) one.destroy();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true });
  }

  async wait(count: number): Promise<Frame[]> {
    while (this.frames.length < count) {
      await new Promise<void>((resolve) => this.#wakes.push(resolve));
    }
    return this.frames;
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#open.add(socket);
    const reader = new FrameReader();
    socket.on("error", () => undefined);
    socket.on("close", () => this.#open.delete(socket));
    socket.on("data", (data) => {
      for (const body of reader.take(data)) {
        const frame: Frame = JSON.parse(body.toString("utf8"));
        this.frames.push(frame);
        const answer = this.answer(frame);
        if (Buffer.isBuffer(answer)) socket.write(answer);
        else if (answer !== undefined) socket.write(framed(Buffer.from(JSON.stringify(answer))));
        for (const wake of this.#wakes.splice(0)) wake();
      }
    });
  }
}
