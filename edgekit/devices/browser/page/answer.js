// What a model says, for people.

import {make} from "./elements.js";
import {areProbabilities, softmax} from "./statistics.js";

const TOP = 5;
/** Of an output that has no labels, so many values are shown. */
const MOST_VALUES = 10;

/** Elements for the outputs of one run: the best labels with their shares, or the first values. */
export function answer(outputs, job) {
  return outputs.flatMap((values, index) => {
    const {name} = job.signature.outputs[index];
    if (job.labels.length > 1 && job.labels.length === values.length) return labelled(Array.from(values), job.labels);
    return plain(values, name);
  });
}

function labelled(scores, labels) {
  const isShare = areProbabilities(scores);
  const shares = isShare ? scores : softmax(scores);
  const best = scores.map((_, index) => index).sort((one, other) => scores[other] - scores[one]).slice(0, TOP);
  const items = best.map((index) => make("li", {},
    make("span", {textContent: labels[index]}),
    make("span", {textContent: `${(100 * shares[index]).toFixed(1)} %`}),
    make("meter", {min: 0, max: 1, value: shares[index], "aria-label": `Share of ${labels[index]}`})));
  const found = [make("ol", {className: "answer"}, ...items)];
  if (!isShare) found.push(make("p", {className: "muted", textContent: "Shares are the softmax of the model's scores."}));
  return found;
}

function plain(values, name) {
  const first = Array.from(values.slice(0, MOST_VALUES), (value) => Number(value.toPrecision(6)));
  const more = values.length > first.length ? ` … (${values.length} values)` : "";
  return [make("p", {}, make("strong", {textContent: `${name}: `}), `${first.join(", ")}${more}`)];
}
