// SPDX-License-Identifier: Apache-2.0
// Registers hooks and tools with OpenClaw. A fault of ours never blocks the agent, unless asked to.

import { DaemonEmitter, FrameRefused, type Members } from "@tallystick/emitter";

import { type Config, readConfig } from "./config.ts";
import { frameAfter, frameBefore, withoutPayloads } from "./frames.ts";
import type { PluginApi } from "./host.ts";
import { queryTool, verifyTool } from "./tools.ts";

const RUNS_MAX = 1000;
// The host registers several times per process: one connection is enough for all.
const emitters = new Map<string, DaemonEmitter>();

/** Register with the host, in whatever mode: nothing is opened before the first call of a tool. */
export function register(api: PluginApi): void {
  const config = readConfig(api.pluginConfig);
  api.registerTool(queryTool(config));
  api.registerTool(verifyTool(config));
  if (!config.enabled) return;
  const models = new Map<string, string>();
  api.on("model_call_started", (event) => {
    if (typeof event.model === "string") remember(models, event.runId, event.model);
  });
  // Late among its kind: what other hooks made of the parameters is what will be done.
  api.on(
    "before_tool_call",
    async (event, context) => {
      const failed = await told(api, config, "pending", () =>
        frameBefore(event, context, config.types),
      );
      if (failed === undefined || !config.requireReceipt) return undefined;
      return { block: true, blockReason: `no durable receipt of this call: ${failed}` };
    },
    { priority: -100 },
  );
  api.on("after_tool_call", async (event, context) => {
    await told(api, config, "allowed", () => {
      const run = event.runId ?? context.runId;
      const model = run === undefined ? undefined : models.get(run);
      return frameAfter(event, context, config.types, model);
    });
  });
  api.registerService({
    id: "tallystick-emitter",
    start: () => undefined,
    stop: async () => {
      const open = [...emitters.values()];
      emitters.clear();
      await Promise.all(open.map((one) => one.close()));
    },
  });
}

/** Send one frame; return why there is no receipt of it, or undefined where all is well. */
async function told(
  api: PluginApi,
  config: Config,
  decision: string,
  make: () => Members,
): Promise<string | undefined> {
  try {
    const emitter = emitterFor(config);
    const frame = { ...readable(make, decision), ack: config.requireReceipt };
    const members = { ...frame, session_id: frame["session_id" as never] ?? emitter.sessionId };
    // What no frame holds goes by its hash, and what the other payload says stays to be seen.
    const alone = members["output" as never] === undefined ? [] : [["output"], ["input"]];
    for (const names of [[], ...alone]) {
      try {
        await emitter.send(withoutPayloads(members, names), false);
        return undefined;
      } catch (fault) {
        if (!(fault instanceof FrameRefused)) throw fault;
      }
    }
    await emitter.send(withoutPayloads(members, ["input", "output"]));
    return undefined;
  } catch (fault) {
    const reason = fault instanceof Error ? fault.message : "unknown fault";
    api.logger.warn(`tallystick: no receipt: ${reason}`);
    return reason;
  }
}

/** Return the frame, or one that says that there was a call, where a getter throws, say. */
function readable(make: () => Members, decision: string): Members {
  try {
    return make();
  } catch {
    const input = { omitted: { reason: "could not be read" } };
    return { tool: { name: "unparsed" }, decision, input };
  }
}

function emitterFor(config: Config): DaemonEmitter {
  const place = config.socketPath ?? "";
  let found = emitters.get(place);
  if (found === undefined) {
    found = new DaemonEmitter({ socketPath: config.socketPath, channel: "openclaw" });
    emitters.set(place, found);
  }
  return found;
}

function remember(models: Map<string, string>, run: string, model: string): void {
  models.delete(run);
  models.set(run, model);
  if (models.size > RUNS_MAX) {
    const oldest = models.keys().next();
    if (!oldest.done) models.delete(oldest.value);
  }
}
