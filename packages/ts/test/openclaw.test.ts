// SPDX-License-Identifier: Apache-2.0
// The plugin, driven as OpenClaw drives plugins: registered, its hooks called, its tools executed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";

import entry, { frameAfter, frameBefore, readConfig, TOOL_TYPES } from "../openclaw/src/index.ts";
import { Host } from "./host.ts";
import { Listener } from "./listener.ts";

let listener: Listener;

beforeEach(async () => {
  listener = await new Listener().start();
});
afterEach(() => listener.remove());

const CONTEXT = { agentId: "main", sessionKey: "agent:main:main", sessionId: "s-1", runId: "r-1" };

test("the manifest says what the plugin does", () => {
  const manifest = JSON.parse(
    readFileSync(new URL("../openclaw/openclaw.plugin.json", import.meta.url), "utf8"),
  );
  const host = new Host({ socketPath: listener.path });
  entry.register(host);
  assert.equal(manifest.id, entry.id);
  assert.deepEqual([...host.tools.keys()].sort(), [...manifest.contracts.tools].sort());
  for (const name of Object.keys(manifest.configSchema.properties)) {
    const value = { enabled: true, requireReceipt: true, types: {} }[name] ?? "x";
    assert.doesNotThrow(() => readConfig({ [name]: value }), name);
  }
});

test("registering is synchronous, opens nothing, and may happen in any mode", async () => {
  for (const mode of ["full", "discovery", "tool-discovery", undefined]) {
    const host = new Host({ socketPath: listener.path }, mode);
    assert.equal(entry.register(host), undefined);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(listener.connections, 0);
});

test("attempt and outcome are tied by the id of the call, in the host's session", async () => {
  const host = new Host({ socketPath: listener.path });
  entry.register(host);
  await host.fire("model_call_started", { runId: "r-1", model: "some-model" });
  const event = { toolName: "exec", params: { command: "ls" }, runId: "r-1", toolCallId: "call-1" };
  assert.equal(await host.fire("before_tool_call", event, CONTEXT), undefined);
  await host.fire("after_tool_call", { ...event, result: { details: { exitCode: 0 } } }, CONTEXT);
  const [before, after] = await listener.wait(2);
  assert.deepEqual(
    [before?.["decision"], after?.["decision"], after?.["error"]],
    ["pending", "allowed", undefined],
  );
  for (const frame of [before, after]) {
    assert.equal(frame?.["correlation_id"], "call-1");
    assert.equal(frame?.["session_id"], "s-1");
    assert.equal(frame?.["action_type"], "system.command.execute");
    assert.equal(frame?.["channel"], "openclaw");
    assert.equal(frame?.["agent_id"], undefined);
  }
  assert.equal(after?.["model"], "some-model");
  assert.notEqual(before?.["idempotency_key"], after?.["idempotency_key"]);
  await host.stop();
});

const call = { toolName: "exec", params: {}, toolCallId: "c" };

for (const [name, event, decision, error] of [
  ["a tool that throws", { error: "boom", result: { details: { status: "error" } } }, "allowed", "boom"],
  ["an empty error", { error: "" }, "allowed", "the tool failed"],
  ["an exit code", { result: { details: { exitCode: 3 } } }, "allowed", "exit code 3"],
  ["an MCP error", { error: "error", result: { details: { mcpServer: "a", mcpTool: "b" } } }, "allowed", "error"],
  ["a status", { result: { details: { status: "error" } } }, "allowed", "the tool failed"],
  ["blocked", { error: "no", result: { details: { status: "blocked", reason: "no" } } }, "denied", "no"],
  ["done", { result: { details: { exitCode: 0 } } }, "allowed", undefined],
  ["no result", {}, "allowed", undefined],
] as const) {
  test(`outcome: ${name}`, () => {
    const frame = frameAfter({ ...call, ...event }, {});
    assert.deepEqual([frame["decision"], frame["error"]], [decision, error]);
  });
}

test("MCP tools have a server, sub-agents a chain, files a target", () => {
  const split = frameBefore({ ...call, toolName: "github__create_issue" }, {});
  assert.deepEqual(split["tool"], { name: "create_issue", server: "github" });
  const details = { mcpServer: "a__b", mcpTool: "c" };
  const told = frameAfter({ ...call, toolName: "a__b__c", result: { details } }, {});
  assert.deepEqual(told["tool"], { name: "c", server: "a__b" });
  const helper = frameBefore(call, { sessionKey: "agent:main:subagent:77/8", agentId: "main" });
  assert.deepEqual([helper["agent_id"], helper["agent_type"]], ["77:8", "main"]);
  const read = frameBefore({ ...call, toolName: "read", params: { path: "/etc/hosts" } }, {});
  assert.deepEqual(
    [read["action_type"], read["target_system"], read["target_resource"]],
    ["filesystem.file.read", "filesystem", "/etc/hosts"],
  );
});

test("what has not the type that it should have counts as absent", () => {
  const odd: Record<string, any> = { runId: Symbol("r"), toolCallId: 7 };
  const frame = frameBefore({ ...call, ...odd }, { sessionKey: {}, sessionId: "s" } as any);
  assert.deepEqual([frame["session_id"], frame["correlation_id"]], ["s", undefined]);
  assert.equal(frame["idempotency_key"], undefined);
});

test("types of the user's own tools go first", () => {
  const { types } = readConfig({ types: { Deploy: "com.example.deploy" } });
  assert.equal(frameBefore({ ...call, toolName: "deploy" }, {}, types)["action_type"], "com.example.deploy");
  assert.equal(frameBefore({ ...call, toolName: "frobnicate" }, {}, types)["action_type"], undefined);
  assert.ok(TOOL_TYPES.size > 20);
});

test("payloads that no frame holds cost no receipt", async () => {
  const host = new Host({ socketPath: listener.path });
  entry.register(host);
  const endless: Record<string, unknown> = {};
  endless["self"] = endless;
  for (const params of [{ a: "x".repeat(2_000_000) }, { a: "\ud800" }, endless, { a: 7n }]) {
    await host.fire("before_tool_call", { ...call, params }, CONTEXT);
  }
  const frames = await listener.wait(4);
  assert.ok(frames.every((one) => "omitted" in one["input"]));
  assert.deepEqual(host.warnings, []);
  await host.stop();
});

for (const hostile of ["", "x".repeat(300), "a\nb", "\ud800", "../../etc"]) {
  test(`names that no frame takes cost no receipt: ${JSON.stringify(hostile).slice(0, 12)}`, async () => {
    const host = new Host({ socketPath: listener.path });
    entry.register(host);
    const event = { toolName: hostile, params: { path: hostile }, toolCallId: hostile, runId: hostile };
    const context = { sessionId: hostile, sessionKey: `a:subagent:${hostile}`, agentId: hostile };
    await host.fire("before_tool_call", event, context);
    await host.fire("after_tool_call", { ...event, error: hostile, result: hostile }, context);
    await listener.wait(2);
    assert.deepEqual(host.warnings, []);
    await host.stop();
  });
}

test("without a daemon the call goes on, and the loss is counted", async () => {
  const host = new Host({ socketPath: `${listener.path}-none` });
  entry.register(host);
  assert.equal(await host.fire("before_tool_call", call, CONTEXT), undefined);
  await host.fire("after_tool_call", call, CONTEXT);
  assert.equal(host.warnings.length, 2);
});

test("with requireReceipt, no durable receipt means no call", async () => {
  const away = new Host({ socketPath: `${listener.path}-none`, requireReceipt: true });
  entry.register(away);
  const answer = await away.fire("before_tool_call", call, CONTEXT);
  assert.deepEqual((answer as { block: boolean }).block, true);
  const there = new Host({ socketPath: listener.path, requireReceipt: true });
  entry.register(there);
  assert.equal(await there.fire("before_tool_call", call, CONTEXT), undefined);
  assert.equal(listener.frames[0]?.["ack"], true);
  await there.stop();
});

test("settings that are misspelt or of another kind stop the start", () => {
  for (const config of [
    { enable: false },
    { enabled: "no" },
    { requireReceipt: 1 },
    { types: [] },
    { types: { a: 1 } },
    { types: { a: "no dots" } },
    { command: "-x" },
    { store: "" },
  ]) {
    assert.throws(() => entry.register(new Host(config)), TypeError);
  }
});

test("switched off, it listens to nothing", () => {
  const host = new Host({ enabled: false });
  entry.register(host);
  assert.equal(host.handlers.size, 0);
});

test("the tools refuse what is no filter before anything is run", async () => {
  const host = new Host({ command: "/nowhere/tally" });
  entry.register(host);
  for (const params of [{ db: "/x" }, { limit: 0 }, { limit: 1e9 }, { tool: 7 }, { tool: "a\0b" }]) {
    await assert.rejects(host.execute("tally_query_receipts", params), TypeError);
  }
  await assert.rejects(host.execute("tally_verify_receipts", {}), /could not be run/);
});

function oops(): never {
  throw new Error("not to be read");
}

for (const [name, odd] of [
  ["nested deep", { params: { a: JSON.parse("[".repeat(100) + "]".repeat(100)) } }],
  ["many values", { params: { a: Array(70_000).fill(1) } }],
  ["half a character", { params: { a: "\ud800" } }],
  ["no parameters", { params: undefined }],
  ["null for parameters", { params: null }],
  ["no name", { toolName: undefined }],
  ["a number for a name", { toolName: 5 }],
  ["a symbol for a run", { runId: Symbol("r"), toolCallId: 7 }],
  ["parameters that throw", Object.defineProperty({}, "params", { get: oops, enumerable: true })],
  ["control characters for an error", { error: "\u0001".repeat(600_000) }],
] as const) {
  test(`whatever an agent asks for has its receipts: ${name}`, async () => {
    const host = new Host({ socketPath: listener.path });
    entry.register(host);
    const event = Object.defineProperties({ ...call }, Object.getOwnPropertyDescriptors(odd));
    await host.fire("before_tool_call", event, CONTEXT);
    await host.fire("after_tool_call", Object.assign(event, { result: odd }), CONTEXT);
    assert.deepEqual(host.warnings, []);
    for (const frame of await listener.wait(2)) {
      assert.equal(frame["drop_count"], undefined);
      const input = frame["input"];
      if (input !== undefined && Object.keys(input).length > 0) {
        assert.match(input.omitted.hash ?? input.omitted.reason, /^sha256:|^could not be read$/);
      }
    }
    await host.stop();
  });
}

for (const [name, odd, kept] of [
  ["an outcome", { result: { fault: new Error("why") } }, "input"],
  ["parameters", { params: { a: "\ud800" }, result: { content: [] } }, "output"],
] as const) {
  test(`what no frame holds goes by its hash, and nothing beside it: ${name}`, async () => {
    const host = new Host({ socketPath: listener.path });
    entry.register(host);
    await host.fire("after_tool_call", { ...call, ...odd }, CONTEXT);
    assert.deepEqual(host.warnings, []);
    const [frame] = await listener.wait(1);
    const gone = kept === "input" ? "output" : "input";
    assert.match(frame?.[gone].omitted.hash, /^sha256:/);
    assert.equal(frame?.[kept].omitted, undefined);
    assert.equal(frame?.["drop_count"], undefined);
    await host.stop();
  });
}
