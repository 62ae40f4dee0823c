/* Softmax attention with its gradients for processors with AMX, one head at a time: what is worked out between tensors stays in the
   second cache, and of the weights only the logarithms of their sums are kept for the way back. It knows nothing of tensors.

   As in amx.h a query is a lane: S' = K Q', P' = 2^(S' - tops), dP' = V dO', dS' = P' (dP' - <O, dO>), and dQ' = K' dS'. The same P' and
   dS', as rows of keys, give dV = P' dO and dK = dS' Q. */
#include "amx.h"

#define KEYS 64 /* and QUERIES at a time on the way back */
#define TILE 1024 /* numbers of a product of 32 x 32 */

typedef struct {
    const half *q, *k, *v, *g, *o; const float *tops; half *out, *dq, *dk, *dv; float *all_tops; char *room;
    long batch, n, keys, heads, head, steps[5]; /* from token to token of q, k, v, g, o; what is made is dense */
    long each, threads;
} Train;

static long up32(long n) { return (n + 31) / 32 * 32; }

/* The next so many bytes of a room. */
static void *next(char **room, long bytes) {
    void *here = *room;
    *room += (bytes + 63) / 64 * 64;
    return here;
}

/* Where a head of `count` tokens begins. */
static const half *head_of(const Train *t, const half *x, long step, long count, long bh) {
    return x + bh / t->heads * count * step + bh % t->heads * t->head;
}

static void forward_head(const Train *t, long bh, char *room) {
    long c = t->head, d = t->heads * c, all = up32(t->keys);
    const half *q = head_of(t, t->q, t->steps[0], t->n, bh), *k = head_of(t, t->k, t->steps[1], t->keys, bh);
    const half *v = head_of(t, t->v, t->steps[2], t->keys, bh);
    half *rows = next(&room, 2 * all * c), *turned = next(&room, 2 * all * c), *some = next(&room, 64 * c), *asked = next(&room, 2 * QUERIES * c);
    for (long i = 0; i < all; i += 32) {
        fill(rows + i * c, k + i * t->steps[1], t->steps[1], c, t->keys - i);
        fill(some, v + i * t->steps[2], t->steps[2], c, t->keys - i);
        columns(turned + i * c, some, c, c);
    }
    for (long first = 0; first < t->n; first += QUERIES) {
        long there = t->n - first < QUERIES ? t->n - first : QUERIES;
        for (long i = 0; i < there; i += 32) {
            fill(some, q + (first + i) * t->steps[0], t->steps[0], c, there - i);
            words(asked + i * c, some, c);
        }
        half *out = t->out + (bh / t->heads * t->n + first) * d + bh % t->heads * c;
        attend_queries(out, d, t->all_tops + bh * t->n + first, asked, rows, turned, there, t->keys, c, 1.44269504f / sqrtf((float)c));
    }
}

/* What one block of queries brings along: q and dO in two layouts, the logarithms and <O, dO> of its rows. */
typedef struct { half *q, *g, *pq, *pg; float *tops, *dots; } Queries;

static void bring(const Train *t, const Queries *to, long bh, long first, long there, half *some) {
    long c = t->head;
    const half *q = head_of(t, t->q, t->steps[0], t->n, bh) + first * t->steps[0];
    const half *g = head_of(t, t->g, t->steps[3], t->n, bh) + first * t->steps[3];
    const half *o = head_of(t, t->o, t->steps[4], t->n, bh) + first * t->steps[4];
    for (long i = 0; i < there; i += 32) {
        fill(some, q + i * t->steps[0], t->steps[0], c, there - i);
        words(to->q + i * c, some, c);
        pairs(to->pq + i * c, some, c, c);
        fill(some, g + i * t->steps[3], t->steps[3], c, there - i);
        words(to->g + i * c, some, c);
        pairs(to->pg + i * c, some, c, c);
        for (long r = i; r < i + 32; r++) {
            __m512 dot = _mm512_setzero_ps();
            for (long j = 0; r < there && j < c; j += 16) dot = _mm512_fmadd_ps(up(some + (r - i) * c + j), up(o + r * t->steps[4] + j), dot);
            to->dots[r] = _mm512_reduce_add_ps(dot);
            to->tops[r] = r < there ? t->tops[bh * t->n + first + r] : 0.0f;
        }
    }
}

/* Scores and dP' [32 keys][32 queries] to P' and dS': rows of keys, `step` apart, and dS' as pairs of keys too. */
static inline void soften(half *p, half *ds, long step, half *twos, const float *s, const float *dp, const float *tops, const float *dots, long there, float scale) {
    __m512 by = _mm512_set1_ps(scale), t0 = _mm512_loadu_ps(tops), t1 = _mm512_loadu_ps(tops + 16);
    __m512 d0 = _mm512_loadu_ps(dots), d1 = _mm512_loadu_ps(dots + 16);
    for (long i = 0; i < 32; i += 2) {
        __m512i row[2];
        for (int j = 0; j < 2; j++) {
            const float *at = s + (i + j) * 32, *also = dp + (i + j) * 32;
            __m512 a = power(_mm512_fmsub_ps(_mm512_load_ps(at), by, t0)), b = power(_mm512_fmsub_ps(_mm512_load_ps(at + 16), by, t1));
            if (i + j >= there) a = b = _mm512_setzero_ps();
            _mm512_store_si512((void *)(p + (i + j) * step), (__m512i)_mm512_cvtne2ps_pbh(b, a));
            a = _mm512_mul_ps(a, _mm512_sub_ps(_mm512_load_ps(also), d0));
            b = _mm512_mul_ps(b, _mm512_sub_ps(_mm512_load_ps(also + 16), d1));
            row[j] = (__m512i)_mm512_cvtne2ps_pbh(b, a);
            _mm512_store_si512((void *)(ds + (i + j) * step), row[j]);
        }
        _mm512_store_si512((void *)(twos + i * 16), _mm512_unpacklo_epi16(row[0], row[1])); /* queries 0..3, 8..11, 16..19, 24..27 */
        _mm512_store_si512((void *)(twos + 512 + i * 16), _mm512_unpackhi_epi16(row[0], row[1])); /* and those between */
    }
}

/* to[32 keys][c], as products of 32 x 32, += a[32 keys][count queries] times pairs of queries; or = where there was nothing. */
static inline void gather(float *to, const half *a, long step, const half *b, long count, long c, int anew) {
    settle();
    for (long j = 0; j < c; j += 32, to += TILE) {
        if (anew) { _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3); }
        else { _tile_loadd(0, to, 64); _tile_loadd(1, to + 256, 64); _tile_loadd(2, to + 512, 64); _tile_loadd(3, to + 768, 64); }
        for (long i = 0; i < count; i += 32) {
            _tile_loadd(4, a + i, 2 * step);
            _tile_loadd(5, a + 16 * step + i, 2 * step);
            _tile_loadd(6, b + i * c + j * 32, 64);
            _tile_loadd(7, b + i * c + (j + 16) * 32, 64);
            _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, to, 64); _tile_stored(1, to + 256, 64); _tile_stored(2, to + 512, 64); _tile_stored(3, to + 768, 64);
    }
}

/* dQ' of 32 queries += K' dS'; laid out as gather's. */
static inline void answer(float *to, const half *k, const half *twos, long count, long c, int anew) {
    settle();
    for (long j = 0; j < c; j += 32, to += TILE) {
        if (anew) { _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3); }
        else { _tile_loadd(0, to, 64); _tile_loadd(1, to + 256, 64); _tile_loadd(2, to + 512, 64); _tile_loadd(3, to + 768, 64); }
        for (long i = 0; i < count; i += 32) {
            _tile_loadd(4, k + i * c + j * 32, 64);
            _tile_loadd(5, k + i * c + (j + 16) * 32, 64);
            _tile_loadd(6, twos + i * 32, 64);
            _tile_loadd(7, twos + i * 32 + 512, 64);
            _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, to, 64); _tile_stored(1, to + 256, 64); _tile_stored(2, to + 512, 64); _tile_stored(3, to + 768, 64);
    }
}

/* Products [c/32][2][2][16][16] of 32 keys to rows. */
static void write_rows(half *to, long step, const float *from, long there, long c, float scale) {
    for (long i = 0; i < 32 && i < there; i++)
        for (long j = 0; j < c; j += 16)
            down(to + i * step + j, _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_load_ps(from + j / 32 * TILE + i / 16 * 512 + j / 16 % 2 * 256 + i % 16 * 16)));
}

/* The same of channels by 32 queries, in soften's order of these. */
static void write_columns(half *to, long step, const float *from, long there, long c, float scale) {
    __m512i r[16];
    for (long j = 0; j < c; j += 16)
        for (int side = 0; side < 2; side++) {
            const float *at = from + j / 32 * TILE + j / 16 % 2 * 512 + side * 256;
            for (int i = 0; i < 16; i++) r[i] = _mm512_castps_si512(_mm512_mul_ps(_mm512_set1_ps(scale), _mm512_load_ps(at + i * 16)));
            turn(r);
            for (int i = 0; i < 16; i++) {
                long row = i / 4 * 8 + side * 4 + i % 4;
                if (row < there) down(to + row * step + j, _mm512_castsi512_ps(r[i]));
            }
        }
}

static void backward_head(const Train *t, long bh, char *room) {
    long c = t->head, d = t->heads * c, all = up32(t->keys), block = 2 * QUERIES * c;
    const half *k = head_of(t, t->k, t->steps[1], t->keys, bh), *v = head_of(t, t->v, t->steps[2], t->keys, bh);
    half *rows = next(&room, 2 * all * c), *turned = next(&room, 2 * all * c), *values = next(&room, 2 * all * c), *some = next(&room, 64 * c);
    Queries asked = {next(&room, block), next(&room, block), next(&room, block), next(&room, block), next(&room, 4 * QUERIES), next(&room, 4 * QUERIES)};
    half *p = next(&room, 2 * KEYS * QUERIES), *ds = next(&room, 2 * KEYS * QUERIES), *twos = next(&room, 2 * KEYS * QUERIES);
    float *s = next(&room, 4 * TILE), *dp = next(&room, 4 * TILE), *dq = next(&room, 4 * QUERIES * c), *dk = next(&room, 4 * all * c), *dv = next(&room, 4 * all * c);
    float natural = 1.0f / sqrtf((float)c), scale = 1.44269504f * natural;
    for (long i = 0; i < all; i += 32) {
        fill(rows + i * c, k + i * t->steps[1], t->steps[1], c, t->keys - i);
        columns(turned + i * c, rows + i * c, c, c);
        fill(values + i * c, v + i * t->steps[2], t->steps[2], c, t->keys - i);
    }
    tiles();
    for (long first = 0; first < t->n; first += QUERIES) {
        long there = t->n - first < QUERIES ? t->n - first : QUERIES, count = up32(there);
        bring(t, &asked, bh, first, there, some);
        for (long from = 0; from < all; from += KEYS) {
            long here = all - from < KEYS ? all - from : KEYS;
            for (long i = 0; i < count; i += 32)
                for (long j = 0; j < here; j += 32) {
                    scores(s, rows + (from + j) * c, asked.q + i * c, 32, c);
                    scores(dp, values + (from + j) * c, asked.g + i * c, 32, c);
                    soften(p + j * QUERIES + i, ds + j * QUERIES + i, QUERIES, twos + i * KEYS + j * 32, s, dp, asked.tops + i, asked.dots + i, t->keys - from - j, scale);
                }
            for (long j = 0; j < here; j += 32) {
                gather(dv + (from + j) * c, p + j * QUERIES, QUERIES, asked.pg, count, c, !first);
                gather(dk + (from + j) * c, ds + j * QUERIES, QUERIES, asked.pq, count, c, !first);
            }
            for (long i = 0; i < count; i += 32) answer(dq + i * c, turned + from * c, twos + i * KEYS, here, c, !from);
        }
        half *to = t->dq + (bh / t->heads * t->n + first) * d + bh % t->heads * c;
        for (long i = 0; i < count; i += 32) write_columns(to + i * d, d, dq + i * c, there - i, c, natural);
    }
    _tile_release();
    long start = bh / t->heads * t->keys * d + bh % t->heads * c;
    for (long i = 0; i < all; i += 32) {
        write_rows(t->dk + start + i * d, d, dk + i * c, t->keys - i, c, natural);
        write_rows(t->dv + start + i * d, d, dv + i * c, t->keys - i, c, 1.0f);
    }
}

/* Bytes that one thread needs. */
long misora_train_room(long keys, long head) { return up32(keys) * head * 14 + QUERIES * head * 12 + QUERIES * KEYS * 6 + 64 * head + 8 * TILE + 8 * QUERIES + 4096; }

static void heads(void *given, long piece) {
    const Train *t = given;
    for (long bh = piece; bh < t->batch * t->heads; bh += t->threads) {
        if (t->dq) backward_head(t, bh, t->room + piece * t->each);
        else forward_head(t, bh, t->room + piece * t->each);
    }
}

/* Queries of batch x n tokens over keys and values of batch x keys tokens; heads lie side by side in a token, tokens `step` apart.
   Tops [batch][heads][n]. A room for each of the threads. */
void misora_train_attend(Team team, int threads, const half *q, const half *k, const half *v, half *out, float *tops, char *room,
                         long batch, long n, long keys, long count, long head, long step_q, long step_k, long step_v) {
    Train train = {.q = q, .k = k, .v = v, .out = out, .all_tops = tops, .room = room, .batch = batch, .n = n, .keys = keys, .heads = count,
                   .head = head, .steps = {step_q, step_k, step_v}, .each = misora_train_room(keys, head), .threads = threads};
    share(team, threads, heads, &train, threads);
}

/* The gradients dq, dk and dv of the above, where g is the one of o. */
void misora_train_back(Team team, int threads, const half *q, const half *k, const half *v, const half *g, const half *o, const float *tops,
                       half *dq, half *dk, half *dv, char *room, long batch, long n, long keys, long count, long head, long step_q,
                       long step_k, long step_v, long step_g, long step_o) {
    Train train = {.q = q, .k = k, .v = v, .g = g, .o = o, .tops = tops, .dq = dq, .dk = dk, .dv = dv, .room = room, .batch = batch, .n = n,
                   .keys = keys, .heads = count, .head = head, .steps = {step_q, step_k, step_v, step_g, step_o},
                   .each = misora_train_room(keys, head), .threads = threads};
    share(team, threads, heads, &train, threads);
}
