// One inference of LiteRT.js, whole: from arrays to arrays.

const NUMBERED = /^(?:args|output)_(\d+)$/;
/** What a file's signature is called when nobody named it: by TensorFlow and litert-torch, and by PyTorch. */
const UNNAMED = ["serving_default", "forward"];

/** The signature of a compiled model that the bundle speaks of: its only or unnamed one. */
export function signatureOf(compiled) {
  const signatures = compiled.signatures;
  const keys = Object.keys(signatures);
  const key = keys.length === 1 ? keys[0] : UNNAMED.find((name) => name in signatures);
  if (key === undefined) throw new Error(`the file has several signatures: ${keys.join(", ")}`);
  return signatures[key];
}

/**
 * The file's tensors in the order of the bundle's: by name, else by litert-torch's numbering, else by position; as
 * `locate` in edgekit/runtime/engines/interpreter.py does it.
 *
 * @returns {number[]} For each of `specs` the position in `details`.
 */
export function locate(specs, details) {
  if (specs.length !== details.length) {
    throw new Error(`the file has ${details.length} tensors where the bundle has ${specs.length}`);
  }
  const names = details.map((each) => each.name);
  if (specs.every((spec) => names.includes(spec.name))) return specs.map((spec) => names.indexOf(spec.name));
  const positions = names.map((_, index) => index);
  if (!names.every((name) => NUMBERED.test(name))) return positions;
  return positions.sort((one, other) => NUMBERED.exec(names[one])[1] - NUMBERED.exec(names[other])[1]);
}

/**
 * Write the inputs, run, and read every output back.
 *
 * All three belong to what an app waits for, and to what is timed: `run` alone resolves when work was handed to a GPU,
 * long before it is done.
 *
 * @param runner What runs: a compiled model's signature.
 * @param Tensor LiteRT.js's.
 * @param {{data: TypedArray, shape: number[]}[]} inputs In the file's order.
 * @returns {Promise<TypedArray[]>} In the file's order.
 */
export async function infer(runner, Tensor, inputs) {
  const written = inputs.map(({data, shape}) => new Tensor(data, shape));
  let outputs = [];
  try {
    outputs = await runner.run(written);
    const read = [];
    for (const output of outputs) read.push(await output.data());
    return read;
  } finally {
    for (const tensor of [...written, ...outputs]) tensor.delete();
  }
}
