// What the bundle $name says of $variant. Made by edgekit; make it again when the model changes.

import 'processing.dart';

/// Inputs and outputs in the order of the file.
const inputs = $inputs;
const outputs = $outputs;

/// $preparation_comment
const preparation = $preparation;

/// $image_comment
const ImageSize? image = $image;

/// The output that has a score for each label.
const scoresOutput = $scores;

/// $logits_comment
const scoresAreLogits = $logits;

/// How far the outputs of the check may be from those of the float model.
const tolerance = $tolerance;
