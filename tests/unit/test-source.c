/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sound.h"

#include <sys/stat.h>

static void exact_frames(void) {
        static const int formats[] = { WAV_16,
                                       SF_FORMAT_WAV | SF_FORMAT_PCM_U8,
                                       SF_FORMAT_WAV | SF_FORMAT_FLOAT,
                                       SF_FORMAT_WAVEX | SF_FORMAT_PCM_24,
                                       SF_FORMAT_RF64 | SF_FORMAT_PCM_32,
                                       FLAC,
                                       SF_FORMAT_AIFF | SF_FORMAT_PCM_16 };
        static const int rates[] = { 1000, 8000, 16000, 22050, 44100, 48000, 384000 };
        static const sf_count_t counts[] = { 1, 639, 640, 641, 5000 };

        for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
                for (size_t i = 0; i < 7 * 5; i++) {
                        struct sound sound = { formats[f], rates[i / 5], 1 + (int) i % 8,
                                               counts[i % 5], 100 };
                        size_t n = samples_of(&sound);
                        _cleanup_(heard_done) struct heard h = { 0 };

                        if (formats[f] == FLAC && sound.rate > 96000)
                                continue; /* more than the writer takes */
                        h = hear(new_sound(&sound));
                        expect(h.r == 0);
                        expect(h.n_valid == n);
                        expect(h.n_frames == (n + FRAME_SAMPLES - 1) / FRAME_SAMPLES);
                        expect(h.n_last == 1);
                        expect(h.in_order && h.in_range);
                }
        }
}

/* The worst difference from a tone of that frequency and amplitude.  Its phase is taken as it is: the
 * high-pass turns it a little. */
static double tone_error(const float *samples, size_t n, double hz) {
        double in_phase = 0, across = 0, size, worst = 0;

        for (size_t i = 1000; i + 500 < n; i++) {
                double turn = 2 * M_PI * hz * (double) i / FRAME_RATE;

                in_phase += (double) samples[i] * sin(turn);
                across += (double) samples[i] * cos(turn);
        }
        size = hypot(in_phase, across);
        for (size_t i = 1000; i + 500 < n; i++) {
                double turn = 2 * M_PI * hz * (double) i / FRAME_RATE + atan2(across, in_phase);
                double error = fabs((double) samples[i] - 0.5 * sin(turn));

                if (error > worst)
                        worst = error;
        }
        return size > 0 ? worst : 1;
}

static void same_sound(void) {
        static const struct {
                struct sound sound;
                double worst;
        } rows[] = {
                { { WAV_16, 16000, 1, 16000, 440 }, 5e-3 },
                { { WAV_16, 48000, 2, 48000, 440 }, 5e-3 },
                { { FLAC, 44100, 6, 44100, 440 }, 5e-3 },
                { { SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 96000, 64, 19200, 440 }, 5e-3 },
                { { SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, 1, 8000, 440 }, 0.03 },
                { { SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, 16000, 1, 16160, 440 }, 0.05 },
                { { VORBIS, 44100, 2, 44100, 440 }, 0.05 },
                { { OPUS, 48000, 1, 48000, 440 }, 0.1 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                size_t n = samples_of(&rows[i].sound);
                _cleanup_(heard_done) struct heard h = hear(new_sound(&rows[i].sound));

                expect(h.r == 0 && h.in_order && h.in_range);
                expect(h.n_valid + FRAME_SAMPLES >= n && h.n_valid <= n + FRAME_SAMPLES);
                expect(tone_error(h.samples, h.n_valid, 440) < rows[i].worst);
        }
}

/* Two tones an octave apart, each on channels of its own, as loud as each other. */
static void mono_is_the_mean(void) {
        static float samples[16000 * 3];
        static unsigned char bytes[sizeof(samples) + 100];
        double left = 0, right = 0;
        struct heard h;

        for (size_t i = 0; i < 16000; i++) {
                samples[3 * i] = 0.4f * sinf(2 * (float) M_PI * 400 * (float) i / FRAME_RATE);
                samples[3 * i + 1] = samples[3 * i];
                samples[3 * i + 2] = 0.4f * sinf(2 * (float) M_PI * 800 * (float) i / FRAME_RATE);
        }
        h = hear(new_file(bytes, float_wav(bytes, 3, FRAME_RATE, samples, 48000)));
        expect(h.n_valid == 16000);
        for (size_t i = 8000; i < h.n_valid; i++) {
                double turn = 2 * M_PI * 400 * (double) i / FRAME_RATE;

                left += (double) h.samples[i] * sin(turn) / 4000;
                right += (double) h.samples[i] * sin(2 * turn) / 4000;
        }
        expect(fabs(left - 0.4 * 2 / 3) < 0.01 && fabs(right - 0.4 / 3) < 0.01);
        heard_done(&h);
}

/* Everything below 40 Hz goes, and an offset does so from the first sample on. */
static void an_offset_is_taken_out(void) {
        static float samples[16000];
        static unsigned char bytes[sizeof(samples) + 100];
        static const struct {
                float offset, hz, most;
        } rows[] = { { 0.3f, 0, 1e-4f }, { 0.3f, 5, 0.05f }, { -1, 0, 1e-4f } };

        for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
                struct heard h;

                for (size_t i = 0; i < 16000; i++)
                        samples[i] = rows[k].offset + (rows[k].hz > 0 ? 0.5f : 0) *
                                                              sinf(2 * (float) M_PI * rows[k].hz *
                                                                   (float) i / FRAME_RATE);
                h = hear(new_file(bytes, float_wav(bytes, 1, FRAME_RATE, samples, 16000)));
                expect(h.n_valid == 16000);
                for (size_t i = 0; i < h.n_valid; i++)
                        expect(fabsf(h.samples[i]) < rows[k].most);
                heard_done(&h);
        }
}

/* Six samples are too few for the high-pass to take much off. */
static void sane_samples(void) {
        static const float samples[] = { NAN, INFINITY, -INFINITY, 1e30f, -2, 0.5f };
        static const float want[] = { 0, 0, 0, 1, -1, 0.5f };
        static const unsigned rates[] = { 8000, 16000, 44100 };
        unsigned char bytes[256];

        for (size_t i = 0; i < 3; i++) {
                size_t size = float_wav(bytes, 1, rates[i], samples, 6);
                _cleanup_(heard_done) struct heard h = hear(new_file(bytes, size));

                expect(h.r == 0 && h.in_range && h.n_frames == 1);
                for (size_t k = 0; rates[i] == FRAME_RATE && k < 6 && k < h.n_valid; k++)
                        expect(fabsf(h.samples[k] - want[k]) < 0.05f);
        }
}

static void own_offset(void) {
        static const struct sound sound = { WAV_16, 16000, 1, 2000, 440 };
        static const off_t offsets[] = { 0, 13, 44, 1000000 };

        for (size_t i = 0; i < 4; i++) {
                const struct source_config config = patient();
                _cleanup_(source_closep) struct source *s = NULL;
                int fd = new_sound(&sound), other = dup(fd);
                struct heard h = { .in_order = true, .in_range = true };

                expect(lseek(fd, offsets[i], SEEK_SET) == offsets[i]);
                expect(source_open(&s, fd, &config, NULL) == 0);
                expect(!source_is_live(s));
                (void) close(fd);
                expect(lseek(other, 0, SEEK_CUR) == offsets[i]);
                expect(lseek(other, 7, SEEK_SET) == 7);
                hear_frames(&h, s);
                expect(h.r == 0 && h.n_valid == 2000);
                heard_done(&h);
                (void) close(other);
        }
}

/* A recorder that is killed leaves a head without sizes. */
static void killed_recorder(void) {
        static const struct sound wav = { WAV_16, 16000, 2, 3000, 440 };
        static unsigned char bytes[20000];
        int fd = new_sound(&wav);
        size_t size = file_bytes(fd, bytes, sizeof(bytes));
        struct heard h;

        (void) close(fd);
        memset(bytes + 4, 0, 4);
        memset(bytes + 40, 0, 4);
        h = hear(new_file(bytes, size));
        expect(h.r == 0 && h.n_valid == 3000 && tone_error(h.samples, h.n_valid, 440) < 5e-3);
        heard_done(&h);
        h = hear_stream(bytes, size, true);
        expect(h.r == 0 && h.n_valid == 3000);
        heard_done(&h);
}

/* As arecord -f S24_LE writes it; what is in the fourth byte is nobody's business. */
static void in_32_bits(void) {
        static unsigned char bytes[44 + 4 * 16000];
        const unsigned n = 16000;
        struct heard h;

        (void) float_wav(bytes, 1, FRAME_RATE, NULL, 0);
        memcpy(bytes + 16, "\20\0\0\0\1\0\1\0\200\76\0\0\0\372\0\0\4\0\30\0data", 24);
        bytes[40] = (unsigned char) (4 * n);
        bytes[41] = (unsigned char) (4 * n >> 8);
        bytes[42] = (unsigned char) (4 * n >> 16);
        bytes[43] = 0;
        for (unsigned i = 0; i < n; i++) {
                int s = (int) lrint(0.5 * 8388607 * sin(2 * M_PI * 440 * i / FRAME_RATE));

                for (unsigned b = 0; b < 3; b++)
                        bytes[44 + 4 * i + b] = (unsigned char) (s >> 8 * b);
                bytes[44 + 4 * i + 3] = (unsigned char) (i * 77);
        }
        h = hear(new_file(bytes, sizeof(bytes)));
        expect(h.r == 0 && h.n_valid == n && tone_error(h.samples, h.n_valid, 440) < 5e-3);
        heard_done(&h);
        h = hear_stream(bytes, sizeof(bytes), true);
        expect(h.r == 0 && h.n_valid == n && tone_error(h.samples, h.n_valid, 440) < 5e-3);
        heard_done(&h);
}

/* A header may claim what it likes: nothing is allocated by it, and what is there is heard. */
static void false_claims(void) {
        static const struct sound wav = { WAV_16, 8000, 2, 3000, 440 };
        static const struct sound flac = { FLAC, 16000, 1, 3000, 440 };
        static unsigned char bytes[20000];
        const uint32_t huge = 0xffffffff;
        struct heard h;
        size_t size;
        int fd;

        fd = new_sound(&wav);
        size = file_bytes(fd, bytes, sizeof(bytes));
        memcpy(bytes + 40, &huge, 4);
        (void) close(fd);
        h = hear(new_file(bytes, size));
        expect(h.r == 0 && h.n_valid == 6000);
        heard_done(&h);

        /* The 36 bits of the number of samples in STREAMINFO. */
        fd = new_sound(&flac);
        size = file_bytes(fd, bytes, sizeof(bytes));
        bytes[21] |= 0x0f;
        memcpy(bytes + 22, &huge, 4);
        (void) close(fd);
        h = hear(new_file(bytes, size));
        expect(h.r == 0 && h.n_valid == 3000);
        heard_done(&h);
}

static void cut_off(void) {
        static const int formats[] = { WAV_16, FLAC, VORBIS, OPUS,
                                       SF_FORMAT_AIFF | SF_FORMAT_PCM_16 };
        static unsigned char bytes[100000];

        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
                struct sound sound = { formats[i], 48000, 1, 24000, 440 };
                int fd = new_sound(&sound);
                size_t size = file_bytes(fd, bytes, sizeof(bytes));

                (void) close(fd);
                for (size_t n = 1; n < size; n += 1 + n / 6) {
                        struct heard h = hear(new_file(bytes, n));

                        expect(h.r == 0 || h.r == -EBADMSG || h.r == -ENODATA);
                        expect(h.n_valid <= 8000 + FRAME_SAMPLES);
                        if (formats[i] == WAV_16 && n >= 46)
                                expect(h.r == 0 && h.n_valid == ((n - 44) / 2 + 2) / 3);
                        heard_done(&h);
                }
        }
}

static void not_sound(void) {
        static const struct {
                const char *bytes;
                size_t size;
                int r;
        } rows[] = {
                { "", 0, -ENODATA },
                { "R", 1, -EBADMSG },
                { "RIFF\4\0\0\0WAVE", 12, -EBADMSG },
                { "RIFF\4\0\0\0AVI ", 12, -EBADMSG },
                { "fLaC", 4, -EBADMSG },
                { "OggS", 4, -EBADMSG },
                { "Please open the window.\n", 24, -EBADMSG },
                { ".SoX\0\0\0\0\0\0\0\0\0\0\0\0", 16, -EBADMSG },
                { "ID3\4\0\0\0\0\0\0\0\0", 12, -EBADMSG },
                { "\xff\xfb\x90\x64\0\0\0\0\0\0\0\0", 12, -EBADMSG },
                { "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, -EBADMSG },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const unsigned char *bytes = (const unsigned char *) rows[i].bytes;
                struct heard h = hear(new_file(bytes, rows[i].size));

                expect(h.r == rows[i].r);
                heard_done(&h);
                h = hear_stream(bytes, rows[i].size, true);
                expect(h.r == rows[i].r);
                heard_done(&h);
        }
}

/* What libsndfile would read, but nobody should have to trust it with. */
static void other_kinds(void) {
        static const int formats[] = { SF_FORMAT_AU, SF_FORMAT_W64, SF_FORMAT_CAF,
                                       SF_FORMAT_IRCAM };

        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
                struct sound sound = { formats[i] | SF_FORMAT_PCM_16, 16000, 1, 1000, 440 };
                _cleanup_(heard_done) struct heard h = hear(new_sound(&sound));

                expect(h.r == -EBADMSG && strstr(h.why.text, "WAV, FLAC"));
        }
}

static void strange_shapes(void) {
        static const struct {
                int rate, channels;
                const char *reason;
        } rows[] = {
                { 999, 1, "999 Hz" },      { 384001, 1, "384001 Hz" },  { 2000000000, 1, "Hz" },
                { 16000, 65, "channels" }, { 16000, 1024, "channels" },
        };
        static unsigned char bytes[5000];
        static const float samples[1024];

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                size_t size = float_wav(bytes, (unsigned) rows[i].channels, (unsigned) rows[i].rate,
                                        samples, 1024);
                struct heard h = hear(new_file(bytes, size));

                expect(h.r == -EBADMSG && strstr(h.why.text, rows[i].reason));
                heard_done(&h);
        }
}

static void no_samples(void) {
        unsigned char bytes[64];
        size_t size = float_wav(bytes, 1, 16000, NULL, 0);
        struct heard h = hear(new_file(bytes, size));

        expect(h.r == -ENODATA);
        heard_done(&h);
        h = hear_stream(bytes, size, true);
        expect(h.r == -ENODATA);
        heard_done(&h);
}

/* What only the system's file system has. */
static void no_files(void) {
        static const struct {
                const char *path, *reason;
                int r;
        } rows[] = {
                { "/", "directory", -EISDIR },
                { "/dev/null", "nothing came", -ENODATA },
                { "/dev/zero", "WAV, FLAC", -EBADMSG },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct heard h = hear(open(rows[i].path, O_RDONLY | O_CLOEXEC));

                expect(h.r == rows[i].r && strstr(h.why.text, rows[i].reason));
                heard_done(&h);
        }
        expect(!source_close(NULL));
}

int main(void) {
        rule("any kind, rate and channel count has exactly so many frames", exact_frames);
        rule("what is heard is what was in the file", same_sound);
        rule("mono is the mean of the channels", mono_is_the_mean);
        rule("an offset is taken out, and what is slower than speech", an_offset_is_taken_out);
        rule("NaN and infinity become silence, the loud is clamped", sane_samples);
        rule("the client's offset neither matters nor moves", own_offset);
        rule("a WAV file whose recorder was killed is heard", killed_recorder);
        rule("24 bits in 32 are heard", in_32_bits);
        rule("a header that claims too much is not believed", false_claims);
        rule("of a file that was cut off, what is there is heard", cut_off);
        rule("what is not a sound is said to be none", not_sound);
        rule("kinds that are not listed are not tried", other_kinds);
        rule("absurd rates and channel counts are refused", strange_shapes);
        rule("a sound file with no samples is told apart", no_samples);
        rule("each descriptor that is no sound file has its error", no_files);
        return tap_done();
}
