// SPDX-License-Identifier: Apache-2.0
// What the emitter does when the daemon is there, away, slow, rude, or killed.

import assert from "node:assert/strict";
import { once } from "node:events";
import { renameSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { Worker } from "node:worker_threads";

import { DaemonEmitter, EmitError, EmitTransportError, FrameRefused, limits } from "@tallystick/emitter";

import { withDrops } from "../emitter/src/framing.ts";
import { Listener } from "./listener.ts";

let listener: Listener;

beforeEach(async () => {
  listener = await new Listener().start();
});
afterEach(() => listener.remove());

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("frames arrive in order, with one session, over one connection", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path, channel: "openclaw" });
  await Promise.all(Array.from({ length: 50 }, (_, n) => emitter.emit(`t${n}`)));
  await listener.wait(50);
  await emitter.close();
  assert.deepEqual(listener.frames.map((one) => one["tool"].name), Array.from({ length: 50 }, (_, n) => `t${n}`));
  assert.deepEqual(new Set(listener.frames.map((one) => one["session_id"])), new Set([emitter.sessionId]));
  assert.match(emitter.sessionId, UUID);
  assert.equal(listener.connections, 1);
});

test("an acknowledgement says which receipt", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  const answers = await Promise.all([emitter.emit("a", { ack: true }), emitter.emit("b", { ack: true })]);
  assert.deepEqual(answers.map((one) => one?.sequence), [1, 2]);
  assert.equal(await emitter.emit("c"), undefined);
  await emitter.close();
});

test("session ids: given ones are trimmed, blank ones are made", () => {
  assert.equal(new DaemonEmitter({ socketPath: "/x", sessionId: " s " }).sessionId, "s");
  assert.match(new DaemonEmitter({ socketPath: "/x", sessionId: "  " }).sessionId, UUID);
});

test("losses are counted, and the next frame tells them", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  await listener.stop();
  await assert.rejects(emitter.emit("a"), EmitTransportError);
  await assert.rejects(emitter.emit("b", { decision: "maybe" }), FrameRefused);
  assert.equal(emitter.drops, 2);
  await listener.start();
  await emitter.emit("c", { ack: true });
  assert.equal(listener.frames[0]?.["drop_count"], 2);
  assert.equal(emitter.drops, 0);
  await emitter.emit("d", { ack: true });
  assert.equal(listener.frames[1]?.["drop_count"], undefined);
  await emitter.close();
});

test("best effort rejects no transport failure, and counts it", async () => {
  const emitter = new DaemonEmitter({ socketPath: "/nowhere/s", bestEffort: true });
  assert.equal(await emitter.emit("a"), undefined);
  assert.equal(emitter.drops, 1);
  await assert.rejects(emitter.emit("b", { agent_id: "a/b" }), FrameRefused);
});

test("a restart of the daemon loses nothing", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  await emitter.emit("a", { ack: true });
  await listener.stop();
  await listener.start();
  await emitter.emit("b", { ack: true });
  assert.deepEqual(listener.frames.map((one) => one["tool"].name), ["a", "b"]);
  await emitter.close();
});

test("an answer that does not come leaves open whether it is stored", async () => {
  listener.answer = () => undefined;
  const emitter = new DaemonEmitter({ socketPath: listener.path, answerMs: 50 });
  await assert.rejects(
    emitter.emit("a", { ack: true }),
    (fault) => fault instanceof EmitTransportError && fault.mayBeStored,
  );
  assert.equal(emitter.drops, 1);
  await emitter.close();
});

test("refusals of the daemon are told apart", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  listener.answer = () => ({ ok: false, code: "FRAME_VALUE", message: "no" });
  await assert.rejects(emitter.emit("a", { ack: true }), FrameRefused);
  listener.answer = () => ({ ok: false, code: "STORE", message: "no" });
  await assert.rejects(
    emitter.emit("a", { ack: true }),
    (fault) => fault instanceof EmitError && fault.isTransient && !(fault instanceof EmitTransportError),
  );
  assert.equal(emitter.drops, 0);
  await emitter.close();
});

for (const [name, answer] of [
  ["no JSON", Buffer.from([0, 0, 0, 1, 0x7b])],
  ["a length over the limit", Buffer.from([0xff, 0xff, 0xff, 0xff])],
  ["an answer without a member", { ok: true }],
] as const) {
  test(`what is no answer ends the connection: ${name}`, async () => {
    listener.answer = () => answer;
    const emitter = new DaemonEmitter({ socketPath: listener.path, answerMs: 2000 });
    await assert.rejects(emitter.emit("a", { ack: true }), EmitTransportError);
    listener.answer = () => undefined;
    await emitter.emit("b");
    await listener.wait(2);
    assert.equal(listener.connections, 2);
    await emitter.close();
  });
}

test("a daemon that takes nothing does not hang the agent", async () => {
  const stuck = createServer((socket) => socket.pause());
  const path = `${listener.path}2`;
  await new Promise<void>((resolve) => stuck.listen(path, resolve));
  const emitter = new DaemonEmitter({ socketPath: path });
  const before = Date.now();
  const sent = Array.from({ length: 4 }, () =>
    emitter.emit("a", { input: "x".repeat(400_000) }).catch((fault: unknown) => fault),
  );
  const faults = await Promise.all(sent);
  assert.ok(faults.some((one) => one instanceof EmitTransportError));
  assert.ok(Date.now() - before < 3000);
  await emitter.close();
  stuck.close();
  (stuck as unknown as { closeAllConnections?: () => void }).closeAllConnections?.();
});

/** Keep this process from everything else, as a host does that works. */
function work(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
}

test("a host that is busy itself loses no frame to a daemon that is there", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  const first = emitter.emit("first");
  await Promise.resolve(); // it dials
  work(400);
  await first;
  const second = emitter.emit("second", { input: "x".repeat(400_000) });
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve(); // it writes what there is room for
  work(400);
  await second;
  assert.equal(emitter.drops, 0);
  assert.equal((await listener.wait(2)).length, 2);
  await emitter.close();
});

test("a daemon whose queue of connections is full is dialled again", async () => {
  const path = `${listener.path}-full`;
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const slow = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     const { path, flag } = workerData;
     require("node:net").createServer((socket) => socket.resume()).listen({ path, backlog: 1 }, () => {
       parentPort.postMessage("listens");
       setImmediate(() => Atomics.wait(flag, 0, 0));
     });`,
    { eval: true, workerData: { path, flag } },
  );
  await once(slow, "message");
  slow.unref();
  const others: Socket[] = [];
  for (let isFull = false; !isFull; ) {
    const one = createConnection({ path });
    others.push(one);
    isFull = await new Promise((resolve) => {
      one.once("connect", () => resolve(false));
      one.once("error", (fault: NodeJS.ErrnoException) => resolve(fault.code === "EAGAIN"));
    });
  }
  const emitter = new DaemonEmitter({ socketPath: path });
  const sent = emitter.emit("a");
  setTimeout(() => {
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  }, 20);
  try {
    await sent;
  } finally {
    await emitter.close();
    for (const one of others) one.destroy();
    await slow.terminate();
  }
});

/** A daemon that reads nothing. Killed, another one is there at once, which is the listener. */
async function deaf(): Promise<{ path: string; kill: () => void; connections: () => number }> {
  const path = `${listener.path}-deaf`;
  const open: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => open.push(socket));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  server.unref();
  const kill = (): void => {
    renameSync(listener.path, path);
    for (const one of open) one.destroy();
  };
  return { path, kill, connections: () => open.length };
}

test("the next frame tells what a killed daemon left unread, also if it is killed just now", async () => {
  const { path, kill } = await deaf();
  const emitter = new DaemonEmitter({ socketPath: path });
  await emitter.emit("a");
  await new Promise((resolve) => setTimeout(resolve, 20));
  kill();
  await emitter.emit("b", { ack: true });
  assert.deepEqual(listener.frames.map((one) => one["drop_count"]), [1]);
  assert.equal(emitter.drops, 0);
  await emitter.close();
});

test("a frame that was asked about and left unread is one drop", async () => {
  const { path, kill } = await deaf();
  const emitter = new DaemonEmitter({ socketPath: path });
  setTimeout(kill, 20);
  await assert.rejects(emitter.emit("a", { ack: true }), EmitTransportError);
  await emitter.emit("b", { ack: true });
  assert.deepEqual(listener.frames.map((one) => one["drop_count"]), [1]);
  assert.equal(emitter.drops, 0);
  await emitter.close();
});

test("drops that no frame tells are told when it is closed", async () => {
  const { path, kill } = await deaf();
  const emitter = new DaemonEmitter({ socketPath: path });
  await emitter.emit("a");
  await new Promise((resolve) => setTimeout(resolve, 20));
  kill();
  const told: string[] = [];
  const hear = (warning: Error): void => void told.push(warning.message);
  process.on("warning", hear);
  await emitter.close();
  await emitter.close();
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", hear);
  assert.deepEqual(told, ["1 frame was lost, and no later frame told the daemon"]);
});

test("who waits behind frames that fail does not wait for each of them", async () => {
  const { path, kill, connections } = await deaf();
  const emitter = new DaemonEmitter({ socketPath: path, answerMs: 50 });
  const sent = Array.from({ length: 20 }, () => emitter.emit("a", { ack: true }).catch((one) => one));
  await emitter.close();
  for (const one of await Promise.all(sent)) assert.ok(one instanceof EmitTransportError);
  assert.ok(connections() <= 2, String(connections()));
  assert.equal(emitter.drops, 20);
  kill();
});

test("frames that wait for each other go in one turn of a busy host", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  await emitter.emit("first");
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await Promise.all(Array.from({ length: 200 }, () => emitter.emit("a")));
  isOver = true;
  assert.ok(turns < 100, String(turns));
  await listener.wait(201);
  await emitter.close();
});

test("who closes it twice at once is told the same", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  await emitter.emit("a");
  await Promise.all([emitter.close(), emitter.close()]);
  assert.equal((await listener.wait(1)).length, 1);
});

test("frames that wait are bounded", async () => {
  const emitter = new DaemonEmitter({ socketPath: "/nowhere/s" });
  const sent = Array.from({ length: 1100 }, () => emitter.emit("a").catch((fault: Error) => fault.message));
  const told = await Promise.all(sent);
  assert.ok(told.some((one) => String(one).startsWith("too many")));
  assert.equal(emitter.drops, 1100);
});

test("a closed emitter says so", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  await emitter.close();
  await assert.rejects(emitter.emit("a"), EmitError);
});

test("a frame says what its members said when it was given", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  const params = { command: "rm -rf /" };
  const sent = emitter.emit("exec", { input: params });
  params.command = "ls";
  await sent;
  assert.deepEqual((await listener.wait(1))[0]?.["input"], { command: "rm -rf /" });
  await emitter.close();
});

test("a refused frame that its caller replaces is no drop", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path });
  const frame = { tool: { name: "t" }, decision: "allowed" };
  await assert.rejects(emitter.send({ ...frame, input: "\ud800" }, false), FrameRefused);
  assert.equal(emitter.drops, 0);
  await assert.rejects(emitter.send({ ...frame, input: "\ud800" }), FrameRefused);
  await emitter.send({ ...frame, ack: true, drop_count: 7 });
  await emitter.send({ ...frame, ack: true });
  assert.deepEqual(listener.frames.map((one) => one["drop_count"]), [7, 1]);
  await emitter.close();
});

test("what waits is bounded by its weight, too", async () => {
  const emitter = new DaemonEmitter({ socketPath: listener.path, bestEffort: true });
  const input = "x".repeat(1_000_000);
  const sent = Array.from({ length: 70 }, () => emitter.emit("t", { input }));
  assert.ok(emitter.drops > 0 && emitter.drops < 10, String(emitter.drops));
  await Promise.all(sent);
  await emitter.close();
});

test("a drop count has no room in a full frame, and goes with the next", () => {
  const body = Buffer.from('{"v":"1"}');
  assert.equal(withDrops(body, 3).toString(), '{"v":"1","drop_count":3}');
  const full = Buffer.alloc(limits.FRAME_BYTES_MAX);
  assert.equal(withDrops(full, 3), full);
});
