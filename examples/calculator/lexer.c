// Text to tokens.
#include "calculator.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t tokens_read;

void fail(struct line *line, const char *format, ...) {
    va_list arguments;
    int used = snprintf(line->message, sizeof line->message, "column %d: ", (int)(line->at - line->start));
    va_start(arguments, format);
    vsnprintf(line->message + used, sizeof line->message - (size_t)used, format, arguments);
    va_end(arguments);
    longjmp(line->failed, 1);
}

static void read_name(struct line *line) {
    struct token *token = &line->token;
    size_t length = 0;
    while (isalnum((unsigned char)*line->at) || *line->at == '_') {
        if (length + 1 >= sizeof token->name)
            fail(line, "this name is too long");
        token->name[length++] = *line->at++;
    }
    token->name[length] = 0;
    token->kind = T_NAME;
}

void next_token(struct line *line) {
    struct token *token = &line->token;
    while (isspace((unsigned char)*line->at))
        line->at++;
    tokens_read++;
    switch (*line->at) {
    case 0:
    case '#':
        token->kind = T_END;
        return;
    case '+': case '-': case '*': case '/': case '%': case '^':
    case '(': case ')': case ',': case '=': case '<': case '>':
        token->kind = T_OPERATOR;
        token->operator = *line->at++;
        return;
    default:
        break;
    }
    if (isdigit((unsigned char)*line->at) || *line->at == '.') {
        char *end;
        token->number = strtod(line->at, &end);
        if (end == line->at)
            fail(line, "this is no number");
        line->at = end;
        token->kind = T_NUMBER;
        return;
    }
    if (isalpha((unsigned char)*line->at) || *line->at == '_') {
        read_name(line);
        return;
    }
    line->at++;
    fail(line, "nothing begins with '%c'", line->at[-1]);
}
