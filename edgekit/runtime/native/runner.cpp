// edgekit-runner: one method of a .pte file on raw input files; JSON on standard output.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "core.h"

namespace {

constexpr const char* kUsage =
    "usage: edgekit-runner --model FILE.pte [--method NAME] [--threads N] --input FILE.raw... --output-dir DIR\n"
    "                      [--repeat N] [--trace FILE.etdp]\n"
    "\n"
    "Runs a method (by default: forward) on raw input files, one for each input, in C order. Writes output_0.raw and\n"
    "so on, and prints the shapes, the threads in use and the nanoseconds of each run as JSON.\n";

struct Options {
  std::string model;
  std::string method = "forward";
  std::string output_dir;
  std::string trace;
  std::vector<std::string> inputs;
  int32_t threads = 1;
  int32_t repeat = 1;
};

struct Model {
  ek_model* handle;
  ~Model() { ek_close(handle); }
};

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

void check(int32_t failed) {
  if (failed != 0) fail(ek_error());
}

int32_t number(const std::string& option, const std::string& text) {
  char* end = nullptr;
  long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < 1 || value > 1000000) fail(option + " takes a number from 1 on");
  return static_cast<int32_t>(value);
}

Options parse(const std::vector<std::string>& words) {
  Options options;
  for (size_t i = 0; i < words.size();) {
    const std::string& option = words[i++];
    std::vector<std::string> values;
    while (i < words.size() && words[i].compare(0, 2, "--") != 0) values.push_back(words[i++]);
    if (option == "--input") {
      options.inputs.insert(options.inputs.end(), values.begin(), values.end());
      continue;
    }
    if (values.size() != 1) fail(option + " takes one value");
    if (option == "--model") {
      options.model = values[0];
    } else if (option == "--method") {
      options.method = values[0];
    } else if (option == "--output-dir") {
      options.output_dir = values[0];
    } else if (option == "--trace") {
      options.trace = values[0];
    } else if (option == "--threads") {
      options.threads = number(option, values[0]);
    } else if (option == "--repeat") {
      options.repeat = number(option, values[0]);
    } else {
      fail("there is no option " + option);
    }
  }
  if (options.model.empty() || options.output_dir.empty()) fail("--model and --output-dir are needed");
  return options;
}

std::vector<char> read(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail(path + ": cannot be read");
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write(const std::string& path, const void* data, size_t size) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
  stream.close();
  if (!stream) fail(path + ": cannot be written");
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char letter : text) {
    if (letter == '"' || letter == '\\') {
      result += '\\';
      result += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(letter));
      result += escaped;
    } else {
      result += letter;
    }
  }
  return result + "\"";
}

const char* dtype_name(int32_t dtype) {
  switch (dtype) {
    case 0: return "uint8";
    case 1: return "int8";
    case 2: return "int16";
    case 3: return "int32";
    case 4: return "int64";
    case 5: return "float16";
    case 6: return "float32";
    case 7: return "float64";
    case 11: return "bool";
    default: return "other";
  }
}

std::string described(const std::vector<ek_tensor>& tensors) {
  std::string result = "[";
  for (const ek_tensor& tensor : tensors) {
    if (result.size() > 1) result += ", ";
    result += std::string("{\"dtype\": \"") + dtype_name(tensor.dtype) + "\", \"shape\": [";
    for (int32_t i = 0; i < tensor.rank; i++) result += (i ? ", " : "") + std::to_string(tensor.shape[i]);
    result += "]}";
  }
  return result + "]";
}

std::vector<ek_tensor> describe(const ek_model* model, int32_t count, decltype(&ek_describe_input) one) {
  std::vector<ek_tensor> tensors(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; i++) check(one(model, i, &tensors[static_cast<size_t>(i)]));
  return tensors;
}

std::vector<std::vector<char>> read_inputs(const Options& options, const std::vector<ek_tensor>& tensors) {
  if (options.inputs.size() != tensors.size()) {
    fail("the model takes " + std::to_string(tensors.size()) + " inputs, --input names " +
         std::to_string(options.inputs.size()));
  }
  std::vector<std::vector<char>> data;
  for (size_t i = 0; i < tensors.size(); i++) {
    data.push_back(read(options.inputs[i]));
    if (data[i].size() != static_cast<size_t>(tensors[i].size_bytes)) {
      fail(options.inputs[i] + " has " + std::to_string(data[i].size()) + " bytes, input " + std::to_string(i) +
           " takes " + std::to_string(tensors[i].size_bytes));
    }
  }
  return data;
}

void write_outputs(const Options& options, const ek_model* model, const std::vector<ek_tensor>& tensors) {
  for (size_t i = 0; i < tensors.size(); i++) {
    std::vector<char> data(static_cast<size_t>(tensors[i].size_bytes));
    check(ek_get_output(model, static_cast<int32_t>(i), data.data(), data.size(), tensors[i].dtype));
    write(options.output_dir + "/output_" + std::to_string(i) + ".raw", data.data(), data.size());
  }
}

std::string run(const Options& options) {
  Model model{ek_open_file(options.model.c_str(), options.method.c_str(), options.threads, !options.trace.empty())};
  if (model.handle == nullptr) fail(ek_error());
  auto inputs = describe(model.handle, ek_input_count(model.handle), ek_describe_input);
  auto outputs = describe(model.handle, ek_output_count(model.handle), ek_describe_output);
  auto data = read_inputs(options, inputs);
  std::string elapsed;
  for (int32_t turn = 0; turn < options.repeat; turn++) {
    auto began = std::chrono::steady_clock::now();
    for (size_t i = 0; i < data.size(); i++) {
      check(ek_set_input(model.handle, static_cast<int32_t>(i), data[i].data(), data[i].size(), inputs[i].dtype));
    }
    check(ek_run(model.handle));
    auto ended = std::chrono::steady_clock::now();
    auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(ended - began).count();
    elapsed += (turn ? ", " : "") + std::to_string(nanoseconds);
  }
  write_outputs(options, model.handle, outputs);
  if (!options.trace.empty()) {
    void* trace = nullptr;
    size_t size = 0;
    check(ek_take_trace(model.handle, &trace, &size));
    std::vector<char> copied(static_cast<char*>(trace), static_cast<char*>(trace) + size);
    ek_free(trace);
    write(options.trace, copied.data(), copied.size());
  }
  return "{\"threads\": " + std::to_string(ek_thread_count()) + ", \"inputs\": " + described(inputs) +
         ", \"outputs\": " + described(outputs) + ", \"elapsed_ns\": [" + elapsed + "]}";
}

}  // namespace

int main(int count, char** words) {
  try {
    std::vector<std::string> given(words + 1, words + count);
    if (given.empty() || std::find(given.begin(), given.end(), "--help") != given.end()) {
      std::fputs(kUsage, given.empty() ? stderr : stdout);
      return given.empty() ? 2 : 0;
    }
    std::printf("%s\n", run(parse(given)).c_str());
    return std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("{\"error\": %s}\n", quoted(error.what()).c_str());
    return 1;
  }
}
