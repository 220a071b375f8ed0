// SPDX-License-Identifier: Apache-2.0
// The side of OpenClaw that a plugin sees, as its published types have it; handlers are kept.

import type { AgentTool, PluginApi } from "../openclaw/src/host.ts";

type Handler = (event: any, context: any) => unknown;

export class Host implements PluginApi {
  readonly registrationMode: string;
  readonly pluginConfig: Record<string, unknown>;
  readonly handlers = new Map<string, Handler>();
  readonly tools = new Map<string, AgentTool>();
  readonly warnings: string[] = [];
  readonly logger = { warn: (message: string): void => void this.warnings.push(message) };
  #services: { stop?: () => void | Promise<void> }[] = [];

  constructor(config: Record<string, unknown> = {}, mode = "full") {
    this.pluginConfig = config;
    this.registrationMode = mode;
  }

  on(name: string, handler: Handler): void {
    this.handlers.set(name, handler);
  }

  registerTool(tool: AgentTool): void {
    this.tools.set(tool.name, tool);
  }

  registerService(service: { id: string; start: () => void; stop?: () => void }): void {
    this.#services.push(service);
  }

  async fire(name: string, event: unknown, context: unknown = {}): Promise<unknown> {
    return this.handlers.get(name)?.(event, context);
  }

  async execute(name: string, params: Record<string, unknown>): Promise<any> {
    const tool = this.tools.get(name);
    if (tool === undefined) throw new Error(`no tool ${name}`);
    return tool.execute("call", params);
  }

  async stop(): Promise<void> {
    for (const service of this.#services) await service.stop?.();
  }
}
