/* SPDX-License-Identifier: Apache-2.0 */
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <locale.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "ipc/ctl-monitor.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl-trace.h"

#define QUIET_DB (-72.0)

/* Rows above the turns. */
#define ROW_LEVEL 3
#define ROW_TURN  5

enum colour { COLOUR_GOOD = 1, COLOUR_BAD, COLOUR_NAME };

void view_done(struct view *v) {
        json_decref(v->status);
        json_decref(v->level);
        for (unsigned i = 0; i < VIEW_TURNS; i++)
                json_decref(v->turns[i]);
        free(v->live);
}

static void keep(json_t **at, json_t *value) {
        json_decref(*at);
        *at = json_incref(value);
}

bool view_take_status(struct view *v, json_t *status) {
        const char *mode = field_string(status, "mode");
        bool was_open = v->is_open;

        keep(&v->status, status);
        v->is_open = strcmp(mode, "push") != 0 && !json_is_true(json_object_get(status, "muted"));
        return v->is_open != was_open;
}

void view_take_level(struct view *v, json_t *level) {
        keep(&v->level, level);
}

static void append_live(struct view *v, const char *text) {
        size_t had = v->live ? strlen(v->live) : 0, size = strlen(text);
        char *live = realloc(v->live, had + size + 1);

        if (!live)
                return;
        memcpy(live + had, text, size + 1);
        v->live = live;
}

static void end_live(struct view *v) {
        free(TAKE_PTR(v->live));
}

void view_take_event(struct view *v, json_t *event) {
        const char *kind = field_string(event, "kind"), *text = field_string(event, "text");

        if (strcmp(kind, "done") == 0) {
                keep(&v->turns[v->n_turns++ % VIEW_TURNS], json_object_get(event, "turn"));
                end_live(v);
        } else if (strcmp(kind, "forgotten") == 0) {
                /* They are nobody's to look at any more. */
                for (unsigned i = 0; i < VIEW_TURNS; i++)
                        keep(&v->turns[i], NULL);
                v->n_turns = 0;
        } else if (strcmp(kind, "heard") == 0) {
                append_live(v, "\"");
                append_live(v, text);
                append_live(v, "\"  ");
        } else if (strcmp(kind, "token") == 0) {
                append_live(v, text);
        }
}

/* At the cursor, as much of it as the row has room for: what does not fit would cover the rows below.
 * The last column stays empty, for behind it the cursor would be in the next row. */
static void put_clipped(const char *text) {
        int room = COLS - 1 - getcurx(stdscr);
        mbstate_t state = {};

        while (*text && room > 0) {
                wchar_t c = L'?';
                size_t size = mbrtowc(&c, text, strlen(text), &state);
                bool is_letter = size <= MB_CUR_MAX && wcwidth(c) >= 0;
                int width = is_letter ? wcwidth(c) : 1;

                if (width > room)
                        return;
                if (!is_letter) {
                        size = 1;
                        state = (mbstate_t){};
                }
                (void) addnstr(is_letter ? text : "?", (int) size);
                room -= width;
                text += size;
        }
}

static void putf(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void putf(const char *format, ...) {
        char text[128];
        va_list args;

        va_start(args, format);
        (void) vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        put_clipped(text);
}

/* Text from elsewhere at the cursor, up to the end of the row, with nothing in it that could drive the
 * terminal. */
static void put_text(const char *text) {
        _cleanup_(freep) char *safe = NULL;
        size_t size;
        FILE *to = open_memstream(&safe, &size);

        if (!to)
                return;
        print_text(to, true, text);
        (void) fclose(to);
        for (char *c = safe; safe && *c; c++)
                if (*c == '\n' || *c == '\t')
                        *c = ' ';
        if (safe)
                put_clipped(safe);
}

static void put_styled(attr_t style, const char *text) {
        (void) attron(style);
        put_text(text);
        (void) attroff(style);
}

static void draw_status(const struct view *v) {
        const char *state = v->status ? field_string(v->status, "state") : "asking";
        const char *error;

        (void) move(0, 0);
        put_styled(A_BOLD, "gemmad ");
        put_styled(A_BOLD | COLOR_PAIR(COLOUR_NAME), state);
        if (!v->status)
                return;
        putf("   mode ");
        put_text(field_string(v->status, "mode"));
        putf("   microphone ");
        put_text(field_string(v->status, "microphone"));
        if (json_is_true(json_object_get(v->status, "muted")))
                put_styled(COLOR_PAIR(COLOUR_BAD), " (muted)");
        (void) move(1, 0);
        put_text(field_string(v->status, "model"));
        if (json_object_get(v->status, "memory"))
                putf("   %.0f MiB", field_number(v->status, "memory") / (1 << 20));
        putf("   %d turns   %d waiting", (int) field_int(v->status, "turns"),
             (int) field_int(v->status, "queued"));
        error = field_string(v->status, "microphone_error");
        if (!error[0])
                error = field_string(v->status, "history_error");
        if (!error[0])
                return;
        putf("   ");
        put_styled(COLOR_PAIR(COLOUR_BAD), error);
}

static int column(double db, int width) {
        int n = (int) ((db - QUIET_DB) / -QUIET_DB * width);

        return n < 0 ? 0 : n > width ? width : n;
}

/* The level as a bar, : at the noise of the room, and what the detector makes of it. */
static void draw_level(const struct view *v) {
        int width = COLS > 60 ? 40 : COLS / 2;
        double rms, noise;

        (void) move(ROW_LEVEL, 0);
        if (!v->has_level || !v->level) {
                put_styled(A_DIM, "m shows the level (and opens the microphone for it)");
                return;
        }
        rms = field_number(v->level, "rms");
        noise = field_number(v->level, "noise");
        for (int i = 0; i < width; i++)
                (void) addch(i < column(rms, width)      ? ACS_BLOCK
                             : i == column(noise, width) ? ':'
                                                         : ' ');
        putf(" %6.1f dB  ", rms);
        if (json_is_true(json_object_get(v->level, "speaking")))
                put_styled(A_BOLD | COLOR_PAIR(COLOUR_GOOD), "speech");
        else
                put_styled(A_DIM, "no speech");
}

static json_t *turn_at(const struct view *v, unsigned age) {
        return age < v->n_turns && age < VIEW_TURNS ? v->turns[(v->n_turns - 1 - age) % VIEW_TURNS]
                                                    : NULL;
}

static void draw_bar(double from, double to, double total, int width) {
        int first = total > 0 ? (int) (from / total * width) : 0;
        int last = total > 0 ? (int) (to / total * width + 0.5) : 0;

        for (int i = 0; i < width; i++)
                (void) addch(i >= first && (i < last || i == first) ? ACS_BLOCK : ' ');
}

/* Where each millisecond of the last turn went, and how fast the model wrote; how many rows. */
static int draw_timeline(const struct view *v, int row) {
        json_t *turn = turn_at(v, 0), *timings = json_object_get(turn, "timings");
        struct svg_step steps[TRACE_STEPS];
        size_t n = turn ? trace_steps(timings, steps) : 0;
        double total = field_number(timings, "done"), speed = trace_speed(timings);
        int width = COLS - 40;

        for (size_t i = 0; i < n && row < LINES - 3; i++, row++) {
                (void) move(row, 2);
                putf("%-22s%9.1f ms ", steps[i].label, steps[i].to - steps[i].from);
                if (width > 4)
                        draw_bar(steps[i].from, steps[i].to, total, width);
        }
        if (n > 0 && speed > 0) {
                (void) move(row++, 2);
                putf("%.1f tokens a second", speed);
        }
        return row + (n > 0);
}

static void draw_turn(json_t *turn, int row) {
        const char *outcome = field_string(turn, "outcome");
        bool is_well = strcmp(outcome, "answered") == 0;

        (void) move(row, 0);
        putf("#%-5d ", (int) field_int(turn, "id"));
        put_styled(A_BOLD, field_string(turn, "heard"));
        putf("  ");
        if (!is_well)
                put_styled(COLOR_PAIR(COLOUR_BAD), outcome);
        else if (turn_has_answer(turn))
                put_styled(COLOR_PAIR(COLOUR_GOOD), field_string(turn, "answered"));
        else
                put_styled(A_DIM, turn_unanswered(turn));
}

static void draw_turns(const struct view *v, int row) {
        if (v->live && row < LINES - 1) {
                (void) move(row++, 7);
                put_styled(COLOR_PAIR(COLOUR_NAME), v->live);
        }
        for (unsigned i = 0; row < LINES - 1; i++, row++) {
                json_t *turn = turn_at(v, i);

                if (!turn)
                        break;
                draw_turn(turn, row);
        }
}

void view_draw(const struct view *v) {
        (void) erase();
        draw_status(v);
        draw_level(v);
        draw_turns(v, draw_timeline(v, ROW_TURN));
        (void) move(LINES - 1, 0);
        put_styled(A_DIM, "q ends   c cancels the turn   m level of the microphone");
        (void) refresh();
}

void view_open(void) {
        (void) setlocale(LC_CTYPE, "");
        (void) initscr();
        (void) cbreak();
        (void) noecho();
        (void) curs_set(0);
        (void) nodelay(stdscr, TRUE);
        (void) keypad(stdscr, TRUE);
        if (!has_colors() || (getenv("NO_COLOR") && getenv("NO_COLOR")[0]))
                return;
        (void) start_color();
        (void) use_default_colors();
        (void) init_pair(COLOUR_GOOD, COLOR_GREEN, -1);
        (void) init_pair(COLOUR_BAD, COLOR_RED, -1);
        (void) init_pair(COLOUR_NAME, COLOR_CYAN, -1);
}

void view_close(void) {
        (void) endwin();
}

int view_key(void) {
        int key = getch();

        return key == ERR ? -1 : key;
}
