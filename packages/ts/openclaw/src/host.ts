// SPDX-License-Identifier: Apache-2.0
// The part of OpenClaw's plugin interface that is used here, as its 2026.9.6 publishes it.

export interface BeforeToolCallEvent {
  readonly toolName: string;
  readonly params: Record<string, unknown>;
  readonly runId?: string;
  readonly toolCallId?: string;
  readonly derivedPaths?: readonly string[];
}

export interface AfterToolCallEvent {
  readonly toolName: string;
  readonly params: Record<string, unknown>;
  readonly runId?: string;
  readonly toolCallId?: string;
  readonly result?: unknown;
  readonly error?: string;
  readonly durationMs?: number;
}

export interface ModelCallEvent {
  readonly runId: string;
  readonly model?: string;
}

export interface ToolContext {
  readonly agentId?: string;
  readonly sessionKey?: string;
  readonly sessionId?: string;
  readonly runId?: string;
  readonly toolCallId?: string;
}

export interface BeforeToolCallResult {
  block?: boolean;
  blockReason?: string;
}

export interface AgentTool {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  readonly parameters: Record<string, unknown>;
  execute(
    toolCallId: string,
    params: Record<string, unknown>,
    signal?: AbortSignal,
  ): Promise<{ content: { type: "text"; text: string }[]; details: unknown }>;
}

export interface PluginApi {
  readonly registrationMode?: string;
  readonly pluginConfig?: Record<string, unknown>;
  readonly logger: { warn(message: string): void };
  on(
    name: "before_tool_call",
    handler: (
      event: BeforeToolCallEvent,
      context: ToolContext,
    ) => Promise<BeforeToolCallResult | undefined>,
    options?: { priority?: number },
  ): void;
  on(
    name: "after_tool_call",
    handler: (event: AfterToolCallEvent, context: ToolContext) => Promise<void>,
  ): void;
  on(name: "model_call_started", handler: (event: ModelCallEvent) => void): void;
  registerTool(tool: AgentTool, options?: { name?: string; optional?: boolean }): void;
  registerService(service: {
    id: string;
    start: () => void | Promise<void>;
    stop?: () => void | Promise<void>;
  }): void;
}
