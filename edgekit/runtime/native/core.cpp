#include "core.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <executorch/devtools/etdump/etdump_flatcc.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/runtime/core/data_loader.h>
#include <executorch/runtime/core/exec_aten/util/scalar_type_util.h>
#include <executorch/runtime/executor/program.h>
#include <executorch/runtime/platform/runtime.h>

// The wheel exports these, but ships no header that declares them.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

// The wheel's libraries run on libstdc++, and exceptions pass from here through them and back. So this file uses of a C++
// library what its headers define, and calls no other function of one but those behind exceptions, new and delete, which
// every compiler for Linux leaves to the same names in libstdc++. That lets zig build it, whose headers are libc++'s. No
// class of a C++ library is handed over but for three inside ExecuTorch's own: see the assertions below.
#ifdef _LIBCPP_VERSION
namespace std {
// What libc++'s headers want defined, and libstdc++'s have inside.
const char* bad_variant_access::what() const noexcept { return "bad_variant_access"; }
bad_alloc::bad_alloc() noexcept = default;
bad_array_new_length::bad_array_new_length() noexcept = default;
}  // namespace std
#endif

// libstdc++ would take this from glibc 2.32; with one of our own (never single-threaded) the library needs glibc 2.17.
extern "C" {
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;
}

namespace {

namespace et = executorch::runtime;
using executorch::aten::ScalarType;
using executorch::aten::Tensor;
using executorch::aten::TensorImpl;
using executorch::extension::MallocMemoryAllocator;
using executorch::extension::threadpool::get_threadpool;

// The std::variant in a buffer and the std::optional in a program have one layout in libstdc++ and in libc++, whose variant
// is told to keep its index in one byte (build.py). The std::string_view in a tensor's description has not: it is copied,
// and never looked into.
static_assert(sizeof(std::variant<const void*, uint64_t>) == 16 && sizeof(et::FreeableBuffer) == 40);
static_assert(sizeof(et::Program) == 152 && sizeof(et::TensorInfo) == 64 && sizeof(et::Method) == 160);
#if defined(_LIBCPP_VERSION) && !defined(_LIBCPP_ABI_VARIANT_INDEX_TYPE_OPTIMIZATION)
#error "libc++'s std::variant would be laid out otherwise than ExecuTorch's libraries have it"
#endif

// Flatbuffers and constants want 16; vector units like whole cache lines.
constexpr size_t kFileAlignment = 16;
constexpr size_t kArenaAlignment = 64;
// XNNPACK reads up to this far past the end of a tensor (XNN_EXTRA_BYTES, rounded up).
constexpr size_t kSlack = 128;
constexpr size_t kMaxLog = 4096;

// Strings of our own traits: a C++ library has those of the usual ones compiled, elsewhere than in its headers.
struct Traits : std::char_traits<char> {};
using Text = std::basic_string<char, Traits>;

Text to_text(int64_t number) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%" PRId64, number);
  return digits;
}

class Lock {
 public:
  explicit Lock(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t& mutex_;
};

struct Failure {
  Text message;
};
// ExecuTorch gave up where it would have ended the process.
struct Aborted {};

thread_local Text log_lines;
thread_local Text last_error;
thread_local int calls_in_progress = 0;

pal_emit_log_message_method previous_log = nullptr;
pal_abort_method previous_abort = nullptr;

pthread_mutex_t pool_mutex = PTHREAD_MUTEX_INITIALIZER;
int open_models = 0;  // guarded by pool_mutex

void on_log(et_timestamp_t time, et_pal_log_level_t level, const char* file, const char* function, size_t line,
            const char* message, size_t length) {
  if (calls_in_progress == 0) {
    if (previous_log != nullptr) previous_log(time, level, file, function, line, message, length);
    return;
  }
  if ((level != kError && level != kFatal) || log_lines.size() > kMaxLog) return;
  if (log_lines.find(Text(message, length)) != Text::npos) return;
  if (!log_lines.empty()) log_lines += "; ";
  log_lines.append(message, length);
}

void on_abort() {
  if (calls_in_progress > 0) throw Aborted{};
  if (previous_abort != nullptr) previous_abort();
  std::abort();
}

// Puts our hooks before those of whoever else uses ExecuTorch in this process (torch's binding has its own). Done by
// hand, because register_pal of executorch 1.5.1 prints a warning when somebody has been there before. Whoever was there
// first is kept: two copies of this library that took each other for predecessors would pass a message in a circle.
void take_over_hooks() {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static bool first = true;
  Lock lock(mutex);
  auto* hooks = const_cast<et::PalImpl*>(et::get_pal_impl());
  if (first) {
    previous_log = hooks->emit_log_message;
    previous_abort = hooks->abort;
    first = false;
  }
  hooks->emit_log_message = on_log;
  hooks->abort = on_abort;
}

[[noreturn]] void fail(const Text& message) { throw Failure{message}; }

void check(et::Error error) {
  if (error == et::Error::Ok) return;
  Text name = et::to_string(error);
  fail(name.compare(0, 7, "Error::") == 0 ? name.substr(7) : name);
}

template <typename T>
T taken(et::Result<T>&& result) {
  check(result.error());
  return std::move(result.get());
}

class AlignedBytes {
 public:
  AlignedBytes(size_t size, size_t alignment)
      : bytes_(static_cast<uint8_t*>(::operator new(size, std::align_val_t(alignment)))), alignment_(alignment) {
    std::memset(bytes_, 0, size);
  }
  AlignedBytes(AlignedBytes&& other) noexcept : bytes_(other.bytes_), alignment_(other.alignment_) {
    other.bytes_ = nullptr;
  }
  AlignedBytes& operator=(AlignedBytes&&) = delete;
  ~AlignedBytes() {
    if (bytes_ != nullptr) ::operator delete(bytes_, std::align_val_t(alignment_));
  }
  uint8_t* get() const { return bytes_; }

 private:
  uint8_t* bytes_;
  size_t alignment_;
};

class MappedFile {
 public:
  explicit MappedFile(const char* path) {
    int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(Text(path) + ": " + std::strerror(errno));
    // Not fstat, which would need glibc 2.33.
    off_t end = ::lseek(descriptor, 0, SEEK_END);
    if (end > 0) {
      size_ = static_cast<size_t>(end);
      void* start = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (start != MAP_FAILED) data_ = start;
    }
    ::close(descriptor);
    if (data_ == nullptr) fail(Text(path) + ": empty, or not a file that can be mapped into memory");
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  const void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// Lends parts of a file, and knows whether any of them is in use. Delegates pack the weights anew and give theirs back. What
// the program keeps to its end (itself, and constants of operators outside of delegates) is mostly small, and copied: then
// the file need not be kept once a method is loaded.
class LentFile final : public et::DataLoader {
 public:
  LentFile(const void* data, size_t size) : data_(static_cast<const uint8_t*>(data)), size_(size) {}

  et::Result<et::FreeableBuffer> load(size_t offset, size_t size, const SegmentInfo&) const override {
    if (data_ == nullptr || offset > size_ || size > size_ - offset) return et::Error::InvalidArgument;
    if (copies_small_ && size <= std::max(kSmall, size_ / kSmallShare)) {
      void* copy = ::operator new(size, std::align_val_t(kFileAlignment));
      std::memcpy(copy, data_ + offset, size);
      return et::FreeableBuffer(copy, size, discard);
    }
    lent_++;
    return et::FreeableBuffer(data_ + offset, size, take_back, &lent_);
  }

  et::Error load_into(size_t offset, size_t size, const SegmentInfo&, void* buffer) const override {
    if (data_ == nullptr || buffer == nullptr || offset > size_ || size > size_ - offset) return et::Error::InvalidArgument;
    std::memcpy(buffer, data_ + offset, size);
    return et::Error::Ok;
  }

  et::Result<size_t> size() const override { return size_; }

  // From now on all is lent: the program has what it keeps.
  void program_loaded() { copies_small_ = false; }
  bool in_use() const { return lent_ != 0; }
  // The file goes away; nothing can be loaded any more.
  void forget() { data_ = nullptr; }

 private:
  static void discard(void*, void* data, size_t) { ::operator delete(data, std::align_val_t(kFileAlignment)); }
  static void take_back(void* lent, void*, size_t) { (*static_cast<std::atomic<int32_t>*>(lent))--; }

  static constexpr size_t kSmall = 1 << 16, kSmallShare = 8;
  const uint8_t* data_;
  size_t size_;
  bool copies_small_ = true;
  mutable std::atomic<int32_t> lent_{0};
};

// One input or output of the method.
struct Port {
  et::Tag tag = et::Tag::None;
  ek_tensor facts{};
  std::vector<TensorImpl::SizesType> sizes;
  std::vector<TensorImpl::SizesType> most;  // what `sizes` were when the method was loaded
  std::vector<TensorImpl::DimOrderType> order;
  union {
    int64_t i;
    double d;
    bool b;
  } scalar{};
  bool fresh = false;
};

void describe_scalar(Port& port, ScalarType type) {
  port.facts.dtype = static_cast<int32_t>(type);
  port.facts.size_bytes = static_cast<int64_t>(et::elementSize(type));
  port.facts.data = &port.scalar;
}

// Shape, strides and bytes of a tensor, by its sizes and the order of its dimensions.
void lay_out(Port& port) {
  ek_tensor& facts = port.facts;
  int64_t stride = static_cast<int64_t>(et::elementSize(static_cast<ScalarType>(facts.dtype)));
  facts.size_bytes = stride;
  for (size_t i = port.order.size(); i-- > 0;) {
    size_t axis = port.order[i];
    facts.shape[axis] = port.sizes[axis];
    facts.strides[axis] = stride;
    stride *= port.sizes[axis];
    facts.size_bytes *= port.sizes[axis];
  }
}

void describe_tensor(Port& port, const et::TensorInfo& info, const Text& name) {
  auto sizes = info.sizes();
  auto order = info.dim_order();
  if (sizes.size() > EK_MAX_RANK) fail(name + " has more than " + to_text(EK_MAX_RANK) + " dimensions");
  if (order.size() != sizes.size()) fail(name + " has no order of dimensions");
  port.sizes.assign(sizes.begin(), sizes.end());
  port.order.assign(order.begin(), order.end());
  port.most = port.sizes;
  for (auto axis : port.order) {
    if (axis >= sizes.size()) fail(name + " has an impossible order of dimensions");
  }
  port.facts.dtype = static_cast<int32_t>(info.scalar_type());
  port.facts.rank = static_cast<int32_t>(sizes.size());
  lay_out(port);
}

Port describe(et::Tag tag, const Text& name) {
  Port port;
  port.tag = tag;
  if (tag == et::Tag::Int) {
    describe_scalar(port, ScalarType::Long);
  } else if (tag == et::Tag::Double) {
    describe_scalar(port, ScalarType::Double);
  } else if (tag == et::Tag::Bool) {
    describe_scalar(port, ScalarType::Bool);
  } else if (tag != et::Tag::Tensor) {
    char kind[et::kTagNameBufferSize] = "";
    et::tag_to_string(tag, kind, sizeof kind);
    fail(name + " is a " + kind + ", which edgekit does not take");
  }
  return port;
}

// Copies between C order (`flat`) and the tensor's own strides.
template <bool inward>
void copy(const ek_tensor& facts, uint8_t* flat) {
  auto* base = static_cast<uint8_t*>(facts.data);
  if (facts.size_bytes == 0) return;
  int64_t element = static_cast<int64_t>(et::elementSize(static_cast<ScalarType>(facts.dtype)));
  bool dense = true;
  for (int64_t i = facts.rank - 1, stride = element; i >= 0; stride *= facts.shape[i--]) {
    dense = dense && (facts.strides[i] == stride || facts.shape[i] == 1);
  }
  if (dense) {
    std::memcpy(inward ? base : flat, inward ? flat : base, static_cast<size_t>(facts.size_bytes));
    return;
  }
  int64_t index[EK_MAX_RANK] = {};
  for (int64_t done = 0; done < facts.size_bytes; done += element, flat += element) {
    uint8_t* own = base;
    for (int32_t i = 0; i < facts.rank; i++) own += index[i] * facts.strides[i];
    std::memcpy(inward ? own : flat, inward ? flat : own, static_cast<size_t>(element));
    for (int32_t i = facts.rank - 1; i >= 0 && ++index[i] == facts.shape[i]; i--) index[i] = 0;
  }
}

template <typename Size>
Text shown(const Size* sizes, size_t rank) {
  Text text = "[";
  for (size_t i = 0; i < rank; i++) text += (i ? ", " : "") + to_text(sizes[i]);
  return text + "]";
}

}  // namespace

struct ek_model {
  // The program and its data, then what the method uses, then the method: destroyed in the opposite order.
  std::unique_ptr<MappedFile> file;
  std::vector<AlignedBytes> buffers;
  std::unique_ptr<LentFile> loader;
  std::optional<et::Program> program;
  MallocMemoryAllocator method_memory;
  MallocMemoryAllocator temporary_memory;
  std::vector<et::Span<uint8_t>> spans;
  std::optional<et::HierarchicalAllocator> planned_memory;
  std::optional<et::MemoryManager> memory;
  std::unique_ptr<executorch::etdump::ETDumpGen> tracer;
  std::optional<et::Method> method;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  bool counted = false;
  bool aborted = false;
  bool resized = false;  // since then, outputs have whatever sizes they come out with

  ~ek_model() { leave_pool(); }

  void leave_pool() {
    Lock lock(pool_mutex);
    if (counted) open_models--;
    counted = false;
  }

  void use_threads(int32_t threads) {
    Lock lock(pool_mutex);
    auto* pool = get_threadpool();
    // XNNPACK and the optimized kernels would follow this null pointer.
    if (pool == nullptr) {
      fail("ExecuTorch does not recognise this processor: are /proc/cpuinfo and /sys/devices/system/cpu readable?");
    }
    if (threads < 1) fail("threads must be at least 1");
    if (open_models == 0 && pool->get_thread_count() != static_cast<size_t>(threads)) {
      pool->_unsafe_reset_threadpool(static_cast<uint32_t>(threads));
    }
    open_models++;
    counted = true;
  }

  uint8_t* allocate(size_t size) {
    buffers.emplace_back(size + kSlack, kArenaAlignment);
    return buffers.back().get();
  }

  void load_program(const void* data, size_t size) {
    if (data == nullptr || size < et::Program::kMinHeadBytes) fail("the file is too short for a .pte");
    if (reinterpret_cast<uintptr_t>(data) % kFileAlignment != 0) {
      uint8_t* copied = allocate(size);
      std::memcpy(copied, data, size);
      data = copied;
    }
    loader = std::make_unique<LentFile>(data, size);
    // The full check catches most damaged files before anything follows their offsets.
    auto loaded = et::Program::load(loader.get(), et::Program::Verification::InternalConsistency);
    check(loaded.error());
    program.emplace(std::move(loaded.get()));
    loader->program_loaded();
  }

  void load_method(const char* name, bool trace) {
    auto found = program->method_meta(name);
    if (!found.ok()) {
      log_lines.clear();  // which say less
      fail("the file has no method '" + Text(name) + "', it has " + method_names());
    }
    const et::MethodMeta& meta = found.get();
    for (size_t i = 0; i < meta.num_memory_planned_buffers(); i++) {
      int64_t size = taken(meta.memory_planned_buffer_size(i));
      if (size < 0) fail("a planned buffer has a negative size");
      spans.emplace_back(allocate(static_cast<size_t>(size)), static_cast<size_t>(size));
    }
    planned_memory.emplace(et::Span<et::Span<uint8_t>>(spans.data(), spans.size()));
    memory.emplace(&method_memory, &*planned_memory, &temporary_memory);
    if (trace) {
      tracer = std::make_unique<executorch::etdump::ETDumpGen>();
      tracer->create_event_block("Load");
    }
    auto loaded = program->load_method(name, &*memory, tracer.get());
    check(loaded.error());
    method.emplace(std::move(loaded.get()));
    describe_ports(meta);
  }

  void give_back_file() {
    if (loader->in_use()) return;
    loader->forget();
    file.reset();
  }

  Text method_names() const {
    Text names;
    for (size_t i = 0; i < program->num_methods(); i++) {
      names += (i ? ", " : "") + Text(taken(program->get_method_name(i)));
    }
    return names;
  }

  void describe_ports(const et::MethodMeta& meta) {
    std::vector<et::EValue> values(meta.num_inputs());
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    // Deprecated in favour of set_input, which copies once more: numpy writes straight to where the tensor lies.
    check(method->get_inputs(values.data(), values.size()));
#pragma GCC diagnostic pop
    for (size_t i = 0; i < meta.num_inputs(); i++) {
      Text name = "input " + to_text(i);
      Port port = describe(taken(meta.input_tag(i)), name);
      if (port.tag == et::Tag::Tensor) {
        et::TensorInfo info = taken(meta.input_tensor_meta(i));
        describe_tensor(port, info, name);
        port.facts.data = info.is_memory_planned() ? values[i].toTensor().mutable_data_ptr()
                                                   : allocate(static_cast<size_t>(port.facts.size_bytes));
        if (port.facts.data == nullptr && port.facts.size_bytes > 0) fail(name + " has no memory");
      }
      inputs.push_back(std::move(port));
    }
    for (size_t i = 0; i < inputs.size(); i++) {
      if (inputs[i].tag == et::Tag::Tensor) declare(i);
    }
    for (size_t i = 0; i < meta.num_outputs(); i++) {
      Text name = "output " + to_text(i);
      Port port = describe(taken(meta.output_tag(i)), name);
      if (port.tag == et::Tag::Tensor) {
        et::TensorInfo info = taken(meta.output_tensor_meta(i));
        describe_tensor(port, info, name);
        if (!info.is_memory_planned()) {
          size_t size = static_cast<size_t>(port.facts.size_bytes);
          check(method->set_output_data_ptr(allocate(size), size, i));
        }
        port.facts.data = const_cast<void*>(method->get_output(i).toTensor().const_data_ptr());
        if (port.facts.data == nullptr && port.facts.size_bytes > 0) fail(name + " has no memory");
      }
      outputs.push_back(std::move(port));
    }
    for (Port& port : inputs) place_scalar(port);
    for (Port& port : outputs) place_scalar(port);
  }

  // Vectors of ports have moved until now, and their scalars with them.
  static void place_scalar(Port& port) {
    if (port.tag != et::Tag::Tensor) port.facts.data = &port.scalar;
  }

  // Tells the method once where a tensor lies, and that it is set: from then on, bytes are enough.
  void declare(size_t index) {
    Port& port = inputs[index];
    auto type = static_cast<ScalarType>(port.facts.dtype);
    std::vector<TensorImpl::StridesType> strides(port.sizes.size());
    for (size_t i = 0; i < strides.size(); i++) {
      strides[i] = static_cast<TensorImpl::StridesType>(port.facts.strides[i] / static_cast<int64_t>(et::elementSize(type)));
    }
    TensorImpl tensor(type, port.facts.rank, port.sizes.data(), port.facts.data, port.order.data(), strides.data());
    check(method->set_input(et::EValue(Tensor(&tensor)), index));
  }

  void resize(size_t index, const int64_t* shape, int32_t rank) {
    Port& port = inputs[index];
    if (port.tag != et::Tag::Tensor) fail("input " + to_text(index) + " is a number, which has no shape");
    bool fits = rank == port.facts.rank;
    for (int32_t i = 0; fits && i < rank; i++) fits = shape[i] > 0 && shape[i] <= port.most[static_cast<size_t>(i)];
    if (!fits) {
      fail("input " + to_text(index) + " cannot be " + shown(shape, static_cast<size_t>(std::max(rank, 0))) +
           ", the method takes at most " + shown(port.most.data(), port.most.size()));
    }
    auto before = port.sizes;
    for (int32_t i = 0; i < rank; i++) port.sizes[static_cast<size_t>(i)] = static_cast<TensorImpl::SizesType>(shape[i]);
    lay_out(port);
    port.fresh = false;
    try {
      declare(index);
    } catch (...) {
      port.sizes = before;
      lay_out(port);
      throw;
    }
    resized = true;
  }

  void set_scalar(size_t index) {
    const Port& port = inputs[index];
    if (port.tag == et::Tag::Int) {
      check(method->set_input(et::EValue(port.scalar.i), index));
    } else if (port.tag == et::Tag::Double) {
      check(method->set_input(et::EValue(port.scalar.d), index));
    } else {
      check(method->set_input(et::EValue(port.scalar.b), index));
    }
  }

  void run() {
    if (aborted) fail("ExecuTorch gave up on this model in an earlier run");
    for (size_t i = 0; i < inputs.size(); i++) {
      inputs[i].fresh = false;
      if (inputs[i].tag != et::Tag::Tensor) set_scalar(i);
    }
    if (tracer != nullptr) tracer->create_event_block("Execute");
    check(method->execute());
    for (size_t i = 0; i < outputs.size(); i++) read_back(outputs[i], method->get_output(i), i);
  }

  void read_back(Port& port, const et::EValue& value, size_t index) {
    if (value.tag != port.tag) fail("output " + to_text(index) + " changed its type");
    if (port.tag == et::Tag::Int) {
      port.scalar.i = value.toInt();
    } else if (port.tag == et::Tag::Double) {
      port.scalar.d = value.toDouble();
    } else if (port.tag == et::Tag::Bool) {
      port.scalar.b = value.toBool();
    } else {
      const Tensor& tensor = value.toTensor();
      auto sizes = tensor.sizes();
      if (!std::equal(sizes.begin(), sizes.end(), port.sizes.begin(), port.sizes.end())) {
        if (resized && sizes.size() == port.sizes.size()) {
          port.sizes.assign(sizes.begin(), sizes.end());
          lay_out(port);
        } else {
          fail("output " + to_text(index) + " is " + shown(sizes.data(), sizes.size()) + " this time, not " +
               shown(port.sizes.data(), port.sizes.size()));
        }
      }
      if (tensor.const_data_ptr() != port.facts.data) fail("output " + to_text(index) + " moved in memory");
    }
  }
};

namespace {

// Runs `body` so that nothing but a return leaves it.
template <typename Body>
int32_t guarded(ek_model* model, Body&& body) noexcept {
  struct Call {
    Call() { calls_in_progress++; }
    ~Call() { calls_in_progress--; }
  } call;
  try {
    log_lines.clear();
    try {
      body();
      return 0;
    } catch (const Aborted&) {
      if (model != nullptr) model->aborted = true;
      last_error = "ExecuTorch gave up: " + log_lines;
    } catch (const Failure& failure) {
      last_error = log_lines.empty() ? failure.message : log_lines + " (" + failure.message + ")";
    } catch (const std::bad_alloc&) {
      last_error = "out of memory";
    } catch (const std::exception& error) {
      last_error = error.what();
    } catch (...) {
      last_error = "an unknown exception";
    }
  } catch (...) {
    last_error.clear();  // no memory is left for words
  }
  return 1;
}

template <typename Load>
ek_model* opened(const char* method, int32_t threads, int32_t trace, Load&& load) noexcept {
  auto* model = new (std::nothrow) ek_model;
  int32_t failed = guarded(model, [&] {
    if (model == nullptr) fail("out of memory");
    take_over_hooks();
    et::runtime_init();
    load(*model);
    model->use_threads(threads);
    model->load_method(method == nullptr ? "forward" : method, trace != 0);
    model->give_back_file();
  });
  if (failed == 0) return model;
  ek_close(model);
  return nullptr;
}

const Port* port(const std::vector<Port>& ports, int32_t index) {
  if (index < 0 || static_cast<size_t>(index) >= ports.size()) {
    fail("there is no input or output " + to_text(index) + ", only " + to_text(ports.size()));
  }
  return &ports[static_cast<size_t>(index)];
}

const Port* fitting(const std::vector<Port>& ports, int32_t index, const void* data, size_t size_bytes, int32_t dtype) {
  const Port* found = port(ports, index);
  if (found->facts.dtype != dtype) {
    fail("element type " + to_text(dtype) + " was given, the model's is " + to_text(found->facts.dtype));
  }
  if (size_bytes != static_cast<size_t>(found->facts.size_bytes)) {
    fail(to_text(size_bytes) + " bytes were given, the model's are " + to_text(found->facts.size_bytes));
  }
  if (data == nullptr && size_bytes > 0) fail("no buffer was given");
  return found;
}

}  // namespace

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

EXPORTED int32_t ek_interface(void) { return EK_INTERFACE; }

EXPORTED const char* ek_executorch_version(void) { return EK_EXECUTORCH_VERSION; }

EXPORTED const char* ek_error(void) { return last_error.c_str(); }

EXPORTED ek_model* ek_open(const void* data, size_t size_bytes, const char* method, int32_t threads, int32_t trace) {
  return opened(method, threads, trace, [&](ek_model& model) { model.load_program(data, size_bytes); });
}

EXPORTED ek_model* ek_open_file(const char* path, const char* method, int32_t threads, int32_t trace) {
  return opened(method, threads, trace, [&](ek_model& model) {
    if (path == nullptr) fail("no path was given");
    model.file = std::make_unique<MappedFile>(path);
    model.load_program(model.file->data(), model.file->size());
  });
}

EXPORTED void ek_close(ek_model* model) {
  if (model == nullptr) return;
  guarded(nullptr, [&] {
    if (model->aborted) {
      model->leave_pool();  // ExecuTorch gave up in the middle: its objects are in no state to be destroyed
    } else {
      delete model;
    }
  });
}

EXPORTED int32_t ek_needs_data(const ek_model* model) { return model != nullptr && model->loader->in_use(); }

EXPORTED int32_t ek_thread_count(void) {
  int32_t count = 0;
  guarded(nullptr, [&] {
    auto* pool = get_threadpool();
    count = pool == nullptr ? 0 : static_cast<int32_t>(pool->get_thread_count());
  });
  return count;
}

EXPORTED int32_t ek_method_count(const ek_model* model) {
  return model == nullptr ? 0 : static_cast<int32_t>(model->program->num_methods());
}

EXPORTED const char* ek_method_name(const ek_model* model, int32_t index) {
  const char* name = nullptr;
  guarded(nullptr, [&] {
    if (model == nullptr || index < 0 || index >= ek_method_count(model)) fail("there is no such method");
    name = taken(model->program->get_method_name(static_cast<size_t>(index)));
  });
  return name;
}

EXPORTED int32_t ek_input_count(const ek_model* model) {
  return model == nullptr ? 0 : static_cast<int32_t>(model->inputs.size());
}

EXPORTED int32_t ek_output_count(const ek_model* model) {
  return model == nullptr ? 0 : static_cast<int32_t>(model->outputs.size());
}

EXPORTED int32_t ek_describe_input(const ek_model* model, int32_t index, ek_tensor* tensor) {
  return guarded(nullptr, [&] {
    if (model == nullptr || tensor == nullptr) fail("no model or no place was given");
    *tensor = port(model->inputs, index)->facts;
  });
}

EXPORTED int32_t ek_describe_output(const ek_model* model, int32_t index, ek_tensor* tensor) {
  return guarded(nullptr, [&] {
    if (model == nullptr || tensor == nullptr) fail("no model or no place was given");
    *tensor = port(model->outputs, index)->facts;
  });
}

EXPORTED int32_t ek_set_input(ek_model* model, int32_t index, const void* data, size_t size_bytes, int32_t dtype) {
  return guarded(nullptr, [&] {
    if (model == nullptr) fail("the model is closed");
    const Port* found = fitting(model->inputs, index, data, size_bytes, dtype);
    copy<true>(found->facts, static_cast<uint8_t*>(const_cast<void*>(data)));
    model->inputs[static_cast<size_t>(index)].fresh = true;
  });
}

EXPORTED int32_t ek_get_output(const ek_model* model, int32_t index, void* data, size_t size_bytes, int32_t dtype) {
  return guarded(nullptr, [&] {
    if (model == nullptr) fail("the model is closed");
    copy<false>(fitting(model->outputs, index, data, size_bytes, dtype)->facts, static_cast<uint8_t*>(data));
  });
}

EXPORTED int32_t ek_resize_input(ek_model* model, int32_t index, const int64_t* shape, int32_t rank) {
  return guarded(nullptr, [&] {
    if (model == nullptr) fail("the model is closed");
    if (shape == nullptr && rank > 0) fail("no shape was given");
    if (rank < 0 || rank > EK_MAX_RANK) fail("a shape of " + to_text(rank) + " dimensions was given");
    port(model->inputs, index);
    model->resize(static_cast<size_t>(index), shape, rank);
  });
}

EXPORTED int32_t ek_run(ek_model* model) {
  return guarded(model, [&] {
    if (model == nullptr) fail("the model is closed");
    for (size_t i = 0; i < model->inputs.size(); i++) {
      if (!model->inputs[i].fresh) fail("input " + to_text(i) + " was not set since the last run");
    }
    model->run();
  });
}

EXPORTED int32_t ek_run_in_place(ek_model* model) {
  return guarded(model, [&] {
    if (model == nullptr) fail("the model is closed");
    model->run();
  });
}

EXPORTED int32_t ek_take_trace(ek_model* model, void** data, size_t* size_bytes) {
  return guarded(model, [&] {
    if (model == nullptr || data == nullptr || size_bytes == nullptr) fail("no model or no place was given");
    if (model->tracer == nullptr) fail("the model was opened without a trace");
    auto trace = model->tracer->get_etdump_data();
    if (trace.buf == nullptr) fail("there is no trace");
    *data = trace.buf;
    *size_bytes = trace.size;
    model->tracer->reset();
  });
}

EXPORTED void ek_free(void* data) { std::free(data); }

}  // extern "C"
