/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/wavhead.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define FMT_SIZE_MIN    16
#define FMT_SIZE_MAX    64
#define BEFORE_DATA_MAX (1 << 20) /* bytes of other chunks (cover pictures, comments) */

/* A writer into a pipe cannot come back and fill the size in; each leaves another number there, all
 * of them near 2 or 4 GiB, or zero. */
#define SIZE_UNKNOWN 0x7ff00000u

#define TAG_EXTENSIBLE 0xfffe

/* clang-format off */
static const struct {
        uint16_t tag, bits, bytes;
        enum wav_encoding encoding;
} encodings[] = {
        { 1,  8, 1, WAV_PCM_8 },
        { 1, 16, 2, WAV_PCM_16 },
        { 1, 24, 3, WAV_PCM_24 },
        { 1, 24, 4, WAV_PCM_24_IN_32 },
        { 1, 32, 4, WAV_PCM_32 },
        { 3, 32, 4, WAV_FLOAT_32 },
        { 3, 64, 8, WAV_FLOAT_64 },
        { 6,  8, 1, WAV_ALAW },
        { 7,  8, 1, WAV_ULAW },
};
/* clang-format on */

static uint16_t le16(const uint8_t *p) {
        return (uint16_t) (p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p) {
        return le16(p) | (uint32_t) le16(p + 2) << 16;
}

static int read_exactly(struct input *in, void *buffer, size_t size, struct why *why) {
        if (input_read(in, buffer, size) == size)
                return 0;
        if (in->error != 0)
                return input_because(in, why);
        return because(why, -EBADMSG, "the WAV stream ends in its head");
}

static int skip(struct input *in, uint32_t size, struct why *why) {
        uint8_t waste[512];
        int r;

        while (size > 0) {
                uint32_t n = size < sizeof(waste) ? size : (uint32_t) sizeof(waste);

                r = read_exactly(in, waste, n, why);
                if (r < 0)
                        return r;
                size -= n;
        }
        return 0;
}

/* The extensible form has the real tag as the first two bytes of a GUID whose rest is fixed. */
static int real_tag(const uint8_t *fmt, uint32_t size) {
        static const uint8_t rest[14] = {
                0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71
        };

        if (le16(fmt) != TAG_EXTENSIBLE)
                return le16(fmt);
        if (size < 40 || memcmp(fmt + 26, rest, sizeof(rest)) != 0)
                return -EBADMSG;
        return le16(fmt + 24);
}

static int parse_fmt(struct wavhead *ret, const uint8_t *fmt, uint32_t size, struct why *why) {
        unsigned channels = le16(fmt + 2), align = le16(fmt + 12), bits = le16(fmt + 14);
        int tag = real_tag(fmt, size);
        bool is_known = false;

        for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
                if (encodings[i].tag != tag || encodings[i].bits != bits)
                        continue;
                is_known = true;
                if (channels == 0 || align != channels * encodings[i].bytes)
                        continue;
                ret->encoding = encodings[i].encoding;
                ret->channels = (uint16_t) channels;
                ret->rate = le32(fmt + 4);
                return 0;
        }
        if (is_known)
                return because(why, -EBADMSG, "a WAV head with %u channels of %u bits in %u bytes",
                               channels, bits, align);
        return because(why, -EBADMSG,
                       "WAV of format %#x with %u bits, which cannot be read from a pipe",
                       tag < 0 ? TAG_EXTENSIBLE : (unsigned) tag, bits);
}

static int read_fmt(struct wavhead *ret, struct input *in, uint32_t size, struct why *why) {
        uint8_t fmt[FMT_SIZE_MAX];
        int r;

        if (size < FMT_SIZE_MIN || size > FMT_SIZE_MAX)
                return because(why, -EBADMSG, "a WAV format chunk of %u bytes", size);

        r = read_exactly(in, fmt, size, why);
        if (r < 0)
                return r;
        r = parse_fmt(ret, fmt, size, why);
        if (r < 0)
                return r;
        return skip(in, size % 2, why);
}

static int read_magic(struct input *in, struct why *why) {
        uint8_t head[12];
        size_t n = input_read(in, head, sizeof(head));

        if (in->error != 0)
                return input_because(in, why);
        if (n == 0)
                return because(why, -ENODATA, "nothing came");
        if (n < sizeof(head) || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0)
                return because(why, -EBADMSG, "not WAV, the only kind that can come from a pipe");
        return 0;
}

int wavhead_read(struct wavhead *ret, struct input *in, struct why *why) {
        uint64_t n_before_data = 0;
        bool has_fmt = false;
        struct wavhead head;
        uint8_t chunk[8];
        int r;

        r = read_magic(in, why);
        if (r < 0)
                return r;

        for (;;) {
                uint32_t size;

                r = read_exactly(in, chunk, sizeof(chunk), why);
                if (r < 0)
                        return r;
                size = le32(chunk + 4);

                if (memcmp(chunk, "data", 4) == 0) {
                        if (!has_fmt)
                                return because(why, -EBADMSG, "a WAV stream without a format");
                        head.n_bytes = size == 0 || size >= SIZE_UNKNOWN ? INT64_MAX : size;
                        head.offset = in->offset;
                        *ret = head;
                        return 0;
                }

                n_before_data += sizeof(chunk) + (uint64_t) size;
                if (n_before_data > BEFORE_DATA_MAX)
                        return because(why, -EBADMSG, "a WAV stream with too long a head");

                if (memcmp(chunk, "fmt ", 4) == 0) {
                        r = read_fmt(&head, in, size, why);
                        has_fmt = true;
                } else {
                        r = skip(in, size + size % 2, why);
                }
                if (r < 0)
                        return r;
        }
}
