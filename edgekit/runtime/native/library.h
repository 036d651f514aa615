// A shared library that is loaded by name: beside the program, or where the loader was told to look.
#pragma once

#include <dlfcn.h>

#include "session.h"

class Library {
 public:
  explicit Library(const char* name) : name_(name), handle_(::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) fail(::dlerror());
  }

  template <typename Function>
  void find(const char* symbol, Function*& function) const {
    void* found = ::dlsym(handle_, symbol);
    if (found == nullptr) fail(std::string(name_) + " has no " + symbol);
    function = reinterpret_cast<Function*>(found);
  }

 private:
  const char* name_;
  void* handle_;
};
