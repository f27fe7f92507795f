/* SPDX-License-Identifier: Apache-2.0 */
/* What gemmad-remote makes of what servers, people and gemmad write, without a network. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>
#include <jansson.h>
#include <png.h>

#include "base/cleanup.h"
#include "base/parcel.h"
#include "remote/link.h"
#include "remote/outbox.h"
#include "remote/request.h"
#include "remote/servers.h"
#include "remote/settings.h"
#include "remote/stream.h"
#include "tests/tap.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- answers ---- */

#define CHUNK(delta)          "data: {\"choices\":[{\"delta\":" delta "}]}\n\n"
#define LAST(delta, reason) "data: {\"choices\":[{\"delta\":" delta ",\"finish_reason\":\"" reason "\"}]}\n\n"
#define DONE                  "data: [DONE]\n\n"

static struct {
        char text[1 << 16];
        size_t size;
        int r;
} said;

static int on_text(const char *text, size_t size, void *userdata) {
        (void) userdata;
        if (said.size + size < sizeof(said.text)) {
                memcpy(said.text + said.size, text, size);
                said.size += size;
        }
        said.text[said.size] = '\0';
        return said.r;
}

static struct stream *open_stream(void) {
        const struct stream_handler handler = { on_text, NULL };
        struct stream *s = NULL;

        memset(&said, 0, sizeof(said));
        expect(stream_new(&s, &handler) == 0);
        return s;
}

/* In pieces of so many bytes. */
static int push(struct stream *s, const char *bytes, size_t piece) {
        struct why why = { 0 };
        size_t size = strlen(bytes);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < size; i += piece)
                r = stream_push(s, bytes + i, size - i < piece ? size - i : piece, &why);
        expect(r >= 0 || why.text[0]);
        return r;
}

static int read_all(struct stream *s, const char *bytes, size_t piece) {
        struct why why = { 0 };
        int r = push(s, bytes, piece);

        if (r >= 0)
                r = stream_end(s, &why);
        return r;
}

static void texts(void) {
        static const char answer[] = ": hello\n\n" CHUNK("{\"role\":\"assistant\",\"content\":\"\"}")
                CHUNK("{\"content\":\"Gr\\u00fc\\u00df\"}") CHUNK("{\"content\":null}") CHUNK("{\"content\":\" Gott\"}")
                        LAST("{}", "stop") DONE;

        for (size_t piece = 1; piece < sizeof(answer); piece++) {
                struct stream *s = open_stream();

                expect(read_all(s, answer, piece) == 0 && strcmp(said.text, "Grüß Gott") == 0);
                expect(stream_finish(s) == STREAM_STOP && stream_n_calls(s) == 0);
                stream_free(s);
        }
}

static void begins_and_says(void) {
        struct stream *s = open_stream();

        expect(push(s, ": nothing yet\n\n", 100) == 0 && !stream_has_begun(s));
        expect(push(s, CHUNK("{\"role\":\"assistant\"}"), 100) == 0 && stream_has_begun(s) && !stream_has_said(s));
        expect(push(s, CHUNK("{\"content\":\"a\"}"), 100) == 0 && stream_has_said(s));
        stream_free(s);
}

static void ends(void) {
        struct stream *s = open_stream();

        expect(read_all(s, CHUNK("{\"content\":\"a\"}") LAST("{}", "length"), 1000) == 0);
        expect(stream_finish(s) == STREAM_LENGTH);
        stream_free(s);
        s = open_stream(); /* the last empty line is missing */
        expect(read_all(s, CHUNK("{\"content\":\"a\"}") "data: [DONE]\n", 1000) == 0);
        stream_free(s);
}

static void calls(void) {
        static const char answer[] = CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"set_timer\","
                                           "\"arguments\":\"\"}}]}")
                CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"seconds\\\":\"}}]}")
                        CHUNK("{\"tool_calls\":[{\"index\":1,\"function\":{\"name\":\"get_time\"}}]}")
                                CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"90}\"}}]}")
                                        LAST("{}", "tool_calls") DONE;
        struct stream *s = open_stream();

        expect(read_all(s, answer, 7) == 0 && stream_n_calls(s) == 2 && stream_finish(s) == STREAM_CALLS);
        expect(strcmp(stream_call(s, 0).id, "a") == 0 && strcmp(stream_call(s, 0).name, "set_timer") == 0);
        expect(strcmp(stream_call(s, 0).arguments, "{\"seconds\":90}") == 0);
        expect(strcmp(stream_call(s, 1).name, "get_time") == 0 && strcmp(stream_call(s, 1).arguments, "{}") == 0);
        expect(stream_call(s, 1).id[0] != '\0');
        stream_free(s);
}

/* Servers that leave the index out, or send an object for the text of one. */
static void calls_in_other_words(void) {
        struct stream *s = open_stream();

        expect(read_all(s,
                        CHUNK("{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}},"
                              "{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]}") DONE,
                        1000) == 0);
        expect(stream_n_calls(s) == 2 && strcmp(stream_call(s, 0).arguments, "{\"x\":1}") == 0 &&
               strcmp(stream_call(s, 1).name, "g") == 0);
        stream_free(s);
}

static void without_streaming(void) {
        struct stream *s = open_stream();

        expect(read_all(s, "\n {\"choices\":[{\"message\":{\"content\":\"all\"},\"finish_reason\":\"length\"}]}\n", 5) == 0);
        expect(strcmp(said.text, "all") == 0 && stream_finish(s) == STREAM_LENGTH);
        stream_free(s);
}

static bool fails(const char *bytes, int r) {
        bool is_so = true;

        for (size_t piece = 1; piece < 400; piece += 57) {
                struct stream *s = open_stream();

                is_so = is_so && read_all(s, bytes, piece) == r;
                stream_free(s);
        }
        return is_so;
}

static void broken_off(void) {
        expect(fails("", -EPIPE));
        expect(fails(": nothing\n\n", -EPIPE));
        expect(fails(CHUNK("{\"content\":\"a\"}"), -EPIPE));
        expect(fails(CHUNK("{\"content\":\"a\"}") "data: {\"choices\":[{\"delta\":{\"conte", -EPIPE));
        expect(fails(LAST("{}", "stop") "data: [DO", -EPIPE));
}

static void no_answers(void) {
        expect(fails("<html>\nno\n</html>\n", -EBADMSG));
        expect(fails("data: hello\n\n", -EBADMSG));
        expect(fails("data: [1, 2]\n\n", -EBADMSG));
        expect(fails("data: {\"object\":\"list\"}\n\n", -EBADMSG));
        expect(fails("data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n", -EBADMSG));
        expect(fails("{\"choices\":", -EBADMSG));
        expect(fails(CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"a\"}]}") DONE, -EBADMSG));
        expect(fails(CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}") DONE,
                     -EBADMSG));
        expect(fails(CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"[]\"}}]}") DONE,
                     -EBADMSG));
        expect(fails("data: {\"error\":{\"message\":\"full\"}}\n\n", -EREMOTEIO));
}

static void complaints(void) {
        static const char complaint[] = "{\"error\":{\"message\":\"no\\nsuch \\u001b[31mmodel\"}}";
        struct why why = { 0 };

        expect(stream_read_error(complaint, strlen(complaint), &why));
        expect(strcmp(why.text, "it says: no such  [31mmodel") == 0);
        expect(!stream_read_error("no", 2, &why) && !stream_read_error("{}", 2, &why) && !stream_read_error(NULL, 0, &why));
}

/* A piece that is sent again and again, until it is too much. */
static bool is_cut_off(const char *before, const char *again) {
        struct stream *s = open_stream();
        size_t size = strlen(again), n = 0;
        struct why why = { 0 };
        int r = push(s, before, 100);

        while (r >= 0 && n < (64u << 20)) {
                r = stream_push(s, again, size, &why);
                n += size;
        }
        stream_free(s);
        return r == -EFBIG && n <= STREAM_MAX_BYTES + size && strstr(why.text, "longer than");
}

static void without_end(void) {
        static char much[4096];

        memset(much, 'x', sizeof(much) - 1);
        expect(is_cut_off("", CHUNK("{\"content\":\"\"}")));
        expect(is_cut_off("", ": ping\n\n"));
        expect(is_cut_off("data: ", much));
        expect(is_cut_off("{", much));
        expect(is_cut_off("data: a", "\ndata: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"));
        expect(is_cut_off("", CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"aaaaaaaaaa\"}}]}")));
        expect(fails(CHUNK("{\"tool_calls\":[{\"index\":16}]}"), -EFBIG));
        expect(fails(CHUNK("{\"tool_calls\":[{\"index\":-1}]}"), -EFBIG));
}

static void refused_by_the_reader(void) {
        struct stream *s = open_stream();

        said.r = -ECONNRESET;
        expect(push(s, CHUNK("{\"content\":\"a\"}"), 1000) == -ECONNRESET);
        expect(push(s, "x", 1) == -EBADMSG);
        stream_free(s);
}

/* ---- servers ---- */

static const struct why reason = { "no" };

static void in_order(void) {
        struct servers s;

        servers_init(&s, 3, 30, 7);
        expect(servers_next(&s, 0, 0) == 0 && servers_next(&s, 1, 0) == 1 && servers_next(&s, 7, 0) == SERVERS_NONE);
        servers_note_failure(&s, 0, true, &reason, 0);
        expect(servers_next(&s, 0, 0) == 1);
        servers_note_up(&s, 0, 0);
        expect(servers_next(&s, 0, 0) == 0);
        servers_note_failure(&s, 0, false, &reason, 0);
        expect(servers_next(&s, 0, 0) == 0);
}

static void busy(void) {
        struct servers s;

        servers_init(&s, 1, 30, 7);
        servers_note_busy(&s, 0, 2, 0);
        expect(servers_next(&s, 0, 2 * SECOND_NS - 1) == SERVERS_NONE);
        /* That it answers a look does not make it want questions. */
        servers_note_up(&s, 0, SECOND_NS);
        expect(servers_next(&s, 0, 2 * SECOND_NS - 1) == SERVERS_NONE);
        expect(servers_next(&s, 0, 3 * SECOND_NS) == 0);
        servers_note_busy(&s, 0, 100000, 0);
        expect(servers_next(&s, 0, 61 * SECOND_NS) == 0);
}

/* The sooner the fewer have failed, and never later than when all is well. */
static void looks(void) {
        struct servers s;
        uint64_t before = 0;

        servers_init(&s, 1, 30, 7);
        expect(servers_due(&s, 0) == 0);
        servers_note_look(&s, 0, 0);
        expect(servers_due(&s, 22 * SECOND_NS) == SERVERS_NONE && servers_due(&s, 38 * SECOND_NS) == 0);
        for (unsigned i = 0; i < 100; i++) {
                uint64_t next;

                servers_note_failure(&s, 0, true, &reason, 0);
                next = servers_next_look(&s);
                expect(next >= SECOND_NS * 3 / 4 && next <= 38 * SECOND_NS);
                expect(i == 0 || i > 4 || next > before);
                before = next;
        }
}

static void never_the_same(void) {
        struct servers a, b;
        unsigned n_same = 0;

        servers_init(&a, 1, 30, 1);
        servers_init(&b, 1, 30, 2);
        for (unsigned i = 0; i < 50; i++) {
                uint64_t pause = servers_pause(&a, i);

                expect(pause >= SECOND_NS / 7 && pause <= 5 * SECOND_NS);
                n_same += pause == servers_pause(&b, i);
        }
        expect(n_same < 3);
}

/* ---- settings ---- */

static char folder[] = "/tmp/test-remote-XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode) {
        char path[64];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        f = fopen(path, "w");
        expect(f && fputs(text, f) >= 0 && fchmod(fileno(f), mode) == 0);
        if (f)
                (void) fclose(f);
}

static struct settings *settings_of(const char *text, int *ret, struct why *why) {
        struct settings *s = NULL;
        char path[64];

        write_file("remote.toml", text, 0644);
        (void) snprintf(path, sizeof(path), "%s/remote.toml", folder);
        *why = (struct why){ 0 };
        *ret = settings_read(&s, path, why);
        return s;
}

static bool is_refused(const char *text, const char *word) {
        struct why why;
        int r;
        struct settings *s = settings_of(text, &r, &why);
        bool is_so = !s && r < 0 && strstr(why.text, word);

        if (!is_so)
                printf("# '%s': %d %s\n", text, r, why.text);
        settings_free(s);
        return is_so;
}

static void a_list(void) {
        struct why why;
        int r;
        struct settings *s;

        write_file("key", "sesame \n", 0600);
        s = settings_of("model = \"m\"\nconnect_ms = 700\nservers = [\n  \"https://a.example:8443/v1/\",\n"
                        "  { url = \"http://127.0.0.1/v1\", model = \"other\", key_file = \"key\" },\n"
                        "  { url = \"http://[::1]:99/v1\" },\n]\n",
                        &r, &why);
        expect(r == 0 && s && s->n_servers == 3 && s->connect_ms == 700 && s->stall_seconds == 20);
        if (!s)
                return;
        expect(strcmp(s->servers[0].url, "https://a.example:8443/v1") == 0 && s->servers[0].port == 8443);
        expect(!s->servers[0].key && strcmp(s->servers[0].model, "m") == 0);
        expect(s->servers[1].port == 80 && strcmp(s->servers[1].model, "other") == 0);
        expect(s->servers[1].key && strcmp(s->servers[1].key, "sesame") == 0);
        expect(s->servers[2].port == 99);
        settings_free(s);
}

static void keys(void) {
        struct why why;
        int r;
        struct settings *s;

        write_file("key", "sesame\n", 0600);
        s = settings_of("model=\"m\"\nkey_file=\"key\"\nservers=[\"https://a/v1\"]", &r, &why);
        expect(s && strcmp(s->servers[0].key, "sesame") == 0);
        settings_free(s);
        write_file("key", "sesame\n", 0640);
        expect(is_refused("model=\"m\"\nkey_file=\"key\"\nservers=[\"https://a/v1\"]", "chmod 600"));
        write_file("key", "sesame\nX-Other: y", 0600);
        expect(is_refused("model=\"m\"\nkey_file=\"key\"\nservers=[\"https://a/v1\"]", "no key"));
        write_file("key", "", 0600);
        expect(is_refused("model=\"m\"\nkey_file=\"key\"\nservers=[\"https://a/v1\"]", "no key"));
        expect(is_refused("model=\"m\"\nkey_file=\"none\"\nservers=[\"https://a/v1\"]", "No such file"));
        write_file("pem", "x", 0644);
        expect(is_refused("model=\"m\"\ncertificate=\"pem\"\nservers=[\"https://a/v1\"]", "chmod 600"));
        /* What a service manager hands over. */
        (void) unsetenv("CREDENTIALS_DIRECTORY");
        expect(is_refused("model=\"m\"\nkey_file=\"credential:k\"\nservers=[\"https://a/v1\"]", "credential"));
        (void) setenv("CREDENTIALS_DIRECTORY", folder, 1);
        write_file("k", "open", 0400);
        s = settings_of("model=\"m\"\nkey_file=\"credential:k\"\nservers=[\"https://a/v1\"]", &r, &why);
        expect(s && strcmp(s->servers[0].key, "open") == 0);
        settings_free(s);
}

static void no_settings(void) {
        expect(is_refused("", "servers"));
        expect(is_refused("servers=[]\nmodel=\"m\"", "servers"));
        expect(is_refused("servers=[\"https://a/v1\"]", "model"));
        expect(is_refused("model=\"m\"\nservers=[\"ftp://a/v1\"]", "no address"));
        expect(is_refused("model=\"m\"\nservers=[\"https://user:pass@a/v1\"]", "no address"));
        expect(is_refused("model=\"m\"\nservers=[\"https://a/v1?key=1\"]", "no address"));
        expect(is_refused("model=\"m\"\nservers=[\"https://a:0/v1\"]", "no address"));
        expect(is_refused("model=\"m\"\nservers=[\"https:///v1\"]", "no address"));
        expect(is_refused("model=\"m\"\nservers=[\"https://a b/v1\"]", "no address"));
        expect(is_refused("model=\"m\"\nservers=[\"http://10.0.0.1/v1\"]", "plain = true"));
        expect(is_refused("model=\"m\"\nservers=[\"http://127.example.org/v1\"]", "plain = true"));
        expect(is_refused("model=\"m\"\nservers=[\"http://localhost.example.org/v1\"]", "plain = true"));
        expect(is_refused("model=\"m\"\nservers=[{url=\"https://a/v1\", pain=true}]", "pain"));
        expect(is_refused("model=\"m\"\nsevers=[\"https://a/v1\"]", "severs"));
        expect(is_refused("model=\"m\"\nservers=[\"https://a/v1\"]\nconnect_ms=1", "connect_ms"));
        expect(is_refused("model=1\nservers=[\"https://a/v1\"]", "model"));
}

static void plain_on_purpose(void) {
        struct why why;
        int r;
        struct settings *s = settings_of("model=\"m\"\nservers=[{url=\"http://10.0.0.1/v1\", plain=true}]", &r, &why);

        expect(s && s->n_servers == 1);
        settings_free(s);
}

/* ---- questions ---- */

static json_t *written(const struct request_parts *parts) {
        struct buffer body = { 0 };
        struct why why = { 0 };
        json_t *object = NULL;

        if (request_write(&body, parts, &why) == 0)
                object = json_loadb(body.data, body.size, 0, NULL);
        buffer_done(&body);
        return object;
}

static void a_sound(void) {
        static const char question[] = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"sound\"}]}],\"max_tokens\":5}";
        const int16_t samples[] = { 1, -2, 300 };
        struct request_parts parts = {
                .json = question,
                .json_size = strlen(question),
                .sound = samples,
                .sound_size = sizeof(samples),
                .model = "m",
        };
        json_t *object = written(&parts), *part;
        gsize size = 0;
        guchar *wav;

        expect(json_is_true(json_object_get(object, "stream")) &&
               strcmp(json_string_value(json_object_get(object, "model")), "m") == 0 &&
               json_integer_value(json_object_get(object, "max_tokens")) == 5);
        part = json_array_get(json_object_get(json_array_get(json_object_get(object, "messages"), 0), "content"), 0);
        expect(strcmp(json_string_value(json_object_get(part, "type")), "input_audio") == 0);
        part = json_object_get(part, "input_audio");
        expect(strcmp(json_string_value(json_object_get(part, "format")), "wav") == 0);
        wav = g_base64_decode(json_string_value(json_object_get(part, "data")), &size);
        expect(size == 50 && memcmp(wav, "RIFF", 4) == 0 && wav[4] == 42 && wav[40] == 6 && wav[24] == 0x80 &&
               wav[25] == 0x3e && memcmp(wav + 44, samples, 6) == 0);
        g_free(wav);
        json_decref(object);
}

/* So many pixels of one colour come out as a PNG of the expected size. */
static void check_picture(unsigned width, unsigned height, unsigned wanted_width, unsigned wanted_height) {
        static const char question[] =
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"picture\",\"index\":0}]}]}";
        uint8_t *rgb = malloc((size_t) width * height * 3), pixel[3] = { 0 };
        struct request_parts parts = {
                .json = question,
                .json_size = strlen(question),
                .pictures = { { rgb, { width, height } } },
                .n_pictures = 1,
                .model = "m",
        };
        static const char prefix[] = "data:image/png;base64,";
        png_image image = { .version = PNG_IMAGE_VERSION };
        json_t *object, *part;
        const char *url;
        gsize size = 0;
        guchar *png;

        for (size_t i = 0; i < (size_t) width * height; i++)
                memcpy(rgb + i * 3, "\x10\x80\xf0", 3);
        object = written(&parts);
        part = json_array_get(json_object_get(json_array_get(json_object_get(object, "messages"), 0), "content"), 0);
        url = json_string_value(json_object_get(json_object_get(part, "image_url"), "url"));
        expect(url && strncmp(url, prefix, strlen(prefix)) == 0);
        png = g_base64_decode(url ? url + strlen(prefix) : "", &size);
        expect(png_image_begin_read_from_memory(&image, png, size) && image.width == wanted_width &&
               image.height == wanted_height);
        image.format = PNG_FORMAT_RGB;
        if (wanted_width == 1 && wanted_height == 1)
                expect(png_image_finish_read(&image, NULL, pixel, 0, NULL) && memcmp(pixel, "\x10\x80\xf0", 3) == 0);
        png_image_free(&image);
        g_free(png);
        json_decref(object);
        free(rgb);
}

static void pictures(void) {
        check_picture(1, 1, 1, 1);
        check_picture(640, 480, 640, 480);
        check_picture(3840, 2160, 1920, 1080);
        check_picture(1, 65535, 1, 65535);
}

static void no_questions(void) {
        static const char *const bad[] = {
                "", "[]", "{}", "{\"messages\":5}",
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"picture\",\"index\":0}]}]}",
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"picture\",\"index\":-1}]}]}",
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct request_parts parts = { .json = bad[i], .json_size = strlen(bad[i]), .model = "m" };

                expect(!written(&parts));
        }
}

/* ---- the link ---- */

static void nothing_is_believed(void) {
        static struct link_answer a;
        struct link_question q = { .version = LINK_VERSION, .word = LINK_ASK, .json_size = 1 };
        struct link_state state = { .version = LINK_VERSION };

        expect(link_check_question(&q, sizeof(q), 1) && !link_check_question(&q, sizeof(q), 2) &&
               !link_check_question(&q, sizeof(q) - 1, 1));
        q.n_pictures = 1;
        expect(!link_check_question(&q, sizeof(q), 2));
        q.pictures[0] = (struct link_picture){ 65535, 65535 };
        expect(!link_check_question(&q, sizeof(q), 2));
        q.pictures[0] = (struct link_picture){ 100, 100 };
        expect(link_check_question(&q, sizeof(q), 2));
        q.json_size = LINK_MAX_JSON + 1;
        expect(!link_check_question(&q, sizeof(q), 2));

        a.word = LINK_TEXT;
        a.text_size = 2;
        memcpy(a.text, "\xc3\xa4", 2);
        memset(a.server, '\n', sizeof(a.server));
        expect(link_check_answer(&a, link_answer_size(&a)) && a.server[0] == '?' &&
               strlen(a.server) == sizeof(a.server) - 1);
        expect(!link_check_answer(&a, link_answer_size(&a) - 1));
        a.text[1] = 'x';
        expect(!link_check_answer(&a, link_answer_size(&a)));
        a.text_size = UINT32_MAX;
        expect(!link_check_answer(&a, sizeof(a)));
        a.text_size = 0;
        a.word = LINK_BROKEN + 1;
        expect(!link_check_answer(&a, link_answer_size(&a)));

        memset(state.why.text, 'x', sizeof(state.why.text));
        expect(link_check_state(&state, sizeof(state)) && strlen(state.why.text) == sizeof(state.why.text) - 1);
        expect(!link_check_state(&state, 1));
}

struct pair {
        struct outbox outbox;
        int fd; /* owned; the reader's */
};

static void open_pair(struct pair *p) {
        int fds[2];

        expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
        *p = (struct pair){ .outbox.fd = fds[0], .fd = fds[1] };
}

static void close_pair(struct pair *p) {
        closep(&p->outbox.fd);
        closep(&p->fd);
        outbox_done(&p->outbox);
}

/* More and more numbers, until so many wait.  The next one. */
static uint32_t fill(struct pair *p, uint32_t number, unsigned n_waiting) {
        while (n_waiting > 0) {
                expect(outbox_send(&p->outbox, &number, sizeof(number), 0) == 0);
                number++;
                n_waiting -= outbox_waits(&p->outbox);
        }
        return number;
}

/* Reads what there is, as it was written. */
static uint32_t read_numbers(struct pair *p, uint32_t expected) {
        uint32_t number;
        size_t n_fds = 0;

        while (parcel_receive(p->fd, &number, sizeof(number), NULL, &n_fds) == sizeof(number))
                expect(number == expected++);
        return expected;
}

static void nobody_waits_for_a_slow_reader(void) {
        struct pair p;
        uint32_t n_written, n_read = 0;
        char large[1000] = { 0 };

        open_pair(&p);
        n_written = fill(&p, 0, 2000);
        expect(outbox_flush(&p.outbox, 1) == 1 && outbox_deadline(&p.outbox) == OUTBOX_PATIENCE_NS);
        /* In their order, whatever is written meanwhile. */
        while (n_read < n_written) {
                n_read = read_numbers(&p, n_read);
                expect(outbox_flush(&p.outbox, 2) >= 0);
                if (outbox_waits(&p.outbox) && n_written < 10000)
                        n_written = fill(&p, n_written, 1);
        }
        expect(n_read == n_written && outbox_flush(&p.outbox, 3) == 0 && outbox_deadline(&p.outbox) == UINT64_MAX);

        /* It grows up to a bound, and is not kept for ever. */
        n_written = fill(&p, 0, 1);
        while (outbox_send(&p.outbox, large, sizeof(large), 0) == 0)
                ;
        expect(outbox_send(&p.outbox, large, sizeof(large), 0) == -EFBIG && p.outbox.waiting.size <= OUTBOX_MAX);
        expect(outbox_flush(&p.outbox, OUTBOX_PATIENCE_NS - 1) == 1);
        expect(outbox_flush(&p.outbox, OUTBOX_PATIENCE_NS) == -ETIMEDOUT);
        closep(&p.fd);
        p.fd = -1;
        expect(outbox_flush(&p.outbox, 0) == -EPIPE);
        close_pair(&p);
}

int main(void) {
        expect(mkdtemp(folder));
        rule("a text comes out whole, however it is cut", texts);
        rule("it is known when a server answers, and when it has said something", begins_and_says);
        rule("an answer ends as its server says", ends);
        rule("calls come in pieces", calls);
        rule("calls come as other servers write them", calls_in_other_words);
        rule("a server that does not stream is understood", without_streaming);
        rule("what broke off is no answer", broken_off);
        rule("what is no answer is none", no_answers);
        rule("a server's complaint is one line that can be shown", complaints);
        rule("what has no end is cut off", without_end);
        rule("who does not take the text ends it", refused_by_the_reader);
        rule("servers are asked in their order", in_order);
        rule("who is busy is left alone for so long", busy);
        rule("who failed is looked after soon, and then less often", looks);
        rule("pauses differ", never_the_same);
        rule("a list of servers is read", a_list);
        rule("keys come from files that nobody else reads", keys);
        rule("settings that are none are refused, with their name", no_settings);
        rule("what goes over the network unencrypted does so on purpose", plain_on_purpose);
        rule("a sound becomes a WAV", a_sound);
        rule("pictures become PNGs of a size that is of use", pictures);
        rule("questions that are none are refused", no_questions);
        rule("nothing that comes through the link is believed", nothing_is_believed);
        rule("nobody waits for a slow reader, who gets all of it", nobody_waits_for_a_slow_reader);
        return tap_done();
}
