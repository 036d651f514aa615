// Pictures: Flutter decodes them, processing.dart scales and cuts them.

import 'dart:typed_data';
import 'dart:ui' as ui;

import 'processing.dart';

const _png = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const _jpeg = [0xff, 0xd8, 0xff];

/// Larger pictures are refused before they are decoded, here as where the model was made.
const _mostPixels = 1 << 26;

/// The raw values of a picture: the bytes of a PNG or JPEG file, which Flutter turns upright as its EXIF data say.
Future<Float32List> readImage(Uint8List file, ImageSize size) async {
  if (!_startsAs(file, _png) && !_startsAs(file, _jpeg)) {
    throw ArgumentError('the picture is neither PNG nor JPEG: save it as one of these');
  }
  final buffer = await ui.ImmutableBuffer.fromUint8List(file);
  final stored = await ui.ImageDescriptor.encoded(buffer);
  if (stored.width * stored.height > _mostPixels) {
    throw ArgumentError('the picture has ${stored.width} x ${stored.height} pixels: scale it down first');
  }
  final codec = await stored.instantiateCodec();
  final picture = (await codec.getNextFrame()).image;
  final bytes = await picture.toByteData(format: ui.ImageByteFormat.rawStraightRgba);
  final values = fitImage(bytes!.buffer.asUint8List(), picture.height, picture.width, size);
  picture.dispose();
  codec.dispose();
  stored.dispose();
  buffer.dispose();
  return values;
}

bool _startsAs(Uint8List file, List<int> start) {
  if (file.length < start.length) {
    return false;
  }
  for (var index = 0; index < start.length; index++) {
    if (file[index] != start[index]) {
      return false;
    }
  }
  return true;
}
