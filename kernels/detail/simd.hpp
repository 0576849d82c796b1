// Says that a loop's iterations may run side by side. Sums are then added in several lanes: in an
// order that depends on the compiler and the machine, not on threads or chance.
#pragma once

#define SOAPSTONE_PRAGMA(...) _Pragma(#__VA_ARGS__)
#if defined(_OPENMP)
#define SOAPSTONE_SIMD SOAPSTONE_PRAGMA(omp simd)
#define SOAPSTONE_SIMD_SUM(...) SOAPSTONE_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define SOAPSTONE_SIMD_MAX(...) SOAPSTONE_PRAGMA(omp simd reduction(max : __VA_ARGS__))
#else
#define SOAPSTONE_SIMD
#define SOAPSTONE_SIMD_SUM(...)
#define SOAPSTONE_SIMD_MAX(...)
#endif
