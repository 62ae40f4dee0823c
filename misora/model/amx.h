/* What sampling's and training's functions for processors with AMX have in common: a team of threads, the tiles' layouts, and the
   attention of some queries over all keys. It knows nothing of tensors, norms or gradients. */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t half; /* bfloat16 */
typedef void (*Team)(void (*)(void *), void *, unsigned, unsigned);

#define BLOCK 256 /* keys at a time: their scores against 32 queries stay in the first cache */
#define QUERIES 128 /* that one piece of work takes, so that keys and values are read that much less often */
#define PAIRS _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0)

static inline __m512 up(const half *x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)x)), 16)); }
static inline void down(half *x, __m512 v) { _mm256_storeu_si256((void *)x, (__m256i)_mm512_cvtneps_pbh(v)); }

/* Pieces of work that a team of threads takes one after another. */
typedef struct { void (*piece)(void *, long); void *what; long count; long next; } Work;

static void take(void *given) {
    Work *work = given;
    long i;
    while ((i = __atomic_fetch_add(&work->next, 1, __ATOMIC_RELAXED)) < work->count) work->piece(work->what, i);
}

static void share(Team team, int threads, void (*piece)(void *, long), void *what, long count) {
    Work work = {piece, what, count, 0};
    if (team && threads > 1 && count > 1) team(take, &work, (unsigned)threads, 0);
    else take(&work);
}

/* --- layouts --- */

/* Sixteen rows of sixteen 32-bit words, turned round. */
static inline void turn(__m512i r[16]) {
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#pragma GCC unroll 4
    for (int s = 8; s; s >>= 1) {
        /* lanes with bit s: the lower row keeps those without it and takes the upper one's, moved down; the upper one the other way */
        __mmask16 with = _mm512_test_epi32_mask(count, _mm512_set1_epi32(s));
        __m512i low = _mm512_mask_add_epi32(count, with, count, _mm512_set1_epi32(16 - s));
        __m512i high = _mm512_mask_add_epi32(_mm512_add_epi32(count, _mm512_set1_epi32(s)), with, count, _mm512_set1_epi32(16));
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            if (i & s) continue;
            __m512i a = r[i], b = r[i + s];
            r[i] = _mm512_permutex2var_epi32(a, low, b);
            r[i + s] = _mm512_permutex2var_epi32(a, high, b);
        }
    }
}

/* 32 rows of c numbers, those that are not there as zeros. */
static inline void fill(half *to, const half *from, long step, long c, long there) {
    for (long i = 0; i < 32; i++) {
        if (i < there) memcpy(to + i * c, from + i * step, 2 * c);
        else memset(to + i * c, 0, 2 * c);
    }
}

/* 32 rows of c numbers, as [row/16][channel/2][16][2]. */
static inline void words(half *to, const half *from, long c) {
    __m512i r[16];
    for (long h = 0; h < 32 * c; h += 16 * c)
        for (long j = 0; j < c; j += 32) {
            for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512((const void *)(from + h + i * c + j));
            turn(r);
            for (int i = 0; i < 16; i++) _mm512_storeu_si512((void *)(to + h + j * 16 + i * 32), r[i]);
        }
}

/* Sixteen channels of two rows, side by side. */
static inline __m512i pair(const half *from, long step) {
    __m512i two = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)from));
    return _mm512_permutexvar_epi16(PAIRS, _mm512_inserti64x4(two, _mm256_loadu_si256((const void *)(from + step)), 1));
}

/* 32 rows of c numbers, `step` apart, as [channel][32]. */
static inline void columns(half *to, const half *from, long step, long c) {
    __m512i r[16];
    for (long j = 0; j < c; j += 16) {
        for (int i = 0; i < 16; i++) r[i] = pair(from + 2 * i * step + j, step);
        turn(r);
        for (int i = 0; i < 16; i++) _mm512_storeu_si512((void *)(to + (j + i) * 32), r[i]);
    }
}

/* 32 rows of c numbers, `step` apart, as [channel/16][row/2][16][2]. */
static inline void pairs(half *to, const half *from, long step, long c) {
    for (long j = 0; j < c; j += 16)
        for (long i = 0; i < 32; i += 2) _mm512_storeu_si512((void *)(to + j * 32 + i * 16), pair(from + i * step + j, step));
}

/* --- products --- */

static inline __m512 power(__m512 x) { /* 2^x for x <= 0, within 3e-6 of itself; 2^0 is 1 */
    __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF); /* x less the next whole number below */
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(1.3426685e-2f), f, _mm512_set1_ps(5.2242473e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4128021e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9304484e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, x); /* times 2^ that whole number */
}

static void tiles(void) {
    struct { uint8_t palette, row, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) { shape.bytes[i] = 64; shape.rows[i] = 16; }
    _tile_loadconfig(&shape);
}

/* Loads of tiles do not tell the compiler that they read memory: what was written must be there before. */
static inline void settle(void) { __asm__ volatile("" ::: "memory"); }

/* Scores [count][32] of keys against 32 queries. */
static inline void scores(float *s, const half *k, const half *q, long count, long c) {
    settle();
    for (long i = 0; i < count; i += 32) {
        _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
        for (long j = 0; j < c; j += 32) {
            _tile_loadd(4, k + i * c + j, 2 * c);
            _tile_loadd(5, k + (i + 16) * c + j, 2 * c);
            _tile_loadd(6, q + j * 16, 64);
            _tile_loadd(7, q + 16 * c + j * 16, 64);
            _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, s + i * 32, 128); _tile_stored(1, s + i * 32 + 16, 128);
        _tile_stored(2, s + (i + 16) * 32, 128); _tile_stored(3, s + (i + 16) * 32 + 16, 128);
    }
}

/* Scores of 16 queries to weights: the largest so far, the sum so far, and what the results so far are to be multiplied with. */
static inline __m512 weights(half *p, const float *s, long count, long there, float scale, __m512 *most, __m512 *sum) {
    __m512 by = _mm512_set1_ps(scale), a = _mm512_set1_ps(-1e30f), b = a, t0 = _mm512_setzero_ps(), t1 = t0;
    for (long i = 0; i + 1 < there; i += 2) { a = _mm512_max_ps(a, _mm512_loadu_ps(s + i * 32)); b = _mm512_max_ps(b, _mm512_loadu_ps(s + i * 32 + 32)); }
    if (there & 1) a = _mm512_max_ps(a, _mm512_loadu_ps(s + (there - 1) * 32));
    a = _mm512_max_ps(*most, _mm512_mul_ps(by, _mm512_max_ps(a, b)));
    __m512 less = power(_mm512_sub_ps(*most, a));
    *most = a;
    for (long i = 0; i < count; i += 2) {
        __m512 x = i < there ? power(_mm512_fmsub_ps(_mm512_loadu_ps(s + i * 32), by, a)) : _mm512_setzero_ps();
        __m512 y = i + 1 < there ? power(_mm512_fmsub_ps(_mm512_loadu_ps(s + i * 32 + 32), by, a)) : _mm512_setzero_ps();
        t0 = _mm512_add_ps(t0, x); t1 = _mm512_add_ps(t1, y);
        _mm512_storeu_si512((void *)(p + i * 16), _mm512_permutexvar_epi16(PAIRS, (__m512i)_mm512_cvtne2ps_pbh(y, x)));
    }
    *sum = _mm512_fmadd_ps(*sum, less, _mm512_add_ps(t0, t1));
    return less;
}

/* O' += V' P' for 32 queries; o is [channel/16][2][16][16]. */
static inline void mix(float *o, const half *v, const half *p, long count, long c) {
    settle();
    for (long j = 0; j < c; j += 32) {
        float *to = o + j / 16 * 512;
        _tile_loadd(0, to, 64); _tile_loadd(1, to + 256, 64); _tile_loadd(2, to + 512, 64); _tile_loadd(3, to + 768, 64);
        for (long i = 0; i < count; i += 32) {
            _tile_loadd(4, v + i * c + j * 32, 64);
            _tile_loadd(5, v + i * c + (j + 16) * 32, 64);
            _tile_loadd(6, p + i * 16, 64);
            _tile_loadd(7, p + BLOCK * 16 + i * 16, 64);
            _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, to, 64); _tile_stored(1, to + 256, 64); _tile_stored(2, to + 512, 64); _tile_stored(3, to + 768, 64);
    }
}

/* Attention of `there` queries, at most QUERIES, as words, over the keys as rows and values as columns; scores are multiplied with
   `scale` and are exponents of 2. Rows of out are `step` apart; tops, if wanted, are the logarithms of the sums of 2^score. */
__attribute__((unused)) static void attend_queries(half *out, long step, float *tops, const half *q, const half *k, const half *v, long there, long keys, long c, float scale) {
    long groups = (there + 31) / 32, all = (keys + 31) / 32 * 32;
    float s[BLOCK * 32] __attribute__((aligned(64))), o[QUERIES / 32][128 * 32] __attribute__((aligned(64)));
    half p[2][BLOCK * 16] __attribute__((aligned(64)));
    __m512 most[QUERIES / 16], sum[QUERIES / 16];
    memset(o, 0, sizeof o);
    for (int i = 0; i < QUERIES / 16; i++) { most[i] = _mm512_set1_ps(-1e30f); sum[i] = _mm512_setzero_ps(); }
    tiles();
    for (long from = 0; from < all; from += BLOCK) {
        long count = all - from < BLOCK ? all - from : BLOCK, here = keys - from < count ? keys - from : count;
        for (long g = 0; g < groups; g++) {
            scores(s, k + from * c, q + g * 32 * c, count, c);
            for (int side = 0; side < 2; side++) {
                __m512 less = weights(p[side], s + side * 16, count, here, scale, &most[2 * g + side], &sum[2 * g + side]);
                if (from && _mm512_cmp_ps_mask(less, _mm512_set1_ps(1.0f), _CMP_NEQ_OQ))
                    for (long j = 0; j < c; j++) {
                        float *at = o[g] + j / 16 * 512 + side * 256 + j % 16 * 16;
                        _mm512_store_ps(at, _mm512_mul_ps(_mm512_load_ps(at), less));
                    }
            }
            mix(o[g], v + from * c, p[0], count, c);
        }
    }
    _tile_release();
    for (long g = 0; g < 2 * groups; g++) {
        __m512 one = _mm512_div_ps(_mm512_set1_ps(1.0f), sum[g]);
        for (long j = 0; j < c; j += 16) {
            __m512i r[16];
            for (int i = 0; i < 16; i++) r[i] = _mm512_castps_si512(_mm512_mul_ps(one, _mm512_load_ps(o[g / 2] + j / 16 * 512 + g % 2 * 256 + i * 16)));
            turn(r);
            for (int i = 0; i < 16; i++) if (g * 16 + i < there) down(out + (g * 16 + i) * step + j, _mm512_castsi512_ps(r[i]));
        }
        float exact[32];
        _mm512_storeu_ps(exact, most[g]); _mm512_storeu_ps(exact + 16, sum[g]);
        for (int i = 0; tops && i < 16 && g * 16 + i < there; i++) tops[g * 16 + i] = exact[i] + log2f(exact[16 + i]);
    }
}
