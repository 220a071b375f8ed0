// SPDX-License-Identifier: Apache-2.0
// What can go wrong with a frame, named by the fault.

/** A receipt was not made; `isTransient` says whether trying again may help. */
export class EmitError extends Error {
  readonly isTransient: boolean;

  constructor(message: string, isTransient = false) {
    super(message);
    this.name = new.target.name;
    this.isTransient = isTransient;
  }
}

/** A frame did not reach the daemon, or its answer did not reach us. */
export class EmitTransportError extends EmitError {
  /** The daemon may have made a receipt of it: the answer is what got lost. */
  readonly mayBeStored: boolean;

  constructor(message: string, mayBeStored = false) {
    super(message, true);
    this.mayBeStored = mayBeStored;
  }
}

/** A frame that makes no receipt. `code` is stable; the text quotes nothing of the frame. */
export class FrameRefused extends Error {
  readonly code: string;
  readonly where: string;

  constructor(code: string, message: string, where = "") {
    super(where === "" ? message : `${where}: ${message}`);
    this.name = "FrameRefused";
    this.code = code;
    this.where = where;
  }
}
