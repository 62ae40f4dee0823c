/* The parts of a transformer's block that stand between its matrix products, for processors with AMX: norms with modulation, and
   attention. Numbers between two roundings to bfloat16 are float32. It knows nothing of tensors: rows, strides and counts come in.

   Attention works on S' = K Q' and O' = V' P', so that a query is a lane of every vector: no sum runs across lanes, and the weights
   come out of the registers in the very order in which the second product reads them. Heads have 32, 64, 96 or 128 channels. */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef uint16_t half; /* bfloat16 */
typedef void (*Team)(void (*)(void *), void *, unsigned, unsigned);

#define BLOCK 256 /* keys at a time: their scores against 32 queries stay in the first cache */
#define QUERIES 128 /* that one piece of work takes, so that keys and values are read that much less often */
#define EPS 1e-6f

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

/* --- norms --- */

typedef struct {
    const float *x; const half *y; float *sum; half *out; const float *gate, *gain, *shift; const int64_t *index;
    long rows, width, each, gates, stride; int plus;
} Norm;

static void norm_rows(void *given, long piece) {
    const Norm *n = given;
    long d = n->width, last = (piece + 1) * 32 < n->rows ? (piece + 1) * 32 : n->rows;
    float row[16384] __attribute__((aligned(64)));
    for (long i = piece * 32; i < last; i++) {
        long row_of = n->index ? n->index[i] : i / n->each, which = row_of * n->stride;
        const float *gate = n->gate ? n->gate + row_of * n->gates : 0;
        __m512 all = _mm512_setzero_ps(), squares = all;
        for (long j = 0; j < d; j += 16) {
            __m512 v = _mm512_loadu_ps(n->x + i * d + j);
            if (n->y) {
                __m512 more = up(n->y + i * d + j);
                v = gate ? _mm512_fmadd_ps(more, _mm512_loadu_ps(gate + j), v) : _mm512_add_ps(v, more);
                _mm512_storeu_ps(n->sum + i * d + j, v);
            }
            _mm512_store_ps(row + j, v);
            all = _mm512_add_ps(all, v);
        }
        if (!n->out) continue;
        __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(all) / (float)d);
        for (long j = 0; j < d; j += 16) {
            __m512 v = _mm512_sub_ps(_mm512_load_ps(row + j), mean);
            squares = _mm512_fmadd_ps(v, v, squares);
        }
        __m512 size = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(squares) / (float)d + EPS));
        __m512 one = _mm512_set1_ps(n->plus ? 1.0f : 0.0f);
        for (long j = 0; j < d; j += 16) {
            __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_load_ps(row + j), mean), size);
            if (n->gain) v = _mm512_mul_ps(v, _mm512_add_ps(one, _mm512_loadu_ps(n->gain + which + j)));
            if (n->shift) v = _mm512_add_ps(v, _mm512_loadu_ps(n->shift + which + j));
            down(n->out + i * d + j, v);
        }
    }
}

/* sum = x + y gate; out = norm(sum) (plus + gain) + shift. Without y the norm is of x; without out only the sum is made. Token i
   has row index[i], or i / each, of gate (a row every so many gates), of gain and of shift (every stride numbers). */
void misora_norm(Team team, int threads, const float *x, const half *y, float *sum, half *out, const float *gate, const float *gain,
                 const float *shift, const int64_t *index, long rows, long width, long each, long gates, long stride, int plus) {
    Norm norm = {x, y, sum, out, gate, gain, shift, index, rows, width, each, gates, stride, plus};
    share(team, threads, norm_rows, &norm, (rows + 31) / 32);
}

typedef struct { half *x; long count; } Square;

static void square_run(void *given, long piece) {
    const Square *s = given;
    for (long i = piece * 16384; i < s->count && i < (piece + 1) * 16384; i += 16) {
        __m512 v = up(s->x + i);
        down(s->x + i, _mm512_mul_ps(v, v));
    }
}

/* The squares of count numbers, a multiple of 16, in their place. */
void misora_square(Team team, int threads, half *x, long count) {
    Square square = {x, count};
    share(team, threads, square_run, &square, (count + 16383) / 16384);
}

/* --- attention --- */

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

typedef struct {
    const half *q, *k, *v; half *pq, *pk, *pv; const float *wq, *wk, *cosine, *sine;
    long batch, n, heads, head, step_q, step_k;
} Pack;

/* One row of all heads: RMS-normed, weighted, scaled, rotated, rounded. */
static void ready(half *out, const half *x, const float *weight, const float *cosine, const float *sine, float scale, long heads, long head) {
    long d = heads * head, middle = head / 2;
    __m512 squares = _mm512_setzero_ps();
    for (long j = 0; j < d; j += 16) { __m512 v = up(x + j); squares = _mm512_fmadd_ps(v, v, squares); }
    __m512 size = _mm512_set1_ps(scale / sqrtf(_mm512_reduce_add_ps(squares) / (float)d + EPS));
    for (long h = 0; h < d; h += head)
        for (long j = 0; j < middle; j += 16) {
            long i = h + j;
            __m512 a = _mm512_mul_ps(_mm512_mul_ps(up(x + i), size), _mm512_loadu_ps(weight + i));
            __m512 b = _mm512_mul_ps(_mm512_mul_ps(up(x + i + middle), size), _mm512_loadu_ps(weight + i + middle));
            if (cosine) {
                __m512 c = _mm512_loadu_ps(cosine + j), s = _mm512_loadu_ps(sine + j);
                __m512 real = _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s));
                b = _mm512_fmadd_ps(a, s, _mm512_mul_ps(b, c));
                a = real;
            }
            down(out + i, a);
            down(out + i + middle, b);
        }
}

/* 32 tokens: queries as [head][token/16][channel/2][16][2], keys as [head][token][channel], values as [head][token/32][channel][32]. */
static void pack_rows(void *given, long piece) {
    const Pack *p = given;
    long whole = (p->n + 31) / 32 * 32, b = piece / (whole / 32), first = piece % (whole / 32) * 32, d = p->heads * p->head, c = p->head;
    float scale = 1.44269504f / sqrtf((float)c);
    half rows[16384] __attribute__((aligned(64)));
    const __m512i pairs = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i r[16];
    for (long i = first; i < first + 32; i++) {
        long turned = (b * p->n + i) * (c / 2), there = i < p->n;
        const float *cosine = p->cosine && there ? p->cosine + turned : 0, *sine = p->sine && there ? p->sine + turned : 0;
        if (p->q) {
            if (there) ready(rows, p->q + (b * p->n + i) * p->step_q, p->wq, cosine, sine, scale, p->heads, c);
            else memset(rows, 0, 2 * d);
            for (long h = 0; h < p->heads; h++) memcpy(p->pq + ((b * p->heads + h) * whole + i) * c, rows + h * c, 2 * c);
        }
        if (p->k) {
            if (there) ready(rows, p->k + (b * p->n + i) * p->step_k, p->wk, cosine, sine, 1.0f, p->heads, c);
            else memset(rows, 0, 2 * d);
            for (long h = 0; h < p->heads; h++) memcpy(p->pk + ((b * p->heads + h) * whole + i) * c, rows + h * c, 2 * c);
        }
    }
    for (long h = 0; p->q && h < 2 * p->heads; h++) { /* sixteen queries of a head: rows of pairs become columns */
        half *all = p->pq + ((b * p->heads + h / 2) * whole + first + h % 2 * 16) * c;
        memcpy(rows, all, 32 * c);
        for (long j = 0; j < c; j += 32) {
            for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512((const void *)(rows + i * c + j));
            turn(r);
            for (int i = 0; i < 16; i++) _mm512_storeu_si512((void *)(all + j * 16 + i * 32), r[i]);
        }
    }
    for (long j = 0; p->k && j < d; j += 16) {
        for (int i = 0; i < 16; i++) {
            long t = first + 2 * i;
            const half *at = p->v + (b * p->n + t) * p->step_k + j;
            __m512i two = _mm512_setzero_si512();
            if (t < p->n) two = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)at));
            two = _mm512_inserti64x4(two, t + 1 < p->n ? _mm256_loadu_si256((const void *)(at + p->step_k)) : _mm256_setzero_si256(), 1);
            r[i] = _mm512_permutexvar_epi16(pairs, two);
        }
        turn(r);
        half *to = p->pv + ((b * p->heads + j / c) * whole + first) * c + j % c * 32;
        for (int i = 0; i < 16; i++) _mm512_storeu_si512((void *)(to + 32 * i), r[i]);
    }
}

/* Queries, or keys and values, or all three of batch x n tokens, as attention reads them; steps are numbers from token to token. */
void misora_pack(Team team, int threads, const half *q, const half *k, const half *v, half *pq, half *pk, half *pv, const float *wq,
                 const float *wk, const float *cosine, const float *sine, long batch, long n, long heads, long head, long step_q, long step_k) {
    Pack pack = {q, k, v, pq, pk, pv, wq, wk, cosine, sine, batch, n, heads, head, step_q, step_k};
    share(team, threads, pack_rows, &pack, batch * ((n + 31) / 32));
}

typedef struct { const half *q, *k, *v; half *out; long batch, n, keys, heads, head; } Attention;


static inline __m512 power(__m512 x) { /* 2^x for x <= 0, within 5e-5 of itself: a hundredth of what bfloat16 then rounds off */
    __m512 whole = _mm512_roundscale_ps(x, 0), f = _mm512_sub_ps(x, whole);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(9.6180e-3f), f, _mm512_set1_ps(5.5503e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.40226e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931472e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, whole);
}

static void tiles(void) {
    struct { uint8_t palette, row, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) { shape.bytes[i] = 64; shape.rows[i] = 16; }
    _tile_loadconfig(&shape);
}

/* Scores [count][32] of keys against 32 queries. */
static inline void scores(float *s, const half *k, const half *q, long count, long c) {
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
static inline __m512 weights(half *p, const float *s, long count, long there, __m512 *most, __m512 *sum) {
    const __m512i pairs = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512 a = *most, b = a, t0 = _mm512_setzero_ps(), t1 = t0;
    for (long i = 0; i + 1 < there; i += 2) { a = _mm512_max_ps(a, _mm512_loadu_ps(s + i * 32)); b = _mm512_max_ps(b, _mm512_loadu_ps(s + i * 32 + 32)); }
    if (there & 1) a = _mm512_max_ps(a, _mm512_loadu_ps(s + (there - 1) * 32));
    a = _mm512_max_ps(a, b);
    __m512 less = power(_mm512_sub_ps(*most, a));
    *most = a;
    for (long i = 0; i < count; i += 2) {
        __m512 x = i < there ? power(_mm512_sub_ps(_mm512_loadu_ps(s + i * 32), a)) : _mm512_setzero_ps();
        __m512 y = i + 1 < there ? power(_mm512_sub_ps(_mm512_loadu_ps(s + i * 32 + 32), a)) : _mm512_setzero_ps();
        t0 = _mm512_add_ps(t0, x); t1 = _mm512_add_ps(t1, y);
        _mm512_storeu_si512((void *)(p + i * 16), _mm512_permutexvar_epi16(pairs, (__m512i)_mm512_cvtne2ps_pbh(y, x)));
    }
    *sum = _mm512_fmadd_ps(*sum, less, _mm512_add_ps(t0, t1));
    return less;
}

/* O' += V' P' for 32 queries; o is [channel/16][2][16][16]. */
static inline void mix(float *o, const half *v, const half *p, long count, long c) {
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

static void attend_block(void *given, long piece) {
    const Attention *t = given;
    long whole = (t->n + 31) / 32 * 32, all = (t->keys + 31) / 32 * 32, c = t->head, per = (whole + QUERIES - 1) / QUERIES;
    long bh = piece / per, first = piece % per * QUERIES, groups = (whole - first < QUERIES ? whole - first : QUERIES) / 32;
    const half *k = t->k + bh * all * c, *v = t->v + bh * all * c, *q = t->q + bh * whole * c + first * c;
    float s[BLOCK * 32] __attribute__((aligned(64))), o[QUERIES / 32][128 * 32] __attribute__((aligned(64)));
    half p[2][BLOCK * 16] __attribute__((aligned(64)));
    __m512 most[QUERIES / 16], sum[QUERIES / 16];
    memset(o, 0, sizeof o);
    for (int i = 0; i < QUERIES / 16; i++) { most[i] = _mm512_set1_ps(-1e30f); sum[i] = _mm512_setzero_ps(); }
    tiles();
    for (long from = 0; from < all; from += BLOCK) {
        long count = all - from < BLOCK ? all - from : BLOCK, there = t->keys - from < count ? t->keys - from : count;
        for (long g = 0; g < groups; g++) {
            scores(s, k + from * c, q + g * 32 * c, count, c);
            for (int side = 0; side < 2; side++) {
                __m512 less = weights(p[side], s + side * 16, count, there, &most[2 * g + side], &sum[2 * g + side]);
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
    long b = bh / t->heads, h = bh % t->heads;
    for (long g = 0; g < 2 * groups; g++) {
        __m512 one = _mm512_div_ps(_mm512_set1_ps(1.0f), sum[g]);
        for (long j = 0; j < c; j += 16) {
            __m512i r[16];
            for (int i = 0; i < 16; i++) r[i] = _mm512_castps_si512(_mm512_mul_ps(one, _mm512_load_ps(o[g / 2] + j / 16 * 512 + g % 2 * 256 + i * 16)));
            turn(r);
            for (int i = 0; i < 16; i++) {
                long token = first + g * 16 + i;
                if (token < t->n) down(t->out + (b * t->n + token) * t->heads * c + h * c + j, _mm512_castsi512_ps(r[i]));
            }
        }
    }
}

/* Packed queries of batch x n tokens over packed keys and values: rows of all heads. */
void misora_attend(Team team, int threads, const half *q, const half *k, const half *v, half *out, long batch, long n, long keys, long heads, long head) {
    Attention attention = {q, k, v, out, batch, n, keys, heads, head};
    long whole = (n + 31) / 32 * 32;
    share(team, threads, attend_block, &attention, batch * heads * ((whole + QUERIES - 1) / QUERIES));
}

/* Whether the kernel lets this process use the tiles. */
int misora_allowed(void) { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }
