/* The parts of a transformer's block that stand between its matrix products, for processors with AMX: norms with modulation, and
   attention. Numbers between two roundings to bfloat16 are float32. It knows nothing of tensors: rows, strides and counts come in.

   Attention works on S' = K Q' and O' = V' P', so that a query is a lane of every vector: no sum runs across lanes, and the weights
   come out of the registers in the very order in which the second product reads them. Heads have 32, 64, 96 or 128 channels. */
#include "amx.h"
#include <sys/syscall.h>
#include <unistd.h>

#define EPS 1e-6f

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
    for (long h = 0; p->q && h < p->heads; h++) { /* rows of pairs become columns */
        half *all = p->pq + ((b * p->heads + h) * whole + first) * c;
        memcpy(rows, all, 64 * c);
        words(all, rows, c);
    }
    for (long h = 0; p->k && h < p->heads; h++) {
        fill(rows, p->v + (b * p->n + first) * p->step_k + h * c, p->step_k, c, p->n - first);
        columns(p->pv + ((b * p->heads + h) * whole + first) * c, rows, c, c);
    }
}

/* Queries, or keys and values, or all three of batch x n tokens, as attention reads them; steps are numbers from token to token. */
void misora_pack(Team team, int threads, const half *q, const half *k, const half *v, half *pq, half *pk, half *pv, const float *wq,
                 const float *wk, const float *cosine, const float *sine, long batch, long n, long heads, long head, long step_q, long step_k) {
    Pack pack = {q, k, v, pq, pk, pv, wq, wk, cosine, sine, batch, n, heads, head, step_q, step_k};
    share(team, threads, pack_rows, &pack, batch * ((n + 31) / 32));
}

typedef struct { const half *q, *k, *v; half *out; long batch, n, keys, heads, head; } Attention;

static void attend_block(void *given, long piece) {
    const Attention *t = given;
    long whole = (t->n + 31) / 32 * 32, all = (t->keys + 31) / 32 * 32, c = t->head, d = t->heads * c, per = (whole + QUERIES - 1) / QUERIES;
    long bh = piece / per, first = piece % per * QUERIES, there = t->n - first < QUERIES ? t->n - first : QUERIES;
    half *out = t->out + (bh / t->heads * t->n + first) * d + bh % t->heads * c;
    attend_queries(out, d, 0, t->q + (bh * whole + first) * c, t->k + bh * all * c, t->v + bh * all * c, there, t->keys, c, 1.0f);
}

/* Packed queries of batch x n tokens over packed keys and values: rows of all heads. */
void misora_attend(Team team, int threads, const half *q, const half *k, const half *v, half *out, long batch, long n, long keys, long heads, long head) {
    Attention attention = {q, k, v, out, batch, n, keys, heads, head};
    long whole = (n + 31) / 32 * 32;
    share(team, threads, attend_block, &attention, batch * heads * ((whole + QUERIES - 1) / QUERIES));
}

/* Whether the kernel lets this process use the tiles. */
int misora_allowed(void) { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }
