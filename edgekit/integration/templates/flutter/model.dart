// One trained model: LiteRT (TensorFlow Lite) loads model.tflite and runs it on the CPU.

import 'dart:convert';
import 'dart:math';
import 'dart:typed_data';

import 'package:flutter/services.dart';
import 'package:tflite_flutter/tflite_flutter.dart';

import 'processing.dart';
import 'spec.dart' as spec;

const _folder = 'assets/edgekit';

/// Load it once and keep it. One call at a time.
class TrainedModel {
  TrainedModel._(this._interpreter, this._labels);

  final Interpreter _interpreter;
  final List<String> _labels;

  static Future<TrainedModel> load() async {
    final interpreter = await Interpreter.fromAsset('$_folder/model.tflite');
    final labels = const LineSplitter().convert(await rootBundle.loadString('$_folder/labels.txt'));
    return TrainedModel._(interpreter, labels);
  }

  /// The outputs for raw samples by input name, channels last: scaled and normalised here, as in the training.
  Map<String, Float32List> predict(Map<String, List<double>> raw) {
    return run({
      for (final input in spec.inputs) input.name: prepare(_named(raw, input.name), input, spec.preparation),
    });
  }

  /// The outputs for input tensors that are ready.
  Map<String, Float32List> run(Map<String, Float32List> inputs) {
    for (var index = 0; index < spec.inputs.length; index++) {
      // A copy in a buffer of its own, as bytes: the interpreter takes all of the buffer.
      final values = Float32List.fromList(_named(inputs, spec.inputs[index].name));
      _interpreter.getInputTensor(index).setTo(values.buffer.asUint8List());
    }
    _interpreter.invoke();
    return {
      for (var index = 0; index < spec.outputs.length; index++)
        spec.outputs[index].name: Uint8List.fromList(_interpreter.getOutputTensor(index).data).buffer.asFloat32List(),
    };
  }

  /// The largest scores with their labels.
  List<Ranked> rankScores(Map<String, Float32List> outputs, {int most = 5}) {
    final scores = _named(outputs, spec.scoresOutput);
    return rank(spec.scoresAreLogits ? softmax(scores) : scores, _labels, most);
  }

  /// Runs the check that came with the model; fails when its outputs are not those of the float model.
  Future<double> selfTest() async {
    final bytes = await rootBundle.load('$_folder/check.bin');
    var start = 0;
    Float32List next(TensorInfo info) {
      final values = Float32List(info.count);
      for (var index = 0; index < info.count; index++) {
        values[index] = bytes.getFloat32(4 * (start + index), Endian.little);
      }
      start += info.count;
      return values;
    }

    final found = run({for (final input in spec.inputs) input.name: next(input)});
    var difference = 0.0;
    for (final output in spec.outputs) {
      difference = max(difference, largestDifference(next(output), _named(found, output.name)));
    }
    if (!(difference <= spec.tolerance)) {
      throw StateError('the outputs are $difference off, more than ${spec.tolerance}');
    }
    return difference;
  }

  void close() => _interpreter.close();
}

T _named<T>(Map<String, T> values, String name) {
  final value = values[name];
  if (value == null) {
    throw ArgumentError('$name is missing');
  }
  return value;
}
