// ExecuTorch: .pte files, on the library that Python uses too (core.h).
#include "core.h"
#include "library.h"

namespace {

struct Calls {
  decltype(ek_interface)* interface;
  decltype(ek_error)* error;
  decltype(ek_open_file)* open_file;
  decltype(ek_close)* close;
  decltype(ek_thread_count)* thread_count;
  decltype(ek_input_count)* input_count;
  decltype(ek_output_count)* output_count;
  decltype(ek_describe_input)* describe_input;
  decltype(ek_describe_output)* describe_output;
  decltype(ek_set_input)* set_input;
  decltype(ek_get_output)* get_output;
  decltype(ek_run)* run;
  decltype(ek_take_trace)* take_trace;
  decltype(ek_free)* free;

  explicit Calls(const Library& library) {
    library.find("ek_interface", interface);
    if (interface() != EK_INTERFACE) fail("the ExecuTorch core beside the runner is of another edgekit");
    library.find("ek_error", error);
    library.find("ek_open_file", open_file);
    library.find("ek_close", close);
    library.find("ek_thread_count", thread_count);
    library.find("ek_input_count", input_count);
    library.find("ek_output_count", output_count);
    library.find("ek_describe_input", describe_input);
    library.find("ek_describe_output", describe_output);
    library.find("ek_set_input", set_input);
    library.find("ek_get_output", get_output);
    library.find("ek_run", run);
    library.find("ek_take_trace", take_trace);
    library.find("ek_free", free);
  }

  void check(int32_t failed) const {
    if (failed != 0) fail(error());
  }
};

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

class ExecuTorchSession : public Session {
 public:
  ExecuTorchSession(const Calls& calls, const Request& request) : calls_(calls) {
    const char* method = request.method.empty() ? nullptr : request.method.c_str();
    model_ = calls_.open_file(request.model.c_str(), method, request.threads, request.trace);
    if (model_ == nullptr) fail(calls_.error());
    try {
      describe(calls_.input_count(model_), calls_.describe_input, inputs_, input_types_);
      describe(calls_.output_count(model_), calls_.describe_output, outputs_, output_types_);
    } catch (...) {
      calls_.close(model_);
      throw;
    }
  }
  ~ExecuTorchSession() override { calls_.close(model_); }

  const std::vector<Tensor>& inputs() const override { return inputs_; }
  const std::vector<Tensor>& outputs() const override { return outputs_; }
  int32_t threads() const override { return calls_.thread_count(); }

  void write(size_t input, const void* data) override {
    auto index = static_cast<int32_t>(input);
    calls_.check(calls_.set_input(model_, index, data, inputs_[input].size_bytes, input_types_[input]));
  }

  void run() override { calls_.check(calls_.run(model_)); }

  void read(size_t output, void* data) override {
    auto index = static_cast<int32_t>(output);
    calls_.check(calls_.get_output(model_, index, data, outputs_[output].size_bytes, output_types_[output]));
  }

  void begin_trace() override { take_trace(); }

  std::vector<char> take_trace() override {
    void* data = nullptr;
    size_t size = 0;
    calls_.check(calls_.take_trace(model_, &data, &size));
    std::vector<char> trace(static_cast<char*>(data), static_cast<char*>(data) + size);
    calls_.free(data);
    return trace;
  }

 private:
  void describe(int32_t count, decltype(ek_describe_input)* one, std::vector<Tensor>& tensors,
                std::vector<int32_t>& types) {
    for (int32_t i = 0; i < count; i++) {
      ek_tensor facts{};
      calls_.check(one(model_, i, &facts));
      tensors.push_back({"", dtype_name(facts.dtype), {facts.shape, facts.shape + facts.rank},
                         static_cast<size_t>(facts.size_bytes)});
      types.push_back(facts.dtype);
    }
  }

  const Calls& calls_;
  ek_model* model_;
  std::vector<Tensor> inputs_, outputs_;
  std::vector<int32_t> input_types_, output_types_;
};

class ExecuTorch : public Engine {
 public:
  ExecuTorch() : calls_(Library("libedgekit_executorch.so")) {}

  std::unique_ptr<Session> open(const Request& request) override {
    return std::make_unique<ExecuTorchSession>(calls_, request);
  }

 private:
  Calls calls_;
};

}  // namespace

std::unique_ptr<Engine> load_executorch() { return std::make_unique<ExecuTorch>(); }
