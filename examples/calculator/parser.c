// Tokens to trees, by recursive descent with a table of precedences.
#include "calculator.h"

#include <stdlib.h>
#include <string.h>

size_t nodes_made;

static const struct { char operator; int precedence; int right_associative; } operators[] = {
    {'<', 1, 0}, {'>', 1, 0}, {'+', 2, 0}, {'-', 2, 0}, {'*', 3, 0}, {'/', 3, 0}, {'%', 3, 0}, {'^', 5, 1},
};

static struct node *expression(struct line *line, int least);

static struct node *make(struct line *line, enum node_kind kind) {
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        fail(line, "there is no memory left");
    node->kind = kind;
    nodes_made++;
    return node;
}

void free_tree(struct node *node) {
    if (!node)
        return;
    for (size_t index = 0; index < node->count; index++)
        free_tree(node->children[index]);
    free(node);
}

static int is_operator(const struct line *line, char operator) {
    return line->token.kind == T_OPERATOR && line->token.operator == operator;
}

static void expect(struct line *line, char operator) {
    if (!is_operator(line, operator))
        fail(line, "expected '%c' here", operator);
    next_token(line);
}

static struct node *call(struct line *line, const char *name) {
    struct node *node = make(line, N_CALL);
    strcpy(node->name, name);
    next_token(line);
    while (!is_operator(line, ')')) {
        if (node->count == 4)
            fail(line, "%s has more than four arguments", name);
        node->children[node->count++] = expression(line, 1);
        if (!is_operator(line, ')'))
            expect(line, ',');
    }
    next_token(line);
    return node;
}

static struct node *primary(struct line *line) {
    struct token token = line->token;
    struct node *node;
    if (token.kind == T_NUMBER) {
        next_token(line);
        node = make(line, N_NUMBER);
        node->number = token.number;
        return node;
    }
    if (token.kind == T_NAME) {
        next_token(line);
        if (is_operator(line, '('))
            return call(line, token.name);
        node = make(line, N_NAME);
        strcpy(node->name, token.name);
        return node;
    }
    if (is_operator(line, '(')) {
        next_token(line);
        node = expression(line, 1);
        expect(line, ')');
        return node;
    }
    if (is_operator(line, '-')) {
        next_token(line);
        node = make(line, N_NEGATE);
        node->children[node->count++] = expression(line, 4);
        return node;
    }
    fail(line, token.kind == T_END ? "the line ends too soon" : "expected a number, a name or '('");
}

static struct node *expression(struct line *line, int least) {
    struct node *left = primary(line);
    for (;;) {
        int precedence = 0, right_associative = 0;
        for (size_t index = 0; index < sizeof operators / sizeof *operators; index++) {
            if (is_operator(line, operators[index].operator)) {
                precedence = operators[index].precedence;
                right_associative = operators[index].right_associative;
            }
        }
        if (!precedence || precedence < least)
            return left;
        struct node *node = make(line, N_BINARY);
        node->operator = line->token.operator;
        next_token(line);
        node->children[0] = left;
        node->children[1] = expression(line, right_associative ? precedence : precedence + 1);
        node->count = 2;
        left = node;
    }
}

// `name = expression` and `name(x, y) = expression` are parsed as expressions first and turned round at the '='.
static struct node *definition(struct line *line, struct node *left) {
    struct node *node = make(line, left->kind == N_CALL ? N_DEFINE : N_ASSIGN);
    if (left->kind != N_CALL && left->kind != N_NAME)
        fail(line, "only a name or a call can stand before '='");
    strcpy(node->name, left->name);
    for (size_t index = 0; index < left->count; index++) {
        if (left->children[index]->kind != N_NAME)
            fail(line, "parameter %d is no name", (int)index + 1);
        strcpy(node->parameters[index], left->children[index]->name);
    }
    // The number of parameters stands in `number`, because `count` is that of the children.
    node->number = (double)left->count;
    free_tree(left);
    next_token(line);
    node->children[0] = expression(line, 1);
    node->count = 1;
    return node;
}

struct node *parse(struct line *line) {
    struct node *tree;
    next_token(line);
    if (line->token.kind == T_END)
        return NULL;
    tree = expression(line, 1);
    if (is_operator(line, '='))
        tree = definition(line, tree);
    if (line->token.kind != T_END)
        fail(line, "expected an operator");
    return tree;
}
