// A picture for the model: from a file, the camera, or drawn by hand.

import {make} from "./elements.js";
import {readPicture} from "./picture.js";
import {imageKind, pixels, preprocess, resized} from "./preprocess.js";

/** Drawing by hand makes sense for small grey pictures. */
const MOST_DRAWN = 64;
const CAMERA_PAUSE_MS = 250;

export class ImageInput {
  #job;
  #spec;
  #kind;
  #run;
  #say;
  #shown = make("canvas", {className: "seen", role: "img", "aria-label": "What the model sees", hidden: true});
  #video = make("video", {className: "preview", muted: true, playsInline: true, hidden: true, "aria-label": "Camera"});
  #inverted = make("input", {type: "checkbox"});
  #cameraButton = make("button", {type: "button", textContent: "Camera"});
  #last = null;

  /** `run(inputs)` runs the model; `say(text)` tells people. */
  constructor(job, run, say) {
    this.#job = job;
    this.#spec = job.signature.inputs[0];
    this.#kind = imageKind(this.#spec, job.preprocessing);
    this.#run = run;
    this.#say = say;
  }

  elements() {
    const file = make("input", {type: "file", accept: "image/png,image/jpeg", "aria-label": "Picture"});
    file.onchange = () => file.files[0] && this.#readFile(file.files[0]);
    this.#cameraButton.onclick = () => (this.#video.srcObject ? this.stop() : this.#openCamera());
    const row = make("div", {className: "row"}, make("label", {className: "file"}, "Picture", file));
    const found = [row, this.#video];
    if (navigator.mediaDevices?.getUserMedia) row.append(this.#cameraButton);
    else found.push(make("p", {className: "muted", textContent: "The live camera needs https or localhost; Picture works."}));
    const {channels, height, width} = this.#kind;
    if (channels === 1 && Math.max(height, width) <= MOST_DRAWN) found.push(...this.#pad());
    this.#inverted.onchange = () => this.#last && this.#see(this.#last);
    if (channels === 1) found.push(make("label", {className: "check"}, this.#inverted, "Swap dark and light in pictures"));
    if (!this.#job.preprocessing) {
      found.push(make("p", {className: "muted", textContent: "The bundle names no preprocessing: values from 0 to 255 go in."}));
    }
    found.push(this.#shown);
    return found;
  }

  /** End the camera. */
  stop() {
    for (const track of this.#video.srcObject?.getTracks() ?? []) track.stop();
    this.#video.srcObject = null;
    this.#video.hidden = true;
    this.#cameraButton.textContent = "Camera";
  }

  async #readFile(file) {
    try {
      await this.#see(await readPicture(file));
    } catch (error) {
      this.#say(`this picture cannot be used: ${error.message}`);
    }
  }

  async #openCamera() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}, audio: false});
      this.#video.srcObject = stream;
      this.#video.hidden = false;
      this.#cameraButton.textContent = "Stop the camera";
      await this.#video.play();
      while (this.#video.srcObject) {
        await this.#see(drawn(this.#video));
        await new Promise((resolve) => setTimeout(resolve, CAMERA_PAUSE_MS));
      }
    } catch (error) {
      this.stop();
      this.#say(`the camera cannot be used: ${error.message}`);
    }
  }

  /** A field to draw in, white on black; the model runs after each stroke. */
  #pad() {
    const label = "Draw here; with a keyboard, choose a picture instead";
    const pad = make("canvas", {className: "pad", width: 280, height: 280, role: "img", "aria-label": label});
    const context = pad.getContext("2d", {willReadFrequently: true});
    const clear = () => {
      context.fillStyle = "#000";
      context.fillRect(0, 0, pad.width, pad.height);
    };
    clear();
    Object.assign(context, {lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "#fff"});
    const position = ({offsetX, offsetY}) => [(offsetX * pad.width) / pad.clientWidth, (offsetY * pad.height) / pad.clientHeight];
    pad.onpointerdown = (event) => {
      pad.setPointerCapture(event.pointerId);
      context.beginPath();
      context.moveTo(...position(event));
      context.lineTo(...position(event));
      context.stroke();
    };
    pad.onpointermove = (event) => {
      if (!pad.hasPointerCapture(event.pointerId)) return;
      context.lineTo(...position(event));
      context.stroke();
    };
    pad.onpointerup = () => this.#see(context.getImageData(0, 0, pad.width, pad.height), {invert: false});
    const button = make("button", {type: "button", textContent: "Clear the drawing", onclick: clear});
    return [make("p", {className: "muted", textContent: "Or draw, light on dark:"}), pad, make("div", {className: "row"}, button)];
  }

  async #see(picture, {invert = this.#inverted.checked} = {}) {
    this.#last = picture;
    const {channels, height, width, channelsFirst} = this.#kind;
    const image = pixels(picture, channels);
    if (invert && channels === 1) image.data.forEach((value, index) => { image.data[index] = 255 - value; });
    const steps = this.#job.preprocessing;
    const fitting = resized(image, steps?.resize ?? {height, width});
    this.#show(fitting);
    const layout = channelsFirst ? "channels-first" : "channels-last";
    await this.#run([preprocess(fitting, {...steps, layout}, this.#spec.shape)]);
  }

  #show({data, shape: [height, width, channels]}) {
    const seen = new ImageData(width, height);
    for (let index = 0; index < width * height; index++) {
      for (let part = 0; part < 3; part++) seen.data[4 * index + part] = data[index * channels + (channels === 3 ? part : 0)];
      seen.data[4 * index + 3] = 255;
    }
    Object.assign(this.#shown, {width, height, hidden: false});
    this.#shown.getContext("2d").putImageData(seen, 0, 0);
  }
}

function drawn(video) {
  const canvas = make("canvas", {width: video.videoWidth || 1, height: video.videoHeight || 1});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(video, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
