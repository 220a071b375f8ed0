// SPDX-License-Identifier: Apache-2.0
// The plugin's settings, read strictly: a word that is misspelt must not turn anything off.

export interface Config {
  readonly enabled: boolean;
  readonly socketPath: string | undefined;
  readonly requireReceipt: boolean;
  readonly types: ReadonlyMap<string, string>;
  readonly command: string;
  readonly store: string | undefined;
  readonly publicKey: string | undefined;
}

const NAMES = ["enabled", "socketPath", "requireReceipt", "types", "command", "store", "publicKey"];

/** Return the settings, or throw a `TypeError` that says what is wrong with them. */
export function readConfig(given: Record<string, unknown> = {}): Config {
  for (const name of Object.keys(given)) {
    if (!NAMES.includes(name)) throw new TypeError(`tallystick: there is no setting ${name}`);
  }
  return {
    enabled: flag(given, "enabled", true),
    socketPath: text(given, "socketPath"),
    requireReceipt: flag(given, "requireReceipt", false),
    types: types(given["types"]),
    command: text(given, "command") ?? "tally",
    store: text(given, "store"),
    publicKey: text(given, "publicKey"),
  };
}

function flag(given: Record<string, unknown>, name: string, otherwise: boolean): boolean {
  const value = given[name] ?? otherwise;
  if (typeof value !== "boolean") throw new TypeError(`tallystick: ${name} is true or false`);
  return value;
}

function text(given: Record<string, unknown>, name: string): string | undefined {
  const value = given[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string" || value === "" || value.startsWith("-")) {
    throw new TypeError(`tallystick: ${name} is a text that does not begin with a dash`);
  }
  return value;
}

function types(given: unknown): ReadonlyMap<string, string> {
  if (given === undefined) return new Map();
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new TypeError("tallystick: types is an object of action types by names of tools");
  }
  return new Map(
    Object.entries(given).map(([name, type]) => {
      if (typeof type !== "string" || !/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/.test(type)) {
        throw new TypeError("tallystick: an action type is words with dots between them");
      }
      return [name.toLowerCase(), type];
    }),
  );
}
