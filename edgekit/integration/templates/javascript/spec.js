// What the bundle $name says of $variant. Made by edgekit; make it again when the model changes.

/** Inputs and outputs in the order of the file. @type {import('./processing.js').TensorInfo[]} */
export const INPUTS = $inputs;

/** @type {import('./processing.js').TensorInfo[]} */
export const OUTPUTS = $outputs;

/** $preparation_comment @type {import('./processing.js').Preparation} */
export const PREPARATION = $preparation;

/** $image_comment @type {import('./processing.js').ImageSize | null} */
export const IMAGE = $image;

/** The output that has a score for each label. */
export const SCORES = $scores;

/** $logits_comment */
export const SCORES_ARE_LOGITS = $logits;

/** @type {string[]} */
export const LABELS = $labels;

/** How far the outputs of the check may be from those of the float model. */
export const TOLERANCE = $tolerance;
