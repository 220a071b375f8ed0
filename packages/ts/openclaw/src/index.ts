// SPDX-License-Identifier: Apache-2.0
// What OpenClaw loads: a plain object of the shape that its plugin entries have.

import { register } from "./plugin.ts";

export { type Config, readConfig } from "./config.ts";
export { frameAfter, frameBefore } from "./frames.ts";
export type { PluginApi } from "./host.ts";
export { TOOL_TYPES } from "./taxonomy.ts";

export default {
  id: "tallystick",
  name: "Tallystick",
  description: "A signed receipt for each call of a tool, by a daemon that the agent cannot touch.",
  register,
};
