// edgekit-runner: one method of a model file on raw input files; JSON on standard output.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "process.h"
#include "session.h"

namespace {

constexpr const char* kUsage =
    "usage: edgekit-runner --model FILE [--engine litert|executorch] [--method NAME] [--threads N] [--cpus LIST]\n"
    "                      --input FILE.raw... --output-dir DIR [--input-names NAME...] [--output-names NAME...]\n"
    "                      [--repeat N] [--spans N] [--trace FILE]\n"
    "\n"
    "Runs a method (by default: the file's own, or forward) on raw input files, one for each input, in C order. Writes\n"
    "output_0.raw and so on, and prints as JSON what it used and took; times in nanoseconds, memory in bytes.\n"
    "\n"
    "  --engine        by default executorch for .pte files, litert for all others\n"
    "  --cpus          binds the process to these cores, like 0-3,6, before anything else\n"
    "  --input-names   whose inputs --input has, and in which order; without it, the file's order\n"
    "  --output-names  the same for the outputs\n"
    "  --repeat        inferences; an elapsed_ns holds writing the inputs, the inference and reading the outputs\n"
    "  --spans         so many more, after those, whose three parts are timed one by one\n"
    "  --trace         as many more as --repeat, after those, whose events the engine keeps: ExecuTorch's ETDump file,\n"
    "                  of LiteRT JSON: the file's operators (number, first output), and of each inference the events\n"
    "                  (tag, type, microseconds, index)\n";

using Bytes = std::vector<char>;

struct Options {
  Request request;
  std::string engine;
  std::string output_dir;
  std::string trace;
  std::vector<std::string> inputs, input_names, output_names;
  std::vector<int> cpus;
  int32_t repeat = 1;
  int32_t spans = 0;
};

int32_t number(const std::string& option, const std::string& text) {
  char* end = nullptr;
  long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < 1 || value > 1000000) fail(option + " takes a number from 1 on");
  return static_cast<int32_t>(value);
}

void take_one(Options& options, const std::string& option, const std::string& value) {
  if (option == "--model") {
    options.request.model = value;
  } else if (option == "--engine") {
    if (value != "litert" && value != "executorch") fail("--engine is litert or executorch");
    options.engine = value;
  } else if (option == "--method") {
    options.request.method = value;
  } else if (option == "--threads") {
    options.request.threads = number(option, value);
  } else if (option == "--cpus") {
    options.cpus = parse_cores(value);
  } else if (option == "--output-dir") {
    options.output_dir = value;
  } else if (option == "--repeat") {
    options.repeat = number(option, value);
  } else if (option == "--spans") {
    options.spans = number(option, value);
  } else if (option == "--trace") {
    options.trace = value;
    options.request.trace = true;
  } else {
    fail("there is no option " + option);
  }
}

Options parse(const std::vector<std::string>& words) {
  Options options;
  for (size_t i = 0; i < words.size();) {
    const std::string& option = words[i++];
    std::vector<std::string> values;
    while (i < words.size() && words[i].compare(0, 2, "--") != 0) values.push_back(words[i++]);
    if (option == "--input") {
      options.inputs = values;
    } else if (option == "--input-names") {
      options.input_names = values;
    } else if (option == "--output-names") {
      options.output_names = values;
    } else {
      if (values.size() != 1) fail(option + " takes one value");
      take_one(options, option, values[0]);
    }
  }
  const std::string& model = options.request.model;
  if (model.empty() || options.output_dir.empty()) fail("--model and --output-dir are needed");
  if (options.engine.empty()) {
    bool pte = model.size() > 4 && model.compare(model.size() - 4, 4, ".pte") == 0;
    options.engine = pte ? "executorch" : "litert";
  }
  return options;
}

Bytes read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail(path + ": cannot be read");
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const Bytes& data) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(data.data(), static_cast<std::streamsize>(data.size()));
  stream.close();
  if (!stream) fail(path + ": cannot be written");
}

template <typename Number>
std::string listed(const std::vector<Number>& numbers) {
  std::string result = "[";
  for (Number each : numbers) result += (result.size() > 1 ? ", " : "") + std::to_string(each);
  return result + "]";
}

std::string known(int64_t bytes) { return bytes < 0 ? "null" : std::to_string(bytes); }

// The N of litert-torch's args_N and output_N; -1 for another name.
int number_in(const std::string& name) {
  for (const char* prefix : {"args_", "output_"}) {
    size_t length = std::strlen(prefix);
    bool fits = name.compare(0, length, prefix) == 0 && name.size() > length && name.size() < length + 6;
    if (fits && name.find_first_not_of("0123456789", length) == std::string::npos) return std::atoi(&name[length]);
  }
  return -1;
}

// Which of the file's tensors are those that were named, in that order: by name, else by litert-torch's numbering, else
// by position; as in edgekit/runtime/engines/interpreter.py.
std::vector<size_t> places(const std::vector<Tensor>& tensors, const std::vector<std::string>& names,
                           const char* what) {
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); i++) order[i] = i;
  if (names.empty()) return order;
  if (names.size() != tensors.size()) {
    fail("the model has " + std::to_string(tensors.size()) + " " + what + "s, " + std::to_string(names.size()) +
         " are named");
  }
  std::vector<size_t> found;
  for (const std::string& name : names) {
    for (size_t i = 0; i < tensors.size(); i++) {
      if (tensors[i].name == name) found.push_back(i);
    }
  }
  if (found.size() == names.size()) return found;
  bool numbered = std::all_of(tensors.begin(), tensors.end(), [](const Tensor& each) { return number_in(each.name) >= 0; });
  if (numbered) {
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return number_in(tensors[a].name) < number_in(tensors[b].name); });
  }
  return order;
}

std::string described_tensors(const std::vector<Tensor>& tensors, const std::vector<size_t>& order) {
  std::string result = "[";
  for (size_t i : order) {
    if (result.size() > 1) result += ", ";
    result += "{\"dtype\": \"" + tensors[i].dtype + "\", \"shape\": " + listed(tensors[i].shape) + "}";
  }
  return result + "]";
}

// litert-torch 0.10 writes every int64 as int32: a file of int64 numbers is taken for such an input, too.
Bytes narrowed(const Bytes& data, const std::string& path) {
  Bytes result(data.size() / 2);
  for (size_t i = 0; i < data.size() / sizeof(int64_t); i++) {
    int64_t wide;
    std::memcpy(&wide, data.data() + i * sizeof wide, sizeof wide);
    auto narrow = static_cast<int32_t>(wide);
    if (narrow != wide) fail(path + " holds values beyond int32, which the model takes");
    std::memcpy(result.data() + i * sizeof narrow, &narrow, sizeof narrow);
  }
  return result;
}

std::vector<Bytes> read_inputs(const Options& options, const std::vector<Tensor>& tensors,
                               const std::vector<size_t>& order) {
  if (options.inputs.size() != tensors.size()) {
    fail("the model takes " + std::to_string(tensors.size()) + " inputs, --input names " +
         std::to_string(options.inputs.size()));
  }
  std::vector<Bytes> data;
  for (size_t i = 0; i < order.size(); i++) {
    const Tensor& tensor = tensors[order[i]];
    Bytes given = read_file(options.inputs[i]);
    if (tensor.dtype == "int32" && given.size() == 2 * tensor.size_bytes) given = narrowed(given, options.inputs[i]);
    if (given.size() != tensor.size_bytes) {
      fail(options.inputs[i] + " has " + std::to_string(given.size()) + " bytes, input " + std::to_string(i) +
           " takes " + std::to_string(tensor.size_bytes));
    }
    data.push_back(std::move(given));
  }
  return data;
}

using Clock = std::chrono::steady_clock;

int64_t nanoseconds(Clock::time_point began, Clock::time_point ended) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(ended - began).count();
}

// A session with the bytes that go in and those that come out.
class Running {
 public:
  Running(Session& session, const Options& options)
      : session_(session),
        inputs_(places(session.inputs(), options.input_names, "input")),
        outputs_(places(session.outputs(), options.output_names, "output")),
        in_(read_inputs(options, session.inputs(), inputs_)) {
    for (size_t i : outputs_) out_.emplace_back(session.outputs()[i].size_bytes);
  }

  std::vector<int64_t> repeat(int32_t count) {
    std::vector<int64_t> elapsed;
    elapsed.reserve(static_cast<size_t>(count));
    for (int32_t turn = 0; turn < count; turn++) {
      auto began = Clock::now();
      write();
      session_.run();
      read();
      elapsed.push_back(nanoseconds(began, Clock::now()));
    }
    return elapsed;
  }

  std::string spans(int32_t count) {
    if (count == 0) return "null";
    std::array<std::vector<int64_t>, 3> parts;
    for (int32_t turn = 0; turn < count; turn++) {
      auto began = Clock::now();
      write();
      auto written = Clock::now();
      session_.run();
      auto invoked = Clock::now();
      read();
      parts[0].push_back(nanoseconds(began, written));
      parts[1].push_back(nanoseconds(written, invoked));
      parts[2].push_back(nanoseconds(invoked, Clock::now()));
    }
    return "{\"write_ns\": " + listed(parts[0]) + ", \"invoke_ns\": " + listed(parts[1]) +
           ", \"read_ns\": " + listed(parts[2]) + "}";
  }

  void save(const std::string& folder) const {
    for (size_t i = 0; i < out_.size(); i++) write_file(folder + "/output_" + std::to_string(i) + ".raw", out_[i]);
  }

  std::string described() const {
    return "\"inputs\": " + described_tensors(session_.inputs(), inputs_) +
           ", \"outputs\": " + described_tensors(session_.outputs(), outputs_);
  }

 private:
  void write() {
    for (size_t i = 0; i < in_.size(); i++) session_.write(inputs_[i], in_[i].data());
  }
  void read() {
    for (size_t i = 0; i < out_.size(); i++) session_.read(outputs_[i], out_[i].data());
  }

  Session& session_;
  std::vector<size_t> inputs_, outputs_;  // places in the file, in the order of the caller
  std::vector<Bytes> in_, out_;
};

std::string run(const Options& options) {
  if (!options.cpus.empty()) bind_to(options.cpus);
  int64_t before = read_memory().resident;
  auto began = Clock::now();
  auto engine = options.engine == "litert" ? load_litert() : load_executorch();
  auto imported = Clock::now();
  auto session = engine->open(options.request);
  auto loaded = Clock::now();
  Running running(*session, options);
  auto elapsed = running.repeat(options.repeat);
  Memory memory = read_memory();
  auto spans = running.spans(options.spans);
  if (!options.trace.empty()) {
    session->begin_trace();
    running.repeat(options.repeat);
    write_file(options.trace, session->take_trace());
  }
  running.save(options.output_dir);
  return "{\"engine\": \"" + options.engine + "\", \"threads\": " + std::to_string(session->threads()) +
         ", \"cpus\": " + (options.cpus.empty() ? "null" : listed(options.cpus)) +
         ", \"import_ns\": " + std::to_string(nanoseconds(began, imported)) +
         ", \"load_ns\": " + std::to_string(nanoseconds(imported, loaded)) + ", \"before_bytes\": " + known(before) +
         ", \"peak_rss_bytes\": " + known(memory.peak) + ", \"anonymous_bytes\": " + known(memory.anonymous) +
         ", \"file_bytes\": " + known(memory.file) + ", " + running.described() +
         ", \"elapsed_ns\": " + listed(elapsed) + ", \"spans\": " + spans + "}";
}

}  // namespace

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
