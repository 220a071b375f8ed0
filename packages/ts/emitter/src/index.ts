// SPDX-License-Identifier: Apache-2.0
// The public names of this package.

export { DaemonEmitter, type EmitterOptions, type Members } from "./emitter.ts";
export { EmitError, EmitTransportError, FrameRefused } from "./errors.ts";
export {
  type Acknowledged,
  defaultSocketPath,
  encodeFrame,
  framed,
  FrameReader,
  readAnswer,
} from "./framing.ts";
export * as limits from "./limits.ts";
