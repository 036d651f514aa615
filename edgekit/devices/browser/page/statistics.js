// What is said of samples and outputs on the page. The desk works out its own figures from what is posted.

/** The quantile `share` (0 to 1) of numbers, between neighbours as numpy does it. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

export const median = (values) => quantile(values, 0.5);

/** As in edgekit/tensors.py: identical outputs have this SNR. */
const MOST_SNR_DB = 200;

/** The signal-to-noise ratio of one array against a reference, in dB; see `snr_db` in edgekit/tensors.py. */
export function snrDb(reference, measured) {
  let signal = 0;
  let noise = 0;
  for (let index = 0; index < reference.length; index++) {
    signal += reference[index] ** 2;
    noise += (measured[index] - reference[index]) ** 2;
  }
  if (!Number.isFinite(noise)) return -MOST_SNR_DB;
  if (noise === 0) return MOST_SNR_DB;
  if (signal === 0) return -MOST_SNR_DB;
  return Math.max(-MOST_SNR_DB, Math.min(MOST_SNR_DB, 10 * Math.log10(signal / noise)));
}

/** Numbers that make a whole of 1, from scores of any size. */
export function softmax(scores) {
  const largest = Math.max(...scores);
  const raised = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = raised.reduce((total, value) => total + value, 0);
  return raised.map((value) => value / sum);
}

/** Whether scores are probabilities already. */
export function areProbabilities(scores) {
  const sum = scores.reduce((total, value) => total + value, 0);
  return Math.abs(sum - 1) < 1e-3 && scores.every((value) => value >= 0);
}
