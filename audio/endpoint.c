/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "audio/detector.h"
#include "audio/spectrum.h"
#include "base/cleanup.h"

#define BLOCK_MS         10 /* one decision of the first stage */
#define BLOCKS_PER_FRAME SPECTRUM_BLOCKS_PER_FRAME
#define FRAME_MS         (BLOCKS_PER_FRAME * BLOCK_MS)
#define N_BANDS          SPECTRUM_BANDS

/* The noise of a band is the smallest of so many sections of so many blocks: 1.6 s, longer than
 * speech keeps any band filled. */
#define N_SECTIONS     8
#define SECTION_BLOCKS 20

#define SMOOTHING     0.7f  /* of the energy whose minimum is sought, per block */
#define MINIMUM_BIAS  2.2f  /* 1.5 from that minimum to the mean; the rest for noise that swells */
#define PRIORI_MEMORY 0.9f  /* how much of the expected SNR comes from the block before */
#define START_POWER   1e-5f /* no room is louder than that before it was heard for a while */
#define LIKELY_ON     1.2f  /* of the mean log likelihood ratio: to begin, and to go on */
#define LIKELY_OFF    0.6f

/* A voice 24 dB below the loudest one of late is somebody else's, at a distance.  The loudest one
 * is forgotten by 2 dB a second and never counts as more than -20 dBFS, so that a slammed door
 * makes nobody unheard. */
#define DISTANT      0.004f
#define LOUDEST_MAX  0.01f
#define LOUDEST_FALL 0.9954f
#define LOUDEST_RISE 0.03f

#define ONSET_MS 120 /* the soft sounds before what is certain */

/* The second stage: so likely it must be that somebody speaks. */
#define VOICE_LATE 0.5f
#define VOICE_NOW  0.5f

#define N_KNOWN (DETECTOR_LATE + 1)
static_assert(ENDPOINT_LATE == DETECTOR_LATE, "the second look is another one");

struct endpoint {
        struct endpoint_config config;
        struct spectrum spectrum;
        struct detector *detector; /* owned; NULL: the first stage alone */
        float smoothed[N_BANDS], noise[N_BANDS], clean[N_BANDS];
        float section_minimum[N_SECTIONS][N_BANDS];
        unsigned n_blocks; /* in the section under way */
        unsigned section;

        /* The last frames, the newest first. */
        struct known {
                unsigned char blocks; /* what the first stage took for speech, a bit for each */
                float voice;          /* by what the second makes of it, up to now */
        } known[N_KNOWN];

        float loudest;       /* mean square of the loudest speech of late */
        bool is_open;        /* within an utterance */
        unsigned speech_ms;  /* evidence for a beginning */
        unsigned since_ms;   /* since there is any */
        unsigned silence_ms; /* since the last block of speech */
        unsigned sure_ms;    /* ... at the end of the oldest frame that is known */
        unsigned onset;
};

struct endpoint *endpoint_free(struct endpoint *e) {
        if (!e)
                return NULL;

        detector_free(e->detector);
        free(e);
        return NULL;
}

DEFINE_CLEANUP(struct endpoint *, endpoint_free)

int endpoint_new(struct endpoint **ret, const struct endpoint_config *config) {
        _cleanup_(endpoint_freep) struct endpoint *e = NULL;
        int r;

        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;

        e->config = *config;
        spectrum_init(&e->spectrum);
        if (!config->is_unlearned) {
                r = detector_new(&e->detector);
                if (r < 0)
                        return r;
        }
        for (unsigned b = 0; b < N_BANDS; b++) {
                e->noise[b] = START_POWER;
                e->smoothed[b] = START_POWER;
                for (unsigned s = 0; s < N_SECTIONS; s++)
                        e->section_minimum[s][b] = START_POWER;
        }

        *ret = TAKE_PTR(e);
        return 0;
}

/* The mean over the bands of the log likelihood ratio "speech and noise" to "noise alone", each
 * band's energy taken as exponentially distributed; the SNR to be expected is learnt from the
 * block before. */
static float likelihood(struct endpoint *e, const float power[N_BANDS]) {
        float sum = 0;

        for (unsigned b = 0; b < N_BANDS; b++) {
                float posteriori = power[b] / e->noise[b];
                float now = posteriori > 1 ? posteriori - 1 : 0;
                float priori =
                        PRIORI_MEMORY * e->clean[b] / e->noise[b] + (1 - PRIORI_MEMORY) * now;
                float gain = priori / (1 + priori);

                sum += posteriori * gain - logf(1 + priori);
                e->clean[b] = gain * gain * power[b];
        }
        return sum / N_BANDS;
}

/* Follows the smallest smoothed energy of each band. */
static void follow_noise(struct endpoint *e, const float power[N_BANDS]) {
        bool is_new_section = e->n_blocks == SECTION_BLOCKS;

        if (is_new_section) {
                e->section = (e->section + 1) % N_SECTIONS;
                e->n_blocks = 0;
        }
        e->n_blocks++;

        for (unsigned b = 0; b < N_BANDS; b++) {
                float *section = &e->section_minimum[e->section][b], smallest = FLT_MAX;

                e->smoothed[b] = SMOOTHING * e->smoothed[b] + (1 - SMOOTHING) * power[b];
                if (is_new_section || e->smoothed[b] < *section)
                        *section = e->smoothed[b];
                for (unsigned s = 0; s < N_SECTIONS; s++)
                        if (e->section_minimum[s][b] < smallest)
                                smallest = e->section_minimum[s][b];
                e->noise[b] = MINIMUM_BIAS * smallest;
        }
}

static void show_detector(struct endpoint *e, const float power[N_BANDS], bool is_finite) {
        /* What is no number is the room. */
        if (e->detector)
                detector_block(e->detector, is_finite ? power : e->noise, e->noise,
                               is_finite ? spectrum_voicing(&e->spectrum) : 0);
}

/* Whether the newest 10 ms are speech to the first stage. */
static bool is_speech(struct endpoint *e, const float *samples) {
        float power[N_BANDS], sum = 0, l;
        bool is_finite;

        spectrum_push(&e->spectrum, samples, power);
        for (unsigned b = 0; b < N_BANDS; b++)
                sum += power[b];
        is_finite = isfinite(sum); /* one block that is not would spoil the averages for ever */
        if (is_finite)
                follow_noise(e, power);
        show_detector(e, power, is_finite);
        if (!is_finite)
                return false;

        l = likelihood(e, power);
        e->loudest *= LOUDEST_FALL;
        if (l < (e->is_open ? LIKELY_OFF : LIKELY_ON) || sum < DISTANT * e->loudest)
                return false;
        /* What rings and bangs is no measure for how loud people speak. */
        if (sum > e->loudest && (!e->detector || e->known[0].voice >= VOICE_NOW))
                e->loudest += LOUDEST_RISE * (fminf(sum, LOUDEST_MAX) - e->loudest);
        return true;
}

/* Evidence for a beginning comes and goes, so that a consonant may interrupt it. */
static void weigh(struct endpoint *e, bool is_speaking) {
        if (e->speech_ms == 0)
                e->since_ms = 0;
        e->since_ms += BLOCK_MS;

        if (is_speaking) {
                e->speech_ms += BLOCK_MS;
                e->silence_ms = 0;
                return;
        }
        e->silence_ms += BLOCK_MS;
        if (!e->is_open)
                e->speech_ms = e->speech_ms > BLOCK_MS ? e->speech_ms - BLOCK_MS : 0;
}

/* How many frames before the one just pushed belong to the beginning. */
static unsigned onset_of(const struct endpoint *e) {
        unsigned late_ms = e->detector ? DETECTOR_LATE * FRAME_MS : 0;
        unsigned before_ms = e->since_ms + ONSET_MS + late_ms - FRAME_MS;
        unsigned n = (before_ms + FRAME_MS - 1) / FRAME_MS;

        return n < ENDPOINT_ONSET_MAX ? n : ENDPOINT_ONSET_MAX;
}

static unsigned silence_behind(unsigned char blocks) {
        return (unsigned) __builtin_clz((unsigned) blocks << (32 - BLOCKS_PER_FRAME)) * BLOCK_MS;
}

/* How long nobody has spoken, as far as it is known now. */
static unsigned known_silence_ms(const struct endpoint *e) {
        for (unsigned n = 0; n < DETECTOR_LATE; n++)
                if (e->known[n].blocks != 0 && e->known[n].voice >= VOICE_NOW)
                        return n * FRAME_MS + silence_behind(e->known[n].blocks);
        return e->sure_ms + DETECTOR_LATE * FRAME_MS;
}

static enum endpoint_verdict conclude(struct endpoint *e) {
        if (!e->is_open) {
                if (e->speech_ms < e->config.start_ms)
                        return ENDPOINT_SILENCE;
                e->is_open = true;
                e->onset = onset_of(e);
                return ENDPOINT_START;
        }

        if (e->silence_ms >= e->config.end_ms) {
                endpoint_abandon(e);
                return ENDPOINT_END;
        }
        return e->silence_ms >= e->config.pause_ms ? ENDPOINT_PAUSE : ENDPOINT_SPEECH;
}

/* The second stage: a beginning waits for the second look at a frame; whether speech goes on is known
 * at once, and corrected then. */
static void weigh_learned(struct endpoint *e, unsigned char blocks) {
        struct detector_verdict verdict = detector_frame(e->detector);
        const struct known *oldest = &e->known[N_KNOWN - 1];

        memmove(e->known + 1, e->known, (N_KNOWN - 1) * sizeof(*e->known));
        e->known[0] = (struct known){ blocks, verdict.now };
        e->known[N_KNOWN - 1].voice = verdict.late;
        e->sure_ms += FRAME_MS;
        if (oldest->blocks != 0 && oldest->voice >= VOICE_LATE)
                e->sure_ms = silence_behind(oldest->blocks);
        if (e->is_open) {
                e->silence_ms = known_silence_ms(e);
                return;
        }
        for (unsigned i = 0; i < BLOCKS_PER_FRAME; i++)
                weigh(e, oldest->voice >= VOICE_LATE && (oldest->blocks >> i & 1));
        if (e->speech_ms >= e->config.start_ms)
                e->silence_ms = 0;
}

enum endpoint_verdict endpoint_push(struct endpoint *e, const struct frame *frame) {
        unsigned char blocks = 0;

        for (unsigned i = 0; i < BLOCKS_PER_FRAME; i++) {
                bool is_speaking = is_speech(e, frame->samples + (size_t) i * SPECTRUM_BLOCK);

                blocks |= (unsigned char) (is_speaking << i);
                if (!e->detector)
                        weigh(e, is_speaking);
        }
        if (e->detector)
                weigh_learned(e, blocks);
        return conclude(e);
}

float endpoint_probability(const struct endpoint *e, unsigned n_back) {
        assert(n_back <= ENDPOINT_LATE);
        return e->detector ? e->known[n_back].voice : 1;
}

unsigned endpoint_onset(const struct endpoint *e) {
        return e->onset;
}

void endpoint_abandon(struct endpoint *e) {
        e->is_open = false;
        e->speech_ms = 0;
        e->silence_ms = 0;
        for (unsigned n = 0; n < N_KNOWN; n++)
                e->known[n].blocks = 0;
}

unsigned endpoint_silence_ms(const struct endpoint *e) {
        return e->silence_ms;
}

float endpoint_noise_db(const struct endpoint *e) {
        float sum = 0;

        for (unsigned b = 0; b < N_BANDS; b++)
                sum += e->noise[b];
        return 10 * log10f(sum);
}
