// SPDX-License-Identifier: Apache-2.0
// The same bytes, refusals, answers and places as the Python emitter has.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { defaultSocketPath, encodeFrame, framed, FrameRefused, readAnswer } from "@tallystick/emitter";

const vectors = JSON.parse(
  readFileSync(new URL("../vectors/emitter.json", import.meta.url), "utf8"),
);

for (const { name, members, bytes } of vectors.frames) {
  test(`frame: ${name}`, () => {
    assert.equal(framed(encodeFrame(members)).toString("hex"), bytes);
  });
}

for (const { name, members, code, where } of vectors.refused) {
  test(`refused: ${name}`, () => {
    const input = members.input?.repeat;
    const given = input === undefined ? members : { ...members, input: input[0].repeat(input[1]) };
    assert.throws(
      () => encodeFrame(given),
      (fault) => fault instanceof FrameRefused && fault.code === code && fault.where === where,
    );
  });
}

for (const [number, { body, answer }] of vectors.answers.entries()) {
  test(`answer ${number}`, () => {
    if (answer === null) assert.throws(() => readAnswer(Buffer.from(body)));
    else assert.deepEqual(readAnswer(Buffer.from(body)), answer);
  });
}

for (const [number, { platform, environ, path }] of vectors.sockets.entries()) {
  test(`socket ${number}`, () => {
    assert.equal(defaultSocketPath(platform, environ) ?? null, path);
  });
}

test("values that JSON does not have are refused, not changed in silence", () => {
  const plain = vectors.frames[0].members;
  const endless: unknown[] = [];
  endless.push(endless);
  const hollow = [new Map([[1, 2]]), new Set([1]), new Error("why"), /x/, Promise.resolve(1)];
  for (const input of [Number.NaN, Number.POSITIVE_INFINITY, 7n, endless, ...hollow]) {
    assert.throws(
      () => encodeFrame({ ...plain, input: [input] }),
      (fault) => fault instanceof FrameRefused && fault.code === "FRAME_JSON",
    );
  }
});

test("half of a surrogate pair is refused, wherever it stands", () => {
  const plain = vectors.frames[0].members;
  for (const input of ["\ud800", { "\udfff": 1 }, ["\\\ud83c"]]) {
    assert.throws(
      () => encodeFrame({ ...plain, input }),
      (fault) => fault instanceof FrameRefused && fault.code === "FRAME_SURROGATE",
    );
  }
});

test("names of the language itself are no members", () => {
  const plain = vectors.frames[0].members;
  for (const name of ["constructor", "toString", "hasOwnProperty"]) {
    assert.throws(
      () => encodeFrame({ ...plain, [name]: "x" }),
      (fault) => fault instanceof FrameRefused && fault.code === "FRAME_VALUE",
    );
  }
});

test("a member named __proto__ is one that nobody knows", () => {
  const odd = Object.fromEntries([...Object.entries(vectors.frames[0].members), ["__proto__", {}]]);
  assert.throws(
    () => encodeFrame(odd),
    (fault) => fault instanceof FrameRefused && fault.code === "FRAME_VALUE",
  );
});

test("so many values and no more", () => {
  const plain = vectors.frames[0].members;
  assert.doesNotThrow(() => encodeFrame({ ...plain, input: Array(65_000).fill(0) }));
  assert.throws(
    () => encodeFrame({ ...plain, input: Array(65_536).fill(0) }),
    (fault) => fault instanceof FrameRefused && fault.code === "FRAME_SIZE",
  );
});
