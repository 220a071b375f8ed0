// SPDX-License-Identifier: Apache-2.0
// How a frame is written and an answer is read. Pure: no socket, no clock, no environment.

import { FrameRefused } from "./errors.ts";
import {
  FRAME_BYTES_MAX,
  FRAME_IDENTITY_BYTES_MAX,
  FRAME_RESOURCE_BYTES_MAX,
  FRAME_TEXT_BYTES_MAX,
  JSON_DEPTH_MAX,
  JSON_VALUES_MAX,
} from "./limits.ts";

export type Members = Readonly<Record<string, unknown>>;

/** The daemon's word that a receipt is on stable storage, and which one. */
export interface Acknowledged {
  readonly id: string;
  readonly chain_id: string;
  readonly sequence: number;
  readonly hash: string;
}

export type Answer =
  | ({ readonly ok: true } & Acknowledged)
  | { readonly ok: false; readonly code: string; readonly message: string };

const HEADER_BYTES = 4;
const DECISIONS = ["allowed", "denied", "pending"];
const REQUIRED = ["ts_emit", "session_id", "channel", "tool", "decision"];
const TEXTS: Readonly<Record<string, number>> = {
  ts_emit: FRAME_IDENTITY_BYTES_MAX,
  session_id: FRAME_IDENTITY_BYTES_MAX,
  channel: FRAME_IDENTITY_BYTES_MAX,
  decision: FRAME_IDENTITY_BYTES_MAX,
  action_type: FRAME_IDENTITY_BYTES_MAX,
  agent_id: FRAME_IDENTITY_BYTES_MAX,
  agent_type: FRAME_IDENTITY_BYTES_MAX,
  capture_method: FRAME_IDENTITY_BYTES_MAX,
  correlation_id: FRAME_IDENTITY_BYTES_MAX,
  idempotency_key: FRAME_IDENTITY_BYTES_MAX,
  issuer_model: FRAME_IDENTITY_BYTES_MAX,
  issuer_name: FRAME_IDENTITY_BYTES_MAX,
  model: FRAME_IDENTITY_BYTES_MAX,
  operator_id: FRAME_IDENTITY_BYTES_MAX,
  operator_name: FRAME_IDENTITY_BYTES_MAX,
  target_system: FRAME_IDENTITY_BYTES_MAX,
  target_resource: FRAME_RESOURCE_BYTES_MAX,
  error: FRAME_TEXT_BYTES_MAX,
  prompt_preview: FRAME_TEXT_BYTES_MAX,
};
const OTHERS = ["ack", "drop_count", "input", "late", "output", "rule", "tool", "usage"];
const FREE = ["error", "prompt_preview", "target_resource", "reason"];
const TOOL = { name: FRAME_IDENTITY_BYTES_MAX, server: FRAME_IDENTITY_BYTES_MAX };
const RULE = {
  action: FRAME_IDENTITY_BYTES_MAX,
  approver: FRAME_IDENTITY_BYTES_MAX,
  name: FRAME_IDENTITY_BYTES_MAX,
  reason: FRAME_RESOURCE_BYTES_MAX,
};
// eslint-disable-next-line no-control-regex -- these are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const LONE_SURROGATE = /\\ud[89ab][0-9a-f]{2}|\\ud[c-f][0-9a-f]{2}/;
const HOLLOW = [Map, Set, WeakMap, WeakSet, Promise, Error, RegExp, ArrayBuffer];
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Return the body of the frame with these members, in their order, or throw `FrameRefused`.
 * Members that are null or undefined are left out; so are empty texts.
 */
export function encodeFrame(members: Members): Buffer {
  const given = Object.entries(members).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  // Not by assignment: a member that is called __proto__ is a member as any other.
  const kept: Record<string, unknown> = Object.fromEntries([...given]);
  for (const name of REQUIRED) {
    if (!Object.hasOwn(kept, name)) {
      throw new FrameRefused("FRAME_MISSING", "is missing or empty", `/${name}`);
    }
  }
  check(kept);
  const text = stringify({ v: "1", ...kept });
  // A whole pair is written as it is, so what is left as an escape is half of one; but a text may
  // also hold such an escape as text, which is then written with its backslash doubled.
  if (LONE_SURROGATE.test(text.replaceAll("\\\\", ""))) {
    throw new FrameRefused("FRAME_SURROGATE", "text with half of a surrogate pair");
  }
  checkStructure(text);
  const body = Buffer.from(text, "utf8");
  if (body.length > FRAME_BYTES_MAX) {
    throw new FrameRefused("FRAME_SIZE", `${body.length} bytes, over the limit of ${FRAME_BYTES_MAX}`);
  }
  return body;
}

/** Return a body that also says how many frames were lost; the same one where it has no room. */
export function withDrops(body: Buffer, drops: number): Buffer {
  const told = Buffer.concat([body.subarray(0, -1), Buffer.from(`,"drop_count":${drops}}`)]);
  return told.length > FRAME_BYTES_MAX ? body : told;
}

/** Return a body with its length before it. */
export function framed(body: Uint8Array): Buffer {
  if (body.length === 0 || body.length > FRAME_BYTES_MAX) {
    throw new RangeError(`a frame of ${body.length} bytes, over the limit of ${FRAME_BYTES_MAX}`);
  }
  const whole = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  whole.writeUInt32BE(body.length, 0);
  whole.set(body, HEADER_BYTES);
  return whole;
}

/** Return the members of the daemon's answer, or throw for what is none. */
export function readAnswer(body: Uint8Array): Answer {
  const answer: unknown = JSON.parse(UTF8.decode(body));
  if (!isObject(answer) || typeof answer["ok"] !== "boolean") {
    throw new TypeError("this is no answer of a daemon");
  }
  const texts = answer["ok"] ? ["id", "chain_id", "hash"] : ["code", "message"];
  const hasTexts = texts.every((name) => typeof answer[name] === "string");
  if (!hasTexts || (answer["ok"] && !Number.isSafeInteger(answer["sequence"]))) {
    throw new TypeError("this answer of a daemon lacks a member");
  }
  return answer as unknown as Answer;
}

/** Bytes from the daemon, cut into bodies. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Return the bodies that are whole now; throw where no frame can begin. */
  take(data: Uint8Array): Buffer[] {
    this.#rest = this.#rest.length === 0 ? Buffer.from(data) : Buffer.concat([this.#rest, data]);
    const bodies: Buffer[] = [];
    while (this.#rest.length >= HEADER_BYTES) {
      const size = this.#rest.readUInt32BE(0);
      if (size === 0 || size > FRAME_BYTES_MAX) {
        throw new RangeError(`a frame of ${size} bytes, over the limit of ${FRAME_BYTES_MAX}`);
      }
      if (this.#rest.length < HEADER_BYTES + size) break;
      bodies.push(this.#rest.subarray(HEADER_BYTES, HEADER_BYTES + size));
      this.#rest = this.#rest.subarray(HEADER_BYTES + size);
    }
    return bodies;
  }
}

/** Return where the socket is, or undefined where nothing says. */
export function defaultSocketPath(
  platform: string,
  environ: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const named = environ["AGENTRECEIPTS_SOCKET"];
  if (named) return named;
  if (platform === "darwin") {
    const base = dataHome(environ);
    return base === undefined ? undefined : `${base}/agent-receipts/events.sock`;
  }
  if (platform === "linux") {
    return `${environ["XDG_RUNTIME_DIR"] || "/run"}/agentreceipts/events.sock`;
  }
  return undefined;
}

function dataHome(environ: Readonly<Record<string, string | undefined>>): string | undefined {
  const named = environ["XDG_DATA_HOME"] ?? "";
  if (named.startsWith("/")) return named.replace(/\/+$/, "") || "/";
  const home = environ["HOME"] ?? "";
  return home.startsWith("/") ? `${home.replace(/\/+$/, "")}/.local/share` : undefined;
}

function check(members: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(members)) {
    const limit = Object.hasOwn(TEXTS, name) ? TEXTS[name] : undefined;
    if (limit !== undefined) {
      checkText(value, limit, name, "");
    } else if (!OTHERS.includes(name)) {
      throw new FrameRefused("FRAME_VALUE", "is no member of a frame that we know", `/${name}`);
    }
  }
  if (!checkObject(members["tool"], TOOL, "tool")["name"]) {
    throw new FrameRefused("FRAME_MISSING", "is missing or empty", "/tool/name");
  }
  if (Object.hasOwn(members, "rule")) checkObject(members["rule"], RULE, "rule");
  for (const name of ["ack", "late"]) {
    if (Object.hasOwn(members, name) && typeof members[name] !== "boolean") {
      throw new FrameRefused("FRAME_TYPE", "is not true or false", `/${name}`);
    }
  }
  const drops = Object.hasOwn(members, "drop_count") ? members["drop_count"] : 0;
  if (!Number.isSafeInteger(drops) || (drops as number) < 0) {
    throw new FrameRefused("FRAME_TYPE", "is no count", "/drop_count");
  }
  if (!DECISIONS.includes(members["decision"] as string)) {
    throw new FrameRefused("FRAME_VALUE", "is not allowed, denied or pending", "/decision");
  }
  if (Object.hasOwn(members, "target_system") !== Object.hasOwn(members, "target_resource")) {
    throw new FrameRefused(
      "FRAME_MISSING",
      "target_system and target_resource go together",
      "/target_system",
    );
  }
  if (Object.hasOwn(members, "operator_name") && !Object.hasOwn(members, "operator_id")) {
    throw new FrameRefused("FRAME_MISSING", "operator_name needs it", "/operator_id");
  }
  if (String(members["agent_id"] ?? "").includes("/")) {
    throw new FrameRefused("FRAME_VALUE", "holds a slash", "/agent_id");
  }
}

function checkObject(
  value: unknown,
  texts: Readonly<Record<string, number>>,
  name: string,
): Record<string, unknown> {
  if (!isObject(value)) throw new FrameRefused("FRAME_TYPE", "is not an object", `/${name}`);
  for (const [key, text] of Object.entries(value)) {
    if (!Object.hasOwn(texts, key)) {
      throw new FrameRefused("FRAME_VALUE", "holds a member that we do not know", `/${name}`);
    }
    if (text !== null && text !== undefined) checkText(text, texts[key] ?? 0, key, `/${name}`);
  }
  return value;
}

function checkText(text: unknown, limit: number, name: string, where: string): void {
  if (typeof text !== "string") {
    throw new FrameRefused("FRAME_TYPE", "is not text", `${where}/${name}`);
  }
  if (text.length > limit || Buffer.byteLength(text, "utf8") > limit) {
    throw new FrameRefused("FRAME_LENGTH", `over ${limit} bytes`, `${where}/${name}`);
  }
  if (!FREE.includes(name) && CONTROL.test(text)) {
    throw new FrameRefused("FRAME_CHARACTER", "holds a control character", `${where}/${name}`);
  }
}

/** Refuse what the daemon would: it looks at depth and number of values before it parses. */
function checkStructure(text: string): void {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    const one = text[at];
    if (one === '"') {
      do at = text.indexOf('"', at + 1);
      while (isEscaped(text, at));
    } else if (one === "[" || one === "{") {
      depth += 1;
      values += 1;
      if (depth > JSON_DEPTH_MAX) {
        throw new FrameRefused("FRAME_DEPTH", `nested deeper than ${JSON_DEPTH_MAX} levels`);
      }
    } else if (one === "]" || one === "}") depth -= 1;
    else if (one === ",") values += 1;
  }
  if (values > JSON_VALUES_MAX) {
    throw new FrameRefused("FRAME_SIZE", `more than ${JSON_VALUES_MAX} values`);
  }
}

function isEscaped(text: string, at: number): boolean {
  let before = at;
  while (text[before - 1] === "\\") before -= 1;
  return (at - before) % 2 === 1;
}

function stringify(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, one: unknown) => {
      if (typeof one === "number" && !Number.isFinite(one)) throw new TypeError("not finite");
      // JSON.stringify writes {} for these, whatever they hold.
      if (HOLLOW.some((kind) => one instanceof kind)) throw new TypeError("not JSON");
      // Python writes no such zero either, and the daemon would refuse its second spelling.
      return Object.is(one, -0) ? 0 : one;
    });
  } catch (fault) {
    if (fault instanceof RangeError) {
      throw new FrameRefused("FRAME_DEPTH", "nested too deep, or within itself");
    }
    throw new FrameRefused("FRAME_JSON", "holds a value that JSON does not have");
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
