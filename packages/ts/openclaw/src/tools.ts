// SPDX-License-Identifier: Apache-2.0
// Two tools for the agent: query the receipts, verify them. Both only read, through `tally`.

import { execFile } from "node:child_process";

import type { Config } from "./config.ts";
import type { AgentTool } from "./host.ts";

const TIME_MS_MAX = 60_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 200;
const TEXT_CHARS_MAX = 1024;

const FILTERS: Readonly<Record<string, string>> = {
  action: "Of this action type, as system.command.execute.",
  chain: "Of this chain.",
  risk: "Of this risk: low, medium, high or critical.",
  session: "Of this session.",
  since: "Not before this time (2026-01-31T12:00:00Z) or age (2h).",
  status: "With this outcome: success, failure or pending.",
  text: "With this text anywhere in the receipt.",
  tool: "Of this tool.",
  until: "Before this time or age.",
};

type Params = Record<string, unknown>;

/** The tool by which an agent looks at its receipts. */
export function queryTool(config: Config): AgentTool {
  return {
    name: "tally_query_receipts",
    label: "Query receipts",
    description: "Find receipts of actions in the daemon's store, newest first. Nothing is verified.",
    parameters: {
      type: "object",
      additionalProperties: false,
      properties: {
        ...Object.fromEntries(
          Object.entries(FILTERS).map(([name, description]) => [
            name,
            { type: "string", maxLength: TEXT_CHARS_MAX, description },
          ]),
        ),
        limit: { type: "integer", minimum: 1, maximum: LIMIT_MAX, description: "How many." },
      },
    },
    async execute(_id, params, signal) {
      const given = ["list", "--json", ...storeOf(config)];
      for (const [name, value] of Object.entries(params)) {
        if (name === "limit") continue;
        if (!Object.hasOwn(FILTERS, name)) throw new TypeError(`there is no filter ${name}`);
        given.push(`--${name}=${text(name, value)}`);
      }
      given.push(`--limit=${limitOf(params)}`);
      const answer = await run(config.command, given, signal);
      if (answer.code !== 0) throw new Error(answer.complaint);
      const receipts = answer.out
        .split("\n")
        .filter((line) => line !== "")
        .map((line): unknown => JSON.parse(line));
      return said({ receipts });
    },
  };
}

/** The tool by which an agent has its receipts verified. */
export function verifyTool(config: Config): AgentTool {
  return {
    name: "tally_verify_receipts",
    label: "Verify receipts",
    description: "Verify all chains of the daemon's store, or one, under the daemon's public key.",
    parameters: {
      type: "object",
      additionalProperties: false,
      properties: {
        chain: { type: "string", maxLength: TEXT_CHARS_MAX, description: "The chain that must be there." },
      },
    },
    async execute(_id, params: Params, signal) {
      const given = ["verify", "--json", ...storeOf(config)];
      if (config.publicKey !== undefined) given.push(`--key=${config.publicKey}`);
      if (params["chain"] !== undefined) given.push(`--chain=${text("chain", params["chain"])}`);
      const answer = await run(config.command, given, signal);
      if (answer.code !== 0 && answer.out === "") throw new Error(answer.complaint);
      return said(JSON.parse(answer.out));
    },
  };
}

function storeOf(config: Config): string[] {
  return config.store === undefined ? [] : [`--store=${config.store}`];
}

function text(name: string, value: unknown): string {
  if (typeof value !== "string" || value === "" || value.length > TEXT_CHARS_MAX) {
    throw new TypeError(`${name} is a text of at most ${TEXT_CHARS_MAX} characters`);
  }
  if (value.includes("\0")) throw new TypeError(`${name} holds a character that no command takes`);
  return value;
}

function limitOf(params: Params): number {
  const limit = params["limit"] ?? LIMIT_DEFAULT;
  if (!Number.isInteger(limit) || (limit as number) < 1 || (limit as number) > LIMIT_MAX) {
    throw new TypeError(`limit is a whole number from 1 to ${LIMIT_MAX}`);
  }
  return limit as number;
}

function run(
  command: string,
  given: string[],
  signal: AbortSignal | undefined,
): Promise<{ code: number; out: string; complaint: string }> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: TIME_MS_MAX,
      maxBuffer: OUTPUT_BYTES_MAX,
      ...(signal === undefined ? {} : { signal }),
    };
    execFile(command, given, options, (fault, out, complaint) => {
      const code = fault === null ? 0 : fault.code;
      if (typeof code === "number") resolve({ code, out, complaint: complaint.trim() || "failed" });
      else reject(new Error(`${command} could not be run: ${String(code ?? fault?.message)}`));
    });
  });
}

function said(details: unknown): { content: { type: "text"; text: string }[]; details: unknown } {
  return { content: [{ type: "text", text: JSON.stringify(details) }], details };
}
