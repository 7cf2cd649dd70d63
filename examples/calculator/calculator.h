// A calculator: lines of text to tokens (lexer.c), to trees (parser.c), to numbers (eval.c).
#ifndef CALCULATOR_H
#define CALCULATOR_H

#include <setjmp.h>
#include <stddef.h>

enum token_kind { T_END, T_NUMBER, T_NAME, T_OPERATOR };

struct token {
    enum token_kind kind;
    double number;
    char name[32];
    char operator;
};

// The line under work: its tokens one by one, and where to go when something is wrong with it.
struct line {
    const char *start, *at;
    struct token token;
    jmp_buf failed;
    char message[128];
};

enum node_kind { N_NUMBER, N_NAME, N_CALL, N_BINARY, N_NEGATE, N_ASSIGN, N_DEFINE };

struct node {
    enum node_kind kind;
    double number;
    char name[32];
    char operator;
    char parameters[4][32];
    size_t count;
    struct node *children[4];
};

void next_token(struct line *line);
_Noreturn void fail(struct line *line, const char *format, ...);

struct node *parse(struct line *line);
void free_tree(struct node *node);

// Evaluates a tree. Definitions keep it; the result says whether they did.
double evaluate(struct line *line, struct node *node, int *kept);
void forget_definitions(void);

// How much work was done, for the closing line.
extern size_t tokens_read, nodes_made, calls_made;

#endif
