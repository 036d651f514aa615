#include "process.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "session.h"

namespace {

int core(const std::string& text, const std::string& list) {
  char* end = nullptr;
  long value = std::strtol(text.c_str(), &end, 10);
  bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || *end != '\0' || value >= CPU_SETSIZE) fail("--cpus takes cores like 0-3,6, not '" + list + "'");
  return static_cast<int>(value);
}

}  // namespace

std::vector<int> parse_cores(const std::string& text) {
  std::vector<int> cores;
  for (size_t start = 0; start <= text.size();) {
    size_t end = std::min(text.find(',', start), text.size());
    std::string range = text.substr(start, end - start);
    size_t dash = range.find('-');
    int first = core(range.substr(0, dash), text);
    int last = dash == std::string::npos ? first : core(range.substr(dash + 1), text);
    if (last < first) fail("--cpus takes cores like 0-3,6, not '" + text + "'");
    for (int i = first; i <= last; i++) cores.push_back(i);
    start = end + 1;
  }
  std::sort(cores.begin(), cores.end());
  cores.erase(std::unique(cores.begin(), cores.end()), cores.end());
  return cores;
}

void bind_to(const std::vector<int>& cores) {
  cpu_set_t wanted, bound;
  CPU_ZERO(&wanted);
  CPU_ZERO(&bound);
  for (int i : cores) CPU_SET(static_cast<size_t>(i), &wanted);
  // Where some of them are there, the system binds to those and says nothing.
  if (::sched_setaffinity(0, sizeof wanted, &wanted) == 0) ::sched_getaffinity(0, sizeof bound, &bound);
  for (int i : cores) {
    if (!CPU_ISSET(static_cast<size_t>(i), &bound)) fail("this process may not run on core " + std::to_string(i));
  }
}

Memory read_memory() {
  Memory memory;
  std::ifstream stream("/proc/self/status");
  for (std::string line; std::getline(stream, line);) {
    size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon);
    int64_t* place = name == "VmRSS" ? &memory.resident
                     : name == "VmHWM" ? &memory.peak
                     : name == "RssAnon" ? &memory.anonymous
                     : name == "RssFile" ? &memory.file
                                         : nullptr;
    if (place != nullptr) *place = std::strtoll(line.c_str() + colon + 1, nullptr, 10) * 1024;
  }
  return memory;
}
