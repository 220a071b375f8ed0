// SPDX-License-Identifier: Apache-2.0
// Written by tools/typescript.py.

export const FRAME_BYTES_MAX = 1048576;
export const FRAME_IDENTITY_BYTES_MAX = 256;
export const FRAME_PAYLOAD_BYTES_MAX = 458752;
export const FRAME_RESOURCE_BYTES_MAX = 4096;
export const FRAME_TEXT_BYTES_MAX = 524288;
export const JSON_DEPTH_MAX = 64;
export const JSON_VALUES_MAX = 65536;
export const EMITTER_DIAL_MS_MAX = 250;
export const EMITTER_WRITE_MS_MAX = 100;
export const EMITTER_ANSWER_MS_MAX = 10000;
