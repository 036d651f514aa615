// What the app's metro.config.js needs besides what it has: .tflite files are part of the app.

const { getDefaultConfig, mergeConfig } = require('@react-native/metro-config');

const defaults = getDefaultConfig(__dirname);

module.exports = mergeConfig(defaults, {
  resolver: { assetExts: [...defaults.resolver.assetExts, 'tflite'] },
});
