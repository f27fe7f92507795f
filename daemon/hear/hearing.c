/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/hearing.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/wipe.h"
#include "daemon/hear/limit.h"

#define FRAME_MS 40

/* So much of a pause counts as the end of what was said: a model that has heard whole recordings
 * doubts words that end with their last sound. */
#define TAIL_FRAMES 4

/* A frame may be speech that is by 6 dB louder than the room, and by no more than 15 dB fainter than
 * what is speech for certain. */
#define ABOVE_ROOM    4.0f
#define BELOW_LOUDEST 0.03f
#define MAYBE_VOICE   0.2f /* ... and not what is certainly no voice, */
#define HARDLY_VOICE  0.02f
#define STRANGE       25 /* frames: ... of which less is known in the first second of a stream */
#define RELUCTANT     8  /* frames of a word that may go by before it is certain to be one */
#define SILENT        2  /* frames of silence are between two sounds */

/* A voice whose loudest frame is below this is made louder, but not without end: where a frame's power
 * comes near the smallest number of the model's first norm (1e-6), it is not what it was taught with. */
#define FAINT_POWER  1e-4f /* -40 dB */
#define LOUDEST_GAIN 100.0f

/* Room for the backlog and for what may have to be looked back on. */
#define CAPACITY 1024
static_assert(HEARING_DOUBT_MS / FRAME_MS < HEARING_BACKLOG, "a doubt would be cut");
static_assert(HEARING_BACKLOG + HEARING_MAX_PREROLL_MS / FRAME_MS + ENDPOINT_ONSET_MAX < CAPACITY,
              "the ring is too small");

struct hearing {
        struct hearing_config config;
        struct endpoint *endpoint; /* owned */
        struct frame *ring;        /* owned, CAPACITY of them; frame i is at i % CAPACITY */
        float *voice;              /* owned, how likely each of them is one */

        /* Counts of frames, ever: first <= next <= ready <= head. */
        uint64_t first; /* the oldest that still is of use */
        uint64_t next;  /* to be taken */
        uint64_t ready; /* may be taken up to this one */
        uint64_t head;
        uint64_t amplified; /* up to this one the gain is in them */
        float gain;         /* of this turn */

        bool is_listening, is_held, is_patient, has_begun, has_ended, is_speaking;
        bool has_counted;    /* frames of the turn may be or were taken */
        unsigned torn_ms;    /* of what was said in the turn, lost */
        uint64_t hole;       /* the last frame with a gap that is longer than a frame, ... */
        unsigned hole_ms;    /* ... so long; 0: there was none */
        unsigned n_listened; /* frames pushed in this turn */
        struct limit limit;  /* ... since it has begun */
        unsigned n_kept;     /* of a turn that was cut, 0: it was not */
        unsigned n_paused;   /* frames that were judged no speech, one after the other */
        unsigned n_looks;    /* ... how often this was told */
        unsigned pause_ms;   /* so long it is silent before the first of them */
        enum ending judged;  /* of what was said before them */
        enum ending ending;  /* of the turn */
};

static unsigned frames_of(unsigned ms) {
        return (ms + FRAME_MS - 1) / FRAME_MS;
}

int hearing_new(struct hearing **ret, const struct hearing_config *config) {
        _cleanup_(hearing_freep) struct hearing *h = NULL;
        struct endpoint_config endpoint = ENDPOINT_DEFAULTS;
        int r;

        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->config = *config;
        h->ring = calloc(CAPACITY, sizeof(*h->ring));
        h->voice = calloc(CAPACITY, sizeof(*h->voice));
        if (!h->ring || !h->voice)
                return -ENOMEM;

        endpoint.end_ms =
                config->end_ms > HEARING_UNFINISHED_MS ? config->end_ms : HEARING_UNFINISHED_MS;
        endpoint.is_unlearned = config->is_unlearned;
        if (endpoint.pause_ms > config->end_ms)
                endpoint.pause_ms = config->end_ms;
        h->pause_ms = endpoint.pause_ms;
        r = endpoint_new(&h->endpoint, &endpoint);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(h);
        return 0;
}

struct hearing *hearing_free(struct hearing *h) {
        if (!h)
                return NULL;

        endpoint_free(h->endpoint);
        free(h->ring);
        free(h->voice);
        free(h);
        return NULL;
}

/* So many frames before the given one, as far as they are there. */
static uint64_t back(const struct hearing *h, uint64_t from, unsigned n) {
        return from - h->first > n ? from - n : h->first;
}

void hearing_begin(struct hearing *h, bool is_held, unsigned max_frames) {
        h->is_listening = true;
        h->is_held = is_held;
        h->is_patient = false;
        h->has_begun = is_held;
        h->has_counted = h->has_ended = false;
        h->n_listened = 0;
        h->limit = limit_of(max_frames);
        h->n_kept = 0;
        h->n_paused = 0;
        h->n_looks = 0;
        h->judged = h->ending = ENDING_NONE;
        h->next = h->ready = h->head;
        h->gain = 1;
        h->torn_ms = h->hole_ms = 0;
        if (is_held) {
                h->next = h->ready = back(h, h->head, frames_of(h->config.preroll_ms));
                h->limit.n_frames = (unsigned) (h->head - h->next);
        }
        endpoint_abandon(h->endpoint);
}

void hearing_wait(struct hearing *h, unsigned max_frames) {
        hearing_begin(h, false, max_frames);
        h->is_patient = true;
}

void hearing_forget(struct hearing *h) {
        /* Within a turn that has begun the gap is only a gap. */
        if (!h->is_listening || !h->has_begun)
                h->first = h->head;
}

void hearing_wipe(struct hearing *h) {
        hearing_forget(h);
        for (uint64_t i = h->head; i < h->first + CAPACITY; i++)
                wipe(&h->ring[i % CAPACITY], sizeof(h->ring[0]));
}

void hearing_set_limit(struct hearing *h, unsigned max_frames) {
        h->limit.max_frames = max_frames;
}

/* The power of a frame that waits. */
static float power_of(const struct hearing *h, uint64_t i) {
        const float *samples = h->ring[i % CAPACITY].samples;
        float sum = 0;

        for (unsigned k = 0; k < FRAME_SAMPLES; k++)
                sum += samples[k] * samples[k];
        return sum / FRAME_SAMPLES;
}

/* How much louder a voice is made of which these frames wait.  It is as loud as it is from then on: a
 * gain that followed it would say something. */
static float gain_for(const struct hearing *h) {
        float loudest = 0;

        for (uint64_t i = h->next; i < h->head; i++)
                loudest = fmaxf(loudest, power_of(h, i));
        if (loudest >= FAINT_POWER || loudest <= 0)
                return 1;
        return fminf(sqrtf(FAINT_POWER / loudest), LOUDEST_GAIN);
}

static void amplify(struct frame *frame, float gain) {
        for (unsigned i = 0; i < FRAME_SAMPLES; i++)
                frame->samples[i] = fmaxf(-1, fminf(1, frame->samples[i] * gain));
}

/* All frames up to the newest may be taken. */
static void release(struct hearing *h) {
        if (!h->has_counted)
                h->gain = gain_for(h);
        if (h->gain > 1)
                for (uint64_t i = h->amplified > h->next ? h->amplified : h->next; i < h->head; i++)
                        amplify(&h->ring[i % CAPACITY], h->gain);
        h->amplified = h->ready = h->head;
        h->has_counted = true;
}

static void end(struct hearing *h) {
        /* What was said while the key was held is not lost on a deaf ear. */
        if (h->is_held && !h->limit.has_spoken)
                release(h);
        h->has_ended = true;
        h->is_speaking = false;
        endpoint_abandon(h->endpoint);
}

/* The power that a frame must have to be speech, when what comes from the given one on is. */
static float least_power(const struct hearing *h, uint64_t certain) {
        float room = powf(10, endpoint_noise_db(h->endpoint) / 10), loudest = 0;

        for (uint64_t i = certain; i < h->head; i++)
                loudest = fmaxf(loudest, power_of(h, i));
        return fmaxf(room * ABOVE_ROOM, loudest * BELOW_LOUDEST);
}

/* Where the sound began that is a word for certain at the given frame: the second stage may need its
 * first syllables to be sure.  Not across a silence, and not far. */
static uint64_t first_sound(const struct hearing *h, uint64_t certain, uint64_t oldest) {
        float least = least_power(h, certain);
        uint64_t found = certain;

        for (uint64_t i = certain; i > oldest && certain - i < RELUCTANT && found - i < SILENT; i--)
                if (power_of(h, i - 1) > least)
                        found = i - 1;
        return found;
}

/* Where the first word of a held turn begins, which is certain to have begun at the given frame.
 * Before it knew the room, the endpointer may have taken faint syllables for it, and what was said
 * when the key was pressed is too short for it. */
static uint64_t first_word(const struct hearing *h, uint64_t certain) {
        float least = least_power(h, certain);

        for (uint64_t i = h->next; i < certain; i++)
                if (power_of(h, i) > least &&
                    h->voice[i % CAPACITY] >= (i < STRANGE ? HARDLY_VOICE : MAYBE_VOICE))
                        return i;
        return certain;
}

/* The turn reaches back to before its first word. */
static void begin_speech(struct hearing *h) {
        unsigned onset = endpoint_onset(h->endpoint), preroll = frames_of(h->config.preroll_ms);
        uint64_t from;

        if (h->is_held) {
                from = first_word(h, first_sound(h, back(h, h->head - 1, onset), h->next));
                if (from > h->next)
                        h->next = from - h->next > preroll ? from - preroll : h->next;
        } else {
                from = first_sound(h, back(h, h->head - 1, onset), h->first);
                h->next = h->head - 1 - from > preroll ? from : back(h, h->head - 1, preroll);
        }
        release(h);
        /* If it began right behind a hole, it began within. */
        if (h->hole_ms > 0 && from <= h->hole)
                h->torn_ms = h->hole_ms;
        h->has_begun = true;
        h->limit.n_frames = (unsigned) (h->head - h->next) - 1;
}

static bool is_speech(enum endpoint_verdict verdict) {
        return verdict == ENDPOINT_START || verdict == ENDPOINT_SPEECH;
}

/* Too long, for the model's ear or for its speed.  Nothing is lost when nobody speaks just then. */
static bool is_full(struct hearing *h, enum endpoint_verdict verdict) {
        bool is_too_long = limit_push(&h->limit, verdict);

        if (!is_too_long && h->head - h->next < HEARING_BACKLOG)
                return false;
        if (is_speech(verdict))
                h->n_kept = limit_kept(&h->limit);
        return true;
}

/* A silence of so many milliseconds is the end. */
static unsigned end_ms(const struct hearing *h) {
        const unsigned usual = h->config.end_ms;

        switch (h->judged) {
        case ENDING_WHOLE:
                return usual < HEARING_WHOLE_MS ? usual : HEARING_WHOLE_MS;
        case ENDING_OPEN:
                return usual < HEARING_OPEN_MS ? usual : HEARING_OPEN_MS;
        case ENDING_UNFINISHED:
                return usual > HEARING_UNFINISHED_MS ? usual : HEARING_UNFINISHED_MS;
        case ENDING_NONE:
        case ENDING_SILENCE:
                break;
        }
        return usual;
}

/* Silence for as long as this may be a voice that is not found. */
static bool is_doubtful(const struct hearing *h) {
        unsigned n_doubt = frames_of(HEARING_DOUBT_MS);

        if (n_doubt > h->limit.max_frames)
                n_doubt = h->limit.max_frames;
        return h->is_held && h->head - h->ready >= n_doubt;
}

/* While somebody thinks about a pause its silence is not handed over, and no more when it is known that
 * the sentence was whole: that would only have to be taken back. */
static bool is_held_back(const struct hearing *h) {
        if (h->judged == ENDING_WHOLE || h->judged == ENDING_OPEN)
                return true;
        return h->n_looks == 1 && h->n_paused < TAIL_FRAMES;
}

/* Whether all frames up to this one belong to the turn that has begun. */
static bool counts(const struct hearing *h, enum endpoint_verdict verdict) {
        bool is_tail = h->limit.has_spoken && h->n_paused <= TAIL_FRAMES && !is_held_back(h);

        return is_speech(verdict) || is_tail || is_doubtful(h);
}

static void end_by_silence(struct hearing *h) {
        h->ending = h->judged == ENDING_NONE ? ENDING_SILENCE : h->judged;
        end(h);
}

static void weigh(struct hearing *h, enum endpoint_verdict verdict) {
        h->n_listened++;
        if (is_speech(verdict)) {
                h->n_paused = 0;
                h->n_looks = 0;
                h->judged = ENDING_NONE;
        } else {
                h->n_paused++;
        }
        if (verdict == ENDPOINT_START && !h->has_counted)
                begin_speech(h);
        if (h->has_begun && counts(h, verdict))
                release(h);

        if (h->has_begun ? is_full(h, verdict)
                         : !h->is_patient && h->n_listened >= frames_of(h->config.patience_ms))
                end(h);
        else if (!h->is_held && verdict == ENDPOINT_END)
                end_by_silence(h);
}

/* The endpointer waits as long as for an unfinished sentence; when it is over is known here. */
static enum endpoint_verdict judge_frame(struct hearing *h, const struct frame *frame) {
        enum endpoint_verdict verdict = endpoint_push(h->endpoint, frame);
        bool is_live = h->is_listening && !h->has_ended && !h->is_held;

        if (verdict != ENDPOINT_PAUSE ||
            endpoint_silence_ms(h->endpoint) < (is_live ? end_ms(h) : h->config.end_ms))
                return verdict;
        endpoint_abandon(h->endpoint);
        return ENDPOINT_END;
}

/* The frame just kept follows upon a hole. */
static void note_hole(struct hearing *h, unsigned ms, bool is_within) {
        h->hole = h->head - 1;
        h->hole_ms = ms;
        if (is_within && h->has_begun && h->limit.has_spoken)
                h->torn_ms = ms;
}

void hearing_push(struct hearing *h, const struct frame *frame) {
        enum endpoint_verdict verdict = judge_frame(h, frame);
        bool is_within = h->is_listening && !h->has_ended;

        h->is_speaking = verdict != ENDPOINT_SILENCE && verdict != ENDPOINT_END;

        /* What a turn that has ended left to be taken is worth more than a pre-roll. */
        if (h->head - h->next >= CAPACITY && h->next < h->ready) {
                h->first = h->head;
                return;
        }
        /* No pre-roll from before the gap. */
        if (frame->has_gap && !(is_within && h->has_begun))
                h->first = h->head;
        h->ring[h->head % CAPACITY] = *frame;
        for (unsigned n = 0; n <= ENDPOINT_LATE; n++)
                h->voice[(h->head - n) % CAPACITY] = endpoint_probability(h->endpoint, n);
        h->head++;
        if (h->head - h->first > CAPACITY)
                h->first = h->head - CAPACITY;
        if (frame->gap_ms > FRAME_MS)
                note_hole(h, frame->gap_ms, is_within);
        if (is_within)
                weigh(h, verdict);
}

void hearing_finish(struct hearing *h) {
        if (!h->is_listening || h->has_ended)
                return;

        /* Also what was kept back as a pause, because a word may just have begun in it.  Who holds
         * the key lets go of it after the last word. */
        if (h->has_begun && !h->is_held)
                release(h);
        end(h);
}

void hearing_abandon(struct hearing *h) {
        h->is_listening = h->has_begun = false;
        h->next = h->ready = h->head;
        end(h);
}

bool hearing_take(struct hearing *h, struct frame *ret) {
        if (h->next == h->ready)
                return false;

        *ret = h->ring[h->next % CAPACITY];
        h->next++;
        return true;
}

const struct frame *hearing_peek(const struct hearing *h, size_t n_after) {
        return n_after < h->ready - h->next ? &h->ring[(h->next + n_after) % CAPACITY] : NULL;
}

size_t hearing_n_ready(const struct hearing *h) {
        return (size_t) (h->ready - h->next);
}

bool hearing_take_pause(struct hearing *h, bool *ret_is_early) {
        bool is_tail = h->n_paused >= TAIL_FRAMES;

        if (h->config.speculate_ms == 0 || h->is_held || !h->has_begun || h->has_ended)
                return false;
        if (h->n_paused == 0 || h->next != h->ready)
                return false;
        if (h->pause_ms + (h->n_paused - 1) * FRAME_MS < h->config.speculate_ms)
                return false;
        if (h->n_looks == 2 || (h->n_looks == 1 && (!is_tail || is_held_back(h))))
                return false;

        h->n_looks = is_tail ? 2 : 1;
        *ret_is_early = !is_tail;
        return true;
}

void hearing_judge(struct hearing *h, enum ending ending) {
        if (ending == ENDING_NONE || ending == h->judged)
                return;
        if (h->n_looks == 0 || !h->is_listening || h->has_ended)
                return;
        h->judged = ending;
        if (endpoint_silence_ms(h->endpoint) >= end_ms(h))
                end_by_silence(h);
}

enum ending hearing_ending(const struct hearing *h) {
        return h->ending;
}

bool hearing_has_begun(const struct hearing *h) {
        return h->has_begun;
}

bool hearing_has_ended(const struct hearing *h) {
        return h->has_ended;
}

bool hearing_is_faint(const struct hearing *h) {
        return h->is_held && !h->limit.has_spoken;
}

bool hearing_is_speaking(const struct hearing *h) {
        return h->is_speaking;
}

float hearing_noise_db(const struct hearing *h) {
        return endpoint_noise_db(h->endpoint);
}

unsigned hearing_n_kept(const struct hearing *h) {
        return h->n_kept;
}

unsigned hearing_n_torn_ms(const struct hearing *h) {
        return h->torn_ms;
}
