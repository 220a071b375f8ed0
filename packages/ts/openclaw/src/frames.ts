// SPDX-License-Identifier: Apache-2.0
// What OpenClaw tells of a call of a tool, as members of frames. Pure.

import { createHash } from "node:crypto";

import { limits, type Members } from "@tallystick/emitter";

import type { AfterToolCallEvent, BeforeToolCallEvent, ToolContext } from "./host.ts";
import { TOOL_TYPES } from "./taxonomy.ts";

const SUBAGENT = ":subagent:";
const NOTHING: ReadonlyMap<string, string> = new Map();
const PATHS = ["path", "file_path", "filePath"];
// eslint-disable-next-line no-control-regex -- these are what no name may hold
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** Return the frame of an attempt. */
export function frameBefore(
  event: BeforeToolCallEvent,
  context: ToolContext,
  types: ReadonlyMap<string, string> = NOTHING,
): Members {
  return { ...base(event, context, "before"), ...whatItIs(event, types), decision: "pending" };
}

/** Return the frame of an outcome: done, failed, or blocked by a hook. */
export function frameAfter(
  event: AfterToolCallEvent,
  context: ToolContext,
  types: ReadonlyMap<string, string> = NOTHING,
  model?: string,
): Members {
  const details = inner(event.result, "details");
  const isBlocked = details["status"] === "blocked";
  return {
    ...base(event, context, "after"),
    ...whatItIs(event, types, details),
    decision: isBlocked ? "denied" : "allowed",
    output: payload(event.result),
    error: faultOf(event, details, isBlocked),
    model: identity(model),
  };
}

function base(
  event: BeforeToolCallEvent | AfterToolCallEvent,
  context: ToolContext,
  step: string,
): Members {
  const call = word(event.toolCallId) ?? word(context.toolCallId);
  const run = word(event.runId) ?? word(context.runId);
  // The agent that all calls of a session have is no other: only a sub-agent has a chain of its own.
  const key = word(context.sessionKey) ?? "";
  const at = key.indexOf(SUBAGENT);
  const helper = at < 0 ? undefined : key.slice(at + SUBAGENT.length).replaceAll("/", ":");
  return {
    session_id: identity(context.sessionId) ?? identity(context.sessionKey),
    agent_id: identity(helper),
    agent_type: helper === undefined ? undefined : identity(context.agentId),
    correlation_id: identity(call),
    idempotency_key:
      call === undefined ? undefined : identity(`openclaw:${run ?? ""}:${call}:${step}`),
    input: payload(event.params),
  };
}

function whatItIs(
  event: BeforeToolCallEvent | AfterToolCallEvent,
  types: ReadonlyMap<string, string>,
  details: Record<string, unknown> = {},
): Members {
  // An agent decides what is in here: what has not the type that it should have counts as absent.
  const name = typeof event.toolName === "string" ? event.toolName : "";
  const server = identity(details["mcpServer"]);
  const tool = identity(details["mcpTool"]);
  const own = types.get(name.toLowerCase());
  if (server !== undefined && tool !== undefined) {
    return { tool: { name: tool, server }, action_type: own };
  }
  const at = name.indexOf("__");
  if (at > 0 && at + 2 < name.length) {
    const named = { name: identity(name.slice(at + 2)), server: identity(name.slice(0, at)) };
    return { tool: named, action_type: own };
  }
  return {
    tool: { name: identity(name) ?? "unnamed" },
    action_type: own ?? TOOL_TYPES.get(name.toLowerCase()),
    ...targetOf(event),
  };
}

function targetOf(event: BeforeToolCallEvent | AfterToolCallEvent): Members {
  const params = inner(event, "params");
  for (const name of PATHS) {
    const path = resource(params[name]);
    if (path !== undefined) return { target_system: "filesystem", target_resource: path };
  }
  const url = resource(params["url"]);
  return url === undefined ? {} : { target_system: "network", target_resource: url };
}

function faultOf(
  event: AfterToolCallEvent,
  details: Record<string, unknown>,
  isBlocked: boolean,
): string | undefined {
  if (typeof event.error === "string") return cut(event.error) || "the tool failed";
  if (isBlocked) return cut(details["reason"]) || "blocked";
  const code = details["exitCode"];
  // A shell command that fails is no error for the host: only its code says so.
  if (typeof code === "number" && code !== 0) return `exit code ${code}`;
  if (details["status"] === "error" || details["status"] === "failed") return "the tool failed";
  return undefined;
}

/** Return a payload as a frame can hold it: one that is too large by its hash and size. */
function payload(value: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  const data = written(value);
  return data !== undefined && data.length <= limits.FRAME_PAYLOAD_BYTES_MAX
    ? value
    : omitted(data);
}

/** Return a frame's members with these payloads by hash and size: what they hold fits into none. */
export function withoutPayloads(members: Members, names: readonly string[]): Members {
  const small: Record<string, unknown> = { ...members };
  for (const name of names) {
    const value = members[name];
    if (value !== undefined && value !== null) small[name] = omitted(written(value));
  }
  return small;
}

function written(value: unknown): Buffer | undefined {
  try {
    const text = JSON.stringify(value) as string | undefined;
    return text === undefined ? undefined : Buffer.from(text, "utf8");
  } catch {
    return undefined;
  }
}

function omitted(data: Buffer | undefined): unknown {
  if (data === undefined) return { omitted: { reason: "no JSON" } };
  const hash = createHash("sha256").update(data).digest("hex");
  return { omitted: { bytes: data.length, hash: `sha256:${hash}`, of: "JSON as OpenClaw held it" } };
}

/** Return what is a text with something in it; of any other type it counts as absent. */
function word(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Return a text as a name that a frame takes: one that it would refuse, by its hash. */
function identity(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  const isSound =
    Buffer.byteLength(value, "utf8") <= limits.FRAME_IDENTITY_BYTES_MAX &&
    !CONTROL.test(value) &&
    value.isWellFormed();
  return isSound ? value : `sha256:${createHash("sha256").update(value).digest("hex")}`;
}

function resource(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "" || !value.isWellFormed()) return undefined;
  return Buffer.byteLength(value, "utf8") <= limits.FRAME_RESOURCE_BYTES_MAX ? value : undefined;
}

function cut(value: unknown): string {
  if (typeof value !== "string") return "";
  // In the worst case a character has three bytes for each of its units; in JSON, a control
  // character has six, and a text of these would fill a frame by itself.
  const most = limits.FRAME_TEXT_BYTES_MAX;
  const text = value.slice(0, Math.floor(most / 3)).toWellFormed();
  return Buffer.byteLength(JSON.stringify(text), "utf8") <= most
    ? text
    : text.slice(0, Math.floor(most / 6)).toWellFormed();
}

function inner(value: unknown, name: string): Record<string, unknown> {
  const found: unknown =
    typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : null;
  return typeof found === "object" && found !== null ? (found as Record<string, unknown>) : {};
}
