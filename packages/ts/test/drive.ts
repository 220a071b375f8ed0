// SPDX-License-Identifier: Apache-2.0
// Drives the plugin against a real daemon: settings and steps as JSON on standard input, what came
// of them as JSON on standard output.

import { readFileSync } from "node:fs";

import { DaemonEmitter } from "@tallystick/emitter";

import entry from "../openclaw/src/index.ts";
import { Host } from "./host.ts";

const { config, steps } = JSON.parse(readFileSync(0, "utf8"));
const host = new Host(config);
entry.register(host);
const told: unknown[] = [];
for (const [kind, name, ...given] of steps) {
  if (kind === "fire") told.push((await host.fire(name, given[0], given[1])) ?? null);
  else if (kind === "execute") told.push((await host.execute(name, given[0])).details);
  else {
    const emitter = new DaemonEmitter({ socketPath: config.socketPath, sessionId: "ts" });
    const sent = Array.from({ length: given[0] }, (_, n) => emitter.emit(`${name}${n}`, { ack: true }));
    told.push((await Promise.all(sent)).map((one) => one?.sequence));
    await emitter.close();
  }
}
await host.stop();
process.stdout.write(JSON.stringify({ told, warnings: host.warnings }));
