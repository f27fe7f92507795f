/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/parse.h"
#include "base/spsc.h"
#include "base/wake.h"
#include "base/why.h"
#include "tests/tap.h"

static void refuses_newest(void) {
        struct spsc q;
        int in[] = { 1, 2, 3, 4, 5, 6 }, out[6];

        expect(spsc_init(&q, 3, sizeof(int)) == 0);
        expect(spsc_push(&q, in, 6) == 4);
        expect(spsc_refused(&q) == 2);
        expect(spsc_count(&q) == 4);
        expect(spsc_pop(&q, out, 6) == 4);
        expect(memcmp(in, out, 4 * sizeof(int)) == 0);
        expect(spsc_pop(&q, out, 1) == 0);
        spsc_done(&q);
}

static void wraps(void) {
        struct spsc q;
        unsigned in = 0, out = 0;

        expect(spsc_init(&q, 8, sizeof(unsigned)) == 0);
        for (unsigned round = 0; round < 1000; round++) {
                unsigned batch[5], n = round % 5 + 1;

                for (unsigned i = 0; i < n; i++)
                        batch[i] = in++;
                expect(spsc_push(&q, batch, n) == n);
                expect(spsc_pop(&q, batch, n) == n);
                for (unsigned i = 0; i < n; i++)
                        expect(batch[i] == out++);
        }
        expect(spsc_refused(&q) == 0);
        spsc_done(&q);
}

enum { TRAFFIC = 200000 };

static void *produce(void *userdata) {
        struct spsc *q = userdata;

        for (unsigned i = 0; i < TRAFFIC;)
                i += (unsigned) spsc_push(q, &i, 1);
        return NULL;
}

static void two_threads(void) {
        struct spsc q;
        pthread_t thread;
        unsigned wrong = 0;

        expect(spsc_init(&q, 64, sizeof(unsigned)) == 0);
        expect(pthread_create(&thread, NULL, produce, &q) == 0);
        for (unsigned expected = 0, got; expected < TRAFFIC;)
                if (spsc_pop(&q, &got, 1) == 1)
                        wrong += got != expected++;
        expect(wrong == 0);
        (void) pthread_join(thread, NULL);
        spsc_done(&q);
}

static void doorbell(void) {
        int fd = wake_open();
        uint64_t count;

        expect(fd >= 0);
        wake_ring(fd);
        wake_ring(fd);
        wake_clear(fd);
        expect(read(fd, &count, sizeof(count)) < 0 && errno == EAGAIN);
        (void) close(fd);
}

static void numbers(void) {
        static const struct {
                const char *text;
                int r;
                unsigned value;
        } cases[] = {
                { "0", 0, 0 },
                { "42", 0, 42 },
                { "4294967295", 0, 4294967295u },
                { "4294967296", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "+1", -EINVAL, 0 },
                { " 1", -EINVAL, 0 },
                { "1 ", -EINVAL, 0 },
                { "0x10", -EINVAL, 0 },
                { "99999999999999999999999", -ERANGE, 0 },
        };

        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                unsigned value = 7;

                expect(parse_unsigned(cases[i].text, &value) == cases[i].r);
                expect(value == (cases[i].r ? 7 : cases[i].value));
        }
}

static void doubles(void) {
        static const struct {
                const char *text;
                int r;
                double value;
        } cases[] = {
                { "0", 0, 0 },         { "-45.5", 0, -45.5 }, { "0.95", 0, 0.95 },
                { "1.", -EINVAL, 0 },  { ".5", -EINVAL, 0 },  { "nan", -EINVAL, 0 },
                { "1e3", -EINVAL, 0 }, { "1,5", -EINVAL, 0 }, { "--1", -EINVAL, 0 },
                { "", -EINVAL, 0 },
        };

        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                double value = 7;

                expect(parse_double(cases[i].text, &value) == cases[i].r);
                expect(value == (cases[i].r ? 7 : cases[i].value));
        }
}

static void words_and_spans(void) {
        uint64_t ms = 7;
        bool yes = false;

        expect(parse_bool("yes", &yes) == 0 && yes);
        expect(parse_bool("off", &yes) == 0 && !yes);
        expect(parse_bool("YES", &yes) == -EINVAL);
        expect(parse_bool("", &yes) == -EINVAL);

        expect(parse_span_ms("5", &ms) == 0 && ms == 5000);
        expect(parse_span_ms("250ms", &ms) == 0 && ms == 250);
        expect(parse_span_ms("2h", &ms) == 0 && ms == 7200000);
        expect(parse_span_ms("30d", &ms) == 0 && ms == 2592000000u);
        expect(parse_span_ms("5 s", &ms) == -EINVAL);
        expect(parse_span_ms("m", &ms) == -EINVAL);
        expect(parse_span_ms("18446744073709551615d", &ms) == -ERANGE);
}

static void reasons(void) {
        struct why why = { "" };

        expect(because(&why, -EINVAL, "tensor '%s'", "x") == -EINVAL);
        expect(because_in(&why, -EBADMSG, "file") == -EBADMSG);
        expect(strcmp(why.text, "file: tensor 'x'") == 0);
        expect(because(NULL, -EIO, "nobody asks") == -EIO);
}

int main(void) {
        rule("a full queue refuses the newest and counts them", refuses_newest);
        rule("a queue keeps its order around the end of its ring", wraps);
        rule("a queue between two threads loses and repeats nothing", two_threads);
        rule("a doorbell rung twice is cleared once", doorbell);
        rule("an unsigned number is the whole text", numbers);
        rule("a decimal number is the same in every locale", doubles);
        rule("words and spans are exact", words_and_spans);
        rule("a reason names its place", reasons);
        return tap_done();
}
