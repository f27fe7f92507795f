/* SPDX-License-Identifier: Apache-2.0 */
/* The microphone against a PortAudio that is played here, so that every failure can be had; the real
 * one is heard in tests/system/test-capture.sh. */
#include "audio/capture.c"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap.h"

/* ---- The real-time rule: what is linked with --wrap and called while the flag is up is a fault. */

/* Volatile, because the compiler knows that malloc() itself touches none of them. */
static _Thread_local volatile bool is_real_time;
static _Thread_local volatile unsigned n_faults, n_writes;

#define WATCH(type, name, parameters, arguments)                                                   \
        type __real_##name parameters;                                                             \
        type __wrap_##name parameters;                                                             \
        type __wrap_##name parameters {                                                            \
                n_faults += is_real_time;                                                          \
                return __real_##name arguments;                                                    \
        }

WATCH(void *, malloc, (size_t n), (n))
WATCH(void *, calloc, (size_t n, size_t size), (n, size))
WATCH(void *, realloc, (void *p, size_t n), (p, n))
WATCH(void, free, (void *p), (p))
WATCH(int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
WATCH(int, pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t *m), (c, m))
WATCH(int, nanosleep, (const struct timespec *t, struct timespec *left), (t, left))
WATCH(int, usleep, (useconds_t t), (t))
WATCH(int, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms))
WATCH(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
WATCH(int, vsnprintf, (char *p, size_t n, const char *f, va_list a), (p, n, f, a))
WATCH(size_t, fwrite, (const void *p, size_t size, size_t n, FILE *f), (p, size, n, f))
WATCH(int, fputs, (const char *p, FILE *f), (p, f))

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
        n_writes += is_real_time;
        return __real_write(fd, p, n);
}

/* ---- A PortAudio that does as it is told. */

enum step { STEP_NONE, STEP_INITIALIZE, STEP_OPEN, STEP_FINISHED, STEP_START };

static struct {
        const PaDeviceInfo *devices;
        int n_devices, default_device;
        enum step failing;
        PaError error;

        int n_initialized, n_terminated, n_opened, n_closed, n_aborted, n_stopped;
        int opened_device, opened_channels, is_active;
        double opened_rate;
        PaStreamCallback *callback;
        PaStreamFinishedCallback *finished;
        void *userdata;
} pa;

static PaError outcome(enum step step) {
        return pa.failing == step ? pa.error : paNoError;
}

PaError Pa_Initialize(void) {
        PaError error = outcome(STEP_INITIALIZE);

        pa.n_initialized += error == paNoError;
        return error;
}

PaError Pa_Terminate(void) {
        pa.n_terminated++;
        return paNoError;
}

PaDeviceIndex Pa_GetDeviceCount(void) {
        return pa.n_devices;
}

PaDeviceIndex Pa_GetDefaultInputDevice(void) {
        return pa.default_device;
}

const PaDeviceInfo *Pa_GetDeviceInfo(PaDeviceIndex index) {
        return index >= 0 && index < pa.n_devices ? &pa.devices[index] : NULL;
}

const char *Pa_GetErrorText(PaError error) {
        return error == paUnanticipatedHostError ? "Unanticipated host error" : "An error";
}

const PaHostErrorInfo *Pa_GetLastHostErrorInfo(void) {
        static const PaHostErrorInfo info = { paALSA, -5, "Input/output error" };

        return &info;
}

PaError Pa_OpenStream(PaStream **stream,
                      const PaStreamParameters *input,
                      const PaStreamParameters *output,
                      double rate,
                      unsigned long n,
                      PaStreamFlags flags,
                      PaStreamCallback *callback,
                      void *userdata) {
        if (outcome(STEP_OPEN) != paNoError) {
                fprintf(stderr, "Expression 'ret' failed in '%s', line: %d\n", "pa.c", 1);
                *stream = (PaStream *) 1;
                return outcome(STEP_OPEN);
        }

        expect(!output && flags == paNoFlag && n > 0);
        expect(input->channelCount <= pa.devices[input->device].maxInputChannels);
        expect(input->sampleFormat == paFloat32);
        pa.opened_channels = input->channelCount;
        expect(input->suggestedLatency >= 0.02);
        pa.n_opened++;
        pa.opened_device = input->device;
        pa.opened_rate = rate;
        pa.callback = callback;
        pa.userdata = userdata;
        *stream = &pa;
        return paNoError;
}

PaError Pa_SetStreamFinishedCallback(PaStream *stream, PaStreamFinishedCallback *finished) {
        expect(stream == &pa);
        pa.finished = finished;
        return outcome(STEP_FINISHED);
}

PaError Pa_StartStream(PaStream *stream) {
        expect(stream == &pa);
        pa.is_active = outcome(STEP_START) == paNoError;
        return outcome(STEP_START);
}

PaError Pa_AbortStream(PaStream *stream) {
        expect(stream == &pa);
        pa.n_aborted++;
        if (pa.is_active)
                pa.finished(pa.userdata);
        pa.is_active = 0;
        return paNoError;
}

PaError Pa_StopStream(PaStream *stream) {
        expect(stream == &pa);
        pa.n_stopped++;
        return paNoError;
}

PaError Pa_CloseStream(PaStream *stream) {
        expect(stream == &pa);
        pa.n_closed++;
        return paNoError;
}

PaError Pa_IsStreamActive(PaStream *stream) {
        expect(stream == &pa);
        return pa.is_active;
}

/* ---- A sound server. */

static struct {
        const struct server_source *sources;
        int n; /* or what stands in the way */
        bool has_plugin;
        char defined[256];
} server;

int server_list(struct server_source *sources, size_t size, struct why *why) {
        if (server.n < 0)
                return because(why, server.n, "no server");
        expect(size >= (size_t) server.n);
        if (server.n > 0)
                memcpy(sources, server.sources, (size_t) server.n * sizeof(*sources));
        return server.n;
}

int server_define(const char *source) {
        (void) snprintf(server.defined, sizeof(server.defined), "%s", source);
        pa.n_devices += server.has_plugin;
        return 0;
}

/* ---- Its cards, which have profiles. */

static struct {
        struct server_card cards[2];
        int n;               /* or what stands in the way */
        int refusal;         /* of what is put in force */
        unsigned n_changed;
        const struct server_source *then; /* what there is with a microphone */
} cards;

int server_cards(struct server_card *ret, size_t size) {
        expect(size >= 2);
        if (cards.n > 0)
                memcpy(ret, cards.cards, (size_t) cards.n * sizeof(*ret));
        return cards.n;
}

int server_use_profile(const char *card, const char *profile, char source[256]) {
        expect(strcmp(card, cards.cards[0].name) == 0);
        cards.n_changed++;
        (void) snprintf(cards.cards[0].active, sizeof(cards.cards[0].active), "%s", profile);
        if (!source)
                return 0;
        if (cards.refusal < 0)
                return cards.refusal;
        server.sources = cards.then;
        server.n = 1;
        (void) snprintf(source, 256, "%s", cards.then->name);
        return 0;
}

/* ---- The rules. */

/* clang-format off */
static const PaDeviceInfo devices[] = {
        { .name = "HDMI",               .maxInputChannels = 0, .defaultSampleRate = 48000 },
        { .name = "bluez_input.headset", .maxInputChannels = 1, .defaultSampleRate = 16000 },
        { .name = "USB Microphone",     .maxInputChannels = 1, .defaultSampleRate = 48000 },
        { .name = "USB",                .maxInputChannels = 2, .defaultSampleRate = 44100 },
        { .name = "broken",             .maxInputChannels = 2, .defaultSampleRate = 0 },
        { .name = "absurd",             .maxInputChannels = 2, .defaultSampleRate = 1e9 },
        { .name = SERVER_DEVICE,        .maxInputChannels = 32, .defaultSampleRate = 44100 },
};

static const struct server_source sources[] = {
        { .name = "alsa_input.usb",  .label = "USB Microphone, Mono", .rate = 48000, .n_channels = 1 },
        { .name = "bluez_input.00",  .label = "Headset", .is_default = true, .is_bluetooth = true },
        { .name = "alsa_input.pci",  .label = "Built-in Audio" },
        { .name = "alsa_input.mono", .label = "Audio", .n_channels = 2 },
};
/* clang-format on */

/* The last one is only there when it was defined. */
#define N_DEVICES ((int) (sizeof(devices) / sizeof(devices[0])) - 1)

static void reset(int default_device) {
        memset(&pa, 0, sizeof(pa));
        pa.devices = devices;
        pa.n_devices = N_DEVICES;
        pa.default_device = default_device;
        memset(&server, 0, sizeof(server));
        server.n = -ENOTCONN;
        memset(&cards, 0, sizeof(cards));
        cards.n = -ENOTCONN;
}

static void reset_server(int n_sources) {
        reset(2);
        server.sources = sources;
        server.n = n_sources;
        server.has_plugin = true;
        cards.n = 0;
}

/* A server with a headset that plays well, and has no microphone then. */
static void reset_headset(void) {
        static const struct server_source microphone = {
                .name = "bluez_input.00_11_22_33_44_55.0", .label = "Soundcore", .is_bluetooth = true
        };
        static const struct server_card card = {
                .name = "bluez_card.00_11_22_33_44_55",
                .label = "Soundcore Life",
                .is_bluetooth = true,
                .active = "a2dp-sink",
                .profiles = { { "off", 0, 0, 0, true },
                              { "a2dp-sink", 40, 1, 0, true },
                              { "a2dp-source", 90, 0, 1, true },
                              { "headset-head-unit-cvsd", 20, 1, 1, true },
                              { "headset-head-unit", 30, 1, 1, true },
                              { "headset-faster", 80, 1, 1, false } },
                .n_profiles = 6,
        };

        reset_server(1);
        cards.cards[0] = card;
        cards.cards[1] = (struct server_card){ .name = "alsa_card.pci", .label = "Life in Built-in Audio" };
        cards.n = 2;
        cards.then = &microphone;
}

static const char *active_profile(void) {
        return cards.cards[0].active;
}

static struct capture *open_device_named(const char *device, unsigned ring_ms, int wake_fd) {
        struct capture_config config = { device, ring_ms, wake_fd };
        struct capture *c = NULL;
        struct why why;

        expect(capture_open(&c, &config, &why) == 0);
        return c;
}

static void callback_keeps_the_rule(void) {
        _cleanup_(closep) int bell = wake_open();
        float block[480] = { 0 };
        void *volatile memory; /* so that the compiler does not see through it */
        struct capture *c;

        reset(2);
        c = open_device_named(NULL, 100, bell);
        n_faults = 0;
        n_writes = 0;

        /* Enough to fill the ring, so that refusing is watched as well. */
        is_real_time = true;
        for (int i = 0; i < 50; i++)
                (void) pa.callback(block, NULL, 480, NULL, paInputOverflow, pa.userdata);
        is_real_time = false;
        expect(n_faults == 0);
        expect(n_writes == 50);

        /* The watch itself works. */
        is_real_time = true;
        memory = malloc(16);
        free(memory);
        is_real_time = false;
        expect(n_faults == 2);
        (void) capture_close(c);
}

static bool rings(int bell) {
        struct pollfd p = { .fd = bell, .events = POLLIN };
        bool is_ringing = poll(&p, 1, 0) == 1;

        wake_clear(bell);
        return is_ringing;
}

static void samples_come_through(void) {
        _cleanup_(closep) int bell = wake_open();
        float block[480], out[1000];
        struct capture *c;

        reset(2);
        c = open_device_named("default", 1000, bell);
        expect(capture_rate(c) == 48000);
        expect(strcmp(capture_device(c), "USB Microphone") == 0);
        expect(!rings(bell));

        for (unsigned b = 0; b < 3; b++) {
                for (unsigned i = 0; i < 480; i++)
                        block[i] = (float) (b * 480 + i) / 2000;
                expect(pa.callback(block, NULL, 480, NULL, 0, pa.userdata) == paContinue);
        }
        expect(pa.callback(NULL, NULL, 480, NULL, 0, pa.userdata) == paContinue);
        expect(rings(bell) && !rings(bell));

        expect(capture_read(c, out, 1000) == 1000);
        expect(memcmp(out + 960, block, 40 * sizeof(float)) == 0);
        expect(capture_read(c, out, 1000) == 440);
        expect(memcmp(out, block + 40, 440 * sizeof(float)) == 0);
        expect(capture_read(c, out, 1000) == 0);
        expect(capture_lost(c) == 0);
        (void) capture_close(c);
}

static void both_sides_come_through(void) {
        float block[2 * 441], out[2 * 500];
        struct capture *c;

        reset(3);
        c = open_device_named(NULL, 100, -1);
        expect(capture_channels(c) == 2);
        for (unsigned i = 0; i < 2 * 441; i++)
                block[i] = (float) i / 1000;
        expect(pa.callback(block, NULL, 441, NULL, 0, pa.userdata) == paContinue);
        expect(capture_read(c, out, 500) == 441);
        expect(memcmp(out, block, sizeof(block)) == 0);
        (void) capture_close(c);
}

static void full_ring(void) {
        float block[1000], out[3000];
        struct capture *c;

        reset(2);
        c = open_device_named(NULL, 20, -1); /* 960 samples, rounded up to 1024 */
        for (unsigned i = 0; i < 1000; i++)
                block[i] = (float) i / 1000;
        for (unsigned b = 0; b < 3; b++)
                (void) pa.callback(block, NULL, 1000, NULL, 0, pa.userdata);

        expect(capture_lost(c) == 3000 - 1024);
        expect(capture_read(c, out, 3000) == 1024);
        expect(memcmp(out, block, sizeof(block)) == 0);
        expect(memcmp(out + 1000, block, 24 * sizeof(float)) == 0);

        (void) pa.callback(block, NULL, 10, NULL, paInputOverflow, pa.userdata);
        expect(capture_lost(c) == 3000 - 1024 + 1);
        (void) capture_close(c);
}

static void age_and_end(void) {
        _cleanup_(closep) int bell = wake_open();
        struct capture *c;

        reset(2);
        c = open_device_named(NULL, 100, bell);
        expect(capture_is_active(c));
        expect(capture_age(c) < 60000000000u);

        atomic_store(&c->last_ns, clock_now_ns() - 5000000000u);
        expect(capture_age(c) >= 5000000000u);
        (void) pa.callback(NULL, NULL, 10, NULL, 0, pa.userdata);
        expect(capture_age(c) < 5000000000u);
        atomic_store(&c->last_ns, UINT64_MAX);
        expect(capture_age(c) == 0);

        wake_clear(bell);
        pa.finished(pa.userdata);
        expect(!capture_is_active(c));
        expect(rings(bell));
        (void) capture_close(c);

        /* Some losses show only here. */
        reset(2);
        c = open_device_named(NULL, 100, bell);
        pa.is_active = 0;
        expect(!capture_is_active(c));
        (void) capture_close(c);
}

static void choice(void) {
        static const struct {
                int default_device;
                const char *name;
                int index, r;
        } rows[] = {
                { 2, NULL, 2, 0 },
                { 3, "", 3, 0 },
                { 3, "default", 3, 0 },
                { 1, NULL, 2, 0 },  /* the default is Bluetooth */
                { -1, NULL, 2, 0 }, /* there is no default */
                { 0, NULL, 2, 0 },  /* the default cannot record */
                { 2, "USB", 3, 0 }, /* whole before part */
                { 2, "usb micro", 2, 0 },
                { 2, "headset", 1, 0 },     /* who asks for Bluetooth gets it */
                { 2, "HDMI", -1, -ENODEV }, /* cannot record */
                { 2, "gone", -1, -ENODEV },
                { 2, "broken", -1, -ENOTSUP },
                { 2, "absurd", -1, -ENOTSUP },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct capture_config config = { rows[i].name, 100, -1 };
                struct capture *c = NULL;
                struct why why = { "" };

                reset(rows[i].default_device);
                expect(capture_open(&c, &config, &why) == rows[i].r);
                if (rows[i].r == 0) {
                        expect(pa.opened_device == rows[i].index);
                        expect(pa.opened_channels == devices[rows[i].index].maxInputChannels);
                        expect(pa.opened_channels == (int) capture_channels(c));
                        expect(pa.opened_rate <= devices[rows[i].index].defaultSampleRate);
                        (void) capture_close(c);
                } else {
                        expect(!c && why.text[0]);
                }
                expect(pa.n_initialized == 1 && pa.n_terminated == 1);
        }

        /* Nothing but Bluetooth, and nothing at all. */
        for (int n = 2; n >= 0; n -= 2) {
                struct capture_config config = { NULL, 100, -1 };
                struct capture *c = NULL;

                reset(n - 1);
                pa.n_devices = n;
                expect(capture_open(&c, &config, NULL) == -ENODEV);
                expect(pa.n_initialized == 1 && pa.n_terminated == 1);
        }
}

static void choice_of_a_server(void) {
        static const struct {
                int n_sources;
                const char *name, *defined, *device;
                int index, r;
        } rows[] = {
                { 4, NULL, "alsa_input.usb", "USB Microphone, Mono", N_DEVICES, 0 },
                { 1, "default", "alsa_input.usb", "USB Microphone, Mono", N_DEVICES, 0 },
                { 4, "alsa_input.pci", "alsa_input.pci", "Built-in Audio", N_DEVICES, 0 },
                { 4, "Audio", "alsa_input.mono", "Audio", N_DEVICES, 0 }, /* whole before part */
                { 4, "built-in", "alsa_input.pci", "Built-in Audio", N_DEVICES, 0 },
                { 4, "headset", "bluez_input.00", "Headset", N_DEVICES, 0 }, /* asked for */
                { 4, "absurd", "", NULL, -1, -ENOTSUP }, /* a device that is none of the server's */
                { 4, "gone", "", NULL, -1, -ENODEV },
                { 0, NULL, "", NULL, -1, -ENODEV }, /* what ALSA has is the server's */
                { -ETIMEDOUT, NULL, "", NULL, -1, -ETIMEDOUT },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct capture_config config = { rows[i].name, 100, -1 };
                struct capture *c = NULL;
                struct why why = { "" };

                reset_server(rows[i].n_sources);
                expect(capture_open(&c, &config, &why) == rows[i].r);
                expect(strcmp(server.defined, rows[i].defined) == 0);
                if (rows[i].r == 0) {
                        expect(pa.opened_device == rows[i].index && capture_rate(c) == 16000);
                        expect(strcmp(capture_device(c), rows[i].device) == 0);
                        /* As many as the server's microphone has, not as its device could give. */
                        expect(pa.opened_channels == (strcmp(rows[i].device, "Audio") == 0 ? 2 : 1));
                        (void) capture_close(c);
                } else {
                        expect(!c && why.text[0]);
                }
                expect(pa.n_initialized == pa.n_terminated);
        }

        /* Without ALSA's plugin for it. */
        reset_server(1);
        server.has_plugin = false;
        (void) capture_close(open_device_named(NULL, 100, -1));
        expect(pa.opened_device == 2);
}

static void nothing_but_bluetooth(void) {
        struct capture_config config = { NULL, 100, -1 };
        struct capture *c = NULL;
        struct why why = { "" };

        reset_server(1);
        server.sources = sources + 1;
        expect(capture_open(&c, &config, &why) == -ENODEV && !c && strstr(why.text, "Bluetooth"));
}

/* It hears for as long as it is open, and plays well again afterwards. */
static void headset_that_is_chosen(void) {
        static const char *const names[] = { "Soundcore Life", "life", "bluez_card.00_11_22_33_44_55",
                                             "bluez_source.00_11_22_33_44_55.handsfree_head_unit" };
        struct capture *c;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                reset_headset();
                c = open_device_named(names[i], 100, -1);
                expect(strcmp(active_profile(), "headset-head-unit") == 0 && cards.n_changed == 1);
                expect(strcmp(capture_source(c), "bluez_input.00_11_22_33_44_55.0") == 0);
                (void) capture_close(c);
                expect(strcmp(active_profile(), "a2dp-sink") == 0 && cards.n_changed == 2);
        }

        /* Somebody has chosen another one meanwhile; somebody else listens to it. */
        reset_headset();
        c = open_device_named("life", 100, -1);
        (void) strcpy(cards.cards[0].active, "off");
        (void) capture_close(c);
        expect(strcmp(active_profile(), "off") == 0 && cards.n_changed == 1);
        reset_headset();
        c = open_device_named("life", 100, -1);
        cards.cards[0].is_recorded = true;
        (void) capture_close(c);
        expect(strcmp(active_profile(), "headset-head-unit") == 0 && cards.n_changed == 1);
}

/* Whatever does not work out leaves the headset as it was. */
static void headset_that_fails(void) {
        struct capture_config config = { "life", 100, -1 };
        struct why why = { "" };
        struct capture *c = NULL;

        reset_headset();
        pa.failing = STEP_START;
        pa.error = paDeviceUnavailable;
        expect(capture_open(&c, &config, &why) == -EBUSY && !c);
        expect(strcmp(active_profile(), "a2dp-sink") == 0 && cards.n_changed == 2);

        reset_headset();
        cards.refusal = -ETIMEDOUT;
        expect(capture_open(&c, &config, &why) == -ETIMEDOUT && strstr(why.text, "headset"));
        expect(strcmp(active_profile(), "a2dp-sink") == 0);

        /* It can not hear now, or is asked for by no name of its own. */
        reset_headset();
        cards.cards[0].profiles[3].is_available = cards.cards[0].profiles[4].is_available = false;
        expect(capture_open(&c, &config, &why) == -ENODEV && cards.n_changed == 0);
        reset_headset();
        config.device = "bluez_source.99_11_22_33_44_55";
        expect(capture_open(&c, &config, &why) == -ENODEV && cards.n_changed == 0);
}

/* Nor is it when nothing else is there. */
static void headset_that_is_not_chosen(void) {
        static const char *const names[] = { NULL, "", "default", "USB Microphone, Mono" };
        struct capture_config config = { NULL, 100, -1 };
        struct capture_device listed[16];
        struct capture *c = NULL;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                reset_headset();
                (void) capture_close(open_device_named(names[i], 100, -1));
                expect(cards.n_changed == 0 && strcmp(active_profile(), "a2dp-sink") == 0);
        }
        reset_headset();
        server.n = 0;
        expect(capture_open(&c, &config, NULL) == -ENODEV && cards.n_changed == 0);

        /* It can be chosen by its name. */
        reset_headset();
        expect(capture_list(listed, 16, NULL) >= 2 && cards.n_changed == 0);
        expect(strcmp(listed[1].name, "Soundcore Life") == 0);
        expect(listed[1].is_bluetooth && !listed[1].is_default && listed[1].n_channels == 1);
        expect(capture_list(listed, 1, NULL) == 1);
}

/* Of the microphone that is meant, where the server makes one of it without what is played. */
static void without_its_echo(void) {
        static const struct server_source with_echo[] = {
                { .name = "alsa_input.pci", .label = "Built-in", .is_default = true },
                { .name = "alsa_input.usb", .label = "USB" },
                { .name = "usb.echo-cancel", .master = "alsa_input.usb", .is_echo_free = true },
                { .name = "pci.echo-cancel", .master = "alsa_input.pci", .is_echo_free = true },
        };
        const struct server_source untold = { .name = "echo-cancel-source", .is_echo_free = true };
        struct server_source some[] = { with_echo[0], untold };

        expect(choose_source(with_echo, 4, NULL) == 3);
        expect(choose_source(with_echo, 3, NULL) == 0);
        expect(choose_source(with_echo, 4, "Built-in") == 0 && choose_source(with_echo, 4, "USB") == 1);
        expect(choose_source(some, 2, "default") == 1);
        some[1].is_default = true;
        expect(choose_source(some, 2, NULL) == 1);
}

static void listing(void) {
        struct capture_device listed[16];
        int n;

        reset_server(4);
        n = capture_list(listed, 16, NULL);
        expect(n == 4 + N_DEVICES - 1);
        expect(strcmp(listed[0].name, "USB Microphone, Mono") == 0 && listed[0].is_default);
        expect(listed[0].rate == 48000 && listed[0].n_channels == 1 && !listed[0].is_bluetooth);
        expect(listed[1].is_bluetooth && !listed[1].is_default);
        for (int i = 1; i < n; i++)
                expect(!listed[i].is_default && strcmp(listed[i].name, SERVER_DEVICE) != 0);
        expect(capture_list(listed, 2, NULL) == 2);

        reset(3);
        n = capture_list(listed, 16, NULL);
        expect(n == N_DEVICES - 1 && strcmp(listed[2].name, "USB") == 0 && listed[2].is_default);
        expect(pa.n_initialized == 1 && pa.n_terminated == 1);
}

static void failing_steps(void) {
        static const struct {
                enum step step;
                PaError error;
                int r, n_closed;
                const char *reason;
        } rows[] = {
                { STEP_INITIALIZE, paInsufficientMemory, -ENOMEM, 0, "PortAudio" },
                { STEP_OPEN, paUnanticipatedHostError, -EIO, 0, "Input/output error" },
                { STEP_OPEN, paDeviceUnavailable, -EBUSY, 0, "USB Microphone" },
                { STEP_OPEN, paBadIODeviceCombination, -EIO, 0, "An error" },
                { STEP_OPEN, paInvalidSampleRate, -ENOTSUP, 0, "USB Microphone" },
                { STEP_FINISHED, paInternalError, -EIO, 1, "USB Microphone" },
                { STEP_START, paTimedOut, -ETIMEDOUT, 1, "USB Microphone" },
                { STEP_START, paInvalidDevice, -ENODEV, 1, "USB Microphone" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct capture_config config = { NULL, 100, -1 };
                struct capture *c = NULL;
                struct why why = { "" };

                reset(2);
                pa.failing = rows[i].step;
                pa.error = rows[i].error;
                expect(capture_open(&c, &config, &why) == rows[i].r);
                expect(!c && strstr(why.text, rows[i].reason));
                expect(pa.n_initialized == pa.n_terminated);
                expect(pa.n_closed == rows[i].n_closed && pa.n_opened == pa.n_closed);
        }
}

static void never_stopped(void) {
        struct capture *c;

        reset(2);
        c = open_device_named(NULL, 100, -1);
        expect(!capture_close(c));
        expect(pa.n_aborted == 1 && pa.n_stopped == 0 && pa.n_closed == 1);
        expect(pa.n_initialized == 1 && pa.n_terminated == 1);
        expect(!capture_close(NULL));
}

static void quiet_failing(void) {
        struct capture_config config = { NULL, 100, -1 };
        int pipe_fds[2], saved_fd = dup(STDERR_FILENO);
        struct capture *c = NULL;
        char heard[64];

        reset(2);
        pa.failing = STEP_OPEN;
        pa.error = paUnanticipatedHostError;
        expect(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == 0);
        expect(dup2(pipe_fds[1], STDERR_FILENO) == STDERR_FILENO);
        expect(capture_open(&c, &config, NULL) == -EIO);
        expect(read(pipe_fds[0], heard, sizeof(heard)) < 0 && errno == EAGAIN);

        /* Everything else still gets there, line by line. */
        fprintf(stderr, "gemmad: %s\n", "hello");
        expect(read(pipe_fds[0], heard, sizeof(heard)) == 14);
        expect(memcmp(heard, "gemmad: hello\n", 14) == 0);

        expect(dup2(saved_fd, STDERR_FILENO) == STDERR_FILENO);
        (void) close(saved_fd);
        (void) close(pipe_fds[0]);
        (void) close(pipe_fds[1]);
}

int main(void) {
        rule("the callback neither locks nor allocates nor prints", callback_keeps_the_rule);
        rule("samples come through in order, with the doorbell", samples_come_through);
        rule("of two channels both come through", both_sides_come_through);
        rule("a full ring refuses the newest samples and counts them", full_ring);
        rule("a device that is silent or gone can be told", age_and_end);
        rule("the right device is chosen, never Bluetooth by itself", choice);
        rule("of a sound server the same holds for its microphones", choice_of_a_server);
        rule("a headset that is the only one is told", nothing_but_bluetooth);
        rule("a headset that is chosen hears while it is open", headset_that_is_chosen);
        rule("one that does not work out is left as it was", headset_that_fails);
        rule("one that is not chosen is left alone", headset_that_is_not_chosen);
        rule("a microphone without its echo is the better one", without_its_echo);
        rule("all microphones are listed, the server's first", listing);
        rule("each failing step is undone and has its reason", failing_steps);
        rule("a stream is aborted, never stopped", never_stopped);
        rule("PortAudio's complaints do not reach standard error, others do", quiet_failing);
        return tap_done();
}
