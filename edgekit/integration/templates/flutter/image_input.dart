// Pictures: Flutter decodes them, processing.dart scales and cuts them.

import 'dart:typed_data';
import 'dart:ui' as ui;

import 'processing.dart';

/// The raw values of a picture: the bytes of a PNG, JPEG or another file that Flutter reads, and turns upright.
Future<Float32List> readImage(Uint8List file, ImageSize size) async {
  final codec = await ui.instantiateImageCodec(file);
  final picture = (await codec.getNextFrame()).image;
  final bytes = await picture.toByteData(format: ui.ImageByteFormat.rawStraightRgba);
  final values = fitImage(bytes!.buffer.asUint8List(), picture.height, picture.width, size);
  picture.dispose();
  codec.dispose();
  return values;
}
