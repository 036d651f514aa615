// A sound for the model: from a file or the microphone.

import {make} from "./elements.js";
import {preprocess, soundLength} from "./preprocess.js";

/** Most models of speech and sounds take it; a bundle does not say. */
const USUAL_RATE_HZ = 16_000;

export class SoundInput {
  #job;
  #spec;
  #run;
  #say;
  #rate = make("input", {type: "number", id: "rate", min: 1000, max: 192_000, step: 1, value: USUAL_RATE_HZ});
  #button = make("button", {type: "button", textContent: "Microphone"});
  #recorder = null;

  constructor(job, run, say) {
    this.#job = job;
    this.#spec = job.signature.inputs[0];
    this.#run = run;
    this.#say = say;
  }

  elements() {
    const file = make("input", {type: "file", accept: "audio/*", "aria-label": "Sound file"});
    file.onchange = () => file.files[0] && this.#load(file.files[0]);
    this.#button.onclick = () => (this.#recorder ? this.stop() : this.#record());
    const row = make("div", {className: "row"}, make("label", {className: "file"}, "Sound file", file));
    const found = [row, make("label", {className: "field"}, "Samples per second that the model was trained on", this.#rate)];
    if (navigator.mediaDevices?.getUserMedia && self.MediaRecorder) row.append(this.#button);
    else found.push(make("p", {className: "muted", textContent: "The microphone needs https or localhost; a sound file works."}));
    const length = soundLength(this.#spec);
    const text = `The model takes ${length} samples: the beginning of the sound, with silence after it where it is shorter.`;
    return [...found, make("p", {className: "muted", textContent: text})];
  }

  /** End the recording. */
  stop() {
    if (this.#recorder?.state === "recording") this.#recorder.stop();
  }

  async #record() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({audio: true});
      const recorder = new MediaRecorder(stream);
      const parts = [];
      this.#recorder = recorder;
      this.#button.textContent = "Stop recording";
      recorder.ondataavailable = ({data}) => parts.push(data);
      recorder.onstop = () => {
        for (const track of stream.getTracks()) track.stop();
        this.#recorder = null;
        this.#button.textContent = "Microphone";
        this.#load(new Blob(parts, {type: recorder.mimeType}));
      };
      recorder.start();
      const seconds = soundLength(this.#spec) / this.#rate.valueAsNumber;
      setTimeout(() => this.stop(), 1000 * seconds + 300); // microphones begin late
      this.#say(`Recording ${seconds.toFixed(1)} seconds.`);
    } catch (error) {
      this.#say(`the microphone cannot be used: ${error.message}`);
    }
  }

  async #load(blob) {
    try {
      const rate = this.#rate.valueAsNumber;
      // It decodes, and brings the sound to the context's rate.
      const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await blob.arrayBuffer());
      const length = soundLength(this.#spec);
      const samples = new Float32Array(length);
      for (let channel = 0; channel < sound.numberOfChannels; channel++) {
        const values = sound.getChannelData(channel).subarray(0, length);
        values.forEach((value, index) => { samples[index] += value / sound.numberOfChannels; });
      }
      const {shape} = this.#spec;
      const inner = shape.slice(1);
      // One channel: where it is in the shape makes no difference to the values.
      await this.#run([preprocess({data: samples, shape: inner}, {...this.#job.preprocessing, layout: null}, shape)]);
    } catch (error) {
      this.#say(`this sound cannot be used: ${error.message}`);
    }
  }
}
