// The page: loads the model, tests it once, and then takes a file.

import { readImage } from './image.js';
import { Model } from './model.js';
import { IMAGE, INPUTS, LABELS } from './spec.js';

const status = /** @type {HTMLElement} */ (document.getElementById('status'));
const file = /** @type {HTMLInputElement} */ (document.getElementById('file'));
const result = /** @type {HTMLElement} */ (document.getElementById('result'));

try {
  const model = await Model.load();
  const difference = await model.selfTest();
  status.textContent = `ready: the check is within ${difference.toPrecision(2)} of the float model`;
  file.disabled = false;
  file.addEventListener('change', () => show(model).catch(fail));
} catch (error) {
  fail(error);
}

/** @param {Model} model */
async function show(model) {
  const chosen = file.files?.[0];
  if (chosen === undefined) return;
  const outputs = await model.predict(await read(chosen));
  result.textContent =
    LABELS.length > 0
      ? model.rank(outputs).map(({ label, score }) => `${label}: ${score.toFixed(3)}`).join('\n')
      : JSON.stringify(Object.fromEntries(Object.entries(outputs).map(([name, array]) => [name, [...array]])));
}

/**
 * The raw values by input name: of a picture, or of a JSON file {"input name": [numbers]}.
 * @param {File} chosen
 * @returns {Promise<Record<string, ArrayLike<number>>>}
 */
async function read(chosen) {
  if (IMAGE === null) return JSON.parse(await chosen.text());
  return { [INPUTS[0].name]: await readImage(chosen, IMAGE) };
}

/** @param {unknown} error */
function fail(error) {
  status.textContent = error instanceof Error ? error.message : String(error);
}
