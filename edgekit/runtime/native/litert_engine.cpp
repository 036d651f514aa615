// LiteRT: .tflite files, on libLiteRt.so of the ai-edge-litert package.
//
// The library comes without headers and promises no stable interface. What is declared here is that of 2.3
// (https://github.com/google-ai-edge/LiteRT, litert/c): the pack that carries this program to a device brings exactly
// that version, and edgekit/runtime/engines/litert.py refuses others.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "library.h"

namespace {

using Handle = void*;
using Status = int;

struct Layout {  // LiteRtLayout
  unsigned rank : 7;
  unsigned has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
};

struct TensorType {  // LiteRtRankedTensorType
  int32_t element;
  Layout layout;
};
static_assert(sizeof(TensorType) == 72, "LiteRT's own size");

struct EnvironmentOption {  // LiteRtEnvOption with a whole number as its value
  int32_t tag;
  int64_t value_type;
  int64_t value;
};

struct Event {  // ProfiledEventData
  const char* tag;
  int32_t type;
  uint64_t start_us;  // by the monotonic clock
  uint64_t elapsed_us;
  size_t memory[6];
  uint64_t index;
  uint64_t subgraph;
  int32_t source;
};
static_assert(sizeof(Event) == 104, "LiteRT's own size");

// After so many events they are read before they go on: the profiler keeps 512 thousand, then overwrites the first.
constexpr int kMostEvents = 20000;
constexpr int kMostEventType = 256;

constexpr int kCpu = 1;                   // kLiteRtHwAcceleratorCpu
constexpr int kRead = 0, kWrite = 1;      // LiteRtTensorBufferLockMode
constexpr int kAutoRegister = 24, kMinLogSeverity = 25, kInt = 2, kErrors = 3;
constexpr const char* kNoSignature = "<placeholder signature>";  // what LiteRT calls that of a file that has none

// Every function returns a status.
struct Calls {
  Status (*CreateEnvironment)(int, const EnvironmentOption*, Handle*);
  Status (*CreateModelFromFile)(Handle, const char*, Handle*);
  Status (*CreateOptions)(Handle*);
  Status (*SetOptionsHardwareAccelerators)(Handle, int);
  Status (*CreateOpaqueOptions)(const char*, void*, void (*)(void*), Handle*);
  Status (*AddOpaqueOptions)(Handle, Handle);
  Status (*CreateCompiledModel)(Handle, Handle, Handle, Handle*);
  Status (*GetNumModelSignatures)(Handle, size_t*);
  Status (*GetModelSignature)(Handle, size_t, Handle*);
  Status (*GetSignatureKey)(Handle, const char**);
  Status (*GetNumSignatureInputs)(Handle, size_t*);
  Status (*GetNumSignatureOutputs)(Handle, size_t*);
  Status (*GetSignatureInputName)(Handle, size_t, const char**);
  Status (*GetSignatureOutputName)(Handle, size_t, const char**);
  Status (*GetSignatureInputTensorByIndex)(Handle, size_t, Handle*);
  Status (*GetSignatureOutputTensorByIndex)(Handle, size_t, Handle*);
  Status (*GetRankedTensorType)(Handle, TensorType*);
  Status (*GetCompiledModelInputBufferRequirements)(Handle, size_t, size_t, Handle*);
  Status (*GetCompiledModelOutputBufferRequirements)(Handle, size_t, size_t, Handle*);
  Status (*CreateManagedTensorBufferFromRequirements)(Handle, const TensorType*, Handle, Handle*);
  Status (*GetTensorBufferPackedSize)(Handle, size_t*);
  Status (*LockTensorBuffer)(Handle, void**, int);
  Status (*UnlockTensorBuffer)(Handle);
  Status (*RunCompiledModel)(Handle, size_t, size_t, Handle*, size_t, Handle*);
  Status (*GetSignatureSubgraph)(Handle, Handle*);
  Status (*GetNumSubgraphOps)(Handle, size_t*);
  Status (*GetSubgraphOp)(Handle, size_t, Handle*);
  Status (*GetOpCode)(Handle, int*);
  Status (*GetNumOpOutputs)(Handle, size_t*);
  Status (*GetOpOutput)(Handle, size_t, Handle*);
  Status (*GetTensorName)(Handle, const char**);
  Status (*CompiledModelGetProfiler)(Handle, Handle*);
  Status (*StartProfiler)(Handle);
  Status (*StopProfiler)(Handle);
  Status (*GetNumProfilerEvents)(Handle, int*);
  Status (*GetProfilerEvents)(Handle, int, Event*);
  void (*DestroyTensorBuffer)(Handle);
  void (*DestroyCompiledModel)(Handle);
  void (*DestroyOptions)(Handle);
  void (*DestroyModel)(Handle);
  void (*DestroyEnvironment)(Handle);

  explicit Calls(const Library& library) {
#define FIND(name) library.find("LiteRt" #name, name)
    FIND(CreateEnvironment);
    FIND(CreateModelFromFile);
    FIND(CreateOptions);
    FIND(SetOptionsHardwareAccelerators);
    FIND(CreateOpaqueOptions);
    FIND(AddOpaqueOptions);
    FIND(CreateCompiledModel);
    FIND(GetNumModelSignatures);
    FIND(GetModelSignature);
    FIND(GetSignatureKey);
    FIND(GetNumSignatureInputs);
    FIND(GetNumSignatureOutputs);
    FIND(GetSignatureInputName);
    FIND(GetSignatureOutputName);
    FIND(GetSignatureInputTensorByIndex);
    FIND(GetSignatureOutputTensorByIndex);
    FIND(GetRankedTensorType);
    FIND(GetCompiledModelInputBufferRequirements);
    FIND(GetCompiledModelOutputBufferRequirements);
    FIND(CreateManagedTensorBufferFromRequirements);
    FIND(GetTensorBufferPackedSize);
    FIND(LockTensorBuffer);
    FIND(UnlockTensorBuffer);
    FIND(RunCompiledModel);
    FIND(GetSignatureSubgraph);
    FIND(GetNumSubgraphOps);
    FIND(GetSubgraphOp);
    FIND(GetOpCode);
    FIND(GetNumOpOutputs);
    FIND(GetOpOutput);
    FIND(GetTensorName);
    FIND(CompiledModelGetProfiler);
    FIND(StartProfiler);
    FIND(StopProfiler);
    FIND(GetNumProfilerEvents);
    FIND(GetProfilerEvents);
    FIND(DestroyTensorBuffer);
    FIND(DestroyCompiledModel);
    FIND(DestroyOptions);
    FIND(DestroyModel);
    FIND(DestroyEnvironment);
#undef FIND
  }
};

std::string reason(Status status) {
  switch (status) {  // LiteRtStatus
    case 1: return "invalid argument";
    case 2: return "out of memory";
    case 3: return "runtime failure";
    case 5: return "unsupported";
    case 6: return "not found";
    case 500: return "it cannot be read, or is no .tflite file";
    case 501: return "invalid flatbuffer";
    case 504: return "compilation failed";
    default: return "status " + std::to_string(status);
  }
}

void check(Status status, const char* doing) {
  if (status != 0) fail(std::string("failed to ") + doing + ": " + reason(status));
}

const char* dtype_name(int32_t element) {
  switch (element) {  // LiteRtElementType
    case 1: return "float32";
    case 2: return "int32";
    case 3: return "uint8";
    case 4: return "int64";
    case 6: return "bool";
    case 7: return "int16";
    case 9: return "int8";
    case 10: return "float16";
    case 11: return "float64";
    case 13: return "uint64";
    case 16: return "uint32";
    case 17: return "uint16";
    default: return "other";
  }
}

// Handles in the order in which they were made; released in the opposite one.
class Owned {
 public:
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    while (!handles_.empty()) {
      auto [release, handle] = handles_.back();
      handles_.pop_back();
      release(handle);
    }
  }
  Handle keep(Handle handle, void (*release)(Handle)) {
    handles_.emplace_back(release, handle);
    return handle;
  }

 private:
  std::vector<std::pair<void (*)(Handle), Handle>> handles_;
};

class LiteRTSession : public Session {
 public:
  LiteRTSession(const Calls& calls, const Request& request) : calls_(calls), threads_(request.threads) {
    const char* doing = "load the model";
    // Accelerators for processors only, and no messages but errors.
    const EnvironmentOption settings[] = {{kAutoRegister, kInt, kCpu}, {kMinLogSeverity, kInt, kErrors}};
    Handle environment, model, options, signature;
    check(calls_.CreateEnvironment(2, settings, &environment), "start");
    owned_.keep(environment, calls_.DestroyEnvironment);
    check(calls_.CreateModelFromFile(environment, request.model.c_str(), &model), doing);
    owned_.keep(model, calls_.DestroyModel);
    check(calls_.CreateOptions(&options), doing);
    owned_.keep(options, calls_.DestroyOptions);
    check(calls_.SetOptionsHardwareAccelerators(options, kCpu), doing);
    set(options, "xnnpack", "num_threads = " + std::to_string(threads_) + "\n");
    if (request.trace) set(options, "runtime_options_string", "enable_profiling = true\n");
    check(calls_.CreateCompiledModel(environment, model, options, &compiled_), doing);
    owned_.keep(compiled_, calls_.DestroyCompiledModel);
    if (request.trace) check(calls_.CompiledModelGetProfiler(compiled_, &profiler_), doing);
    signature = find_signature(model, request.method);
    if (request.trace) list_nodes(signature);
    describe(environment, signature, calls_.GetNumSignatureInputs, calls_.GetSignatureInputName,
             calls_.GetSignatureInputTensorByIndex, calls_.GetCompiledModelInputBufferRequirements, inputs_,
             input_buffers_);
    describe(environment, signature, calls_.GetNumSignatureOutputs, calls_.GetSignatureOutputName,
             calls_.GetSignatureOutputTensorByIndex, calls_.GetCompiledModelOutputBufferRequirements, outputs_,
             output_buffers_);
  }

  const std::vector<Tensor>& inputs() const override { return inputs_; }
  const std::vector<Tensor>& outputs() const override { return outputs_; }
  int32_t threads() const override { return threads_; }

  void write(size_t input, const void* data) override {
    void* memory = nullptr;
    check(calls_.LockTensorBuffer(input_buffers_[input], &memory, kWrite), "take an input");
    std::memcpy(memory, data, inputs_[input].size_bytes);
    check(calls_.UnlockTensorBuffer(input_buffers_[input]), "take an input");
  }

  void run() override {
    check(calls_.RunCompiledModel(compiled_, index_, input_buffers_.size(), input_buffers_.data(),
                                  output_buffers_.size(), output_buffers_.data()),
          "run the model");
    if (!tracing_) return;
    int count = 0;
    check(calls_.GetNumProfilerEvents(profiler_, &count), kTracing);
    ends_.push_back(count);
    if (count < kMostEvents) return;
    drain();
    begin();
  }

  void read(size_t output, void* data) override {
    void* memory = nullptr;
    check(calls_.LockTensorBuffer(output_buffers_[output], &memory, kRead), "give an output");
    std::memcpy(data, memory, outputs_[output].size_bytes);
    check(calls_.UnlockTensorBuffer(output_buffers_[output]), "give an output");
  }

  void begin_trace() override {
    runs_.clear();
    begin();
  }

  std::vector<char> take_trace() override {
    drain();
    std::string text = "{\"nodes\":[" + nodes_ + "],\n\"runs\":[" + runs_ + "]}";
    return {text.begin(), text.end()};
  }

 private:
  static constexpr const char* kTracing = "trace the model";

  void set(Handle options, const char* name, const std::string& text) {
    Handle made;
    check(calls_.CreateOpaqueOptions(name, ::strdup(text.c_str()), std::free, &made), "load the model");
    check(calls_.AddOpaqueOptions(options, made), "load the model");
  }

  // The file's operators in its order: the number of each in TensorFlow Lite's list, and the name of its first output.
  void list_nodes(Handle signature) {
    Handle graph, op, tensor;
    size_t count = 0, outputs = 0;
    check(calls_.GetSignatureSubgraph(signature, &graph), kTracing);
    check(calls_.GetNumSubgraphOps(graph, &count), kTracing);
    for (size_t i = 0; i < count; i++) {
      int code = 0;
      const char* name = "";
      check(calls_.GetSubgraphOp(graph, i, &op), kTracing);
      check(calls_.GetOpCode(op, &code), kTracing);
      check(calls_.GetNumOpOutputs(op, &outputs), kTracing);
      if (outputs > 0) {
        check(calls_.GetOpOutput(op, 0, &tensor), kTracing);
        check(calls_.GetTensorName(tensor, &name), kTracing);
      }
      nodes_ += (nodes_.empty() ? "[" : ",\n[") + std::to_string(code) + "," + quoted(name) + "]";
    }
  }

  void begin() {
    check(calls_.StartProfiler(profiler_), kTracing);
    tracing_ = true;
  }

  // Writes down the events of each run since `begin`.
  void drain() {
    tracing_ = false;
    check(calls_.StopProfiler(profiler_), kTracing);
    if (ends_.empty()) return;
    std::vector<Event> events(static_cast<size_t>(ends_.back()));
    if (events.empty()) fail("LiteRT's profiler recorded nothing");
    check(calls_.GetProfilerEvents(profiler_, ends_.back(), events.data()), kTracing);
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    auto now_us = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
    int at = 0;
    for (int end : ends_) {
      runs_ += runs_.empty() ? "[" : ",\n[";
      for (const char* comma = ""; at < end; at++, comma = ",") {
        const Event& event = events[static_cast<size_t>(at)];
        // With another layout these numbers are anything, and following the address would end the process.
        bool one_bit = event.type > 0 && event.type <= kMostEventType && (event.type & (event.type - 1)) == 0;
        if (!one_bit || event.tag == nullptr || event.start_us > now_us) {
          fail("LiteRT's profiler has another layout than that of 2.3");
        }
        runs_ += comma + ("[" + quoted(event.tag)) + "," + std::to_string(event.type) + "," +
                 std::to_string(event.elapsed_us) + "," + std::to_string(event.index) + "]";
      }
      runs_ += "]";
    }
    ends_.clear();
  }

  // That of the name; without one, the file's only one, or the one that TensorFlow or litert-torch names by itself.
  Handle find_signature(Handle model, const std::string& method) {
    size_t count = 0;
    check(calls_.GetNumModelSignatures(model, &count), "list its methods");
    std::vector<Handle> signatures(count);
    std::vector<std::string> keys;
    for (size_t i = 0; i < count; i++) {
      const char* key = "";
      check(calls_.GetModelSignature(model, i, &signatures[i]), "list its methods");
      check(calls_.GetSignatureKey(signatures[i], &key), "list its methods");
      keys.emplace_back(key);
    }
    std::vector<std::string> wanted{method};
    if (method.empty()) wanted = count == 1 ? keys : std::vector<std::string>{"serving_default", "forward"};
    for (const std::string& name : wanted) {
      auto found = std::find(keys.begin(), keys.end(), name);
      if (found == keys.end()) continue;
      index_ = static_cast<size_t>(found - keys.begin());
      named_ = *found != kNoSignature;
      return signatures[index_];
    }
    std::string names;
    for (const std::string& key : keys) names += (names.empty() ? "" : ", ") + key;
    fail("the file has no method '" + (method.empty() ? "forward" : method) + "', it has " + names);
  }

  template <typename Requirements>
  void describe(Handle environment, Handle signature, Status (*number)(Handle, size_t*),
                Status (*name)(Handle, size_t, const char**), Status (*tensor)(Handle, size_t, Handle*),
                Requirements* requirements, std::vector<Tensor>& tensors, std::vector<Handle>& buffers) {
    const char* doing = "make room for inputs and outputs";
    size_t count = 0;
    check(number(signature, &count), doing);
    for (size_t i = 0; i < count; i++) {
      const char* text = "";
      Handle found, needs, buffer;
      TensorType type{};
      Tensor facts;
      check(name(signature, i, &text), doing);
      check(tensor(signature, i, &found), doing);
      check(calls_.GetRankedTensorType(found, &type), doing);
      check(requirements(compiled_, index_, i, &needs), doing);
      check(calls_.CreateManagedTensorBufferFromRequirements(environment, &type, needs, &buffer), doing);
      buffers.push_back(owned_.keep(buffer, calls_.DestroyTensorBuffer));
      check(calls_.GetTensorBufferPackedSize(buffer, &facts.size_bytes), doing);
      if (named_) facts.name = text;
      facts.dtype = dtype_name(type.element);
      facts.shape.assign(type.layout.dimensions, type.layout.dimensions + type.layout.rank);
      tensors.push_back(std::move(facts));
    }
  }

  const Calls& calls_;
  Owned owned_;
  int32_t threads_;
  Handle compiled_ = nullptr;
  size_t index_ = 0;
  bool named_ = false;
  std::vector<Tensor> inputs_, outputs_;
  std::vector<Handle> input_buffers_, output_buffers_;

  Handle profiler_ = nullptr;
  bool tracing_ = false;
  std::vector<int> ends_;  // how many events there were after each run since `begin`
  std::string nodes_, runs_;
};

class LiteRT : public Engine {
 public:
  LiteRT() : calls_(Library("libLiteRt.so")) {}

  std::unique_ptr<Session> open(const Request& request) override {
    return std::make_unique<LiteRTSession>(calls_, request);
  }

 private:
  Calls calls_;
};

}  // namespace

std::unique_ptr<Engine> load_litert() { return std::make_unique<LiteRT>(); }
