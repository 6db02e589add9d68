// From here on functions use more instructions than the oldest processor has. Standard headers belong before this: what
// they define must not be compiled with instructions that the processor at hand may lack.
#pragma once
#define HANLIN_TEXT(x) #x
#if defined(__clang__)
#define BEGIN_TARGET(names) _Pragma(HANLIN_TEXT(clang attribute push(__attribute__((target(names))), apply_to = function)))
#define END_TARGET _Pragma("clang attribute pop")
#else
#define BEGIN_TARGET(names) _Pragma("GCC push_options") _Pragma(HANLIN_TEXT(GCC target(names)))
#define END_TARGET _Pragma("GCC pop_options")
#endif

// Compilers that know AVX2's own VNNI.
#if defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11
#define HANLIN_HAS_AVXVNNI 1
#else
#define HANLIN_HAS_AVXVNNI 0
#endif
