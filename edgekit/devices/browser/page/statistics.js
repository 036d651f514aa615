// What is said of samples and outputs on the page. The desk works out its own figures from what is posted.

/** The quantile `share` (0 to 1) of numbers, between neighbours as numpy does it. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}

export const median = (values) => quantile(values, 0.5);

/** As in edgekit/fidelity.py: identical outputs have this SNR, and what is rounding counts as at least that much. */
const MOST_SNR_DB = 200;
const ROUNDED = 1e-8;

/**
 * Noise power over signal power of each column of one output (see `Scale` in edgekit/fidelity.py); both arguments hold
 * one array per check sample.
 */
export function noiseRatios(reference, measured, {stride, signal, rounding}) {
  const noise = new Float64Array(signal.length);
  reference.forEach((sample, number) => sample.forEach((value, index) => {
    noise[Math.floor(index / stride) % signal.length] += (measured[number][index] - value) ** 2;
  }));
  const count = reference.length * reference[0].length / signal.length;
  return Array.from(noise, (sum, column) => {
    const power = sum / count;
    if (power === 0) return 0;
    return power <= rounding[column] ? Math.min(ROUNDED, power / signal[column]) : power / signal[column];
  });
}

/** Decibels of noise power over signal power. */
export function snrDb(ratio) {
  if (!Number.isFinite(ratio)) return -MOST_SNR_DB;
  return ratio <= 0 ? MOST_SNR_DB : Math.max(-MOST_SNR_DB, Math.min(MOST_SNR_DB, -10 * Math.log10(ratio)));
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
