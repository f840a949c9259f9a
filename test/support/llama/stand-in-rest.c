/* Every function of libllama that the shim looks up and stand-in.c has not: none may be called. */
#include <stdio.h>
#include <stdlib.h>

#define TROUPE_LIBC_H /* the real headers are here */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../../../native/llama_api.h"

#define X(type, name, parameters)                                    \
  __attribute__((weak)) type name parameters {                       \
    fprintf(stderr, "stand-in llama: there is no " #name " here\n"); \
    abort();                                                         \
  }
LLAMA_API_FUNCTIONS(X)
