/* edgekit's ExecuTorch core: one method of one .pte file behind a C interface that Python reaches through ctypes.
 *
 * Every function may be called from any thread, one at a time per model. No exception and no abort leaves it: a
 * function that fails returns NULL, or a number other than 0, and `ek_error` says why.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised with every change of this interface; a library of another number is not used. */
#define EK_INTERFACE 3
#define EK_MAX_RANK 16

typedef struct ek_model ek_model;

/* An input or output. Scalars (int, double, bool) appear as tensors of rank 0 of int64, float64 and bool. */
typedef struct {
  int32_t dtype; /* number of the element type in executorch/runtime/core/portable_type/scalar_type.h */
  int32_t rank;
  int64_t shape[EK_MAX_RANK];
  int64_t strides[EK_MAX_RANK]; /* in bytes: not every model keeps its tensors in C order */
  int64_t size_bytes;
  void* data; /* where it lies, until the model is closed */
} ek_tensor;

int32_t ek_interface(void);
/* The version of executorch this library was built for. It works with no other. */
const char* ek_executorch_version(void);
/* What the last failed call on this thread was about: ExecuTorch's own log lines, joined by semicolons. */
const char* ek_error(void);

/* Opens a file's contents, which stay borrowed until `ek_close`, unless `ek_needs_data` says 0. `method` NULL means
 * "forward". `threads` is for the pool that the process shares: it is resized only while no other model is open. `trace`
 * not 0 records events. */
ek_model* ek_open(const void* data, size_t size_bytes, const char* method, int32_t threads, int32_t trace);
/* The same for a file, which is mapped into memory. */
ek_model* ek_open_file(const char* path, const char* method, int32_t threads, int32_t trace);
void ek_close(ek_model* model);

/* Whether the contents given to `ek_open` have to stay where they are until `ek_close`. */
int32_t ek_needs_data(const ek_model* model);

/* Threads in the pool. */
int32_t ek_thread_count(void);
int32_t ek_method_count(const ek_model* model);
const char* ek_method_name(const ek_model* model, int32_t index);
int32_t ek_input_count(const ek_model* model);
int32_t ek_output_count(const ek_model* model);
int32_t ek_describe_input(const ek_model* model, int32_t index, ek_tensor* tensor);
int32_t ek_describe_output(const ek_model* model, int32_t index, ek_tensor* tensor);

/* Copies elements in C order in or out; refuses another size or element type than the model's. */
int32_t ek_set_input(ek_model* model, int32_t index, const void* data, size_t size_bytes, int32_t dtype);
int32_t ek_get_output(const ek_model* model, int32_t index, void* data, size_t size_bytes, int32_t dtype);

/* Gives an input of a method with open sizes another shape, for all runs from now on. No axis may be longer than
 * `ek_describe_input` said when the model was opened. Outputs then have the sizes that a run gives them: describe them
 * after it. The input has to be set anew. */
int32_t ek_resize_input(ek_model* model, int32_t index, const int64_t* shape, int32_t rank);

/* Runs once. Every input has to be set anew: their memory holds intermediate values during a run. */
int32_t ek_run(ek_model* model);
/* The same for a caller that has written all inputs to the memory `ek_describe_input` gave. */
int32_t ek_run_in_place(ek_model* model);

/* Hands over the event trace (an ETDump file) since the last call; release it with `ek_free`. */
int32_t ek_take_trace(ek_model* model, void** data, size_t* size_bytes);
void ek_free(void* data);

#ifdef __cplusplus
}
#endif
