/* The gradient of a linear layer's weight for processors with AMX: a sum over tokens, which lie far apart in memory for both factors, so
   that they are first laid out as tiles, a cacheful at a time. It knows nothing of tensors or layers. */
#include "amx.h"

#define TOKENS 256 /* at a time: two panels of 32 channels of them fit the first cache, those of a block the second */
#define HIGH 384 /* channels of a block */
#define WIDE 768
#define TILE 1024 /* numbers of a product of 32 x 32 */
#define ROOM (2 * TOKENS * (HIGH + WIDE) + 4 * HIGH * WIDE)

typedef struct {
    const half *a, *b; half *out; char *room;
    long n, wide_a, wide_b, step_a, step_b, wide, threads; int turned;
} Gradient;

static long least(long a, long b) { return a < b ? a : b; }

/* Panels [c/32][token/32] of tokens' channels: with `rows` each [32 channels][32 tokens], else each [2][16 pairs of tokens][16][2]. */
static void panels(half *to, const half *from, long step, long c, long count, int rows) {
    half some[32 * 32] __attribute__((aligned(64)));
    long whole = (count + 31) / 32 * 32;
    for (long i = 0; i < whole; i += 32)
        for (long j = 0; j < c; j += 32) {
            const half *at = from + i * step + j;
            long each = step;
            if (count - i < 32) { fill(some, at, step, 32, count - i); at = some; each = 32; }
            if (rows) columns(to + j * whole + i * 32, at, each, 32);
            else pairs(to + j * whole + i * 32, at, each, 32);
        }
}

/* acc[a/32][b/32] += or = panels of a times panels of b, of so many tokens. */
static void multiply(float *acc, const half *a, const half *b, long wide_a, long wide_b, long whole, int anew) {
    settle();
    for (long i = 0; i < wide_a; i += 32)
        for (long j = 0; j < wide_b; j += 32, acc += TILE) {
            const half *x = a + i * whole, *y = b + j * whole;
            if (anew) { _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3); }
            else { _tile_loadd(0, acc, 64); _tile_loadd(1, acc + 256, 64); _tile_loadd(2, acc + 512, 64); _tile_loadd(3, acc + 768, 64); }
            for (long t = 0; t < whole; t += 32, x += 1024, y += 1024) {
                _tile_loadd(4, x, 64); _tile_loadd(5, x + 512, 64); _tile_loadd(6, y, 64); _tile_loadd(7, y + 512, 64);
                _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, acc, 64); _tile_stored(1, acc + 256, 64); _tile_stored(2, acc + 512, 64); _tile_stored(3, acc + 768, 64);
        }
}

/* A product of 16 x 16 to rows, or to columns. */
static void lay(half *to, long step, const float *from, int turned) {
    __m512i r[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512((const void *)(from + i * 16));
    if (turned) turn(r);
    for (int i = 0; i < 16; i++) down(to + i * step, _mm512_castsi512_ps(r[i]));
}

/* One block of the result after the other. */
static void blocks(void *given, long piece) {
    const Gradient *t = given;
    long across = (t->wide_b + t->wide - 1) / t->wide, count = (t->wide_a + HIGH - 1) / HIGH * across, step = t->turned ? t->wide_a : t->wide_b;
    half *a = (half *)(t->room + piece * ROOM), *b = a + TOKENS * HIGH;
    float *acc = (float *)(b + TOKENS * WIDE);
    tiles();
    for (; piece < count; piece += t->threads) {
        long i = piece / across * HIGH, j = piece % across * t->wide, high = least(HIGH, t->wide_a - i), wide = least(t->wide, t->wide_b - j);
        for (long from = 0; from < t->n; from += TOKENS) {
            long here = least(TOKENS, t->n - from);
            panels(a, t->a + from * t->step_a + i, t->step_a, high, here, 1);
            panels(b, t->b + from * t->step_b + j, t->step_b, wide, here, 0);
            multiply(acc, a, b, high, wide, (here + 31) / 32 * 32, !from);
        }
        for (long r = 0; r < high; r += 16)
            for (long s = 0; s < wide; s += 16) {
                const float *from = acc + (r / 32 * (wide / 32) + s / 32) * TILE + r / 16 % 2 * 512 + s / 16 % 2 * 256;
                lay(t->turned ? t->out + (j + s) * step + i + r : t->out + (i + r) * step + j + s, step, from, t->turned);
            }
    }
    _tile_release();
}

/* Bytes that one thread needs. */
long misora_gradient_room(void) { return ROOM; }

/* out[wide_g][wide_x] = the sum over n tokens of g[token]' x[token]; widths are multiples of 32, tokens `step` apart, a room for each thread. */
void misora_gradient(Team team, int threads, const half *g, const half *x, half *out, char *room, long n, long wide_g, long wide_x, long step_g, long step_x) {
    long wide = threads > 1 ? WIDE / 4 : WIDE; /* so that a small matrix has a block for each thread */
    Gradient work = {g, x, out, room, n, wide_g, wide_x, step_g, step_x, wide, threads, 0};
    if (wide_g > wide_x) work = (Gradient){x, g, out, room, n, wide_x, wide_g, step_x, step_g, wide, threads, 1}; /* the rows' layout costs more: the narrower one's */
    share(team, threads, blocks, &work, threads);
}
