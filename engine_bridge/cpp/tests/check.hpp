// What the tests share: a check that says where it failed, and goes on.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>

inline int failures = 0;

inline void check(bool good, const char* what, const char* file, int line) {
    if (good) return;
    ++failures;
    std::fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
}

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)

/// Say how it went; return the program's exit code.
inline int verdict(const char* what, std::size_t count) {
    if (failures == 0) std::printf("%s: %zu passed\n", what, count);
    else std::fprintf(stderr, "%s: %d checks failed\n", what, failures);
    return failures == 0 ? 0 : 1;
}
