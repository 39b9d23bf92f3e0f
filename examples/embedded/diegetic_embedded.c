/* Sound from the exported graphs through ONNX Runtime's C API, without Python.

       diegetic_embedded FOLDER OUT.wav SECONDS [SEED]

   FOLDER is what prepare.py wrote for one prompt. Every turn of the loop makes one hop of sound, as
   ChunkGenerator does (sdk/diegetic/generator.py):

       noise --evaluations of transformer.onnx--> latents --sound.onnx--> samples
                                                     |
                            their keys and values join the prefix ring */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <onnxruntime_c_api.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { RATE = 48000, MOST_SECONDS = 3600 };

/* The tensors of start.bin, in their order: five that the prompt says, five of a prompt that says
   nothing, the solver's steps, what the transformer gets, and from HOP on what sound.onnx gets. */
enum { SAID = 0, NOTHING = 5, STEPS = 10, GUIDANCE, T, CHUNK, KEYS, VALUES, BIAS, HOP, WHITE, STATE,
       TENSORS = STATE + 4 };
static OrtValue *value[TENSORS];
static float *data[TENSORS]; /* of the values */
static int64_t shape[TENSORS][8];
static size_t count[TENSORS]; /* of numbers */

static const OrtApi *ort;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(OrtStatus *status) {
    if (status != NULL) fail("ONNX Runtime", ort->GetErrorMessage(status));
}

static OrtSession *open_graph(const OrtEnv *env, const OrtSessionOptions *options,
                              const char *folder, const char *name) {
    char path[1024] = "";
    ORTCHAR_T wide[1024] = {0}; /* on Windows paths are of wide characters */
    OrtSession *session;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (size_t i = 0; path[i] != '\0'; i++) wide[i] = (ORTCHAR_T)path[i];
    check(ort->CreateSession(env, wide, options, &session));
    return session;
}

static float *data_of(OrtValue *tensor) {
    void *numbers;
    check(ort->GetTensorMutableData(tensor, &numbers));
    return numbers;
}

/* Read one tensor: rank (int32), shape (int64) and numbers (float32), all little-endian. */
static void read_tensor(FILE *file, int which) {
    OrtAllocator *allocator;
    int32_t rank;
    if (fread(&rank, sizeof rank, 1, file) != 1 || rank < 1 || rank > 8 ||
        fread(shape[which], sizeof(int64_t), (size_t)rank, file) != (size_t)rank)
        fail("start.bin", "is damaged");
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->CreateTensorAsOrtValue(allocator, shape[which], (size_t)rank,
                                      ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value[which]));
    data[which] = data_of(value[which]);
    count[which] = 1;
    for (int i = 0; i < rank; i++) count[which] *= (size_t)shape[which][i];
    if (fread(data[which], sizeof(float), count[which], file) != count[which])
        fail("start.bin", "is damaged");
}

static void read_start(const char *folder) {
    char path[1024], magic[8];
    snprintf(path, sizeof path, "%s/start.bin", folder);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(magic, 8, 1, file) != 1 || memcmp(magic, "DIEGETI1", 8) != 0)
        fail(path, "is missing or of another version: make it with prepare.py");
    for (int i = 0; i < TENSORS; i++) read_tensor(file, i);
    fclose(file);
}

/* Keys, values, bias and gist of the five tensors from `words` on. */
static void condition(OrtSession *session, int words, OrtValue *cross[4]) {
    static const char *const in[] = {"words", "frames", "values", "times", "present"};
    static const char *const out[] = {"keys", "values_out", "bias", "summary"};
    check(ort->Run(session, NULL, in, (const OrtValue *const *)value + words, COUNT(in), out,
                   COUNT(out), cross));
}

/* Velocity of tensor `latents` at time `t`, and keys and values, in place of what was `made`. */
static void evaluate(OrtSession *session, int latents, float t, float guidance, OrtValue *cross[4],
                     OrtValue *made[3]) {
    static const char *const in[] = {"latents", "t", "guidance", "cross_keys", "cross_values",
        "cross_bias", "summary", "prefix_keys", "prefix_values", "prefix_bias"};
    static const char *const out[] = {"velocity", "keys", "values"};
    const OrtValue *given[] = {value[latents], value[T], value[GUIDANCE], cross[0], cross[1],
        cross[2], cross[3], value[KEYS], value[VALUES], value[BIAS]};
    *data[T] = t;
    *data[GUIDANCE] = guidance;
    for (int i = 0; i < 3; made[i++] = NULL) ort->ReleaseValue(made[i]);
    check(ort->Run(session, NULL, in, given, COUNT(in), out, COUNT(out), made));
}

/* Drop the oldest `hop` places of a ring (1, layers, heads, places, size); `fresh` ends it. */
static void push(int ring, const float *fresh, size_t hop) {
    size_t row = (size_t)(shape[ring][3] * shape[ring][4]), part = hop * (size_t)shape[ring][4];
    for (float *at = data[ring]; at < data[ring] + count[ring]; at += row, fresh += part) {
        memmove(at, at + part, (row - part) * sizeof(float));
        memcpy(at + row - part, fresh, part * sizeof(float));
    }
}

static uint64_t mix(uint64_t x) { /* SplitMix64 */
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* Standard normal number `index` of the noise at `place` in the stream (Box and Muller). */
static float normal(uint64_t seed, uint64_t place, uint64_t index) {
    uint64_t bits = mix(mix(mix(seed) + place) + index);
    double radius = sqrt(-2.0 * log((double)((bits >> 32) + 1) / 4294967296.0));
    return (float)(radius * cos((double)(bits & 0xFFFFFFFFu) * (6.283185307179586 / 4294967296.0)));
}

int main(int argc, char **argv) {
    double seconds = argc > 3 ? atof(argv[3]) : 0;
    if (argc < 4 || argc > 5 || !(seconds > 0 && seconds <= MOST_SECONDS))
        fail("usage", "diegetic_embedded FOLDER OUT.wav SECONDS (up to 3600) [SEED]");
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 0, place = 0;
    ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (ort == NULL) fail("ONNX Runtime is too old", OrtGetApiBase()->GetVersionString());
    OrtEnv *env;
    OrtSessionOptions *options;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "diegetic", &env));
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, 1));
    OrtSession *conditioning = open_graph(env, options, argv[1], "conditioning.onnx");
    OrtSession *transformer = open_graph(env, options, argv[1], "transformer.onnx");
    OrtSession *sound = open_graph(env, options, argv[1], "sound.onnx");
    read_start(argv[1]);
    OrtValue *said[4] = {0}, *nothing[4] = {0}, *made[3] = {0};
    condition(conditioning, SAID, said);
    condition(conditioning, NOTHING, nothing);

    static const char *const in[] = {"latents", "white", "state", "tails", "pasts", "wanted"};
    static const char *const out[] = {"samples", "state_out", "tails_out", "pasts_out",
                                      "wanted_out"};
    size_t ring = count[BIAS], hop = (size_t)shape[HOP][1], width = (size_t)shape[HOP][2];
    size_t white = (size_t)shape[WHITE][1]; /* numbers for one latent's samples, two for each */
    size_t size = count[CHUNK];
    float guidance = *data[GUIDANCE], *x = data[CHUNK], *before = calloc(size, sizeof(float));
    uint32_t left = (uint32_t)(seconds * RATE + 0.5); /* samples to write, of 8 bytes: two floats */
    const uint32_t header[] = {0x46464952 /* RIFF */, 36 + 8 * left, 0x45564157 /* WAVE */,
        0x20746D66 /* fmt */, 16, 3 | 2 << 16, RATE, 8 * RATE, 8 | 32 << 16, 0x61746164, 8 * left};
    FILE *wav = fopen(argv[2], "wb");
    if (wav == NULL || before == NULL) fail(argv[2], "cannot be written");
    fwrite(header, sizeof header, 1, wav);
    clock_t begin = clock();
    for (; left > 0; place += hop) {
        for (size_t i = 0; i < size; i++) x[i] = normal(seed, place + 1 + i / width, i % width);
        for (float *step = data[STEPS]; step < data[STEPS] + count[STEPS]; step += 3) {
            evaluate(transformer, CHUNK, step[0], guidance, said, made);
            const float *now = data_of(made[0]); /* a step is: time, length, factor (flow.py) */
            for (size_t i = 0; i < size; before[i] = now[i], i++)
                x[i] += step[1] * (now[i] + step[2] * (now[i] - before[i]));
        }
        memcpy(data[HOP], x, count[HOP] * sizeof(float));
        evaluate(transformer, HOP, 0, 1, nothing, made);
        push(KEYS, data_of(made[1]), hop);
        push(VALUES, data_of(made[2]), hop);
        for (size_t i = 0; i < ring; i++) data[BIAS][i] = i + hop < ring ? data[BIAS][i + hop] : 0;
        for (size_t i = 0; i < count[WHITE]; i++) /* after the numbers for the latent itself */
            data[WHITE][i] = normal(seed, place + i / white, width + i % white);
        OrtValue *after[COUNT(out)] = {0};
        check(ort->Run(sound, NULL, in, (const OrtValue *const *)value + HOP, COUNT(in), out,
                       COUNT(out), after));
        uint32_t heard = (uint32_t)(hop * white / 2) < left ? (uint32_t)(hop * white / 2) : left;
        fwrite(data_of(after[0]), 8, heard, wav);
        left -= heard;
        ort->ReleaseValue(after[0]);
        for (int i = 0; i < 4; i++) { /* what comes out is the next hop's state */
            ort->ReleaseValue(value[STATE + i]);
            value[STATE + i] = after[1 + i];
        }
    }
    if (ferror(wav) || fclose(wav) != 0) fail(argv[2], "cannot be written");
    double took = (double)(clock() - begin) / CLOCKS_PER_SEC;
    printf("%.1f s of sound in %.2f s: real-time factor %.3f\n", seconds, took, took / seconds);
    return EXIT_SUCCESS;
}
