/* Peak arithmetic rate of this processor: fused multiply-adds that never leave the registers.
   Prints a name and GFLOP/s on each line. Usage: peak THREADS SECONDS */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define CHAINS 12 /* independent sums: more than latency times units of any present core */
#define ROUNDS 20000

static volatile float sink;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

#if defined(__AVX512F__)
#define FP32_FLOP 32.0
typedef __m512 vec;
#define SET(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define FIRST(v) _mm512_cvtss_f32(v)
#elif defined(__AVX2__) && defined(__FMA__)
#define FP32_FLOP 16.0
typedef __m256 vec;
#define SET(x) _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define FIRST(v) _mm256_cvtss_f32(v)
#elif defined(__ARM_NEON)
#define FP32_FLOP 8.0
typedef float32x4_t vec;
#define SET(x) vdupq_n_f32(x)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define FIRST(v) vgetq_lane_f32(v, 0)
#endif

#ifdef FP32_FLOP
static void fp32(void) {
  vec s[CHAINS], a = SET(0.999f), b = SET(1e-7f);
  for (int i = 0; i < CHAINS; i++) s[i] = SET(1.0f + i);
  for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) s[i] = FMA(s[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < CHAINS; i++) total += FIRST(s[i]);
  sink = total;
}
#endif

#ifdef __AVX512BF16__
#define BF16_FLOP 64.0
static void bf16(void) {
  __m512 s[CHAINS];
  __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f)), b = a;
  for (int i = 0; i < CHAINS; i++) s[i] = _mm512_set1_ps(1.0f + i);
  for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) s[i] = _mm512_dpbf16_ps(s[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < CHAINS; i++) total += _mm512_cvtss_f32(s[i]);
  sink = total;
}
#endif

struct job {
  void (*kernel)(void);
  double seconds;
  double calls_a_second;
};

static void *work(void *argument) {
  struct job *job = argument;
  job->kernel();
  double start = now(), elapsed;
  long calls = 0;
  do {
    for (int i = 0; i < 20; i++) job->kernel();
    calls += 20;
    elapsed = now() - start;
  } while (elapsed < job->seconds);
  job->calls_a_second = calls / elapsed;
  return NULL;
}

static void measure(const char *name, void (*kernel)(void), double flop, int threads, double seconds) {
  pthread_t ids[1024];
  struct job jobs[1024];
  double total = 0;
  for (int t = 0; t < threads; t++) {
    jobs[t] = (struct job){kernel, seconds, 0};
    if (pthread_create(&ids[t], NULL, work, &jobs[t])) exit(1);
  }
  for (int t = 0; t < threads; t++) {
    pthread_join(ids[t], NULL);
    total += jobs[t].calls_a_second;
  }
  printf("%s %.3f\n", name, total * flop * CHAINS * ROUNDS / 1e9);
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  double seconds = argc > 2 ? atof(argv[2]) : 0.5;
  if (threads < 1 || threads > 1024) return 2;
#ifdef FP32_FLOP
  measure("fp32", fp32, FP32_FLOP, threads, seconds);
#endif
#ifdef BF16_FLOP
  measure("bf16", bf16, BF16_FLOP, threads, seconds);
#endif
  return 0;
}
