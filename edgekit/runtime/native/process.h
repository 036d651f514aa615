// What the runner does to its own process, and learns of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Cores of a list like "0-3,6".
std::vector<int> parse_cores(const std::string& text);

// Binds this process, and every thread that it will start, to exactly these cores; fails where one of them is missing.
void bind_to(const std::vector<int>& cores);

// Bytes; -1 where the system does not say. The same lines as edgekit/runtime/memory.py reads.
struct Memory {
  int64_t resident = -1;
  int64_t peak = -1;
  int64_t anonymous = -1;
  int64_t file = -1;
};
Memory read_memory();
