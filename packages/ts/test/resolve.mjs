// SPDX-License-Identifier: Apache-2.0
// Lets tests run the sources as they are: the workspace's packages are found without installing.

import { registerHooks } from "node:module";

const EMITTER = new URL("../emitter/src/index.ts", import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "@tallystick/emitter") return { url: EMITTER, shortCircuit: true };
    return next(specifier, context);
  },
});
