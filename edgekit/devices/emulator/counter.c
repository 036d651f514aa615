/* A qemu plugin that counts guest instructions: at each getppid() of the guest it appends the number of
 * instructions so far (uint64_t, the host's byte order) to the file that its argument "out=" names.
 *
 * The guest marks what is to be measured by a getppid() before and after it. Exact with one thread only.
 *
 * The interface is declared here, because distributions do not package its header. What is used of it is the same
 * in versions 1 (qemu 6.0 to 8.2) to 5 (qemu 10.1); the one it is built for is given by -DPLUGIN_VERSION.
 * qemu's own inline counters would be faster, but differ between the versions.
 */

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

typedef uint64_t plugin_id;
struct block;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct block *, void (*)(unsigned, void *), int flags, void *);
extern void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id,
    void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));

#define EXPORT __attribute__((visibility("default")))
#define NO_REGISTERS 0

/* getppid on aarch64 and on 32-bit Arm. */
#define GETPPID (strcmp(target, "arm") == 0 ? 64 : 173)

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

static uint64_t instructions;
static int out = -1;
static int64_t marker;

static void executed(unsigned cpu, void *count) { instructions += (uintptr_t)count; }

static void translated(plugin_id id, struct block *block) {
  void *count = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
  qemu_plugin_register_vcpu_tb_exec_cb(block, executed, NO_REGISTERS, count);
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                   uint64_t f, uint64_t g, uint64_t h) {
  if (number == marker && write(out, &instructions, sizeof instructions) != sizeof instructions) _exit(97);
}

/* The first member of qemu_info_t is the guest's architecture, as in "aarch64". */
EXPORT int qemu_plugin_install(plugin_id id, const char *const *info, int count, char **arguments) {
  const char *target = info[0];
  for (int i = 0; i < count; i++)
    if (strncmp(arguments[i], "out=", 4) == 0) out = open(arguments[i] + 4, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (out < 0) return 1;
  marker = GETPPID;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  return 0;
}
