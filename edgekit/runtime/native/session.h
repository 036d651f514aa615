// What the runner asks of an engine. An engine is a library that is loaded when a model needs it, and not otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

// One input or output.
struct Tensor {
  std::string name;   // empty where the file has none
  std::string dtype;  // as numpy calls it; "other" for what it does not know
  std::vector<int64_t> shape;
  size_t size_bytes = 0;
};

struct Request {
  std::string model;
  std::string method;  // empty: the engine's own default
  int32_t threads = 1;
  bool trace = false;
};

// One method of one model file.
class Session {
 public:
  virtual ~Session() = default;

  virtual const std::vector<Tensor>& inputs() const = 0;
  virtual const std::vector<Tensor>& outputs() const = 0;
  // Threads in use.
  virtual int32_t threads() const = 0;

  // Elements in C order, as many bytes as the tensor has. Every input is written before every run.
  virtual void write(size_t input, const void* data) = 0;
  virtual void run() = 0;
  virtual void read(size_t output, void* data) = 0;

  // Where the session was opened for a trace: forgets the events until now, and hands over those since then.
  virtual void begin_trace() = 0;
  virtual std::vector<char> take_trace() = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::unique_ptr<Session> open(const Request& request) = 0;
};

// These load the engine's library. A library is never unloaded: engines start threads and keep addresses.
std::unique_ptr<Engine> load_executorch();
std::unique_ptr<Engine> load_litert();

// As JSON writes it.
std::string quoted(const std::string& text);

[[noreturn]] inline void fail(const std::string& message) { throw std::runtime_error(message); }
