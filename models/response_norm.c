/* Response normalisation, y = x * d^-3/4 with d = k + a * (sum of x^2 over n neighbours), and its gradient.

   The input is divided into items of `rows` x `columns` x `inner` floats, adjacent in memory.  A window runs over
   `columns`, and over `rows` too if there is more than one.  For normalisation across channels an item is one pixel,
   1 x C x 1; for normalisation within maps it is one image, H x W x C.  Both read maps in channels_last layout.
   Items are independent, so the result does not depend on the number of threads, to the last bit.

   The speed is limited by two square roots and one division per element.  The scratch buffers of one item fit into the
   first-level cache for normalisation across channels. */
#include <math.h>
#include <stdlib.h>

typedef struct {
    long rows, columns, inner;
    int n;
    float a, k;
} Norm;

/* Buffers of one thread.  They have borders of zeros, so that a sum needs no test for the edge of the map: a row of
   `wide` has n columns more than an item, and `tall` has n rows more.  `middle` is where the first element goes. */
typedef struct {
    float *wide, *middle, *tall, *sum;
    long row, stride, count;
} Scratch;

static Scratch scratch(Norm m) {
    Scratch s = {.row = m.columns * m.inner};
    s.stride = s.row + m.n * m.inner;
    s.count = m.rows * s.row;
    s.wide = calloc(m.rows * s.stride + (m.rows + m.n) * s.row + s.count, sizeof(float));
    if (!s.wide) abort();
    s.middle = s.wide + m.n / 2 * m.inner;
    s.tall = s.wide + m.rows * s.stride;
    s.sum = s.tall + (m.rows + m.n) * s.row;
    return s;
}

/* out[i] = in[i] + in[i + step] + .., n terms.  Inlined always, so that a constant n unrolls the inner loop. */
static inline __attribute__((always_inline)) void add(
    const float *restrict in, float *restrict out, long count, long step, int n) {
    for (long i = 0; i < count; i++) {
        float sum = 0;
        for (int j = 0; j < n; j++) sum += in[i + j * step];
        out[i] = sum;
    }
}

/* The same for any n; the sizes that presets use are constants here, and so unrolled. */
static void window(const float *restrict in, float *restrict out, long count, long step, int n) {
    switch (n) {
        case 3: add(in, out, count, step, 3); break;
        case 5: add(in, out, count, step, 5); break;
        case 9: add(in, out, count, step, 9); break;
        default:
            for (long i = 0; i < count; i++) out[i] = in[i];
            for (int j = 1; j < n; j++)
                for (long i = 0; i < count; i++) out[i] += in[i + j * step];
    }
}

/* s.sum = the sums over the windows of s.middle.  The window of an even n reaches one element further to the front, or
   with `lean` = 1 to the back, as the gradient needs.  A square window is summed along columns first, then along rows. */
static void sums(Scratch s, Norm m, int lean) {
    if (m.rows == 1) {
        window(s.wide + lean * m.inner, s.sum, s.row, m.inner, m.n);
        return;
    }
    for (long r = 0; r < m.rows; r++)
        window(s.wide + r * s.stride + lean * m.inner, s.tall + (m.n / 2 + r) * s.row, s.row, m.inner, m.n);
    window(s.tall + lean * s.row, s.sum, s.count, s.row, m.n);
}

static void sums_of_squares(const float *restrict x, Scratch s, Norm m) {
    for (long r = 0; r < m.rows; r++)
        for (long i = 0; i < s.row; i++) s.middle[r * s.stride + i] = x[r * s.row + i] * x[r * s.row + i];
    sums(s, m, 0);
}

void response_norm_forward(const float *x, float *y, long items, Norm m, int threads) {
#pragma omp parallel num_threads(threads)
    {
        Scratch s = scratch(m);
#pragma omp for schedule(static)
        for (long item = 0; item < items; item++) {
            const float *restrict in = x + item * s.count;
            float *restrict out = y + item * s.count;
            sums_of_squares(in, s, m);
            for (long i = 0; i < s.count; i++) {
                float root = 1 / sqrtf(m.k + m.a * s.sum[i]);
                out[i] = in[i] * (root * sqrtf(root));
            }
        }
        free(s.wide);
    }
}

/* dx = g * d^-3/4 - 3/2 a x * (sum of g * x * d^-7/4).  d is computed again rather than stored by the forward pass: it
   takes no longer than reading it would. */
void response_norm_backward(const float *x, const float *g, float *dx, long items, Norm m, int threads) {
#pragma omp parallel num_threads(threads)
    {
        Scratch s = scratch(m);
#pragma omp for schedule(static)
        for (long item = 0; item < items; item++) {
            const float *restrict in = x + item * s.count, *restrict grad = g + item * s.count;
            float *restrict out = dx + item * s.count;
            sums_of_squares(in, s, m);
            for (long r = 0; r < m.rows; r++) {
                for (long i = 0, at = r * s.row; i < s.row; i++, at++) {
                    float root = 1 / sqrtf(m.k + m.a * s.sum[at]);
                    float scaled = grad[at] * (root * sqrtf(root));
                    out[at] = scaled;
                    s.middle[r * s.stride + i] = scaled * in[at] * (root * root);
                }
            }
            sums(s, m, 1 - m.n % 2);
            for (long i = 0; i < s.count; i++) out[i] -= 1.5f * m.a * in[i] * s.sum[i];
        }
        free(s.wide);
    }
}
